//! The backend of a client that has left while it waited: what is still taken for it there goes back
//! where it came from.

use crate::session::put_back::put_back;
use crate::session::waiting::Takes;
use crate::telemetry::Undelivered;

use crate::engine::effect::Reply;
use crate::engine::key::BackendId;
use crate::engine::lease::holding::Lease;
use crate::engine::pool::backend::{Backend, Phase};
use crate::engine::pool::close_reason::CloseReason;
use crate::engine::pool::orphan::Orphan;
use crate::engine::reach::{Blocking, Lending};
use crate::engine::settings::Undeliverable;
use crate::engine::slot::Receiver;
use crate::engine::waits::cancels::Why;

impl Blocking<'_> {
    /// The backend of a client that has left while it waits.
    pub fn orphan(&mut self, lease: Lease) {
        let (id, lease_state) = lease.orphaned();
        self.pool.touch_if_known(id);
        let orphan = Orphan {
            purpose: lease_state.purpose,
            clean: lease_state.is_clean(),
        };
        if let Some(backend) = self.pool.backend_mut(id) {
            backend.phase = Phase::Orphaned(orphan);
            backend.patient = false;
            // It was silent for as long as its client was waiting: that says nothing of the server.
            backend.heard_at = self.cx.now;
            if let Some(slot) = backend.in_flight.back_mut() {
                slot.orphan();
            }
        }
        match self.waits.cancels_mut().get_mut(&id) {
            Some(cancel) => {
                if let Some((_, Why::Unblocked { asker, .. })) = cancel.owner.take() {
                    // As for one that is gone.
                    self.cx.reply_to(asker, Reply::Killed(0));
                }
                // Its reply may be here already.
                self.finish_if_both(id);
            }
            None => {
                let wait = lease_state.wait.as_ref();
                let (takes, short) =
                    wait.map_or((Takes::Nothing, false), |w| (w.takes, w.is_short()));
                self.begin_cancel(id, None, takes, short);
            }
        }
        self.cx.watch_replies();
    }
}

impl Lending<'_> {
    /// What was taken for a client that is gone goes back.
    pub fn undelivered(&mut self, id: BackendId, takes: Takes, reply: &[u8]) {
        let Some(request) = put_back(takes, reply) else {
            return self.orphan_over(id);
        };
        if self.cx.rules.settings.blocking.undeliverable == Undeliverable::Log {
            tracing::warn!("an element was taken for a client that is gone: it is lost");
            self.cx.counters.undelivered(Undelivered::Logged);
            return self.orphan_over(id);
        }
        let now = self.cx.now;
        let renamed = self.cx.rules.renames().sent(&request);
        let Some(backend) = self.pool.backend_mut(id) else {
            // Its connection went together with others, before this was looked at.
            return self.taken_is_lost();
        };
        let request = renamed.as_deref().unwrap_or(&request);
        backend.send_own(Receiver::PutBack, request, now);
        self.pool.mark_backend(id);
        self.cx.watch_replies();
    }

    /// What was taken for a client that is gone has gone with its connection.
    pub fn taken_is_lost(&mut self) {
        tracing::warn!("an element was taken for a client that is gone: it is lost");
        self.cx.counters.undelivered(Undelivered::Lost);
    }

    /// The server's answer to what puts an element back.
    pub fn was_put_back(&mut self, id: BackendId, reply: &[u8]) {
        let refused = reply.first() == Some(&b'-');
        if refused {
            let error = String::from_utf8_lossy(reply).trim_end().to_owned();
            tracing::warn!(
                error,
                "an element was taken for a client that is gone, and cannot be put back"
            );
            self.cx.counters.undelivered(Undelivered::Refused);
        } else {
            tracing::info!("an element was taken for a client that is gone: it is put back");
            self.cx.counters.undelivered(Undelivered::PutBack);
        }
        self.orphan_over(id);
    }

    /// Nothing is left of a client that left while it waited.
    fn orphan_over(&mut self, id: BackendId) {
        let Some(backend) = self.pool.backend(id) else {
            return;
        };
        let Phase::Orphaned(orphan) = backend.phase else {
            return;
        };
        if !orphan.clean || !backend.is_quiet() {
            return self
                .pool
                .close_backend(self.cx, id, CloseReason::ClientGone);
        }
        self.leases.place_is_free(self.cx, orphan.purpose);
        self.pool.make_idle(self.cx, id);
    }

    /// The backend of an orphaned wait is lost.
    pub fn orphan_lost(&mut self, orphan: Orphan, backend: &Backend) {
        let oldest = backend.in_flight.front().map(|slot| slot.receiver());
        if oldest == Some(Receiver::PutBack) {
            self.cx.counters.undelivered(Undelivered::Lost);
        }
        self.leases.place_is_free(self.cx, orphan.purpose);
    }
}
