//! Clients whose command waits and who find no place to wait on the server: they stand in line for
//! one, for their own timeout and no other, and are meanwhile [tried](super::tries) without waiting.
//! To everybody they are blocked as any other.

use crate::command::Spec;
use crate::resp::{NotExecuted, Protocol, Refusal, write};
use crate::session::waiting::{Timeout, Waiting};
use crate::telemetry::{ClientCloseReason, Way};

use crate::engine::clients::Client;
use crate::engine::clients::hold::{Ending, Hold, RequestOutcome};
use crate::engine::effect::{AnswerTo, Reply};
use crate::engine::fault_injection::{self, Bug};
use crate::engine::key::ClientId;
use crate::engine::lease::state::LeaseFor;
use crate::engine::lease::wait::UNBLOCKED;
use crate::engine::pool::backend::{AcquireRequest, Backend, Phase};
use crate::engine::reach::{Blocking, Lending};
use crate::engine::waits::cancels::Why;
use crate::engine::waits::line::{InLine, Spot, Unblocked, Void};

/// Most of those whose time has come that are looked at at once.
const AT_ONCE: usize = 256;

impl Void {
    fn of(name: &str) -> Self {
        match name {
            "wait" => Self::NoReplicas,
            "waitaof" => Self::Nowhere,
            _ => Self::Nil,
        }
    }

    /// As the server answers at the end of a timeout: all that waits for an element or entry alike.
    fn write(self, protocol: Protocol, out: &mut Vec<u8>) {
        match self {
            Self::Nil => write::null_array(out, protocol),
            Self::NoReplicas => write::integer(out, 0),
            Self::Nowhere => out.extend_from_slice(b"*2\r\n:0\r\n:0\r\n"),
        }
    }
}

impl Blocking<'_> {
    /// The client's command waits, and needs a place on the server for that.
    pub fn stand_in_line(
        &mut self,
        id: ClientId,
        bytes: &[u8],
        spec: &Spec,
        waiting: Waiting,
    ) -> RequestOutcome {
        let now = self.cx.now;
        if self.is_line_full() {
            return self
                .clients
                .not_executed(self.cx, id, NotExecuted::QueueFull);
        }
        let Some(client) = self.clients.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        if client.in_flight > 0 && !fault_injection::has(Bug::LeaseTooEarly) {
            return client.hold(Hold::Replies);
        }
        if client.head.has_queue_timed_out() {
            return self.traffic().queue_timed_out(id);
        }
        let since = client.head.waits(now);
        let until = match waiting.timeout {
            Timeout::After(_) if fault_injection::has(Bug::DeadlineOfOthers) => {
                Some(since + self.cx.rules.settings.pool.queue_timeout)
            }
            Timeout::After(length) => Some(since + length),
            Timeout::Never | Timeout::Unreadable => None,
        };
        client.last_command.set(&spec.name);
        let outcome = client.hold(Hold::Lease(LeaseFor::Blocking));
        let spots = Spot::all_of(client.session.db, waiting.on, bytes);
        let one = InLine::new(
            client.session.id,
            client.credential,
            spots,
            since,
            until,
            Void::of(&spec.name),
            waiting.on.may_be_tried(),
        );
        self.waits.line_mut().join(id, one, now);
        if self.notices_that_there_is_no_server() {
            self.cx
                .wake_at(now + self.cx.rules.settings.pool.queue_timeout);
        }
        self.waits.wake_for_line(self.cx);
        outcome
    }

    /// Whether as many wait for a backend of their own as may.
    pub fn is_line_full(&self) -> bool {
        let most = self.cx.rules.settings.pool.queue_clients_max;
        self.leases.waiting() + self.waits.line().len() >= most
    }

    /// Asks for places for those whose turn it is, as many as there may be.
    pub fn want_places(&mut self, room: usize) {
        for id in self.waits.line().next_in_turns(room) {
            if self.clients.awaited_lease(id) != Some(LeaseFor::Blocking) {
                self.waits.leave_line(self.cx, id);
            } else if !self.waits.is_decided_by_try(id) {
                self.pool.request(AcquireRequest::Lease(id));
            }
        }
    }

    /// A client has waited as long as it wanted to.
    fn waited_in_vain(&mut self, id: ClientId, void: Void) {
        self.waits.leave_line(self.cx, id);
        self.lending()
            .answer_in_line(id, |protocol, out| void.write(protocol, out));
    }

    /// Another has ended the wait of a client in line.
    pub fn unblock_in_line(&mut self, id: ClientId, with_error: bool, asker: AnswerTo) {
        let tried = self.waits.is_tried(id);
        let void = match self.waits.line_mut().get_mut(id) {
            Some(one) if tried => {
                // What it is being tried for decides: it may be served.
                let another = one.unblocked.replace(Unblocked { with_error, asker });
                if let Some(Unblocked { asker, .. }) = another {
                    self.cx.reply_to(asker, Reply::Killed(0));
                }
                return;
            }
            Some(one) => one.void,
            None => Void::Nil,
        };
        self.waits.leave_line(self.cx, id);
        self.lending()
            .ends_in_line(id, void, Unblocked { with_error, asker });
    }

    /// The server has nothing for a client in line now.
    pub fn nothing_there(&mut self, id: ClientId) {
        let now = self.cx.now;
        let Some(one) = self.waits.line_mut().get_mut(id) else {
            return;
        };
        one.judged = true;
        let (void, until) = (one.void, one.until);
        if let Some(by) = one.unblocked.take() {
            self.waits.line_mut().leave(id, None);
            return self.lending().ends_in_line(id, void, by);
        }
        if self.cx.draining {
            self.waits.leave_line(self.cx, id);
            return self
                .clients
                .close_for(self.cx, id, ClientCloseReason::Drained);
        }
        if self.clients.has_left(id) {
            // It would have to wait: as in Redis that is its end, and nothing behind it is looked at.
            self.waits.leave_line(self.cx, id);
            return self.clients.end(self.cx, id, Ending::AfterOutput);
        }
        if until.is_some_and(|until| until <= now) {
            return self.waited_in_vain(id, void);
        }
        self.waits.line_mut().try_later(id, now);
        self.waits.wake_for_line(self.cx);
    }

    /// A client has sent its end. If it waits for as long as it takes it has left, as in Redis. What
    /// it asked for in line is tried once before, as Redis deals with what it has read.
    pub fn leaves_while_it_waits(&mut self, id: ClientId) {
        let in_line = self.waits.line().has_to_wait(id) && !self.waits.is_tried(id);
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let on_server = client.waits_on_server() && !client.waits_on_without_it();
        // It may still read what the server has answered meanwhile.
        if on_server && client.ending == Ending::HalfClosed {
            return self.end_wait(id, Why::Left);
        }
        if in_line || on_server {
            self.clients.close_now(self.cx, id);
        }
    }

    /// Looks at those in line whose time has come.
    pub fn expire_line(&mut self) {
        let now = self.cx.now;
        for _ in 0..AT_ONCE {
            let Some(id) = self.waits.line().due(now) else {
                break;
            };
            if self.clients.awaited_lease(id) != Some(LeaseFor::Blocking) {
                self.waits.leave_line(self.cx, id);
                continue;
            }
            let Some(one) = self.waits.line().get(id) else {
                continue;
            };
            let over = one.until.is_some_and(|until| until <= now);
            let (void, owed) = (one.void, one.is_owed_a_try());
            if self.waits.is_tried(id) {
                self.waits.line_mut().is_decided_by_its_try(id);
                continue;
            }
            if !over || owed && self.waits.line().is_candidate(id) {
                self.try_in_line(id);
            }
            // Where there is no way to try it, it is told what it would be told most likely.
            if over && self.waits.line().contains(id) && !self.waits.is_tried(id) {
                self.waited_in_vain(id, void);
            }
        }
        self.tell_that_there_is_no_server();
        self.waits.wake_for_line(self.cx);
    }

    /// Those who have come in this turn and have no place: nothing that lies there waits for them.
    #[inline]
    pub fn try_newcomers(&mut self) {
        let newcomers = self.waits.line_mut().newcomers();
        if !newcomers.is_empty() {
            self.try_those(newcomers);
        }
    }

    fn try_those(&mut self, newcomers: Vec<ClientId>) {
        for id in newcomers {
            let waits = self.clients.awaited_lease(id) == Some(LeaseFor::Blocking);
            if !waits || self.waits.is_tried(id) {
                continue;
            }
            if self.waits.line().is_candidate(id) {
                self.try_in_line(id);
            } else if self.clients.has_left(id) && self.waits.line().has_to_wait(id) {
                self.nothing_there(id);
            }
        }
    }

    /// Who waits where no server is to be had is told so in time, as everybody.
    fn tell_that_there_is_no_server(&mut self) {
        let (now, limit) = (self.cx.now, self.cx.rules.settings.pool.queue_timeout);
        if !self.notices_that_there_is_no_server() {
            return;
        }
        while let Some((id, since)) = self.waits.line().oldest() {
            let at = self.waits.line().unserved_since.unwrap_or(now).max(since) + limit;
            if at > now {
                return self.cx.wake_at(at);
            }
            self.refuse_in_line(id);
        }
    }

    /// Whether no connection is there, nor has been since that was asked last.
    fn notices_that_there_is_no_server(&mut self) -> bool {
        let there =
            |backend: &Backend| !matches!(backend.phase, Phase::Dialling | Phase::Handshake(_));
        if self.pool.backends().any(there) {
            self.waits.line_mut().unserved_since = None;
            return false;
        }
        self.waits
            .line_mut()
            .unserved_since
            .get_or_insert(self.cx.now);
        true
    }

    /// A client in line is told why it cannot be served.
    pub fn refuse_in_line(&mut self, id: ClientId) {
        self.waits.leave_line(self.cx, id);
        let refusal = Refusal::NotExecuted(self.pool.unavailable_reason(self.cx));
        let (label, mut text) = (refusal.label(), Vec::new());
        refusal.write(&mut text);
        let hears = |client: &Client| !client.session.reply_mode.is_silent();
        if !self.clients.get(id).is_some_and(hears) {
            self.clients.cannot_be_told(self.cx, id);
            return;
        }
        self.cx.counters.refused(label);
        self.lending()
            .answer_in_line(id, |_, out| out.extend_from_slice(&text));
    }
}

impl Lending<'_> {
    /// Answers a command whose client stands in line, and leaves it. Whatever has been decided of the
    /// command is final: it is not judged again.
    pub fn answer_in_line(&mut self, id: ClientId, write: impl FnOnce(Protocol, &mut Vec<u8>)) {
        let now = self.cx.now;
        let limits = &self.cx.rules.settings.limits;
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let Some((_, length)) = client.input.first(limits) else {
            // The limits have been lowered below what it has sent.
            return self
                .clients
                .close_for(self.cx, id, ClientCloseReason::ProtocolError);
        };
        self.leases.leaves(client.session.id);
        // What it asks for next has a place of its own among those who want something.
        self.pool
            .acquire_queue_mut()
            .remove(AcquireRequest::Lease(id));
        self.clients.replace_first(id, length, &[]);
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        client.head.answered();
        client.active_at = now;
        let (protocol, silent) = (
            client.session.protocol,
            client.session.reply_mode.begin_command(),
        );
        self.cx.counters.went(Way::Blocking);
        if !silent {
            self.clients.reply_with(id, |out| write(protocol, out));
        }
        self.clients.resume(id);
    }

    /// Its wait is ended.
    fn ends_in_line(&mut self, id: ClientId, void: Void, by: Unblocked) {
        self.answer_in_line(id, |protocol, out| match by.with_error {
            true => write::error(out, UNBLOCKED),
            false => void.write(protocol, out),
        });
        self.cx.reply_to(by.asker, Reply::Killed(1));
    }
}
