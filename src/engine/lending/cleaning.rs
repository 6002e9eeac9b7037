//! A lent backend whose client has left in the middle: what the client has left on it is taken back,
//! and the server's answers are awaited. Only then it is anybody's again, and only then what comes
//! behind a `RESET` runs. Whatever answers otherwise than it should is closed, and so is what nothing
//! takes back.
//!
//! ```text
//! DISCARD | UNSUBSCRIBE ... | UNWATCH | CLIENT TRACKING OFF | PING token
//! ```

use crate::resp::{Protocol, write};
use crate::session::StateChange;
use crate::session::push_stream::{SubscribeVerb, SubscriptionKind};

use crate::engine::clients::Client;
use crate::engine::clients::hold::{Hold, RequestOutcome};
use crate::engine::fault_injection::{self, Bug};
use crate::engine::key::{BackendId, ClientId};
use crate::engine::lease::holding::Lease;
use crate::engine::lease::push_stream::PushStream;
use crate::engine::lease::state::LeaseState;
use crate::engine::pool::backend::Phase;
use crate::engine::pool::cleaning::Cleaning;
use crate::engine::pool::close_reason::CloseReason;
use crate::engine::reach::Lending;
use crate::engine::slot::Receiver;

/// What is asked of the server, in this order, and what each answer is about.
type Steps = Vec<(StateChange, &'static [&'static [u8]])>;

impl LeaseState {
    /// Whether what its client has left on it is known, once nothing is in flight.
    pub fn is_known(&self) -> bool {
        let between = |push_stream: &PushStream| push_stream.is_between_frames();
        !self.waits()
            && !self.transaction.is_in_doubt()
            && self.switch.is_none()
            && self.pause.is_none()
            && self.push_stream.as_deref().is_none_or(between)
            && !self.purpose.is_one_request()
    }

    /// Whether something is left on it that nothing takes back.
    fn is_for_good(&self) -> bool {
        let monitors = |push_stream: &PushStream| push_stream.monitoring;
        self.pins.any() || self.push_stream.as_deref().is_some_and(monitors)
    }

    /// How what its client has left on it is taken back.
    fn steps_to_clean(&mut self) -> Steps {
        let mut steps = Steps::new();
        if fault_injection::has(Bug::LeftUncleaned) {
            self.push_stream = None;
            return steps;
        }
        // Inside MULTI nothing else would be done at once, and while RESP2 is subscribed nothing
        // else may be asked.
        if self.transaction.is_queueing() {
            steps.push((StateChange::Discard, &[b"DISCARD"]));
        }
        if let Some(push_stream) = &mut self.push_stream {
            for (kind, step) in UNSUBSCRIBING {
                if push_stream.subscriptions.of(kind) > 0 {
                    steps.push((StateChange::Subscribe, step));
                    let begins = false;
                    push_stream.asked(SubscribeVerb { kind, begins }, 0);
                }
            }
        }
        if self.transaction.is_watching() && !self.transaction.is_queueing() {
            steps.push((StateChange::Unwatch, &[b"UNWATCH"]));
        }
        if self
            .push_stream
            .as_deref()
            .is_some_and(|push_stream| push_stream.tracking)
        {
            steps.push((StateChange::TrackingOff, &[b"CLIENT", b"TRACKING", b"OFF"]));
        }
        steps
    }
}

impl Lending<'_> {
    /// The client leaves its state behind, and the backend with it. What comes behind waits until
    /// the server has seen the end of it, where that can be known.
    pub fn leave_lease(&mut self, id: ClientId) -> RequestOutcome {
        let Some(lease) = self.clients.get_mut(id).and_then(Client::part_with_lease) else {
            return RequestOutcome::Taken;
        };
        let awaited = self.leave(lease, Some(id));
        self.traffic().enter_context(id);
        match awaited && !fault_injection::has(Bug::LeftTooEarly) {
            true => self.clients.hold(id, Hold::Leaving),
            false => RequestOutcome::Taken,
        }
    }

    /// A lease whose client is gone, or goes on without it. True when it is being cleaned.
    pub fn leave(&mut self, mut lease: Lease, awaited_by: Option<ClientId>) -> bool {
        let push_stream = lease.state.push_stream.as_ref();
        let subscribed = push_stream.is_some_and(|stream| stream.subscriptions.any());
        let closes = lease.state.is_for_good();
        // Of what is closed in the end only subscriptions matter: others count them.
        if !self.pool.can_be_cleaned(&lease) || (closes && !subscribed) {
            self.break_lease(lease);
            return false;
        }
        let steps = lease.state.steps_to_clean();
        let (id, lease_state) = lease.orphaned();
        self.pool.touch_if_known(id);
        let now = self.cx.now;
        let context = self.pool.backend(id).map(|backend| backend.context());
        let context = context.and_then(|context| self.pool.context(context));
        let Some(backend) = self.pool.backend_mut(id) else {
            return false;
        };
        backend.phase = Phase::Cleaning(Box::new(Cleaning {
            since: now,
            purpose: lease_state.purpose,
            protocol: context.map_or(Protocol::Resp2, |context| context.protocol),
            push_stream: lease_state.push_stream,
            closes,
            awaited_by,
        }));
        let renames = self.cx.rules.renames();
        for (change, words) in steps {
            let mut request = Vec::with_capacity(40);
            write::request(&mut request, words);
            let renamed = renames.sent(&request);
            let request = renamed.as_deref().unwrap_or(&request);
            backend.send_own(Receiver::Undone(change), request, now);
        }
        self.pool.ping(self.cx, id);
        self.pool.mark_backend(id);
        self.cx
            .wake_at(now + self.cx.rules.settings.backend.handshake_timeout);
        true
    }

    /// The last answer has come: the server has done all that was asked before.
    pub fn cleaned(&mut self, id: BackendId) {
        let Some(backend) = self.pool.backend(id) else {
            return;
        };
        let Phase::Cleaning(cleaning) = &backend.phase else {
            return;
        };
        let over = cleaning
            .push_stream
            .as_deref()
            .is_none_or(PushStream::is_over);
        if !over || cleaning.closes || !backend.is_quiet() {
            return self
                .pool
                .close_backend(self.cx, id, CloseReason::ClientGone);
        }
        let (purpose, awaited_by) = (cleaning.purpose, cleaning.awaited_by);
        self.leases.place_is_free(self.cx, purpose);
        self.pool.make_idle(self.cx, id);
        self.clients.leaving_is_over(awaited_by);
    }

    /// A backend is lost while it is being cleaned.
    pub fn cleaning_lost(&mut self, cleaning: &Cleaning) {
        self.leases.place_is_free(self.cx, cleaning.purpose);
        self.clients.leaving_is_over(cleaning.awaited_by);
    }
}

/// What ends all subscriptions of each kind.
const UNSUBSCRIBING: [(SubscriptionKind, &[&[u8]]); 3] = [
    (SubscriptionKind::Channel, &[b"UNSUBSCRIBE"]),
    (SubscriptionKind::Pattern, &[b"PUNSUBSCRIBE"]),
    (SubscriptionKind::Shard, &[b"SUNSUBSCRIBE"]),
];
