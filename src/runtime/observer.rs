//! How things stand, for whoever asks from outside: the last snapshot of every worker, what the
//! server says of itself, the bound on connections. A worker is asked by message and has a second
//! to answer; one that hangs is told of as such and holds nobody up. Asking costs requests nothing:
//! a worker publishes between two of its turns, and only when it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::admission::Budget;
use crate::engine::{OwnUser, WorkerShared};
use crate::telemetry::export::{BudgetPicture, CertificatePicture, Picture, WorkerPicture};
use crate::telemetry::reject_counts::RejectCounts;
use crate::telemetry::{Cell, Health, ProcessFigures, Server};
use crate::tls::expiry::{CertificateFile, UnixSeconds};

use super::current::Current;
use super::inbox::Inbox;
use super::tls_in_use::TlsInUse;

/// Longest wait for all workers.
const PATIENCE: Duration = Duration::from_secs(1);

/// A worker that has owed an answer for longer is taken for stuck: no turn lasts that long.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// See the module.
pub struct Observer {
    workers: Vec<(Arc<Cell>, Arc<Inbox>)>,
    server: Arc<Server>,
    current: Arc<Current>,
    budget: Arc<Budget>,
    reject_counts: Arc<RejectCounts>,
    own_user: Arc<OwnUser>,
    /// TLS handshakes with clients that there have been.
    handshakes: Arc<AtomicU64>,
    /// How often files of certificates and keys were found that cannot be used.
    tls_refused: AtomicU64,
    epoch: Instant,
    /// Cancelled when narrows begins to end.
    pub(super) ending: CancellationToken,
    patience: Duration,
}

impl Observer {
    /// One for the workers behind `inboxes`, whose clock began at `epoch`.
    pub(super) fn new(
        inboxes: &[Arc<Inbox>],
        current: &Arc<Current>,
        shared: &WorkerShared,
        epoch: Instant,
    ) -> Self {
        let workers = inboxes.iter().cloned();
        Self {
            workers: workers.map(|inbox| (Arc::default(), inbox)).collect(),
            server: Arc::default(),
            current: Arc::clone(current),
            budget: Arc::clone(&shared.budget),
            reject_counts: Arc::clone(&shared.reject_counts),
            own_user: Arc::clone(&shared.own_user),
            handshakes: Arc::default(),
            tls_refused: AtomicU64::new(0),
            epoch,
            ending: CancellationToken::new(),
            patience: PATIENCE,
        }
    }

    /// Where a worker lets others know how things stand.
    pub(super) fn cell(&self, worker: usize) -> Arc<Cell> {
        let cell = self.workers.get(worker).map(|(cell, _)| Arc::clone(cell));
        cell.unwrap_or_default()
    }

    /// Where control says what it knows of the server.
    pub(super) fn server(&self) -> Arc<Server> {
        Arc::clone(&self.server)
    }

    /// Where TLS handshakes with clients are counted.
    pub(super) fn handshakes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.handshakes)
    }

    /// Files of certificates and keys cannot be used as they are.
    pub(super) fn tls_is_refused(&self) {
        self.tls_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// The certificates in use.
    fn certificates(&self) -> Vec<CertificateFile> {
        TlsInUse::of(&self.current.settings()).certificates()
    }

    /// Asks all workers how things stand, without waiting for them. To be called now and then, so
    /// that it is noticed when one hangs, and that little is lost of what one has counted that
    /// panics.
    pub fn ask(&self) {
        let now = self.epoch.elapsed();
        for (cell, inbox) in &self.workers {
            if cell.begin_query(now) {
                // One that has been drained does not answer any more.
                inbox.publish();
            }
        }
    }

    /// All figures, as new as the workers let have them within a second.
    pub async fn picture(&self) -> Picture {
        let seen: Vec<u64> = self.workers.iter().map(|(cell, _)| cell.number()).collect();
        self.ask();
        let deadline = tokio::time::Instant::now() + self.patience;
        let mut workers = Vec::with_capacity(seen.len());
        for ((cell, inbox), seen) in self.workers.iter().zip(seen) {
            let answered = match inbox.is_closed() {
                true => false,
                false => {
                    let answer = tokio::time::timeout_at(deadline, cell.newer_than(seen));
                    answer.await.is_ok()
                }
            };
            workers.push(WorkerPicture {
                is_up: answered,
                snapshot: cell.last(),
            });
        }
        let (health, server) = self.server.state();
        let rejected = self.reject_counts.counts();
        Picture {
            workers,
            budget: BudgetPicture {
                held: self.budget.held(),
                max: self.budget.total(),
                ceiling: self.budget.ceiling(),
            },
            clients_refused: rejected.map(|(why, count)| (why.label(), count)).into(),
            certificates: self.certificates().into_iter().map(picture_of).collect(),
            tls_handshakes: self.handshakes.load(Ordering::Relaxed),
            tls_reload_failures: self.tls_refused.load(Ordering::Relaxed),
            is_ready: self.readiness().is_ok(),
            health,
            server,
            process: ProcessFigures::now(),
        }
    }

    /// Whether the process works.
    ///
    /// # Errors
    /// A sentence that says which worker does not.
    pub fn liveness(&self) -> Result<(), String> {
        let now = self.epoch.elapsed();
        let workers = self.workers.iter().enumerate();
        let stuck = workers
            .map(|(worker, (cell, inbox))| (worker, cell.silent_for(now), inbox.is_closed()))
            .find(|(_, silent, ended)| !ended && *silent > STUCK_AFTER);
        match stuck {
            None => Ok(()),
            Some((worker, silent, _)) => {
                let seconds = silent.as_secs();
                Err(format!("worker {worker} has not answered for {seconds} s"))
            }
        }
    }

    /// What whoever is ready cannot be seen to be: how clients log in, what only a login shows, and
    /// which certificates expire soon.
    pub fn standing(&self) -> String {
        let logins = self.current.rules().access.mode.shown();
        let unknown = match self.server.is_login_needed() {
            true => {
                "\nunknown until a client that may ask has logged in: what the server says of itself \
                 (INFO) and of its commands (COMMAND)"
            }
            false => "",
        };
        let user = match self.own_user() {
            Some(user) => {
                format!("\nby its certificate narrows is this user of the server: {user}")
            }
            None => String::new(),
        };
        let now = UnixSeconds::now();
        let expiring = self.certificates().into_iter();
        let expiring = expiring.filter_map(|file| Some(format!("\n{}", file.warning(now)?)));
        let expiring: String = expiring.collect();
        format!("logins: {logins}{user}{unknown}{expiring}")
    }

    /// As whom the server logs narrows in by its certificate, where that matters.
    fn own_user(&self) -> Option<String> {
        let rules = self.current.rules();
        let asks =
            rules.settings.backend.presents_certificate && rules.access.own.password.is_none();
        self.own_user.shown().filter(|_| asks)
    }

    /// Whether clients may be sent here: the server answers, and somebody serves them.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn readiness(&self) -> Result<(), String> {
        if self.ending.is_cancelled() {
            return Err("narrows is draining: it takes no new clients".to_owned());
        }
        let now = self.epoch.elapsed();
        let serves = |(cell, inbox): &(Arc<Cell>, Arc<Inbox>)| {
            !inbox.is_closed() && cell.silent_for(now) <= STUCK_AFTER
        };
        if !self.workers.iter().any(serves) {
            return Err("no worker answers".to_owned());
        }
        match self.server.state().0 {
            Health::Answering => Ok(()),
            Health::Unknown => Err("the server has not answered a health check yet".to_owned()),
            Health::Silent(error) => {
                let text = "the server does not answer the health check";
                Err(format!("{text}: {error}"))
            }
        }
    }
}

fn picture_of(file: CertificateFile) -> CertificatePicture {
    CertificatePicture {
        used_for: file.used_for.label(),
        file: file.path.display().to_string(),
        not_after: file.not_after.0,
    }
}

#[cfg(test)]
mod tests;
