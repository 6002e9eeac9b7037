//! Requests of a client that holds a backend of its own: nearly all of them travel there, as they
//! would on a direct connection. What narrows answers itself is answered at its turn, inside a
//! transaction too.

use crate::command::{Bracket as Verb, Local, Pin, Route, Spec};
use crate::resp::{Args, Frame, Refusal, write};
use crate::session::waiting::Waiting;
use crate::session::{Answer, Mark, answer, info};

use super::clients::hold::{Hold, Outcome};
use super::context::Setting;
use super::key::ClientId;
use super::lease::lent::{LeaseFor, Lent};
use super::planted::{self, Bug};
use super::slot::{Fate, Receiver};
use super::{Engine, Rules};

impl Lent {
    /// Whether a request of this route is judged by what the replies under way will show.
    fn must_wait_for_replies(&self, route: Route) -> bool {
        // As Redis looks at nothing behind a command that waits.
        self.waits()
            || match route {
                // What narrows answers itself depends on all of them.
                Route::Local(_) => true,
                Route::Shared | Route::Restricted | Route::Bracket(_) => false,
                // What such a request means depends on whether it is queued.
                _ => !self.bracket.is_settled(),
            }
    }
}

impl Engine {
    /// What a command without a lease comes to that needs one.
    pub(super) fn needs_lease(
        &mut self,
        id: ClientId,
        bytes: &[u8],
        frame: &Frame,
        spec: &Spec,
        purpose: LeaseFor,
    ) -> Outcome {
        if spec.on_server == Some(false) {
            return self.unknown_to_server(id, bytes, spec);
        }
        if !spec.accepts(frame.argc) {
            let command = &spec.name;
            return self.refuse(id, &Refusal::Arity { command });
        }
        match Waiting::of(&spec.name, bytes).filter(|_| purpose == LeaseFor::Blocking) {
            Some(waiting) => self.stand_in_line(id, bytes, spec, waiting),
            None => self.wait_for_lease(id, purpose),
        }
    }

    /// A transaction whose connection was lost: nothing of it may run, and nothing that its
    /// client sends inside it. `None` when the request is dealt with as any other.
    pub(super) fn after_lost_multi(&mut self, id: ClientId, spec: &Spec) -> Option<Outcome> {
        let client = self.clients.get_mut(id)?;
        if client.in_flight > 0 {
            return Some(client.hold(Hold::Replies));
        }
        let ends = match spec.route {
            Route::Bracket(Verb::Exec | Verb::Discard)
            | Route::Local(Local::Reset | Local::Quit) => true,
            _ => spec.route == Route::Bracket(Verb::Multi),
        };
        match spec.route {
            // Nobody nests them on purpose: this client has given the lost one up.
            Route::Bracket(Verb::Multi) => client.session.lost.begins_another(),
            _ if ends => client.session.lost.over(),
            _ => {}
        }
        match spec.route {
            Route::Bracket(Verb::Exec) => Some(self.refuse(id, &Refusal::TransactionLost)),
            Route::Bracket(Verb::Discard) => {
                Some(
                    self.clients
                        .finish_gather(&mut self.cx, id, spec, |_, out| write::status(out, "OK")),
                )
            }
            _ if ends => None,
            _ => Some(self.refuse(id, &Refusal::InLostTransaction)),
        }
    }

    /// One request of a client that holds a lease. Its command is allowed.
    pub(super) fn on_lease(
        &mut self,
        id: ClientId,
        (rules, bytes, frame): (&Rules, &[u8], &Frame),
        spec: &Spec,
    ) -> Outcome {
        let Some(lent) = self.clients.lent(id) else {
            return Outcome::Ended;
        };
        let queueing = lent.bracket.is_queueing();
        let route = spec.route_of(bytes);
        if lent.must_wait_for_replies(route) && self.clients.wait_for_replies(id) == Outcome::Held {
            return Outcome::Held;
        }
        let wrong = spec.on_server == Some(false) || !spec.accepts(frame.argc);
        if let Some(outcome) = self.on_feed(id, (rules, bytes, frame), spec) {
            return outcome;
        }
        match route {
            Route::Local(local) if wrong && !queueing => self.local(id, bytes, frame, spec, local),
            // Also with wrong arguments: an EXEC of those ends its transaction.
            Route::Bracket(verb) => self.bracket(id, rules, bytes, spec, verb),
            // The server refuses it in its own words, and aborts what it is in.
            _ if wrong => self.lend(id, rules, bytes, spec, Receiver::Client),
            Route::Info if queueing => self.queue_info(id, rules, bytes, spec),
            Route::Info => {
                let section = info::asks_for_narrows(Args::new(bytes).skip(1));
                let outcome = self.lend(id, rules, bytes, spec, Receiver::ClientInfo { section });
                self.clients.alone_if_held(id, outcome)
            }
            Route::Shared | Route::Restricted | Route::Local(Local::ClientHelp) => {
                let receiver = Receiver::of_plain(route, spec, bytes);
                self.lend(id, rules, bytes, spec, receiver)
            }
            Route::Unpins(pin) => {
                let receiver = Mark::undoing(pin).map_or(Receiver::Client, Receiver::Lent);
                self.lend(id, rules, bytes, spec, receiver)
            }
            Route::Blocking => self.wait_on_lease(id, rules, bytes, spec, queueing),
            Route::Local(local) if queueing => {
                self.queue_local(id, (rules, bytes, frame), spec, local)
            }
            Route::Local(Local::Select | Local::Hello) => {
                self.switch_lent(id, rules, bytes, frame, spec)
            }
            Route::Local(local @ (Local::Reset | Local::Quit)) => match self.leave_lease(id) {
                Outcome::Held => Outcome::Held,
                _ => self.local(id, bytes, frame, spec, local),
            },
            Route::Local(local) => self.local(id, bytes, frame, spec, local),
            // It never runs there.
            Route::NotForwarded | Route::Pinned(_)
                if queueing && rules.commands.is_never_in_multi(spec) =>
            {
                self.lend(id, rules, bytes, spec, Receiver::Client)
            }
            Route::Pinned(_) if queueing => self.refuse_queued(id, &Refusal::NotInsideTransaction),
            Route::Pinned(pin) => self.pin(id, rules, bytes, spec, pin),
            Route::NotForwarded => {
                let command = &*spec.name;
                self.refuse_queued(id, &Refusal::NotForwarded { command })
            }
            Route::Subscriber => self.refuse_queued(id, &Refusal::NotInsideTransaction),
            Route::OwnConnection => {
                let command = &*spec.name;
                self.refuse_queued(id, &Refusal::NotOnLease { command })
            }
        }
    }

    /// What narrows does not let through, inside a transaction where the server refuses it anyway: in
    /// the server's own words.
    pub(super) fn refused_by_server(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        spec: &Spec,
    ) -> Option<Outcome> {
        self.clients.lent(id)?;
        if !rules.commands.is_never_in_multi(spec) {
            return None;
        }
        if self.clients.wait_for_replies(id) == Outcome::Held {
            return Some(Outcome::Held);
        }
        let queueing = self.clients.lent(id)?.bracket.is_queueing();
        queueing.then(|| self.lend(id, rules, bytes, spec, Receiver::Client))
    }

    /// Refuses a request; the transaction that it stands in cannot be executed any more.
    pub(super) fn refuse_queued(&mut self, id: ClientId, refusal: &Refusal<'_>) -> Outcome {
        let outcome = self.refuse(id, refusal);
        if outcome == Outcome::Taken
            && let Some(lent) = self.clients.lent(id)
        {
            lent.bracket.refused();
        }
        outcome
    }

    /// Sends a request down the client's own backend.
    pub(super) fn lend(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        spec: &Spec,
        receiver: Receiver,
    ) -> Outcome {
        if let Some(outcome) = self.no_room_to_lend(id, rules) {
            return outcome;
        }
        let lease = self.clients.get(id).and_then(|c| c.lease.as_ref());
        let Some(carrier) = lease.map(|lease| lease.backend()) else {
            return Outcome::Ended;
        };
        self.send(id, carrier, bytes, spec, receiver, Fate::alone(spec));
        self.clients.queues(id, spec);
        Outcome::Taken
    }

    /// Why the client's next request cannot go down its own backend now, if so.
    pub(super) fn no_room_to_lend(&mut self, id: ClientId, rules: &Rules) -> Option<Outcome> {
        let settings = &rules.settings.clients;
        let client = self.clients.get_mut(id)?;
        if client.in_flight as usize >= settings.in_flight_max {
            return Some(client.hold(Hold::Room));
        }
        // What waits with the client is bounded; its connection takes as much as a shared one.
        let backend = client.lease.as_ref().map(|lease| lease.backend());
        let backend = backend.and_then(|id| self.pool.backends.get(id));
        let bytes_max = rules.settings.pool.pipe_bytes_max;
        if client.in_flight > 0 && backend.is_some_and(|b| b.out.unanswered_len() > bytes_max) {
            return Some(client.hold(Hold::Replies));
        }
        (client.out.len() > settings.output_pause_bytes).then(|| client.hold(Hold::Output))
    }

    fn bracket(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        spec: &Spec,
        verb: Verb,
    ) -> Outcome {
        let Some(client) = self.clients.get(id) else {
            return Outcome::Ended;
        };
        let (lost, Some(lease)) = (client.session.lost, client.lease.as_ref()) else {
            return Outcome::Ended;
        };
        let bracket = &lease.lent.bracket;
        let due = client.in_flight > 0 && !bracket.is_settled();
        let waits = due && !planted::has(Bug::JudgedTooEarly);
        if verb == Verb::Exec && bracket.judges_exec(lost) && waits {
            return self.clients.hold(id, Hold::Replies);
        }
        // The server does not take an EXEC with arguments, says why, and discards.
        let taken = spec.accepts(Args::new(bytes).remaining());
        let mark = match verb {
            Verb::Watch => Mark::Watch,
            Verb::Unwatch => Mark::Unwatch,
            Verb::Multi => Mark::Multi,
            Verb::Discard => Mark::Discard,
            Verb::Exec => match bracket.doom(lost) {
                Some(doom) if taken => doom.mark(),
                None if bracket.is_to_be_filled() => Mark::ExecFilled,
                _ => Mark::Exec,
            },
        };
        let mut discard = Vec::new();
        let bytes = match mark.doom() {
            None => bytes,
            Some(_) => {
                write::request(&mut discard, &[b"DISCARD"]);
                &discard
            }
        };
        let gathers = mark == Mark::ExecFilled && bracket.gathers();
        let outcome = self.lend(id, rules, bytes, spec, Receiver::Lent(mark));
        if let Some(lent) = self.clients.lent(id).filter(|_| outcome == Outcome::Taken) {
            lent.bracket.sent(mark);
            if gathers {
                // Its reply takes a way round by the other workers; no later one may overtake it.
                self.clients.hold(id, Hold::Gather(0));
                return Outcome::TakenAlone;
            }
        }
        outcome
    }

    /// `SELECT` and `HELLO`: the connection changes together with its client.
    fn switch_lent(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        frame: &Frame,
        spec: &Spec,
    ) -> Outcome {
        let outcome = self.clients.wait_for_replies(id);
        let Some(client) = self
            .clients
            .get_mut(id)
            .filter(|_| outcome == Outcome::Taken)
        else {
            return outcome;
        };
        let (protocol, db) = (client.session.protocol, client.session.db);
        let mut args = Args::new(bytes);
        args.next();
        let Route::Local(local) = spec.route else {
            return Outcome::Ended;
        };
        let to = match answer(local, &mut client.session, args, &mut Vec::new()) {
            Ok(Answer::Select { db }) => Setting { protocol, db },
            Ok(Answer::Hello {
                protocol: other,
                name,
                login,
            }) if other != protocol => {
                if let Some(Err(outcome)) = login.map(|login| self.log_in(id, login)) {
                    return outcome;
                }
                if let Some(name) = name {
                    self.rename(id, &name);
                }
                Setting {
                    protocol: other,
                    db,
                }
            }
            // Nothing changes, or it is refused.
            _ => return self.local(id, bytes, frame, spec, local),
        };
        let mut request = Vec::new();
        if to.protocol != protocol {
            let version = [b'0' + to.protocol.number()];
            write::request(&mut request, &[b"HELLO", &version]);
        } else {
            request.extend_from_slice(bytes);
        }
        let outcome = self.lend(id, rules, &request, spec, Receiver::Lent(Mark::Switch));
        if outcome == Outcome::Taken {
            if let Some(lent) = self.clients.lent(id) {
                lent.switch = Some(to);
            }
            // What follows is meant for where it leads.
            if let Some(client) = self.clients.get_mut(id) {
                client.head.hold = Some(Hold::Replies);
            }
            return Outcome::TakenAlone;
        }
        outcome
    }

    /// What may leave state: its reply tells whether the client keeps the backend for that.
    fn pin(&mut self, id: ClientId, rules: &Rules, bytes: &[u8], spec: &Spec, pin: Pin) -> Outcome {
        let lasts = self.clients.lent(id).is_some_and(|lent| lent.lasts());
        if !lasts && !self.lease_lasts(id, LeaseFor::Pin) {
            return self.no_room_to_last(id);
        }
        let off = |word: &[u8]| word.eq_ignore_ascii_case(b"off");
        let off = Args::new(bytes).nth(2).is_some_and(off);
        let undoes = off && matches!(pin, Pin::NoTouch | Pin::ImportSource);
        let mark = Mark::undoing(pin).filter(|_| undoes);
        let mark = mark.unwrap_or(Mark::Pin(pin));
        self.lend(id, rules, bytes, spec, Receiver::Lent(mark))
    }
}
