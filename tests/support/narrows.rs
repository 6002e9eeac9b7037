//! narrows itself as a child process: started with flags, its address read from its own log, asked
//! to end with SIGTERM on drop. Where `tls` says so it listens with TLS, and its address is that of a bridge.

use std::fs;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::bridge::Bridge;
use super::tls::{self, Files, Sides};
use super::{Child, Conn, PATIENCE, RedisServer, wait_for};

/// A running narrows.
pub struct Narrows {
    child: Child,
    /// Where clients without TLS connect.
    address: String,
    bridge: Option<Bridge>,
    tls_folder: Option<TempDir>,
}

impl Narrows {
    /// In front of `server`, on a free loopback port, with further flags:
    /// `&["--max-backend-connections", "3"]`.
    pub fn in_front_of(server: &RedisServer, arguments: &[&str]) -> Self {
        let url = server.url();
        let mut all = vec!["--listen", "127.0.0.1:0", "--backend", &url];
        all.extend(arguments);
        Self::start(&all)
    }

    /// With exactly these arguments, among which must be a listening address of port 0.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_in(&[], arguments)
    }

    /// The same with further variables in its environment.
    pub fn start_in(variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let sides = tls::sides();
        if sides == Sides::None {
            return Self::start_as_told(variables, arguments);
        }
        let folder = tempfile::tempdir().unwrap();
        let files = Files::write(folder.path());
        // Whom the machine trusts, so that the configuration needs no section for it.
        let trusted = ("SSL_CERT_FILE", files.authority.to_str().unwrap());
        let variables = [&[trusted], variables].concat();
        let mut narrows = match sides {
            Sides::Both => Self::start_with_bridge(&variables, arguments, &files),
            Sides::Server | Sides::None => Self::start_as_told(&variables, arguments),
        };
        narrows.tls_folder = Some(folder);
        narrows
    }

    fn start_as_told(variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let mut child = Self::spawn_in(variables, arguments);
        let address = child.wait_for_line(PATIENCE, listening_address);
        Self {
            child,
            address,
            bridge: None,
            tls_folder: None,
        }
    }

    /// The bridge listens where narrows was told to.
    fn start_with_bridge(variables: &[(&str, &str)], arguments: &[&str], files: &Files) -> Self {
        let Some(listening) = files.listening(arguments) else {
            return Self::start_as_told(variables, arguments);
        };
        let arguments: Vec<&str> = listening.arguments.iter().map(String::as_str).collect();
        let mut narrows = Self::start_as_told(variables, &arguments);
        let to = narrows.address.parse().unwrap();
        let bridge = Bridge::start(listening.address, to, tls::authority());
        narrows.address = bridge.address().to_string();
        narrows.bridge = Some(bridge);
        narrows
    }

    /// The bare process, for tests of what ends at once: `check`, mistakes, `--help`.
    pub fn spawn(arguments: &[&str]) -> Child {
        Self::spawn_in(&[], arguments)
    }

    fn spawn_in(variables: &[(&str, &str)], arguments: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_narrows"));
        // What the developer has set for a narrows of their own must not leak in.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("NARROWS_") {
                command.env_remove(name);
            }
        }
        // Many run at once, and the usual address is one.
        command.env("NARROWS_ADMIN_LISTEN", "127.0.0.1:0");
        command.envs(variables.iter().copied());
        Child::spawn(command.args(arguments))
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where it speaks TLS, if it does: `127.0.0.1:PORT`.
    pub fn tls_address(&self) -> String {
        wait_for("the listener for TLS", PATIENCE, || {
            let log = self.log();
            let (_, address) = log.split_once("addr=tls:")?;
            let (address, _) = address.split_once('\n')?;
            Some(address.trim().to_owned())
        })
    }

    /// The port of that.
    #[track_caller]
    pub fn tls_port(&self) -> u16 {
        port_of(&self.tls_address())
    }

    pub fn port(&self) -> u16 {
        port_of(&self.address)
    }

    /// Where its admin endpoints are: `127.0.0.1:PORT`.
    pub fn admin_address(&self) -> String {
        wait_for("the admin endpoints", PATIENCE, || {
            let log = self.log();
            let (_, url) = log
                .split_once("url=\"http://")
                .or(log.split_once("url=http://"))?;
            let (address, _) = url.split_once("/metrics")?;
            Some(address.to_owned())
        })
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        self.child.log()
    }

    /// Waits for a line of its log that holds all of these.
    #[track_caller]
    pub fn expect_logged(&self, words: &[&str]) {
        self.child.expect_logged(words);
    }

    /// A new client.
    pub fn connect(&self) -> Conn {
        Conn::connect(&self.address)
    }

    /// Resident memory, in bytes.
    pub fn rss_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let field = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        field.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Open file descriptors.
    pub fn fd_count(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .unwrap()
            .count()
    }

    pub fn signal(&mut self, signal: Signal) {
        self.child.signal(signal);
    }

    /// Waits for it to end by itself, after a signal for instance.
    #[track_caller]
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        self.child.wait(patience)
    }
}

impl Drop for Narrows {
    /// Asks first, so that every test also ends narrows in the ordinary way; `Child` kills what has
    /// not ended by then.
    fn drop(&mut self) {
        self.child.signal(Signal::TERM);
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while self.child.ended().is_none() && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn port_of(address: &str) -> u16 {
    address.rsplit(':').next().unwrap().parse().unwrap()
}

/// The address of a line such as `... listening addr=127.0.0.1:43210 ...`, `tls:` before it left out.
fn listening_address(line: &str) -> Option<String> {
    let (_, fields) = line.split_once("listening")?;
    let address = fields
        .split_whitespace()
        .find_map(|field| field.strip_prefix("addr="))?;
    let address = address.strip_prefix("tls:").unwrap_or(address);
    address.contains(':').then(|| address.to_owned())
}
