//! Huge requests. One that announces more than `big_request_bytes` is not collected and
//! put on a pipe, where it would delay everybody: it streams over a lease of its own. One
//! that cannot be carried is swallowed as it comes and answered at its end.

use std::time::Duration;

use crate::command::{Lookup, Route, Spec};
use crate::resp::{Refusal, RequestEvent, RequestScanner};
use crate::session::ReplyMode;
use crate::telemetry::{self, Leave};

use super::client::Client;
use super::hold::{Ending, Hold, Outcome};
use super::key::ClientId;
use super::lease::LeaseFor;
use super::slot::{Fate, Receiver, Slot};
use super::{Engine, Rules};

/// Bytes of a huge request that must be here before a backend is taken for it.
pub(super) const FIRST_BYTES: usize = 64 << 10;

/// Bytes unsent to the backend past which the client is not read.
const UNSENT_BYTES_MAX: usize = 256 << 10;

/// Bytes that are passed on at once of what its client has sent ahead.
const PIECE_BYTES: usize = 64 << 10;

/// How long a slow upload is watched before it is judged.
const WINDOW: Duration = Duration::from_secs(5);

/// A huge request that is passing through.
#[derive(Debug)]
pub struct Stream {
    scanner: RequestScanner,
    way: Way,
    window_began: Duration,
    window_bytes: u64,
    /// The backend has taken too little so far for more to be read.
    full: bool,
}

#[derive(Debug)]
enum Way {
    /// To the client's lease.
    Lease,
    /// To nobody; at its end, this is the answer.
    Nowhere(Box<[u8]>),
}

impl Stream {
    /// What is still to come is read and dropped, and has no answer of its own.
    pub fn swallow_rest(&mut self) {
        self.way = Way::Nowhere(Box::default());
        self.full = false;
    }

    /// Whether the rest goes nowhere.
    pub fn is_swallowed(&self) -> bool {
        matches!(self.way, Way::Nowhere(_))
    }

    /// Whether more of the request may be read from the client.
    pub fn may_read(&self) -> bool {
        !self.full
    }
}

impl Engine {
    /// Looks at an unfinished request, of which `partial` has come. True when it streams
    /// from now on: all of `partial` is taken.
    pub(super) fn begin_stream(
        &mut self,
        id: ClientId,
        rules: &Rules,
        partial: &[u8],
        scanner: &RequestScanner,
    ) -> bool {
        let settings = &rules.settings.clients;
        if !self.clients.get(id).is_none_or(Client::is_in) {
            // Bounded, and nothing of it runs before it is whole.
            return false;
        }
        if scanner.announced() <= settings.big_request_bytes || partial.len() < FIRST_BYTES {
            return false;
        }
        let Some(client) = self.clients.get_mut(id) else {
            return false;
        };
        if client.in_flight > 0 {
            client.hold = Some(Hold::Replies);
            return false;
        }
        // Nothing of a transaction that is lost may run, however large.
        let lost = client.session.lost.multi().then(|| {
            let mut reply = Vec::new();
            Refusal::InLostTransaction.write(&mut reply);
            reply
        });
        let waited = client.overdue_bytes > 0;
        let leased = client.lease.is_some();
        if (lost.is_some() || (waited && !leased)) && client.session.reply_mode != ReplyMode::On {
            return self.cannot_be_told(id) == Outcome::Ended;
        }
        let queueing = self.lent(id).is_some_and(|lent| lent.bracket.is_queueing());
        let refused = || {
            let forbidden = |spec| self.forbidden(id, rules, spec);
            refusal_of(rules, partial, scanner, queueing, forbidden)
        };
        if let Some(reply) = lost.or_else(refused) {
            self.counters.refused("huge_request");
            self.counters.went(telemetry::Way::Refused);
            if let Some(lent) = self.lent(id) {
                lent.bracket.refused();
            }
            self.has_begun(id, rules, partial, scanner);
            self.swallow_stream(id, scanner.clone(), reply);
            return true;
        }
        if !leased {
            if waited {
                let mut reply = Vec::new();
                let refusal = Refusal::NotExecuted(self.why_not());
                refusal.write(&mut reply);
                let label = refusal.label();
                self.counters.refused(label);
                self.counters.went(telemetry::Way::Refused);
                self.swallow_stream(id, scanner.clone(), reply);
                return true;
            }
            if self.wait_for_lease(id, LeaseFor::Upload) == Outcome::Taken {
                // Refused at once; what was written is the answer to the whole of it.
                self.swallow_stream(id, scanner.clone(), Vec::new());
                return true;
            }
            return false;
        }
        self.has_begun(id, rules, partial, scanner);
        self.start_upload(id, partial, scanner.clone())
    }

    /// From now on the client's last command is this one.
    fn has_begun(&mut self, id: ClientId, rules: &Rules, partial: &[u8], scanner: &RequestScanner) {
        let now = self.now;
        let name = match lookup(rules, partial, scanner) {
            Some(Lookup::Known(spec)) => &*spec.name,
            _ => "NULL",
        };
        if let Some(client) = self.clients.get_mut(id) {
            client.served(now, name);
        }
    }

    /// First the slot, then the bytes.
    fn start_upload(&mut self, id: ClientId, partial: &[u8], scanner: RequestScanner) -> bool {
        let now = self.now;
        let Some(client) = self.clients.get_mut(id) else {
            return false;
        };
        let Some(lease) = client.lease.as_ref() else {
            return false;
        };
        let (carrier, way) = (lease.backend(), lease.lent.purpose.way());
        let Some(backend) = self.backends.get_mut(carrier) else {
            return false;
        };
        assert_eq!(
            backend.context(),
            client.context(),
            "a huge request runs as its client's user and in its db"
        );
        self.counters.went(way);
        let receiver = match client.session.reply_mode.begin_command() {
            true => Receiver::Silent,
            false => Receiver::Client,
        };
        let sequence = client.take_sequence();
        client.carrier = carrier;
        client.in_flight += 1;
        client.active_at = now;
        if let Some(since) = client.waiting_since.take() {
            self.counters.waited(now.saturating_sub(since));
        }
        backend.expect(
            Slot::new(id, sequence, now, 0, receiver, Fate::Unknown),
            now,
        );
        backend.out.stream(true);
        // Its name has come: the request was judged by it.
        let renamed = client.policy(&self.rules).renames().sent(partial);
        backend.out.push(renamed.as_deref().unwrap_or(partial));
        client.stream = Some(Box::new(Stream {
            scanner,
            way: Way::Lease,
            window_began: now,
            window_bytes: 0,
            full: backend.out.unsent_len() > UNSENT_BYTES_MAX,
        }));
        self.mark_backend(carrier);
        self.weights.touch(carrier);
        self.watch_stream(id, now + WINDOW);
        true
    }

    /// The rest of the request under way is read and dropped; `reply` is its answer.
    fn swallow_stream(&mut self, id: ClientId, scanner: RequestScanner, reply: Vec<u8>) {
        let now = self.now;
        if let Some(client) = self.clients.get_mut(id) {
            client.hold = None;
            client.stream = Some(Box::new(Stream {
                scanner,
                way: Way::Nowhere(reply.into()),
                window_began: now,
                window_bytes: 0,
                full: false,
            }));
            self.watch_stream(id, now + WINDOW);
        }
    }

    /// More bytes of a huge request. What is left when it has ended is returned.
    pub(super) fn stream_bytes<'a>(&mut self, id: ClientId, bytes: &'a [u8]) -> &'a [u8] {
        let limits = self.rules.settings.limits.clone();
        let Some(client) = self.clients.get_mut(id) else {
            return &[];
        };
        let Some(mut stream) = client.stream.take() else {
            return bytes;
        };
        let (used, ended, failed) = match stream.scanner.advance(bytes, &limits) {
            Ok(advance) => (
                advance.consumed,
                matches!(advance.event, RequestEvent::Complete(_)),
                None,
            ),
            Err(error) => (0, true, Some(error)),
        };
        if let Some(error) = failed {
            // Half a request has gone out: the lease is broken with the client.
            let mut last_words = Vec::new();
            Refusal::Protocol(error).write(&mut last_words);
            self.leaves_for(id, Leave::ProtocolError);
            self.end_broken(id, last_words);
            return &[];
        }
        stream.window_bytes += used as u64;
        let (part, rest) = bytes.split_at(used.min(bytes.len()));
        let carrier = client.carrier;
        if matches!(stream.way, Way::Lease)
            && let Some(backend) = self.backends.get_mut(carrier)
        {
            backend.out.push(part);
            stream.full = backend.out.unsent_len() > UNSENT_BYTES_MAX;
            self.mark_backend(carrier);
            self.weights.touch(carrier);
        }
        if !ended {
            if let Some(client) = self.clients.get_mut(id) {
                client.stream = Some(stream);
            }
            return &[];
        }
        match stream.way {
            Way::Lease => {
                // Without a reply to come, the lease was lost on the way and that was said.
                if let Some(client) = self.clients.get_mut(id)
                    && client.in_flight > 0
                {
                    client.hold = Some(Hold::Replies);
                }
            }
            Way::Nowhere(reply) => self.finish_swallowed(id, &reply),
        }
        rest
    }

    /// Whether some of a huge request is here that can be passed on now.
    pub(super) fn has_more_for_stream(&self, id: ClientId) -> bool {
        let more = |client: &Client| {
            let stream = client.stream.as_ref();
            stream.is_some_and(|stream| stream.may_read()) && !client.input.is_empty()
        };
        self.clients.get(id).is_some_and(more)
    }

    /// Passes on what is here of a huge request, as much as its backend takes.
    pub(super) fn stream_input(&mut self, id: ClientId) {
        if !self.has_more_for_stream(id) {
            return;
        }
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let (buffer, mut at) = client.input.take();
        self.buffered_bytes -= buffer.len() - at;
        let room = |client: &Client| client.stream.as_ref().is_some_and(|s| s.may_read());
        while at < buffer.len() && self.clients.get(id).is_some_and(room) {
            let end = buffer.len().min(at + PIECE_BYTES);
            let rest = self.stream_bytes(id, buffer.get(at..end).unwrap_or_default());
            at = end - rest.len();
        }
        if let Some(client) = self.clients.get_mut(id) {
            client.input.put_back(buffer, at);
            self.buffered_bytes += client.input.len();
        }
    }

    /// A client goes on with a huge request: what it has sent ahead comes first.
    pub(super) fn stream_goes_on(&mut self, id: ClientId) {
        match self.has_more_for_stream(id) {
            true => self.resumed.push_back(id),
            false => self.allow_reading(id),
        }
    }

    fn finish_swallowed(&mut self, id: ClientId, reply: &[u8]) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        client.overdue_bytes = 0;
        client.waiting_since = None;
        if !client.session.reply_mode.begin_command() {
            self.reply_with(id, |out| out.extend_from_slice(reply));
        }
    }

    /// The client gets these last bytes and is closed; its lease is broken.
    fn end_broken(&mut self, id: ClientId, mut last_words: Vec<u8>) {
        if let Some(client) = self.clients.get_mut(id) {
            if client.session.reply_mode.begin_command() {
                last_words.clear();
            }
            client.stream = None;
            client.ending = Ending::AfterReplies(last_words.into());
            // The slot of the half-sent request fails with the backend, unheard.
            if let Some(lease) = client.part_with_lease() {
                self.break_lease(lease);
            }
            self.close_if_done(id);
        }
    }

    /// The backend of a huge request is lost before the request was whole: it has not
    /// run. The rest is swallowed, and that is what its client is told. False where it cannot be.
    pub(super) fn stream_lost(client: &mut Client, receiver: Receiver) -> bool {
        let Some(stream) = &mut client.stream else {
            return false;
        };
        if receiver == Receiver::Silent {
            // It cannot be told, and nothing more of it is read.
            client.stream = None;
            return false;
        }
        let mut reply = Vec::new();
        Refusal::NotExecuted(crate::resp::NotExecuted::BackendLost).write(&mut reply);
        stream.way = Way::Nowhere(reply.into());
        stream.full = false;
        true
    }

    /// A backend has taken bytes: its client may be read again.
    pub(super) fn stream_room(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let carrier = client.carrier;
        if let Some(stream) = &mut client.stream
            && stream.full
            && let Some(backend) = self.backends.get(carrier)
            && backend.out.unsent_len() <= UNSENT_BYTES_MAX / 4
        {
            stream.full = false;
            self.stream_goes_on(id);
        }
    }

    /// Closes clients whose huge requests come too slowly, each with its backend.
    pub(super) fn expire_streams(&mut self) {
        let least = self.rules.settings.clients.upload_bytes_per_second_min;
        let least = least.saturating_mul(WINDOW.as_secs());
        let now = self.now;
        while let Some(&(at, id)) = self.streams.first() {
            if at > now {
                return self.wake_at(at);
            }
            self.steps += 1;
            self.streams.remove(&(at, id));
            // It may have passed, and another one be passing, that is judged at its own time.
            let stream = self.clients.get_mut(id).and_then(|c| c.stream.as_mut());
            let Some(stream) = stream.filter(|stream| stream.window_began + WINDOW <= now) else {
                continue;
            };
            if stream.window_bytes >= least || stream.full {
                (stream.window_began, stream.window_bytes) = (now, 0);
                self.watch_stream(id, now + WINDOW);
                continue;
            }
            let answered = matches!(&stream.way, Way::Nowhere(reply) if reply.is_empty());
            tracing::warn!("client closed: a huge request came too slowly");
            self.counters.refused(Refusal::UploadTooSlow.label());
            let mut last_words = Vec::new();
            if !answered {
                Refusal::UploadTooSlow.write(&mut last_words);
            }
            self.leaves_for(id, Leave::Refused);
            self.end_broken(id, last_words);
        }
    }

    fn watch_stream(&mut self, id: ClientId, at: Duration) {
        self.streams.insert((at, id));
        self.wake_at(at);
    }
}

/// The answer to a huge request that is not to be carried, judged by what has come of it.
/// `queueing`: it stands in a transaction, where nothing waits.
fn refusal_of<'r>(
    rules: &'r Rules,
    partial: &[u8],
    scanner: &RequestScanner,
    queueing: bool,
    forbidden: impl Fn(&'r Spec) -> Option<Refusal<'r>>,
) -> Option<Vec<u8>> {
    let mut reply = Vec::new();
    match lookup(rules, partial, scanner).unwrap_or(Lookup::Unknown) {
        Lookup::Known(spec) => {
            let command = &*spec.name;
            if let Some(refusal) = forbidden(spec) {
                refusal.write(&mut reply);
            } else {
                match spec.route_of(partial) {
                    Route::Shared | Route::Unpins(_) | Route::Restricted | Route::Info => {
                        return None;
                    }
                    Route::Blocking if queueing && !spec.waits_for_own_writes() => return None,
                    Route::NotForwarded => Refusal::NotForwarded { command }.write(&mut reply),
                    // Their arguments, or their replies, are looked at.
                    _ => Refusal::TooLarge.write(&mut reply),
                }
            }
        }
        Lookup::UnknownSubcommand(_) | Lookup::Withheld(_) | Lookup::Unknown => {
            Refusal::UnknownCommand { frame: partial }.write(&mut reply);
        }
    }
    Some(reply)
}

/// What a huge request asks for, judged by what has come of it.
fn lookup<'r>(rules: &'r Rules, partial: &[u8], scanner: &RequestScanner) -> Option<Lookup<'r>> {
    let (at, len) = scanner.name()?;
    let name = partial.get(at as usize..at as usize + len as usize)?;
    let argc = scanner.argc().unwrap_or(1);
    Some(rules.commands.lookup(partial, name, argc))
}
