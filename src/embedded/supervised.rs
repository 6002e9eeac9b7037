//! A process that cannot outlive narrows, even when narrows is killed with `kill -9`: it runs below
//! a small shell that holds the reading end of a pipe. The kernel closes our end whatever way we
//! end, the shell reads the end of the file, kills the process and removes its folder. (Linux has
//! `PR_SET_PDEATHSIG` for this, but it takes unsafe code between fork and exec.) Used for the
//! embedded server and for what the demo starts; knows nothing of either.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// A running process that ends with its owner. Dropping it kills it and waits for the end.
#[derive(Debug)]
pub(crate) struct Supervised {
    shell: Child,
    /// Our end of the pipe; closing it kills the process.
    leash: Option<ChildStdin>,
    pid: u32,
}

impl Supervised {
    /// Starts `program`, its standard input and output at `/dev/null`. `folder` is removed, with
    /// all that is in it, when the process has ended for any reason.
    ///
    /// # Errors
    /// When the shell cannot be started. A program that cannot be started shows as an early end
    /// with status 126 or 127.
    pub(crate) fn spawn(
        program: &Path,
        arguments: &[OsString],
        stderr: Stdio,
        folder: Option<&Path>,
    ) -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh");
        // What runs here is told all by its arguments: the user's settings for a narrows of their
        // own are not for the one that the demo starts.
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"NARROWS_") {
                shell.env_remove(name);
            }
        }
        let mut shell = shell
            .args(["-c", SUPERVISE, "narrows-supervisor"])
            .arg(folder.map_or(OsStr::new(""), Path::as_os_str))
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            // A group of its own: Ctrl-C in the terminal is for narrows, which still needs the
            // server while it drains.
            .process_group(0)
            .spawn()?;
        let leash = shell.stdin.take();
        let mut supervised = Self {
            shell,
            leash,
            pid: 0,
        };
        supervised.pid = supervised.read_pid()?;
        Ok(supervised)
    }

    /// The process itself, not the shell above it.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The other end of the process' standard error, when it was given as a pipe.
    pub(crate) fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.shell.stderr.take()
    }

    /// The status it ended with, unless it still runs.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.shell.try_wait()
    }

    /// Asks it to end (SIGTERM), waits for `grace`, then kills it.
    pub(crate) fn stop(mut self, grace: Duration) {
        if let (Ok(None), Some(pid)) = (self.ended(), to_pid(self.pid)) {
            // It may have ended in between; that is what was wanted.
            let _ = kill_process(pid, Signal::TERM);
            self.wait(grace);
        }
    }

    /// The shell's first line of output. It comes at once: the shell starts the program in the
    /// background and never waits before it has written.
    fn read_pid(&mut self) -> io::Result<u32> {
        let stdout = self.shell.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        line.trim().parse().map_err(|_| {
            let text = format!("/bin/sh reported {line:?} where a process id was expected");
            io::Error::new(io::ErrorKind::InvalidData, text)
        })
    }

    /// Whether it ended within `patience`.
    fn wait(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            match self.shell.try_wait() {
                Ok(Some(_)) => return true,
                Ok(None) if Instant::now() < deadline => thread::sleep(POLL_INTERVAL),
                _ => return false,
            }
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.leash = None;
        if self.wait(KILL_PATIENCE) {
            return;
        }
        // The shell itself is stuck (stopped by someone): end its whole group.
        if let Some(group) = to_pid(self.shell.id()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.shell.wait();
    }
}

fn to_pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// How long a killed process may take to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(2);

const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// `$1` the folder to remove or nothing, then the program and its arguments. Killed at once rather
/// than asked: what runs here keeps nothing, and a stopped process would not hear the question. SIGHUP
/// is what the kernel sends to the whole group when its parent is gone and a member is stopped.
const SUPERVISE: &str = r#"
folder=$1
shift
trap "" HUP
exec 3<&0
"$@" </dev/null >/dev/null 3<&- &
program=$!
echo "$program"
exec >/dev/null 2>&1
(
    read -r never
    kill -KILL "$program"
) <&3 &
leash=$!
exec 3<&-
wait "$program"
status=$?
kill "$leash"
[ -z "$folder" ] || rm -rf -- "$folder"
exit "$status"
"#;
