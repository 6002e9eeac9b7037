//! The backend of a client that has left while it waited: what is still taken for it there goes back
//! where it came from.

use crate::session::put_back::put_back;
use crate::session::waiting::Takes;
use crate::telemetry::Undelivered;

use super::Engine;
use super::backend::{Backend, Phase};
use super::cancel::Why;
use super::effect::Reply;
use super::holding::Lease;
use super::key::BackendId;
use super::lease::LeaseFor;
use super::loss::Loss;
use super::settings::Undeliverable;
use super::slot::Receiver;

/// The wait of a client that has left.
#[derive(Debug, Clone, Copy)]
pub struct Orphan {
    /// What its backend was lent for.
    pub purpose: LeaseFor,
    /// Nothing else of its client is left on it.
    clean: bool,
}

impl Engine {
    /// The backend of a client that has left while it waits.
    pub(super) fn orphan(&mut self, lease: Lease) {
        let (id, lent) = lease.orphaned();
        self.weights.touch_if_known(id);
        let orphan = Orphan {
            purpose: lent.purpose,
            clean: lent.is_clean(),
        };
        if let Some(backend) = self.backends.get_mut(id) {
            backend.phase = Phase::Orphaned(orphan);
            backend.patient = false;
            // It was silent for as long as its client was waiting: that says nothing of the server.
            backend.heard_at = self.now;
            if let Some(slot) = backend.in_flight.back_mut() {
                slot.orphan();
            }
        }
        match self.cancels.all.get_mut(&id) {
            Some(cancel) => {
                if let Some((_, Why::Unblocked { asker, .. })) = cancel.owner.take() {
                    // As for one that is gone.
                    self.reply_to(asker, Reply::Killed(0));
                }
                // Its reply may be here already.
                self.finish_if_both(id);
            }
            None => {
                let wait = lent.wait.as_ref();
                let what = wait.map_or((Takes::Nothing, false), |w| (w.takes, w.is_short()));
                self.begin_cancel(id, None, what);
            }
        }
        self.watch_replies();
    }

    /// What was taken for a client that is gone goes back.
    pub(super) fn undelivered(&mut self, id: BackendId, takes: Takes, reply: &[u8]) {
        let Some(request) = put_back(takes, reply) else {
            return self.orphan_over(id);
        };
        if self.rules.settings.blocking.undeliverable == Undeliverable::Log {
            tracing::warn!("an element was taken for a client that is gone: it is lost");
            self.counters.undelivered(Undelivered::Logged);
            return self.orphan_over(id);
        }
        let now = self.now;
        let renamed = self.rules.renames().sent(&request);
        if let Some(backend) = self.backends.get_mut(id) {
            backend.send_own(
                Receiver::PutBack,
                renamed.as_deref().unwrap_or(&request),
                now,
            );
        }
        self.mark_backend(id);
        self.watch_replies();
    }

    /// The server's answer to what puts an element back.
    pub(super) fn was_put_back(&mut self, id: BackendId, reply: &[u8]) {
        let refused = reply.first() == Some(&b'-');
        if refused {
            let error = String::from_utf8_lossy(reply).trim_end().to_owned();
            tracing::warn!(
                error,
                "an element was taken for a client that is gone, and cannot be put back"
            );
            self.counters.undelivered(Undelivered::Refused);
        } else {
            tracing::info!("an element was taken for a client that is gone: it is put back");
            self.counters.undelivered(Undelivered::PutBack);
        }
        self.orphan_over(id);
    }

    /// Nothing is left of a client that left while it waited.
    fn orphan_over(&mut self, id: BackendId) {
        let Some(backend) = self.backends.get(id) else {
            return;
        };
        let Phase::Orphaned(orphan) = backend.phase else {
            return;
        };
        if !orphan.clean || !backend.is_quiet() {
            return self.lose(id, Loss::ClientGone);
        }
        self.place_is_free(orphan.purpose);
        self.make_spare(id);
    }

    /// The backend of an orphaned wait is lost.
    pub(super) fn orphan_lost(&mut self, orphan: Orphan, backend: &Backend) {
        let oldest = backend.in_flight.front().map(|slot| slot.receiver());
        if oldest == Some(Receiver::PutBack) {
            self.counters.undelivered(Undelivered::Lost);
        }
        self.place_is_free(orphan.purpose);
    }
}
