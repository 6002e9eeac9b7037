//! What is measured from outside: connections as Redis itself counts them, and the processor time
//! of a process as the kernel counts it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::wire::{push_command, reply_text};

/// A connection of the demo's own to Redis, past narrows, for `INFO`.
#[derive(Debug)]
pub(super) struct Gauge {
    stream: UnixStream,
}

impl Gauge {
    pub(super) async fn connect(socket: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket)
            .await
            .context("the gauge's connection to Redis")?;
        Ok(Self { stream })
    }

    /// `connected_clients` of Redis without this connection.
    ///
    /// # Errors
    /// When Redis does not answer within [`ANSWER_PATIENCE`].
    pub(super) async fn connected_clients(&mut self) -> anyhow::Result<u64> {
        let clients: u64 = self.info("clients", "connected_clients").await?.parse()?;
        Ok(clients.saturating_sub(1))
    }

    /// One field of one section of `INFO`.
    pub(super) async fn info(&mut self, section: &str, field: &str) -> anyhow::Result<String> {
        let text = timeout(ANSWER_PATIENCE, self.ask(section)).await??;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(value
            .with_context(|| format!("INFO {section} has no {field}"))?
            .to_owned())
    }

    async fn ask(&mut self, section: &str) -> anyhow::Result<String> {
        let mut request = Vec::new();
        push_command(&mut request, &[b"INFO", section.as_bytes()]);
        self.stream.write_all(&request).await?;
        let mut received = Vec::new();
        loop {
            if self.stream.read_buf(&mut received).await? == 0 {
                bail!("Redis closed the gauge's connection");
            }
            if let Some(text) = reply_text(&received) {
                return Ok(String::from_utf8_lossy(text).into_owned());
            }
        }
    }
}

/// Processor time that a process has used so far, in user mode and in the kernel, all its threads.
///
/// # Errors
/// When there is no such process.
pub(super) fn processor_time(pid: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} is gone"))?;
    let ticks = ticks_used(&stat).context("/proc/PID/stat is not as proc(5) says")?;
    Ok(Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second())?)
}

/// `utime` + `stime`, the 14th and 15th field; the 2nd, the name, may hold anything.
fn ticks_used(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some(user + system)
}

/// Redis answers `INFO` behind a batch of the load.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_past_a_strange_name() {
        let stat = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0";
        assert_eq!(ticks_used(stat), Some(200));
        assert_eq!(ticks_used("12 (a) S 1"), None);
        assert!(processor_time(std::process::id()).is_ok());
        assert!(processor_time(u32::MAX).is_err());
    }
}
