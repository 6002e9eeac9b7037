//! What the demo starts: a private Redis, and narrows in front of it as a process of its own, so
//! that its processor time can be told from the load's. Both end with the demo, whatever way it
//! ends.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStderr, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use super::options::DemoOptions;
use crate::embedded::{Embedded, Supervised};

/// Redis and narrows, both ready.
#[derive(Debug)]
pub(super) struct Processes {
    narrows: Option<Supervised>,
    log: Arc<Mutex<VecDeque<String>>>,
    pub(super) narrows_pid: u32,
    pub(super) narrows_address: SocketAddr,
    pub(super) redis: Embedded,
    pub(super) redis_address: SocketAddr,
}

impl Processes {
    /// Starts both and waits until both are ready.
    ///
    /// # Errors
    /// When one of them cannot be started; for narrows with the end of its log.
    pub(super) fn set_up(options: &DemoOptions) -> anyhow::Result<Self> {
        let redis = Embedded::start_with_port()?;
        let redis_address = redis.address().context("the embedded server has no port")?;
        let program = match &options.program {
            Some(program) => program.clone(),
            None => std::env::current_exe().context("where is narrows?")?,
        };
        let arguments = narrows_arguments(redis.socket(), options);
        let mut narrows = Supervised::spawn(&program, &arguments, Stdio::piped(), None)
            .with_context(|| format!("could not start {}", program.display()))?;
        let log = Arc::default();
        let stderr = narrows
            .take_stderr()
            .context("narrows has no standard error")?;
        let address = follow_log(stderr, &log);
        let Ok(narrows_address) = address.recv_timeout(START_PATIENCE) else {
            bail!(
                "narrows did not start to listen; the end of its log:\n{}",
                joined(&log)
            );
        };
        let narrows_pid = narrows.pid();
        let narrows = Some(narrows);
        Ok(Self {
            narrows,
            log,
            narrows_pid,
            narrows_address,
            redis,
            redis_address,
        })
    }

    /// The last lines that narrows has logged.
    pub(super) fn narrows_log(&self) -> String {
        joined(&self.log)
    }
}

impl Drop for Processes {
    /// narrows first, in the ordinary way, while its server is still there.
    fn drop(&mut self) {
        if let Some(narrows) = self.narrows.take() {
            narrows.stop(STOP_PATIENCE);
        }
    }
}

/// The one place where the demo knows narrows' flags.
fn narrows_arguments(socket: &Path, options: &DemoOptions) -> Vec<OsString> {
    let mut backend = OsString::from("unix://");
    backend.push(socket);
    let budget = options.max_backend_connections.to_string();
    let mut arguments: Vec<OsString> = vec!["--listen".into(), "127.0.0.1:0".into()];
    arguments.extend(["--backend".into(), backend]);
    arguments.extend(["--max-backend-connections".into(), budget.into()]);
    arguments.extend(["--log-format".into(), "text".into()]);
    // Another narrows may have the usual address.
    arguments.extend(["--admin-listen".into(), "".into()]);
    arguments
}

/// Reads narrows' log to its end, so that narrows never waits for us, and sends the address that it
/// listens on.
fn follow_log(stderr: ChildStderr, log: &Arc<Mutex<VecDeque<String>>>) -> Receiver<SocketAddr> {
    let (found, address) = channel();
    let log = Arc::clone(log);
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Some(address) = listening_address(&line) {
                // Nobody waits for a second one.
                let _ = found.send(address);
            }
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            if log.len() == LOG_LINES_KEPT {
                log.pop_front();
            }
            log.push_back(line);
        }
    });
    address
}

/// The address of a line such as `... listening addr=127.0.0.1:43210 ...`.
fn listening_address(line: &str) -> Option<SocketAddr> {
    let (_, fields) = line.split_once("listening")?;
    fields
        .split_whitespace()
        .find_map(|field| field.strip_prefix("addr=")?.parse().ok())
}

fn joined(log: &Mutex<VecDeque<String>>) -> String {
    let log = log.lock().unwrap_or_else(PoisonError::into_inner);
    log.iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("\n")
}

/// From the start of narrows to its listening.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// For narrows to drain after the load is gone.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

const LOG_LINES_KEPT: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_the_line_that_says_listening() {
        let line = "2026-01-02T03:04:05Z  INFO listening addr=127.0.0.1:43210 workers=1";
        assert_eq!(
            listening_address(line),
            Some("127.0.0.1:43210".parse().unwrap())
        );
        assert_eq!(listening_address("INFO listening addr=unix:/run/x"), None);
        assert_eq!(listening_address("INFO connected addr=127.0.0.1:1"), None);
    }
}
