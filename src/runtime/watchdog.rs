//! Tells the service manager that narrows lives, as long as all threads do. The workers show it by
//! their heartbeats; the control thread proves itself by asking for them.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::heartbeat::Heartbeat;
use super::inbox::Inbox;
use super::systemd::Systemd;

/// Signs of life to the service manager, as long as all threads give them.
pub struct Watchdog {
    /// All workers' inboxes.
    pub inboxes: Vec<Arc<Inbox>>,
    /// Who is told.
    pub systemd: Arc<Systemd>,
    /// How often it wants to be told at least.
    pub interval: Duration,
    /// The control connection's task, which must not have ended.
    pub control: AbortHandle,
}

impl Watchdog {
    /// Tells until it is aborted.
    pub async fn run(self) {
        let heartbeats: Vec<Heartbeat> =
            self.inboxes.iter().map(|_| Heartbeat::default()).collect();
        // Three times as often, so that one late heartbeat is no death.
        let pause = (self.interval / 3).max(Duration::from_millis(1));
        let (mut number, mut silent) = (0, false);
        loop {
            number += 1;
            for (inbox, heartbeat) in self.inboxes.iter().zip(&heartbeats) {
                inbox.heartbeat(heartbeat.clone(), number);
            }
            // Asked once until answered, so that nothing piles up before a worker that hangs.
            loop {
                tokio::time::sleep(pause).await;
                let late = self.late(&heartbeats, number);
                let control = !self.control.is_finished();
                if late.is_none() && control {
                    break;
                }
                if !std::mem::replace(&mut silent, true) {
                    let worker = late.map(|worker| worker.to_string());
                    let who = worker.as_deref().unwrap_or("control");
                    tracing::error!(worker = who, "no sign of life to the service manager");
                }
            }
            silent = false;
            self.systemd.alive();
        }
    }

    /// A worker that has not answered. One whose inbox is closed has been drained.
    fn late(&self, heartbeats: &[Heartbeat], number: u64) -> Option<usize> {
        let workers = self.inboxes.iter().zip(heartbeats);
        let silent = |(inbox, heartbeat): (&Arc<Inbox>, &Heartbeat)| {
            heartbeat.answered() < number && !inbox.is_closed()
        };
        workers.map(silent).position(|silent| silent)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_worker_that_has_not_answered_is_named() {
        let room = Arc::new(Notify::new());
        let inboxes = [Inbox::new(&room), Inbox::new(&room)];
        let watchdog = Watchdog {
            inboxes: inboxes.to_vec(),
            systemd: Arc::new(Systemd::of(|_| None)),
            interval: Duration::from_secs(1),
            control: tokio::spawn(async {}).abort_handle(),
        };
        let heartbeats = [Heartbeat::default(), Heartbeat::default()];
        assert_eq!(watchdog.late(&heartbeats, 1), Some(0));
        heartbeats[0].answer(1);
        assert_eq!(watchdog.late(&heartbeats, 1), Some(1));
        inboxes[1].close();
        assert_eq!(watchdog.late(&heartbeats, 1), None, "it has been drained");
    }
}
