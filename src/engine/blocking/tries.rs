//! What a client in line waits for is tried without waiting: `MULTI`, its command, `EXEC`, in one write
//! on a pipe of its context. Inside a transaction no command waits, and what lies there when it runs has
//! nobody on the server waiting for it, so nobody is passed over.
//!
//! A client is tried in one place at a time, and is lent nothing meanwhile: nothing is taken for it
//! twice. What was taken for one that has left goes back. Where the `EXEC` may have run and its reply
//! is lost the client is told so, as of any other command.
//!
//! No command that may wait goes down a pipe before the server is known to let its user begin a transaction:
//! an empty one asks. Should the server change its mind, the command waits for a millisecond at most.

use std::sync::Arc;
use std::time::Duration;

use crate::resp::{Args, Refusal, write};
use crate::session::put_back::is_nil;
use crate::session::waited_keys::{WaitTarget, last_generated_id};
use crate::session::waiting::{Takes, Waiting};
use crate::telemetry::{ClientCloseReason, Undelivered};

use crate::engine::Rules;
use crate::engine::clients::hold::Ending;
use crate::engine::effect::Reply;
use crate::engine::key::{BackendId, ClientId, ContextId};
use crate::engine::lease::state::LeaseFor;
use crate::engine::pool::backend::AcquireRequest;
use crate::engine::reach::{Blocking, Traffic};
use crate::engine::settings::OnUnknownOutcome;
use crate::engine::slot::{Receiver, RetryClass, Slot, TryRequest};
use crate::engine::waits::line::Unblocked;
use crate::engine::waits::tries::{Try, What};

/// The least that a command may wait, should it wait at all.
const LEAST: Duration = Duration::from_millis(1);

impl Blocking<'_> {
    /// A client in line is tried.
    pub fn try_in_line(&mut self, id: ClientId) {
        let rules = Arc::clone(&self.cx.rules);
        self.waits.line_mut().begins_try(id, self.cx.now);
        let Some(client) = self.clients.get(id).filter(|client| !client.is_ending()) else {
            return self.waits.leave_line(self.cx, id);
        };
        let context = client.context();
        let (Some(one), Some((request, _))) = (
            self.waits.line().get(id),
            client.input.first(&rules.settings.limits),
        ) else {
            return self.waits.line_mut().is_not_tried(id);
        };
        let name = Args::new(&request).next().unwrap_or_default();
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let Some(waiting) = Waiting::of(&name, &request) else {
            return self.waits.line_mut().is_not_tried(id);
        };
        let ends = match one.ends_are_known {
            true => Vec::new(),
            false => waiting.on.from_their_ends(&request),
        };
        let may_begin = self.pool.may_begin_transaction(context);
        if may_begin == Some(false) && ends.is_empty() {
            return self.waits.line_mut().is_not_tried(id);
        }
        let reads = matches!(waiting.on, WaitTarget::Read(_));
        let (what, steps) = match may_begin {
            _ if !ends.is_empty() => {
                let steps = ends
                    .iter()
                    .map(|(_, key)| (TryRequest::End, ask_for_end(key)));
                let steps = steps.collect();
                let places = ends.iter().map(|(place, _)| *place).collect();
                (What::Ends(places, Vec::new()), steps)
            }
            Some(true) => {
                let leads = self.waits.line().leads(id);
                let leads = |key: usize| leads.get(key).copied().unwrap_or(true);
                // A server that has no HELLO reads no fractions either.
                let fractions = self.pool.backends().any(|b| b.server_id.is_some());
                let request = waiting.narrowed(&request, LEAST, fractions, leads);
                (What::Command { reads }, in_block(Some(request)))
            }
            _ => (What::Block, in_block(None)),
        };
        let access = what.access();
        if self.cx.pause_holds_up(access) {
            return self.waits.line_mut().try_later(id, self.cx.now);
        }
        let bytes = steps.iter().map(|(_, request)| request.len()).sum();
        let key = self.pool.key_of(context);
        let Some(pipe) = self.pool.pick(self.cx, key, access, bytes, &rules.settings) else {
            return self.has_no_pipe_to_try(id, context);
        };
        let (takes, refused, said) = (waiting.takes, None, None);
        let one = Try {
            takes,
            what,
            refused,
            said,
        };
        self.waits.begin_try(id, one);
        for (step, request) in steps {
            self.traffic().send_step(id, pipe, &rules, step, &request);
        }
        self.pool.mark_backend(pipe);
    }

    /// No pipe of its context takes a try now. It is tried as soon as there is one.
    fn has_no_pipe_to_try(&mut self, id: ClientId, context: ContextId) {
        let (now, limit) = (self.cx.now, self.cx.rules.settings.pool.queue_timeout);
        let refused = self.pool.is_refused(context, now);
        let since = self.waits.line().get(id).map_or(now, |one| one.since());
        if refused && since + limit <= now {
            return self.refuse_in_line(id);
        }
        self.waits.line_mut().try_later(id, now);
        self.waits.line_mut().call(context, id);
        self.pool
            .request(AcquireRequest::Pipe(self.pool.key_of(context)));
        self.cx.wake_at(now);
    }

    /// There is a pipe of this context.
    pub fn try_called(&mut self, context: ContextId) {
        for id in self.waits.line_mut().called(context) {
            let waits = self.clients.awaited_lease(id) == Some(LeaseFor::Blocking);
            if waits && self.waits.line().contains(id) && !self.waits.is_tried(id) {
                self.try_in_line(id);
            }
        }
    }

    /// The reply to one step of a try.
    pub fn tried(&mut self, on: BackendId, id: ClientId, step: TryRequest, reply: Vec<u8>) {
        let is_error = reply.starts_with(b"-") || reply.starts_with(b"!");
        let Some(one) = self.waits.try_of(id) else {
            return;
        };
        match (step, &mut one.what) {
            (TryRequest::Multi, _) if is_error => one.refused = Some(reply),
            (TryRequest::Command, _) if is_error || one.refused.is_some() => one.said = Some(reply),
            (TryRequest::Multi | TryRequest::Command, _) => {}
            (TryRequest::End, What::Ends(places, known)) => {
                let end = match reply.starts_with(b"-ERR no such key") {
                    true => Some(b"0-0".to_vec()),
                    false => last_generated_id(&reply),
                };
                let place = (!places.is_empty()).then(|| places.remove(0));
                known.extend(place.zip(end));
                if places.is_empty() {
                    self.ends_known(id);
                }
            }
            (TryRequest::End, _) => {}
            (TryRequest::Exec, _) => self.try_over(on, id, reply),
        }
    }

    /// Where the streams of a client in line end is known: its request reads on from there. Where that
    /// is denied it is left as it is.
    fn ends_known(&mut self, id: ClientId) {
        let Some(Try {
            what: What::Ends(_, known),
            ..
        }) = self.waits.end_try(id)
        else {
            return;
        };
        let limits = &self.cx.rules.settings.limits;
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let Some(one) = self.waits.line_mut().get_mut(id) else {
            return;
        };
        one.ends_are_known = true;
        if let Some((request, length)) = client.input.first(limits) {
            let on = WaitTarget::of("xread", &request);
            let request = on.with_ids(&request, &known);
            self.clients.replace_first(id, length, &request);
        }
        self.tries_on(id);
    }

    /// The reply to its `EXEC`.
    fn try_over(&mut self, on: BackendId, id: ClientId, reply: Vec<u8>) {
        let Some(one) = self.waits.end_try(id) else {
            return;
        };
        if matches!(one.what, What::Block) {
            return self.begin_answered(on, id, one.refused.as_deref(), &reply);
        }
        if one.refused.is_some() {
            self.pool.may_not_begin_blocks(on);
        }
        let element = reply.strip_prefix(b"*1\r\n");
        let result = match (&one.refused, &one.said, element) {
            // It has run by itself, or the server has refused it.
            (Some(_), Some(said), _) | (None, Some(said), _) => &said[..],
            (_, _, Some(element)) => element,
            // As where nobody may begin a transaction, or the server is loading.
            _ => b"_\r\n",
        };
        let waits = self.clients.awaited_lease(id) == Some(LeaseFor::Blocking)
            && self.clients.get(id).is_some_and(|c| !c.is_ending());
        let Some(there) = self.waits.line_mut().get_mut(id).filter(|_| waits) else {
            return self.lending().undelivered(on, one.takes, result);
        };
        let first = !std::mem::replace(&mut there.judged, true);
        let is_error = result.starts_with(b"-");
        // What a client that is blocked already would not see.
        let unseen = is_error && !first && !result.starts_with(b"-NOGROUP");
        if is_nil(result) || unseen {
            return self.nothing_there(id);
        }
        self.served_in_line(id, result);
    }

    fn served_in_line(&mut self, id: ClientId, reply: &[u8]) {
        let served = self.waits.line_mut().leave(id, Some(self.cx.now));
        if let Some(Unblocked { asker, .. }) = served.and_then(|one| one.unblocked) {
            self.cx.reply_to(asker, Reply::Killed(0));
        }
        self.lending()
            .answer_in_line(id, |_, out| out.extend_from_slice(reply));
        self.waits.wake_for_line(self.cx);
        let output_bytes = self.clients.get(id).map_or(0, |client| client.out.len());
        self.clients.output_grew(self.cx, id, output_bytes);
    }

    /// Whether the server lets the user of a pipe begin a transaction.
    fn begin_answered(
        &mut self,
        on: BackendId,
        id: ClientId,
        refused: Option<&[u8]>,
        reply: &[u8],
    ) {
        let denied = |words: &[u8]| words.starts_with(b"-NOPERM") || words.starts_with(b"-ERR");
        if refused.is_none() && reply.starts_with(b"*") {
            let credential = self.pool.backend(on).map(|backend| backend.credential());
            if let Some(credential) = credential.and_then(|id| self.pool.credential_mut(id)) {
                credential.may_multi = Some(true);
            }
        } else if denied(refused.unwrap_or(reply)) {
            self.pool.may_not_begin_blocks(on);
        } else {
            return self.back_in_line(id);
        }
        self.tries_on(id);
    }

    /// It is known what was to be known before its command itself is tried.
    fn tries_on(&mut self, id: ClientId) {
        match self.waits.line().get(id) {
            // What lies there is its own, however long it took to learn that it may be tried.
            Some(one) if one.is_over(self.cx.now) && !one.is_owed_a_try() => self.nothing_there(id),
            Some(_) => self.try_in_line(id),
            None => {}
        }
    }

    /// Nothing has been learned. It stands in line as before.
    fn back_in_line(&mut self, id: ClientId) {
        match self.waits.line().get(id) {
            Some(one) if one.is_over(self.cx.now) || self.cx.draining => self.nothing_there(id),
            Some(_) => {
                self.waits.line_mut().try_later(id, self.cx.now);
                self.waits.wake_for_line(self.cx);
            }
            None => {}
        }
    }

    /// The reply to a step is longer than what is held for a client. Nobody else is to notice.
    pub fn try_too_long(&mut self, on: BackendId, id: ClientId, step: TryRequest) {
        if let Some(backend) = self.pool.backend_mut(on)
            && let Some(slot) = backend.in_flight.front_mut()
        {
            slot.give_up();
            let begun = std::mem::take(&mut backend.collected);
            if step == TryRequest::End {
                // Its beginning is enough.
                return self.tried(on, id, step, begun);
            }
        }
        let Some(one) = self.waits.end_try(id) else {
            return;
        };
        if one.takes != Takes::Nothing {
            self.cx.counters.undelivered(Undelivered::Lost);
        }
        self.waits.leave_line(self.cx, id);
        self.clients
            .close_for(self.cx, id, ClientCloseReason::OutputLimit);
    }

    /// A step of a try was on a backend that is lost. `sent`: it had left.
    pub fn try_lost(&mut self, id: ClientId, step: TryRequest, sent: bool) {
        if matches!(step, TryRequest::Multi | TryRequest::Command) {
            // What becomes of them is the EXEC's to say.
            return;
        }
        let Some(one) = self.waits.end_try(id) else {
            return;
        };
        let in_doubt = match one.what {
            What::Command { reads } => sent && !reads,
            What::Block | What::Ends(..) => false,
        };
        let waits = self.clients.awaited_lease(id) == Some(LeaseFor::Blocking);
        if !(waits && self.waits.line().contains(id)) {
            if in_doubt && one.takes != Takes::Nothing {
                self.cx.counters.undelivered(Undelivered::Unknown);
            }
            return;
        }
        if !in_doubt {
            return self.back_in_line(id);
        }
        self.waits.leave_line(self.cx, id);
        let disconnect =
            self.cx.rules.settings.clients.on_unknown_outcome == OnUnknownOutcome::Disconnect;
        let silent = |client: &crate::engine::Client| client.session.reply_mode.is_silent();
        if disconnect || self.clients.get(id).is_some_and(silent) {
            self.clients.closes_for(id, ClientCloseReason::BackendLost);
            return self
                .clients
                .end(self.cx, id, Ending::AfterReplies(Box::default()));
        }
        self.cx.counters.refused(Refusal::UnknownOutcome.label());
        self.lending()
            .answer_in_line(id, |_, out| Refusal::UnknownOutcome.write(out));
    }
}

impl Traffic<'_> {
    /// First the slot, then the bytes.
    fn send_step(
        &mut self,
        id: ClientId,
        pipe: BackendId,
        rules: &Rules,
        step: TryRequest,
        request: &[u8],
    ) {
        let now = self.cx.now;
        let renamed = self.clients.policy(id, rules).renames().sent(request);
        let request = renamed.as_deref().unwrap_or(request);
        let retry_class = match step {
            TryRequest::Multi => RetryClass::TransactionBegins,
            TryRequest::Command => RetryClass::InTransaction,
            TryRequest::Exec => RetryClass::TransactionEnds,
            TryRequest::End => RetryClass::Replayable,
        };
        if let Some(backend) = self.pool.backend_mut(pipe) {
            let length = request.len();
            let slot = Slot::new(id, 0, now, length, Receiver::Tried(step), retry_class);
            backend.send(slot, request, now);
            self.pool.has_bytes(pipe, length);
        }
    }
}

/// The steps of a whole transaction.
fn in_block(command: Option<Vec<u8>>) -> Vec<(TryRequest, Vec<u8>)> {
    let word = |word: &[u8]| {
        let mut request = Vec::new();
        write::request(&mut request, &[word]);
        request
    };
    let command = command.map(|command| (TryRequest::Command, command));
    let begins = [(TryRequest::Multi, word(b"MULTI"))];
    let ends = [(TryRequest::Exec, word(b"EXEC"))];
    begins.into_iter().chain(command).chain(ends).collect()
}

fn ask_for_end(key: &[u8]) -> Vec<u8> {
    let mut request = Vec::new();
    write::request(&mut request, &[b"XINFO", b"STREAM", key]);
    request
}
