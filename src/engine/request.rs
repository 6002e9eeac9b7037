//! The way in: from bytes of a client to a slot in a pipe.
//!
//! ```text
//! client_bytes -> walk -> request -> forward   a pipe's queue, then its bytes
//!                            |-----> local     answered here, at its turn
//!                            |-----> refuse    an error, at its turn
//!                            '-----> hold      the bytes stay until the reason is gone
//! ```
//!
//! A held request is walked and judged anew when its hold is over, so nothing that was
//! decided earlier can be out of date.

use std::sync::Arc;
use std::time::Duration;

use crate::command::{Flags, Spec};
use crate::resp::{
    Frame, NotExecuted, ProtocolError, Refusal, RequestEvent, RequestScanner, inline,
};
use crate::telemetry::{Leave, Way};

use super::backend::Access;
use super::client::Client;
use super::hold::{Ending, Hold, Outcome};
use super::key::ClientId;
use super::lease::LeaseFor;
use super::planted::{self, Bug};
use super::settings::ClientSettings;
use super::slot::{Fate, Receiver};
use super::{Engine, Rules};

/// What a client may send ahead that has not logged in, or whose next request is a huge one and
/// waits for its turn, in bytes.
const AHEAD_BYTES: usize = 64 << 10;

impl Engine {
    /// Bytes have come from a client.
    pub fn client_bytes(&mut self, id: ClientId, bytes: &[u8], now: Duration) {
        self.advance_to(now);
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if client.ending != Ending::No {
            return;
        }
        client.active_at = now;
        if client.hold.is_some() || !client.input.is_empty() {
            self.buffer(id, bytes);
            self.resume(id);
        } else if client.stream.is_some() {
            let rest = self.stream_bytes(id, bytes);
            if !rest.is_empty() {
                self.buffer(id, rest);
                self.resume(id);
            }
        } else {
            let done = self.walk(id, bytes, 0);
            let rest = bytes.get(done..).unwrap_or_default();
            if !rest.is_empty() {
                self.buffer(id, rest);
                if self.has_more_for_stream(id) {
                    self.resume(id);
                }
            }
        }
    }

    /// Nothing more will come from a client: what it has sent is still dealt with, as
    /// Redis deals with what it has read before it sees the end.
    pub fn client_eof(&mut self, id: ClientId, now: Duration) {
        self.advance_to(now);
        if let Some(client) = self.clients.get_mut(id)
            && client.ending == Ending::No
        {
            client.ending = Ending::HalfClosed;
            // As in Redis: who waits for as long as it takes has left.
            self.leaves_while_it_waits(id);
            self.close_if_done(id);
        }
    }

    /// A client that [is not read](Engine::may_read) has sent its end all the same, behind what has
    /// not been read of it. Who waits for as long as it takes has left then, as in Redis, which reads
    /// on behind a command that waits.
    pub fn client_hung_up(&mut self, id: ClientId, now: Duration) {
        self.advance_to(now);
        if planted::has(Bug::HangUpMissed) {
            return;
        }
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        client.hung_up = true;
        self.leaves_while_it_waits(id);
    }

    /// Whether the runtime may read this client now. When not, it watches for the client's
    /// [end](Engine::client_hung_up), and an
    /// [`Effect::ReadClient`](super::Effect::ReadClient) follows.
    ///
    /// Libraries write a whole pipeline before they read a byte: whatever a client has not read
    /// yet, it is read on, up to its bound. Were it not, both sides would wait for ever.
    pub fn may_read(&mut self, id: ClientId) -> bool {
        let settings = &self.rules.settings.clients;
        let Some(client) = self.clients.get_mut(id) else {
            return false;
        };
        let may = match client.ending {
            Ending::No => match &client.stream {
                None => client.may_send_more(settings),
                Some(stream) => stream.may_read() && client.may_send_more(settings),
            },
            // What it still sends is dropped: one that writes all before it reads is to get there.
            Ending::AfterReplies(_) | Ending::AfterOutput => true,
            Ending::HalfClosed => false,
        };
        client.unread = !may;
        if !may && client.is_held_up(settings) {
            self.look_later(id);
        }
        may
    }

    fn buffer(&mut self, id: ClientId, bytes: &[u8]) {
        if let Some(client) = self.clients.get_mut(id)
            && !bytes.is_empty()
            && matches!(client.ending, Ending::No)
        {
            client.input.push(bytes);
            self.buffered_bytes += bytes.len();
            self.shed_memory(id);
        }
    }

    /// Deals with a client's input again, after a hold or with more bytes.
    pub(super) fn resume(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if client.is_ending() {
            // What it has sent behind its last request is not dealt with any more.
            return self.close_if_done(id);
        }
        loop {
            self.stream_input(id);
            self.walk_input(id);
            if !self.has_more_for_stream(id) {
                break;
            }
        }
        self.allow_reading(id);
        self.close_if_done(id);
    }

    /// Deals with what a client has sent and nobody has looked at.
    fn walk_input(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if client.hold.is_none() && client.stream.is_none() && !client.input.is_empty() {
            let (buffer, start) = client.input.take();
            let walked = client.input.walked();
            self.buffered_bytes -= buffer.len() - start;
            let done = self.walk(id, buffer.get(start..).unwrap_or_default(), walked);
            if let Some(client) = self.clients.get_mut(id) {
                client.input.put_back(buffer, start + done);
                self.buffered_bytes += client.input.len();
            }
            // A lease for a request that turned out to need none.
            self.end_lease_if_unused(id);
        }
    }

    /// Tells the runtime when a client that it does not read may be read again.
    pub(super) fn allow_reading(&mut self, id: ClientId) {
        if self.clients.get(id).is_some_and(|client| client.unread) && self.may_read(id) {
            self.effects.push(super::Effect::ReadClient(id));
        }
    }

    /// Walks `bytes`, which begin with the request under way, of which `walked` bytes are
    /// known already. How many bytes are done with.
    fn walk(&mut self, id: ClientId, bytes: &[u8], walked: usize) -> usize {
        let rules = Arc::clone(&self.rules);
        self.look_at_pause();
        let Some(client) = self.clients.get_mut(id) else {
            return bytes.len();
        };
        let mut scanner = client.input.take_scanner();
        let (mut at, mut position) = (0_usize, walked);
        let mut strict = self.limits_of(id, &rules);
        let outcome = loop {
            // Of a huge request no more is walked than what tells that it is one.
            let end = match strict {
                None => bytes.len().min(at + rules.settings.clients.huge_from()),
                Some(_) => bytes.len(),
            };
            let rest = bytes.get(position..end).unwrap_or_default();
            if rest.is_empty() {
                break Outcome::Taken;
            }
            let limits = strict.as_ref().unwrap_or(&rules.settings.limits);
            let advance = match scanner.advance(rest, limits) {
                Ok(advance) => advance,
                Err(error) => match self.strangers_error(id, error) {
                    // Walked again, by the limits of those who need not log in.
                    None => {
                        (scanner, position, strict) = (RequestScanner::default(), at, None);
                        continue;
                    }
                    Some(outcome) => break outcome,
                },
            };
            position += advance.consumed;
            let whole = bytes.get(at..position).unwrap_or_default();
            let outcome = match advance.event {
                RequestEvent::NeedMore => break Outcome::Taken,
                RequestEvent::Empty => self.empty(id),
                RequestEvent::Complete(frame) => self.request(id, &rules, whole, &frame),
                RequestEvent::Inline { .. } => self.inline(id, &rules, whole),
            };
            let (outcome, length) = match outcome {
                Outcome::Block => {
                    let rest = bytes.get(at..).unwrap_or_default();
                    self.block(id, &rules, rest, whole.len())
                }
                other => (other, whole.len()),
            };
            self.dispatch();
            if matches!(outcome, Outcome::Held | Outcome::Ended) {
                break outcome;
            }
            let is_in = self.passed(id, length);
            // A login lifts them, a RESET brings them back.
            if strict.is_some() || !is_in {
                strict = self.limits_of(id, &rules);
            }
            at += length;
            if outcome == Outcome::TakenAlone {
                position = at;
                break outcome;
            }
            if at < bytes.len() {
                at += self.follow(id, &rules, bytes.get(at..).unwrap_or_default());
            }
            position = at;
        };
        self.walked(id, &rules, bytes, (at, position), scanner, outcome)
    }

    /// `bytes` have been walked up to `position`, and requests dealt with up to `at`. How many
    /// bytes are done with.
    fn walked(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        (at, position): (usize, usize),
        scanner: RequestScanner,
        outcome: Outcome,
    ) -> usize {
        if outcome == Outcome::Ended {
            return bytes.len();
        }
        if outcome == Outcome::Taken && scanner.in_frame() {
            let partial = bytes.get(at..position).unwrap_or_default();
            if self.begin_stream(id, rules, partial, &scanner) {
                return position;
            }
            if let Some(client) = self.clients.get_mut(id) {
                client.input.stopped(scanner, position - at);
            }
        }
        // A held request is walked again from its beginning.
        at
    }

    /// The request at the head of the input, `bytes` long, is done with. Whether its client may use
    /// commands behind it.
    fn passed(&mut self, id: ClientId, bytes: usize) -> bool {
        let Some(client) = self.clients.get_mut(id) else {
            return true;
        };
        if let Some(since) = client.waiting_since.take() {
            self.counters.waited(self.now.saturating_sub(since));
        }
        client.verdict = None;
        client.overdue_bytes = client.overdue_bytes.saturating_sub(bytes);
        client.is_in()
    }

    /// Nothing to execute. In Redis it uses up a `CLIENT REPLY SKIP` all the same.
    fn empty(&mut self, id: ClientId) -> Outcome {
        if let Some(client) = self.clients.get_mut(id) {
            client.session.reply_mode.begin_command();
        }
        Outcome::Taken
    }

    /// An inline request goes on in canonical form, as any other.
    fn inline(&mut self, id: ClientId, rules: &Rules, line: &[u8]) -> Outcome {
        let mut frame = std::mem::take(&mut self.inline_frame);
        frame.clear();
        let outcome = match inline::encode(line, &mut frame) {
            Ok(0) => self.empty(id),
            Ok(_) => match inline_frame(&frame, rules) {
                Some(parsed) => self.request(id, rules, &frame, &parsed),
                None => self.protocol_error(id, ProtocolError::UnbalancedQuotes),
            },
            Err(error) => self.protocol_error(id, error),
        };
        self.inline_frame = frame;
        outcome
    }

    /// Sends a request down the pipe that carries the client's earlier ones, or down any
    /// pipe of its context if there are none.
    pub(super) fn forward(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        spec: &Spec,
        receiver: Receiver,
    ) -> Outcome {
        let (clients, pool) = (&rules.settings.clients, &rules.settings.pool);
        let access = access_of(spec);
        let Some(client) = self.clients.get_mut(id) else {
            return Outcome::Ended;
        };
        if client.in_flight as usize >= clients.in_flight_max {
            return client.hold(Hold::Room);
        }
        if client.out.len() > clients.output_pause_bytes {
            return client.hold(Hold::Output);
        }
        let (context, in_flight, carrier) = (client.context(), client.in_flight, client.carrier);
        let carrier = if in_flight == 0 {
            match self.pick(context, access, bytes.len(), &rules.settings) {
                Some(pipe) => pipe,
                None => {
                    let busy = self.answer_busy(id, spec);
                    return busy.unwrap_or_else(|| self.wait_for_pipe(id, rules));
                }
            }
        } else if self.goes_on(context, carrier, access, bytes.len(), pool) {
            carrier
        } else {
            return self.hold(id, Hold::Replies);
        };
        self.send(id, carrier, bytes, spec, receiver, Fate::of(spec));
        Outcome::Taken
    }

    /// Answers with an error, at the request's turn.
    pub(super) fn refuse(&mut self, id: ClientId, refusal: &Refusal<'_>) -> Outcome {
        let now = self.now;
        let Some(client) = self.clients.get_mut(id) else {
            return Outcome::Ended;
        };
        if client.in_flight > 0 {
            return client.hold(Hold::Replies);
        }
        let silent = client.session.reply_mode.begin_command();
        client.active_at = now;
        // Redis remembers what it has looked up, whatever became of it.
        match refusal {
            Refusal::UnknownCommand { .. } | Refusal::UnknownSubcommand { .. } => {
                client.last_command.set("NULL");
            }
            Refusal::Arity { command } => client.last_command.set(command),
            _ => {}
        }
        self.counters.refused(refusal.label());
        self.counters.went(Way::Refused);
        match silent {
            false => self.reply_with(id, |out| refusal.write(out)),
            true if refusal.is_failure() => return self.cannot_be_told(id),
            true => {}
        }
        Outcome::Taken
    }

    /// A request was not carried out, and its client has asked for silence: it learns that by the end
    /// of its connection.
    pub(super) fn cannot_be_told(&mut self, id: ClientId) -> Outcome {
        self.leaves_for(id, Leave::Refused);
        self.end(id, Ending::AfterReplies(Box::default()));
        Outcome::Ended
    }

    /// The request has not run; `why` says that and why.
    pub(super) fn not_executed(&mut self, id: ClientId, why: NotExecuted<'_>) -> Outcome {
        self.refuse(id, &Refusal::NotExecuted(why))
    }

    /// Answers a request that is none, after all earlier replies, and closes.
    pub(super) fn protocol_error(&mut self, id: ClientId, error: ProtocolError) -> Outcome {
        let Some(client) = self.clients.get_mut(id) else {
            return Outcome::Ended;
        };
        self.counters.refused(error.label());
        tracing::debug!(
            client = client.session.id,
            error = error.label(),
            "protocol error"
        );
        let mut last_words = Vec::new();
        if !client.session.reply_mode.begin_command() {
            Refusal::Protocol(error).write(&mut last_words);
        }
        client.ending = Ending::AfterReplies(last_words.into());
        client.leaving.get_or_insert(Leave::ProtocolError);
        client.hold = None;
        self.close_if_done(id);
        Outcome::Ended
    }
}

impl Engine {
    pub(super) fn hold(&mut self, id: ClientId, hold: Hold) -> Outcome {
        match self.clients.get_mut(id) {
            Some(client) => client.hold(hold),
            None => Outcome::Ended,
        }
    }
}

impl Client {
    /// The next request waits for this.
    pub(super) fn hold(&mut self, hold: Hold) -> Outcome {
        self.hold = Some(hold);
        Outcome::Held
    }

    /// How much may wait for it, unread replies and requests not dealt with, before it is not read.
    fn ahead_max(&self, settings: &ClientSettings) -> usize {
        let ends_without_it = |hold| match hold {
            // Nothing but its reading ends it, and it may read only when it has written all.
            Hold::Output => false,
            Hold::Lease(LeaseFor::Upload) => true,
            _ => !self.is_in() || self.input.announced() > settings.big_request_bytes,
        };
        match self.hold.is_some_and(ends_without_it) {
            true => AHEAD_BYTES,
            false => settings.output_bytes_max.max(AHEAD_BYTES),
        }
    }

    /// Whether what waits for it leaves room for more.
    fn may_send_more(&self, settings: &ClientSettings) -> bool {
        let held = self.input.len() + self.out.len();
        let may = held < AHEAD_BYTES || held < self.ahead_max(settings);
        may && !planted::stops_reading(self.out.len(), settings)
    }

    /// Whether nothing moves any more unless it reads: it has sent as much ahead as it may.
    pub(super) fn is_held_up(&self, settings: &ClientSettings) -> bool {
        self.hold == Some(Hold::Output)
            && self.ending == Ending::No
            && self.input.len() + self.out.len() >= self.ahead_max(settings)
    }

    /// Whether its end has begun in a way that leaves its further requests aside.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.ending, Ending::AfterReplies(_) | Ending::AfterOutput)
    }

    /// A request has been dealt with or sent.
    pub(super) fn served(&mut self, now: Duration, command: &str) {
        self.active_at = now;
        self.last_command.set(command);
    }
}

/// What a pause of writes holds up (`processCommand`, server.c).
pub(super) fn access_of(spec: &Spec) -> Access {
    match spec.flags.intersects(Flags::WRITE | Flags::MAY_REPLICATE) {
        true => Access::Write,
        false => Access::Read,
    }
}

/// The request's first argument.
pub(super) fn name_of<'a>(bytes: &'a [u8], frame: &Frame) -> &'a [u8] {
    let at = frame.name_at as usize;
    bytes
        .get(at..at + frame.name_len as usize)
        .unwrap_or_default()
}

/// The frame of an inline request that was put into canonical form.
fn inline_frame(bytes: &[u8], rules: &Rules) -> Option<Frame> {
    let mut scanner = crate::resp::RequestScanner::default();
    match scanner.advance(bytes, &rules.settings.limits).ok()?.event {
        RequestEvent::Complete(frame) => Some(frame),
        RequestEvent::NeedMore | RequestEvent::Empty | RequestEvent::Inline { .. } => None,
    }
}
