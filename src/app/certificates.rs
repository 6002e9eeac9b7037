//! Certificates and keys while narrows runs: their files are looked at now and then, what has changed is
//! checked as a whole before it is used, and of what expires soon it is said in time. A thread of its own
//! looks, since a file may be on another machine, which does not answer.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::runtime::Narrows;
use crate::runtime::settings::RuntimeSettings;
use crate::runtime::tls_in_use::TlsInUse;
use crate::tls::expiry::{ExpiryReminders, UnixSeconds};
use crate::tls::files::{FilesDigest, TlsError};

/// Between two looks at what expires.
const REMINDER_INTERVAL: Duration = Duration::from_secs(60);

/// A look takes a moment; one that takes longer is told of, and no other is begun.
const LOOK_PATIENCE: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub(super) struct Certificates {
    looking: Option<Looking>,
    last_look: Instant,
    next_reminder: Instant,
    /// What was found last that could not be used.
    refused: Option<FilesDigest>,
    reminders: ExpiryReminders,
}

#[derive(Debug)]
struct Looking {
    outcome: oneshot::Receiver<FilesLook>,
    since: Instant,
    is_told_of: bool,
}

/// What a look at the files has found.
#[derive(Debug, PartialEq)]
enum FilesLook {
    /// They hold what is in use.
    Same,
    /// They are being written.
    Changing,
    /// They hold something else.
    Changed(TlsInUse),
    /// They hold what cannot be used.
    Refused {
        error: TlsError,
        content: FilesDigest,
    },
}

impl Certificates {
    /// Those that are in use at the start.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            looking: None,
            last_look: now,
            next_reminder: now,
            refused: None,
            reminders: ExpiryReminders::default(),
        }
    }

    /// Looks when it is time, and has `narrows` use what has changed of the files of `settings`, until
    /// it is dropped, which can be done at any time.
    pub(super) async fn watch(
        &mut self,
        settings: &mut RuntimeSettings,
        narrows: &Narrows,
    ) -> Infallible {
        loop {
            let in_use = TlsInUse::of(settings);
            let next_look = self.next_look(settings.tls_reload_interval, &in_use);
            tokio::select! {
                look = found(&mut self.looking) => {
                    self.last_look = Instant::now();
                    if let Some(changed) = self.judge(look, narrows) {
                        changed.put_into(settings);
                        self.remind(&changed);
                    }
                }
                () = until(next_look) => self.begin(in_use),
                () = sleep_until(self.next_reminder) => self.remind(&in_use),
            }
        }
    }

    /// The configuration has been read again, and with it the files: what is `in_use` now is to be said
    /// again, and a look that is under way is of no use.
    pub(super) fn reloaded(&mut self, in_use: &TlsInUse) {
        self.looking = None;
        self.last_look = Instant::now();
        self.reminders.forget();
        self.remind(in_use);
    }

    /// The files that are `in_use` have been read, and it was said that they cannot be used.
    pub(super) fn refused(&mut self, in_use: &TlsInUse, narrows: &Narrows) {
        self.refused = Some(in_use.content_now());
        narrows.count_refused_tls();
    }

    /// When it is time for a look, or to say that one takes long.
    fn next_look(&self, interval: Duration, in_use: &TlsInUse) -> Option<Instant> {
        match &self.looking {
            Some(looking) => (!looking.is_told_of).then(|| looking.since + LOOK_PATIENCE),
            None if interval.is_zero() || !in_use.has_files() => None,
            None => Some(self.last_look + interval),
        }
    }

    /// Begins a look, or says that one takes long.
    fn begin(&mut self, in_use: TlsInUse) {
        self.last_look = Instant::now();
        if let Some(looking) = &mut self.looking {
            looking.is_told_of = true;
            let seconds = LOOK_PATIENCE.as_secs();
            tracing::warn!(seconds, "files of certificates and keys take long to read");
            return;
        }
        let (sender, outcome) = oneshot::channel();
        let thread = std::thread::Builder::new().name("certificates".to_owned());
        let started = thread.spawn(move || {
            // Nobody waits any more if all has been read anew.
            let _ = sender.send(look(&in_use, UnixSeconds::now()));
        });
        match started {
            Ok(_) => {
                self.looking = Some(Looking {
                    outcome,
                    since: self.last_look,
                    is_told_of: false,
                });
            }
            Err(error) => tracing::warn!(%error, "cannot look at the files of certificates"),
        }
    }

    /// What is to be used from now on, if it is something else.
    fn judge(&mut self, look: FilesLook, narrows: &Narrows) -> Option<TlsInUse> {
        match look {
            FilesLook::Same => self.refused = None,
            FilesLook::Changing => {}
            FilesLook::Changed(tls) => {
                self.refused = None;
                narrows.use_tls(&tls);
                let certificates = tls.certificates();
                let first = certificates.iter().map(|file| file.not_after).min();
                let expires = first.map(|first| first.to_string());
                tracing::info!(
                    expires,
                    "certificates reloaded: connections made from now on use them"
                );
                return Some(tls);
            }
            FilesLook::Refused { error, content } => {
                if self.refused.replace(content) != Some(content) {
                    narrows.count_refused_tls();
                    let key = error.key;
                    tracing::error!(key, %error, "certificates not reloaded: the old ones stay in use");
                }
            }
        }
        None
    }

    /// Says what expires soon, each once a day.
    fn remind(&mut self, in_use: &TlsInUse) {
        self.next_reminder = Instant::now() + REMINDER_INTERVAL;
        let certificates = in_use.certificates();
        for warning in self.reminders.due(&certificates, UnixSeconds::now()) {
            tracing::warn!("{warning}");
        }
    }
}

/// What the look has found that is under way, if one is.
async fn found(looking: &mut Option<Looking>) -> FilesLook {
    let look = match looking {
        // A look that has panicked has found nothing.
        Some(looking) => (&mut looking.outcome).await.unwrap_or(FilesLook::Changing),
        None => std::future::pending().await,
    };
    *looking = None;
    look
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Reads the files of what is `in_use`.
fn look(in_use: &TlsInUse, now: UnixSeconds) -> FilesLook {
    if in_use.is_as_read() {
        return FilesLook::Same;
    }
    let content = in_use.content_now();
    let loaded = in_use.load_again();
    let checked = loaded.and_then(|tls| tls.check(in_use, now).map(|()| tls));
    match checked {
        Ok(tls) => FilesLook::Changed(tls),
        // A certificate may be there whose key is not yet: the next look finds both.
        Err(_) if in_use.content_now() != content => FilesLook::Changing,
        Err(error) => FilesLook::Refused { error, content },
    }
}

#[cfg(test)]
mod tests;
