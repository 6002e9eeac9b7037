//! Losing a backend. Whatever the reason, it is closed and never used again, and every
//! request that was on its way gets the one answer that is true: it has not run and goes
//! on elsewhere, it is a read and is asked again, or it may have run.

use std::collections::BTreeMap;

use crate::resp::{Refusal, ReplyError, ReplyKind};
use crate::session::Mark;
use crate::telemetry::{Leave, Undelivered};

use super::Engine;
use super::backend::{Backend, Phase};
use super::effect::Effect;
use super::handshake::Failure;
use super::hold::{Ending, Hold};
use super::key::{BackendId, ClientId};
use super::lifecycle::Event;
use super::planted::{self, Bug};
use super::settings::OnUnknownOutcome;
use super::slot::{Fate, Receiver, Settled};

/// Why a backend was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Its socket broke or the server closed it.
    Gone,
    /// It could not be dialled.
    DialFailed,
    /// Its handshake failed.
    Handshake,
    /// It was dialled to check a client's login, which was wrong.
    LoginRefused,
    /// Its handshake took too long.
    HandshakeTimeout,
    /// It owed replies and said nothing for too long.
    Stalled,
    /// A request on it took longer than `request_timeout`; it was one client's own.
    TimedOut,
    /// It sent a reply that nobody expected.
    Unsolicited,
    /// It answered a request that it had not been sent in full.
    Early,
    /// It sent a push that nobody had asked for.
    Push,
    /// It sent a reply that cannot be one to the request whose turn it was.
    WrongKind(ReplyKind),
    /// It answered narrows' own check with what was not asked.
    OutOfStep,
    /// It sent bytes that are no reply.
    Malformed(ReplyError),
    /// It sent narrows itself more than any sane answer holds.
    Oversized,
    /// Its client left in the middle.
    ClientGone,
    /// The server has refused the `EXEC` or `DISCARD` of a block, and goes on queueing: a true reply,
    /// after which nothing more may be believed.
    LeftOpen,
    /// It came back from a lease and could not be proven clean.
    Dirty,
    /// It was idle, old or surplus: nothing is wrong.
    Retired,
}

impl Loss {
    /// The label of this cause in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::DialFailed => "dial_failed",
            Self::Handshake => "handshake",
            Self::LoginRefused => "login_refused",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::Stalled => "stalled",
            Self::TimedOut => "request_timeout",
            Self::Unsolicited => "unsolicited_reply",
            Self::Early => "early_reply",
            Self::Push => "unsolicited_push",
            Self::WrongKind(_) => "wrong_kind_of_reply",
            Self::OutOfStep => "out_of_step",
            Self::Malformed(_) => "malformed_reply",
            Self::Oversized => "oversized_reply",
            Self::ClientGone => "client_gone",
            Self::LeftOpen => "block_not_ended",
            Self::Dirty => "dirty_lease",
            Self::Retired => "retired",
        }
    }

    /// All labels, and whether each is that of a poisoned backend.
    pub fn labels() -> [(&'static str, bool); 18] {
        let all = [
            Self::Gone,
            Self::DialFailed,
            Self::Handshake,
            Self::LoginRefused,
            Self::HandshakeTimeout,
            Self::Stalled,
            Self::TimedOut,
            Self::Unsolicited,
            Self::Early,
            Self::Push,
            Self::WrongKind(ReplyKind::Status),
            Self::OutOfStep,
            Self::Malformed(ReplyError::TooLong),
            Self::Oversized,
            Self::ClientGone,
            Self::LeftOpen,
            Self::Dirty,
            Self::Retired,
        ];
        all.map(|loss| (loss.label(), loss.is_poison()))
    }

    /// Whether the backend had to be closed for what it did.
    pub fn is_poison(self) -> bool {
        matches!(
            self,
            Self::Stalled
                | Self::Unsolicited
                | Self::Early
                | Self::Push
                | Self::WrongKind(_)
                | Self::OutOfStep
                | Self::Malformed(_)
                | Self::Oversized
                | Self::Dirty
        )
    }
}

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

/// What is known of a request on a lost lease.
enum Unanswered {
    /// What comes of it, whatever has become of what was sent for it.
    Known(Vec<u8>),
    /// It may have run, and its client goes on.
    Unknown,
    /// So may it, and its client cannot go on: whether a transaction has begun is not known to it, and
    /// what it has sent behind must not run outside of one.
    Unclear,
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
    /// Closes a backend. What was expected of it is settled when what is being dealt with is done:
    /// [`Engine::dispatch`].
    pub(super) fn lose(&mut self, id: BackendId, loss: Loss) {
        let Some(backend) = self.backends.remove(id) else {
            return;
        };
        self.effects.push(Effect::CloseBackend(id));
        self.weights.touch_if_known(id);
        self.counters.backend_lost(loss.label(), loss.is_poison());
        let in_flight = backend.in_flight.len();
        if loss.is_poison() || (loss == Loss::Gone && in_flight > 0) {
            tracing::warn!(cause = loss.label(), detail = ?loss, in_flight, "backend closed");
        } else {
            tracing::debug!(cause = loss.label(), in_flight, "backend closed");
        }
        self.spares.retain(|spare| *spare != id);
        self.leave_context(id, backend.context());
        self.wake_at(self.now);
        let ended = Event::BackendLost(id, Box::new(backend), loss);
        self.events.push_back(ended);
    }

    /// Settles everything that was expected of a lost backend.
    pub(super) fn backend_lost(&mut self, id: BackendId, mut backend: Backend, loss: Loss) {
        self.doubt_idle(&backend, loss);
        if self.backends.is_empty() {
            // Another server may be behind the address next time.
            self.server.hello = super::handshake::Hellos::default();
        }
        if let Phase::Handshake(handshake) = &mut backend.phase {
            match loss {
                // A server that is full says so in one line and closes.
                Loss::Gone => self.dial_ended_badly(match handshake.failure.take() {
                    Some(Failure::Refused(text) | Failure::Credentials(text)) => text,
                    _ => "the server closed the connection".to_owned(),
                }),
                // Whatever answers there is no Redis: it is not asked again at once.
                _ if loss.is_poison() => {
                    self.dial_ended_badly("the server does not answer as Redis does".to_owned());
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
        backend.leave(&mut self.contexts);
        self.wake_at(self.now);
    }

    /// Takes every slot out of the queue and decides what its request comes to.
    ///
    /// Replies and execution keep their order: once a request may have run and cannot be
    /// asked again, no earlier one of the same client is asked again either.
    fn judge(&self, backend: &mut Backend, loss: Loss) -> Vec<Lost> {
        let replay = self.rules.settings.clients.replay_reads
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
                self.end_hold(id, Hold::Permission);
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
                self.counters.undelivered(Undelivered::Lost);
            }
            if !settled.receiver.is_client() || !self.clients.contains_key(id) {
                continue;
            }
            match request.outcome {
                Outcome::Again => {
                    let (bytes, requests) = rewound.entry(id).or_default();
                    let sent = backend.out.request(request.offset, settled.bytes);
                    let restored = self.policy(id, &self.rules).renames().restored(sent);
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
            self.replies_in(id, settled.sequence, 1);
        }
        self.end_broken_lease(backend);
        for (id, (bytes, requests)) in rewound {
            let count = u32::try_from(requests.len()).unwrap_or(u32::MAX);
            self.rewind(id, &bytes, count);
            // Only now: a client that sends no more is closed when nothing of it is left.
            for settled in requests {
                self.replies_in(id, settled.sequence, 1);
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
            self.end_hold(id, Hold::Gather(0));
        }
        let silent = settled.receiver.is_silent();
        let unclear = match self.bracket_unanswered(id, settled.receiver) {
            Unanswered::Known(told) => {
                if !silent {
                    self.reply_with(id, |out| out.extend_from_slice(&told));
                }
                return;
            }
            Unanswered::Unclear => true,
            Unanswered::Unknown => false,
        };
        let disconnect =
            self.rules.settings.clients.on_unknown_outcome == OnUnknownOutcome::Disconnect;
        // A client that asked for silence could not be told: it is disconnected, as
        // Redis itself would have done.
        if disconnect || silent || self.has_live_feed(id) {
            // Nor does it get last words, which it would take for this reply.
            if let Some(client) = self.clients.get_mut(id)
                && let Ending::AfterReplies(last_words) = &mut client.ending
            {
                *last_words = Box::default();
            }
            self.leaves_for(id, Leave::BackendLost);
            self.end(id, Ending::AfterReplies(Box::default()));
            return;
        }
        let refusal = match loss {
            Loss::Malformed(_) | Loss::WrongKind(_) | Loss::OutOfStep => Refusal::BackendProtocol,
            _ => Refusal::UnknownOutcome,
        };
        self.counters.refused(refusal.label());
        self.reply_with(id, |out| refusal.write(out));
        if unclear {
            self.leaves_for(id, Leave::BackendLost);
            self.end(id, Ending::AfterReplies(Box::default()));
        }
    }

    /// What a request on a lost lease leaves open.
    fn bracket_unanswered(&mut self, id: ClientId, receiver: Receiver) -> Unanswered {
        let (Receiver::Lent(mark) | Receiver::LentSilent(mark)) = receiver else {
            return Unanswered::Unknown;
        };
        let mut moves = false;
        if let Some(client) = self.clients.get_mut(id)
            && let Some(lease) = client.lease.as_mut()
        {
            let bracket = &mut lease.lent.bracket;
            // Which db its client would be in then nobody knows.
            moves = mark == Mark::ExecFilled && bracket.moves();
            let protocol = client.session.protocol;
            if let Some(told) = bracket.unanswered(&mut client.session.lost, mark, protocol) {
                return Unanswered::Known(told);
            }
        }
        match moves || matches!(mark, Mark::Multi | Mark::Watch | Mark::Switch) {
            true => Unanswered::Unclear,
            false => Unanswered::Unknown,
        }
    }

    /// The requests are dealt with again, before everything else of this client.
    pub(super) fn rewind(&mut self, id: ClientId, requests: &[u8], count: u32) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if client.is_ending() {
            // It was told nothing of an earlier request and is being closed: an answer to
            // a later one would be taken for that one's.
            client.hold = None;
            return self.close_if_done(id);
        }
        client.input.rewind(requests);
        // What is judged of a request is of the one that stands first.
        client.verdict = None;
        client.replays = client.replays.saturating_add(count);
        client.waiting_since = None;
        client.overdue_bytes = 0;
        client.hold = None;
        self.buffered_bytes += requests.len();
        self.counters.replays += u64::from(count);
        self.resumed.push_back(id);
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
            self.lease_lost(lease);
            self.enter_context(owner);
            self.stream_goes_on(owner);
            if refused {
                // An error to its MULTI, and then the end: directly it would be disconnected too,
                // and nothing of what it has sent behind would run.
                self.leaves_for(owner, Leave::BackendLost);
                self.end(owner, Ending::AfterReplies(Box::default()));
            } else if self.draining {
                self.close_if_done(owner);
            }
        }
    }

    /// Closes a backend with which nothing is wrong.
    pub(super) fn retire(&mut self, id: BackendId) {
        self.lose(id, Loss::Retired);
    }
}
