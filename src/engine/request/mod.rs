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

pub mod local;
pub mod on_lease;
pub mod own_connection;
pub mod queued;
pub mod route;

use std::sync::Arc;
use std::time::Duration;

use crate::resp::{Frame, ProtocolError, RequestEvent, RequestScanner, inline};

use super::clients::hold::{Ending, RequestOutcome};
use super::fault_injection::{self, Bug};
use super::key::ClientId;
use super::reach::{Blocking, Memory};
use super::{Engine, Rules};

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
        if client.head.hold.is_some() || !client.input.is_empty() {
            self.memory().buffer(id, bytes);
            self.resume(id);
        } else if client.stream.is_some() {
            let rest = self.lending().stream_bytes(id, bytes);
            if !rest.is_empty() {
                self.memory().buffer(id, rest);
                self.resume(id);
            }
        } else {
            let done = self.walk(id, bytes, 0);
            let rest = bytes.get(done..).unwrap_or_default();
            if !rest.is_empty() {
                self.memory().buffer(id, rest);
                if self.clients.has_more_for_stream(id) {
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
            self.blocking().leaves_while_it_waits(id);
            self.clients.close_if_done(&mut self.cx, id);
        }
    }

    /// A client that [is not read](Engine::may_read) has sent its end all the same, behind what has
    /// not been read of it. Who waits for as long as it takes has left then, as in Redis, which reads
    /// on behind a command that waits.
    pub fn client_hung_up(&mut self, id: ClientId, now: Duration) {
        self.advance_to(now);
        if fault_injection::has(Bug::HangUpMissed) {
            return;
        }
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        client.hung_up = true;
        self.blocking().leaves_while_it_waits(id);
    }

    /// Whether the runtime may read this client now. When not, it watches for the client's
    /// [end](Engine::client_hung_up), and an
    /// [`Effect::ReadClient`](super::Effect::ReadClient) follows.
    pub fn may_read(&mut self, id: ClientId) -> bool {
        self.clients.may_read(&mut self.cx, id)
    }

    /// Deals with a client's input again, after a hold or with more bytes.
    pub(super) fn resume(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if client.is_ending() {
            // What it has sent behind its last request is not dealt with any more.
            return self.clients.close_if_done(&mut self.cx, id);
        }
        loop {
            self.lending().stream_input(id);
            // What stands behind the end of a client, such as a huge request that went wrong, is no request.
            let client = self.clients.get(id).filter(|client| !client.is_ending());
            if let Some(client) = client.filter(|client| client.has_more_input()) {
                let walked = client.input.walked();
                if let Some(taken) = self.clients.take_input(id) {
                    let done = self.walk(id, taken.rest(), walked);
                    self.clients.put_input_back(id, taken, done);
                    // A lease for a request that turned out to need none.
                    self.lending().end_lease_if_unused(id);
                }
            }
            if !self.clients.has_more_for_stream(id) {
                break;
            }
        }
        self.clients.allow_reading(&mut self.cx, id);
        self.clients.close_if_done(&mut self.cx, id);
    }

    /// Walks `bytes`, which begin with the request under way, of which `walked` bytes are
    /// known already. How many bytes are done with.
    fn walk(&mut self, id: ClientId, bytes: &[u8], walked: usize) -> usize {
        let rules = Arc::clone(&self.cx.rules);
        self.cx.look_at_pause();
        let Some(client) = self.clients.get_mut(id) else {
            return bytes.len();
        };
        let mut scanner = client.input.take_scanner();
        let (mut at, mut position) = (0_usize, walked);
        let mut strict = self.clients.limits_of(id, &rules);
        let outcome = loop {
            let end = end_of_look(strict.is_some(), at, bytes, &rules);
            let rest = bytes.get(position..end).unwrap_or_default();
            if rest.is_empty() {
                break RequestOutcome::Taken;
            }
            let limits = strict.as_ref().unwrap_or(&rules.settings.limits);
            let advance = match scanner.advance(rest, limits) {
                Ok(advance) => advance,
                Err(error) => match self.gate().unauthenticated_error(id, error) {
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
                RequestEvent::NeedMore => break RequestOutcome::Taken,
                RequestEvent::Empty => self.clients.empty(id),
                RequestEvent::Complete(frame) => self.request(id, &rules, whole, &frame),
                RequestEvent::Inline { .. } => self.inline(id, &rules, whole),
            };
            let (outcome, length) = match outcome {
                RequestOutcome::WholeTransaction => {
                    let (rest, first) = (bytes.get(at..).unwrap_or_default(), whole.len());
                    self.blocking().whole_transaction(id, &rules, rest, first)
                }
                other => (other, whole.len()),
            };
            if matches!(outcome, RequestOutcome::Held | RequestOutcome::Ended) {
                break outcome;
            }
            let is_authenticated = self.clients.passed(&mut self.cx, id, length);
            // A login lifts them, a RESET brings them back.
            if strict.is_some() || !is_authenticated {
                strict = self.clients.limits_of(id, &rules);
            }
            at += length;
            let rest = bytes.get(at..).unwrap_or_default();
            if !rest.is_empty() && outcome != RequestOutcome::TakenAlone {
                at += self.traffic().forward_batch(id, &rules, rest);
            }
            position = at;
            if outcome == RequestOutcome::TakenAlone {
                break outcome;
            }
        };
        let partial = bytes.get(at..position).unwrap_or_default();
        match outcome {
            RequestOutcome::Ended => bytes.len(),
            RequestOutcome::Taken if scanner.in_frame() => {
                (self.blocking()).walked(id, &rules, at, partial, scanner)
            }
            // A held request is walked again from its beginning.
            _ => at,
        }
    }

    /// An inline request goes on in canonical form, as any other.
    fn inline(&mut self, id: ClientId, rules: &Rules, line: &[u8]) -> RequestOutcome {
        let mut frame = std::mem::take(&mut self.inline_frame);
        frame.clear();
        let outcome = match inline::encode(line, &mut frame) {
            Ok(0) => self.clients.empty(id),
            Ok(_) => match inline_frame(&frame, rules) {
                Some(parsed) => self.request(id, rules, &frame, &parsed),
                None => {
                    self.clients
                        .protocol_error(&mut self.cx, id, ProtocolError::UnbalancedQuotes)
                }
            },
            Err(error) => self.clients.protocol_error(&mut self.cx, id, error),
        };
        self.inline_frame = frame;
        outcome
    }
}

impl Memory<'_> {
    fn buffer(&mut self, id: ClientId, bytes: &[u8]) {
        if let Some(client) = self.clients.get(id)
            && !bytes.is_empty()
            && matches!(client.ending, Ending::No)
        {
            self.clients.push_input(id, bytes);
            self.shed_memory(id);
        }
    }
}

impl Blocking<'_> {
    /// The requests in the first `at` bytes have been dealt with, and `partial` behind them, which begins
    /// another one, has been walked. How many bytes are done with.
    fn walked(
        &mut self,
        id: ClientId,
        rules: &Rules,
        at: usize,
        partial: &[u8],
        scanner: RequestScanner,
    ) -> usize {
        if self.begin_stream(id, rules, partial, &scanner) {
            return at + partial.len();
        }
        if let Some(client) = self.clients.get_mut(id) {
            client.input.stopped(scanner, partial.len());
        }
        at
    }
}

/// How far a client's input is looked at: of a huge request, which begins at `at`, no further than what
/// tells that it is one. Where strict limits hold there is none.
#[inline]
fn end_of_look(strict: bool, at: usize, bytes: &[u8], rules: &Rules) -> usize {
    match strict {
        true => bytes.len(),
        false => bytes.len().min(at + rules.settings.clients.huge_from()),
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
