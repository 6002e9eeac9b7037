//! A child process of a test: its output collected by a thread, signals by its own pid, killed and
//! reaped on drop. It knows nothing of what program it is.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{PATIENCE, wait_for, wait_until};

/// A running program. Its standard output and error go line by line into one log.
pub struct Child {
    name: String,
    process: std::process::Child,
    log: Arc<Mutex<String>>,
    collectors: Vec<JoinHandle<()>>,
}

impl Child {
    /// Starts `command` with its input at `/dev/null`.
    pub fn spawn(command: &mut Command) -> Self {
        Self::start(command, Stdio::null())
    }

    /// Starts `command` with an input in which nothing comes, up to [`Child::end_input`].
    pub fn spawn_with_input(command: &mut Command) -> Self {
        Self::start(command, Stdio::piped())
    }

    fn start(command: &mut Command, input: Stdio) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut process = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("could not start {name}: {error}"));
        let log = Arc::new(Mutex::new(String::new()));
        let collectors = vec![
            collect(process.stdout.take().unwrap(), &log),
            collect(process.stderr.take().unwrap(), &log),
        ];
        Self {
            name,
            process,
            log,
            collectors,
        }
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Gives it `text` to read.
    #[track_caller]
    pub fn input(&mut self, text: &str) {
        let input = self.process.stdin.as_mut().unwrap();
        input.write_all(text.as_bytes()).unwrap();
    }

    /// Ends its input.
    pub fn end_input(&mut self) {
        self.process.stdin = None;
    }

    /// All that it has written so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line of its log that holds all of these: what it writes is read some moments
    /// later.
    #[track_caller]
    pub fn expect_logged(&self, words: &[&str]) {
        wait_until(&format!("a line with {words:?}"), PATIENCE, || {
            let log = self.log();
            log.lines()
                .any(|line| words.iter().all(|word| line.contains(word)))
        });
    }

    /// Sends it a signal; nothing when it has ended already.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            kill_process(Pid::from_child(&self.process), signal).unwrap();
        }
    }

    /// Its exit status, unless it still runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().unwrap()
    }

    /// Waits for it to end by itself, and for all that it wrote to be in the log.
    #[track_caller]
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        wait_for(&what, patience, || {
            let status = self.ended()?;
            let all_read = self.collectors.iter().all(JoinHandle::is_finished);
            all_read.then_some(status)
        })
    }

    /// Polls until a line of the log gives a value. Fails with the whole log, at once when the
    /// process ends and at the latest after `patience`.
    #[track_caller]
    pub fn wait_for_line<T>(&mut self, patience: Duration, pick: impl Fn(&str) -> Option<T>) -> T {
        let name = self.name.clone();
        let found = wait_for(&format!("the awaited line of {name}"), patience, || {
            // In this order: what it wrote before it ended is in the log then.
            let status = self
                .ended()
                .filter(|_| self.collectors.iter().all(JoinHandle::is_finished));
            let log = self.log();
            match (log.lines().find_map(&pick), status) {
                (Some(value), _) => Some(Ok(value)),
                (None, Some(status)) => Some(Err(format!("{name} ended ({status}):\n{log}"))),
                (None, None) => None,
            }
        });
        found.unwrap_or_else(|error| panic!("{error}"))
    }

    /// `kill -9`, and waits for the end.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- log of {}\n{}---", self.name, self.log());
        }
    }
}

/// Whether a process of this number exists, whoever's child it is.
pub fn process_exists(pid: u32) -> bool {
    test_kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap()).is_ok()
}

fn collect(stream: impl Read + Send + 'static, log: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .is_ok_and(|bytes| bytes > 0)
        {
            log.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}
