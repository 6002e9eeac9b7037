//! Losing a backend. Whatever the reason, it is closed and never used again, and every
//! request that was on its way gets the one answer that is true: it has not run and goes
//! on elsewhere, it is a read and is asked again, or it may have run.

use std::collections::BTreeMap;

use crate::resp::Refusal;
use crate::session::Mark;
use crate::session::settle::Unanswered;
use crate::telemetry::{Leave, Undelivered};

use super::Engine;
use super::clients::hold::{Ending, Hold};
use super::key::{BackendId, ClientId};
use super::planted::{self, Bug};
use super::pool::backend::{Backend, Phase};
use super::pool::handshake::Failure;
use super::pool::loss::Loss;
use super::settings::OnUnknownOutcome;
use super::slot::{Fate, Receiver, Settled};

/// What a client's request on a lost backend comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It is dealt with again, from the head of the client's input.
    Again,
    /// It may have run.
    Unknown,
    /// A part of its reply is at the client already.
    CutOff,
}

fn is_in_block(fate: Fate) -> bool {
    matches!(fate, Fate::Block | Fate::BlockEnds | Fate::BlockRuns) && !planted::has(Bug::BlockTorn)
}

/// One request that was on its way.
struct Lost {
    settled: Settled,
    offset: usize,
    outcome: Outcome,
}

impl Engine {
    /// Settles everything that was expected of a lost backend.
    pub(super) fn backend_lost(&mut self, id: BackendId, mut backend: Backend, loss: Loss) {
        self.pool.doubt_idle(&mut self.cx, &backend, loss);
        if self.pool.backends.is_empty() {
            // Another server may be behind the address next time.
            self.pool.endpoint.hello = super::pool::handshake::Hellos::default();
        }
        if let Phase::Handshake(handshake) = &mut backend.phase {
            match loss {
                // A server that is full says so in one line and closes.
                Loss::Gone => self.pool.dial_ended_badly(
                    &mut self.cx,
                    match handshake.failure.take() {
                        Some(Failure::Refused(text) | Failure::Credentials(text)) => text,
                        _ => "the server closed the connection".to_owned(),
                    },
                ),
                // Whatever answers there is no Redis: it is not asked again at once.
                _ if loss.is_poison() => {
                    self.pool.dial_ended_badly(
                        &mut self.cx,
                        "the server does not answer as Redis does".to_owned(),
                    );
                }
                _ => {}
            }
        }
        match &backend.phase {
            Phase::Leased(owner) => self.feed_lost(*owner),
            Phase::Orphaned(orphan) => self.orphan_lost(*orphan, &backend),
            Phase::Cleaning(cleaning) => self.cleaning_lost(cleaning),
            Phase::Cancelling => self.canceller_lost(id),
            _ => {}
        }
        self.cancel_lost(id);
        let lost = self.judge(&mut backend, loss);
        self.settle_lost(&backend, lost, loss);
        backend.leave(&mut self.pool.contexts);
        self.cx.wake_at(self.cx.now);
    }

    /// Takes every slot out of the queue and decides what its request comes to.
    ///
    /// Replies and execution keep their order: once a request may have run and cannot be
    /// asked again, no earlier one of the same client is asked again either.
    fn judge(&self, backend: &mut Backend, loss: Loss) -> Vec<Lost> {
        let replay = self.cx.rules.settings.clients.replay_reads
            && (!loss.is_poison() || loss == Loss::Stalled);
        let mut offset = 0;
        let mut begun = backend.begun;
        // The MULTI of the block that the first slots are in has been answered.
        let mut block_begun = true;
        let mut lost = Vec::with_capacity(backend.in_flight.len());
        planted::keep_queue(backend);
        for slot in backend.in_flight.drain(..) {
            let settled = slot.fail();
            let sent = backend.out.was_sent_whole(offset, settled.bytes);
            // One that is being closed asks nothing again: what it waits for comes first. Nor does
            // one that has given this connection up: it is answered already.
            let client = self.clients.get(settled.client);
            let ending = client.is_some_and(|client| client.is_ending());
            let given_up = loss == Loss::ClientGone;
            // What was not kept cannot be asked again.
            let kept = backend.out.request(offset, settled.bytes).len() == settled.bytes;
            let again = settled.bytes > 0
                && kept
                && !ending
                && !given_up
                && match settled.receiver {
                    // A block runs as a whole or not at all.
                    Receiver::Client if settled.fate == Fate::BlockBegins => {
                        block_begun = sent;
                        !sent
                    }
                    Receiver::Client if is_in_block(settled.fate) => !block_begun,
                    Receiver::Client
                    | Receiver::ClientInfo { .. }
                    | Receiver::Role(_)
                    | Receiver::Lent(_) => {
                        !sent
                            || (replay && settled.fate == Fate::Replayable)
                            || planted::has(Bug::WriteRetried)
                    }
                    _ => false,
                };
            let outcome = match (begun, again) {
                (true, _) => Outcome::CutOff,
                (false, true) => Outcome::Again,
                (false, false) => Outcome::Unknown,
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
                Outcome::Again if *closed && !planted::has(Bug::ReadPastWrite) => {
                    request.outcome = Outcome::Unknown
                }
                Outcome::Again => {}
                Outcome::Unknown | Outcome::CutOff => *closed = true,
            }
        }
        lost
    }

    fn settle_lost(&mut self, backend: &Backend, lost: Vec<Lost>, loss: Loss) {
        let mut rewound: BTreeMap<ClientId, (Vec<u8>, Vec<Settled>)> = BTreeMap::new();
        for request in &lost {
            let settled = request.settled;
            let id = settled.client;
            if settled.receiver == Receiver::Permission {
                // Asked again elsewhere.
                self.clients.end_hold(id, Hold::Permission);
            }
            if settled.receiver == Receiver::Kill {
                self.kill_answered(id, None);
            }
            if let Receiver::Tried(step) = settled.receiver {
                let sent = backend.out.was_sent_whole(request.offset, settled.bytes);
                self.try_lost(id, step, sent);
            }
            if settled.receiver == Receiver::PutBack && !matches!(backend.phase, Phase::Orphaned(_))
            {
                self.cx.counters.undelivered(Undelivered::Lost);
            }
            if !settled.receiver.is_client() || !self.clients.contains_key(id) {
                continue;
            }
            match request.outcome {
                Outcome::Again => {
                    let (bytes, requests) = rewound.entry(id).or_default();
                    let sent = backend.out.request(request.offset, settled.bytes);
                    let restored = self
                        .clients
                        .policy(id, &self.cx.rules)
                        .renames()
                        .restored(sent);
                    bytes.extend_from_slice(restored.as_deref().unwrap_or(sent));
                    requests.push(settled);
                    continue;
                }
                Outcome::CutOff => {
                    self.close_for(id, Leave::BackendLost);
                    continue;
                }
                // The client itself is the reason: it is being closed.
                Outcome::Unknown if loss == Loss::ClientGone => {}
                Outcome::Unknown => self.outcome_unknown(id, settled, loss),
            }
            self.clients
                .replies_in(&mut self.cx, id, settled.sequence, 1);
        }
        self.end_broken_lease(backend);
        for (id, (bytes, requests)) in rewound {
            let count = u32::try_from(requests.len()).unwrap_or(u32::MAX);
            self.clients.rewind(&mut self.cx, id, &bytes, count);
            // Only now: a client that sends no more is closed when nothing of it is left.
            for settled in requests {
                self.clients
                    .replies_in(&mut self.cx, id, settled.sequence, 1);
            }
        }
    }

    /// A request may have run: its client is told, or disconnected.
    fn outcome_unknown(&mut self, id: ClientId, settled: Settled, loss: Loss) {
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
                | Receiver::Lent(Mark::ExecFilled)
                | Receiver::LentSilent(Mark::ExecFilled)
        ) {
            // `INFO` holds what comes behind it, and so does an `EXEC` with one in it.
            self.clients.end_hold(id, Hold::Gather(0));
        }
        let silent = settled.receiver.is_silent();
        let unclear = match self.clients.bracket_unanswered(id, settled.receiver) {
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
        if disconnect || silent || self.clients.has_live_feed(id) {
            // Nor does it get last words, which it would take for this reply.
            if let Some(client) = self.clients.get_mut(id)
                && let Ending::AfterReplies(last_words) = &mut client.ending
            {
                *last_words = Box::default();
            }
            self.clients.leaves_for(id, Leave::BackendLost);
            self.end(id, Ending::AfterReplies(Box::default()));
            return;
        }
        let refusal = match loss {
            Loss::Malformed(_) | Loss::WrongKind(_) | Loss::OutOfStep => Refusal::BackendProtocol,
            _ => Refusal::UnknownOutcome,
        };
        self.cx.counters.refused(refusal.label());
        self.clients.reply_with(id, |out| refusal.write(out));
        if unclear {
            self.clients.leaves_for(id, Leave::BackendLost);
            self.end(id, Ending::AfterReplies(Box::default()));
        }
    }

    /// The lost backend was somebody's lease.
    fn end_broken_lease(&mut self, backend: &Backend) {
        if let Phase::Leased(owner) = backend.phase
            && let Some(client) = self.clients.get_mut(owner)
            && let Some(lease) = client.part_with_lease()
        {
            let refused = lease.lent.bracket.was_refused();
            if let Some(stream) = &mut client.stream
                && client.in_flight == 0
                && !stream.is_swallowed()
            {
                stream.swallow_rest();
            }
            self.leases.lease_lost(&self.cx, lease);
            self.enter_context(owner);
            self.clients.stream_goes_on(&mut self.cx, owner);
            if refused {
                // An error to its MULTI, and then the end: directly it would be disconnected too,
                // and nothing of what it has sent behind would run.
                self.clients.leaves_for(owner, Leave::BackendLost);
                self.end(owner, Ending::AfterReplies(Box::default()));
            } else if self.cx.draining {
                self.clients.close_if_done(&mut self.cx, owner);
            }
        }
    }
}
