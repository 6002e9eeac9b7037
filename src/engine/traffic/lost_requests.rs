//! The requests of a backend that is closed. Whatever the reason, it is never used again, and each request
//! that was on its way gets the one answer that is true: it has not run and goes on elsewhere, it is a read
//! and is asked again, or it may have run.
//!
//! - *Again*: not written whole, so it cannot have run; or a read by our own table (`Spec::replay`) that has
//!   not been replayed before, unless `replay_reads` is off. Its bytes, kept until the reply has come
//!   (`pool/outgoing.rs`), go back to the head of its client's input.
//! - *Unknown*: written, and may have run. Its client is told so, or disconnected if so configured or if it
//!   asked for silence.
//! - *Cut off*: a part of its reply is at the client already, which is disconnected.
//!
//! From a client's last request to its first, once one comes to *unknown* or *cut off*, no earlier one may
//! come to *again*: of `GET a; SET a 1` the `SET` would be reported and the `GET` answered after it. So what
//! is asked again is always the tail of what was on its way, and stands before all that has not been dealt
//! with. A backend that has sent what nobody expected is poisoned: none of its reads is replayed.

use std::collections::BTreeMap;

use crate::resp::Refusal;
use crate::session::StateChange;
use crate::session::settle::Unanswered;
use crate::telemetry::ClientCloseReason;

use crate::engine::clients::hold::{Ending, Hold};
use crate::engine::fault_injection::{self, Bug};
use crate::engine::key::ClientId;
use crate::engine::pool::backend::{Backend, Phase};
use crate::engine::pool::close_reason::CloseReason;
use crate::engine::reach::{Lending, Traffic};
use crate::engine::settings::OnUnknownOutcome;
use crate::engine::slot::{Receiver, RetryClass, Settled};

/// What a client's request on a lost backend comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LostAs {
    /// It is dealt with again, from the head of the client's input.
    Again,
    /// It may have run.
    Unknown,
    /// A part of its reply is at the client already.
    CutOff,
}

fn is_in_transaction(retry_class: RetryClass) -> bool {
    matches!(
        retry_class,
        RetryClass::InTransaction | RetryClass::TransactionEnds | RetryClass::TransactionRuns
    ) && !fault_injection::has(Bug::TransactionTorn)
}

/// One request that was on its way.
pub struct Lost {
    pub settled: Settled,
    offset: usize,
    outcome: LostAs,
}

/// What is dealt with again, by client: its requests, and how many replies that were due are not.
#[derive(Default)]
pub struct Rewound(BTreeMap<ClientId, (Vec<u8>, Vec<Settled>)>);

impl Lost {
    /// Whether all of it had left.
    pub fn was_sent(&self, backend: &Backend) -> bool {
        backend.out.was_sent_whole(self.offset, self.settled.bytes)
    }
}

impl Lending<'_> {
    /// The lost backend was somebody's lease.
    pub fn end_broken_lease(&mut self, backend: &Backend) {
        if let Phase::Leased(owner) = backend.phase
            && let Some(client) = self.clients.get_mut(owner)
            && let Some(lease) = client.part_with_lease()
        {
            let refused = lease.state.transaction.was_refused();
            if let Some(stream) = &mut client.stream
                && client.in_flight == 0
                && !stream.is_swallowed()
            {
                stream.swallow_rest();
            }
            self.leases.lease_lost(self.cx, lease);
            self.traffic().enter_context(owner);
            self.clients.stream_goes_on(self.cx, owner);
            if refused {
                // An error to its MULTI, and then the end: directly it would be disconnected too,
                // and nothing of what it has sent behind would run.
                self.clients
                    .closes_for(owner, ClientCloseReason::BackendLost);
                self.clients
                    .end(self.cx, owner, Ending::AfterReplies(Box::default()));
            } else if self.cx.draining {
                self.clients.close_if_done(self.cx, owner);
            }
        }
    }
}

impl Traffic<'_> {
    /// Takes every slot out of the queue and decides what its request comes to.
    ///
    /// Replies and execution keep their order: once a request may have run and cannot be
    /// asked again, no earlier one of the same client is asked again either.
    pub fn classify(&self, backend: &mut Backend, reason: CloseReason) -> Vec<Lost> {
        let replay = self.cx.rules.settings.clients.replay_reads
            && (!reason.is_poison() || reason == CloseReason::Stalled);
        let mut offset = 0;
        let mut begun = backend.begun;
        // The MULTI of the whole transaction that the first slots are in has been answered.
        let mut transaction_begun = true;
        let mut lost = Vec::with_capacity(backend.in_flight.len());
        fault_injection::keep_queue(backend);
        for slot in backend.in_flight.drain(..) {
            let settled = slot.fail();
            let sent = backend.out.was_sent_whole(offset, settled.bytes);
            // One that is being closed asks nothing again: what it waits for comes first. Nor does
            // one that has given this connection up: it is answered already.
            let client = self.clients.get(settled.client);
            let ending = client.is_some_and(|client| client.is_ending());
            let given_up = reason == CloseReason::ClientGone;
            // What was not kept cannot be asked again.
            let kept = backend.out.request(offset, settled.bytes).len() == settled.bytes;
            let again = settled.bytes > 0
                && kept
                && !ending
                && !given_up
                && match settled.receiver {
                    // It runs as a whole or not at all.
                    Receiver::Client if settled.retry_class == RetryClass::TransactionBegins => {
                        transaction_begun = sent;
                        !sent
                    }
                    Receiver::Client if is_in_transaction(settled.retry_class) => {
                        !transaction_begun
                    }
                    Receiver::Client
                    | Receiver::ClientInfo { .. }
                    | Receiver::Role(_)
                    | Receiver::OnLease(_) => {
                        !sent
                            || (replay && settled.retry_class == RetryClass::Replayable)
                            || fault_injection::has(Bug::WriteRetried)
                    }
                    _ => false,
                };
            let outcome = match (begun, again) {
                (true, _) => LostAs::CutOff,
                (false, true) => LostAs::Again,
                (false, false) => LostAs::Unknown,
            };
            begun = false;
            lost.push(Lost {
                settled,
                offset,
                outcome,
            });
            offset += settled.bytes;
        }
        let mut closed: BTreeMap<ClientId, bool> = BTreeMap::new();
        for request in lost.iter_mut().rev() {
            let closed = closed.entry(request.settled.client).or_default();
            match request.outcome {
                LostAs::Again if *closed && !fault_injection::has(Bug::ReadPastWrite) => {
                    request.outcome = LostAs::Unknown
                }
                LostAs::Again => {}
                LostAs::Unknown | LostAs::CutOff => *closed = true,
            }
        }
        lost
    }

    /// One request that a client had sent: it goes on elsewhere, or its client is told.
    pub fn settle_request(
        &mut self,
        backend: &Backend,
        request: &Lost,
        reason: CloseReason,
        rewound: &mut Rewound,
    ) {
        let settled = request.settled;
        let id = settled.client;
        if !settled.receiver.is_client() || !self.clients.contains_key(id) {
            return;
        }
        match request.outcome {
            LostAs::Again => {
                let (bytes, requests) = rewound.0.entry(id).or_default();
                let sent = backend.out.request(request.offset, settled.bytes);
                let renames = self.clients.policy(id, &self.cx.rules).renames();
                let restored = renames.restored(sent);
                bytes.extend_from_slice(restored.as_deref().unwrap_or(sent));
                return requests.push(settled);
            }
            LostAs::CutOff => {
                return self
                    .clients
                    .close_for(self.cx, id, ClientCloseReason::BackendLost);
            }
            // The client itself is the reason: it is being closed.
            LostAs::Unknown if reason == CloseReason::ClientGone => {}
            LostAs::Unknown => self.outcome_unknown(id, settled, reason),
        }
        self.clients.replies_in(self.cx, id, settled.sequence, 1);
    }

    /// What has not run, or may run again, is dealt with again.
    pub fn rewind(&mut self, rewound: Rewound) {
        for (id, (bytes, requests)) in rewound.0 {
            let count = u32::try_from(requests.len()).unwrap_or(u32::MAX);
            self.clients.rewind(self.cx, id, &bytes, count);
            // Only now: a client that sends no more is closed when nothing of it is left.
            for settled in requests {
                self.clients.replies_in(self.cx, id, settled.sequence, 1);
            }
        }
    }

    /// A request may have run: its client is told, or disconnected.
    fn outcome_unknown(&mut self, id: ClientId, settled: Settled, reason: CloseReason) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if settled.bytes == 0 && Self::stream_lost(client, settled.receiver) {
            // A huge request that was not whole has not run; its end is still to come.
            return;
        }
        if matches!(
            settled.receiver,
            Receiver::ClientInfo { .. }
                | Receiver::OnLease(StateChange::ExecFilled)
                | Receiver::OnLeaseSilent(StateChange::ExecFilled)
        ) {
            // `INFO` holds what comes behind it, and so does an `EXEC` with one in it.
            self.clients.end_hold(id, Hold::FanOut(0));
        }
        let silent = settled.receiver.is_silent();
        let unclear = match self.clients.transaction_unanswered(id, settled.receiver) {
            Unanswered::Known(told) => {
                if !silent {
                    self.clients
                        .reply_with(id, |out| out.extend_from_slice(&told));
                }
                return;
            }
            Unanswered::Unclear => true,
            Unanswered::Unknown => false,
        };
        let disconnect =
            self.cx.rules.settings.clients.on_unknown_outcome == OnUnknownOutcome::Disconnect;
        // A client that asked for silence could not be told: it is disconnected, as
        // Redis itself would have done.
        if disconnect || silent || self.clients.has_live_push_stream(id) {
            // Nor does it get last words, which it would take for this reply.
            if let Some(client) = self.clients.get_mut(id)
                && let Ending::AfterReplies(last_words) = &mut client.ending
            {
                *last_words = Box::default();
            }
            self.clients.closes_for(id, ClientCloseReason::BackendLost);
            self.clients
                .end(self.cx, id, Ending::AfterReplies(Box::default()));
            return;
        }
        let refusal = match reason {
            CloseReason::Malformed(_) | CloseReason::WrongKind(_) | CloseReason::OutOfStep => {
                Refusal::BackendProtocol
            }
            _ => Refusal::UnknownOutcome,
        };
        self.cx.counters.refused(refusal.label());
        self.clients.reply_with(id, |out| refusal.write(out));
        if unclear {
            self.clients.closes_for(id, ClientCloseReason::BackendLost);
            self.clients
                .end(self.cx, id, Ending::AfterReplies(Box::default()));
        }
    }
}
