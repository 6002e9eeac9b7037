//! Huge requests. One that announces more than `big_request_bytes` is not collected and
//! put on a pipe, where it would delay everybody: it streams over a lease of its own. One
//! that cannot be carried is swallowed as it comes and answered at its end.

use crate::command::{Lookup, Spec};
use crate::resp::{Refusal, RequestEvent, RequestScanner};
use crate::session::ReplyMode;
use crate::session::step::refusal_of_huge;
use crate::telemetry::ClientCloseReason;

use crate::engine::Rules;
use crate::engine::clients::hold::{Ending, Hold, RequestOutcome};
use crate::engine::clients::{Client, UploadStream, UploadTarget, WINDOW, lookup};
use crate::engine::key::ClientId;
use crate::engine::lease::state::LeaseFor;
use crate::engine::reach::{Blocking, Lending, Traffic};
use crate::engine::slot::{Receiver, RetryClass, Slot};

/// Bytes of a huge request that must be here before a backend is taken for it.
pub const FIRST_BYTES: usize = 64 << 10;

/// Bytes unsent to the backend past which the client is not read.
const UNSENT_BYTES_MAX: usize = 256 << 10;

/// Bytes that are passed on at once of what its client has sent ahead.
const PIECE_BYTES: usize = 64 << 10;

impl Blocking<'_> {
    /// Looks at an unfinished request, of which `partial` has come. True when it streams
    /// from now on: all of `partial` is taken.
    pub fn begin_stream(
        &mut self,
        id: ClientId,
        rules: &Rules,
        partial: &[u8],
        scanner: &RequestScanner,
    ) -> bool {
        // Of one that has not logged in it is bounded, and nothing of it runs before it is whole.
        let is_authenticated = self.clients.get(id).is_none_or(Client::is_authenticated);
        let huge = scanner.announced() > rules.settings.clients.big_request_bytes;
        if !is_authenticated || !huge || partial.len() < FIRST_BYTES {
            return false;
        }
        let Some(client) = self.clients.get_mut(id) else {
            return false;
        };
        if client.in_flight > 0 {
            client.head.hold = Some(Hold::Replies);
            return false;
        }
        // Nothing of a transaction that is lost may run, however large.
        let lost = client.session.lost.multi().then(|| {
            let mut reply = Vec::new();
            Refusal::InLostTransaction.write(&mut reply);
            reply
        });
        let waited = client.head.has_queue_timed_out();
        let leased = client.lease.is_some();
        if (lost.is_some() || (waited && !leased)) && client.session.reply_mode != ReplyMode::On {
            return self.clients.cannot_be_told(self.cx, id) == RequestOutcome::Ended;
        }
        let queueing = self
            .clients
            .lease_state(id)
            .is_some_and(|lease_state| lease_state.transaction.is_queueing());
        let refused = || {
            let forbidden = |spec| self.clients.forbidden(id, rules, spec);
            refusal_of(rules, partial, scanner, queueing, forbidden)
        };
        if let Some(reply) = lost.or_else(refused) {
            if let Some(lease_state) = self.clients.lease_state(id) {
                lease_state.transaction.refused();
            }
            self.clients.has_begun(self.cx, id, rules, partial, scanner);
            return self
                .clients
                .refuse_stream(self.cx, id, scanner, "huge_request", reply);
        }
        if !leased && waited {
            let mut reply = Vec::new();
            let refusal = Refusal::NotExecuted(self.pool.unavailable_reason(self.cx));
            refusal.write(&mut reply);
            let label = refusal.label();
            return self
                .clients
                .refuse_stream(self.cx, id, scanner, label, reply);
        }
        if !leased {
            if self.wait_for_lease(id, LeaseFor::Upload) == RequestOutcome::Taken {
                // Refused at once; what was written is the answer to the whole of it.
                self.clients
                    .swallow_stream(self.cx, id, scanner.clone(), Vec::new());
                return true;
            }
            return false;
        }
        self.clients.has_begun(self.cx, id, rules, partial, scanner);
        self.traffic().start_upload(id, partial, scanner.clone())
    }
}

impl Lending<'_> {
    /// More bytes of a huge request. What is left when it has ended is returned.
    pub fn stream_bytes<'a>(&mut self, id: ClientId, bytes: &'a [u8]) -> &'a [u8] {
        let limits = self.cx.rules.settings.limits.clone();
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
            self.clients
                .closes_for(id, ClientCloseReason::ProtocolError);
            self.end_broken(id, last_words);
            return &[];
        }
        stream.window_bytes += used as u64;
        let (part, rest) = bytes.split_at(used.min(bytes.len()));
        let current_backend = client.current_backend;
        if matches!(stream.target, UploadTarget::Lease)
            && let Some(backend) = self.pool.backend_mut(current_backend)
        {
            backend.out.push(part);
            stream.full = backend.out.unsent_len() > UNSENT_BYTES_MAX;
            self.pool.mark_backend(current_backend);
            self.pool.touch(current_backend);
        }
        if !ended {
            if let Some(client) = self.clients.get_mut(id) {
                client.stream = Some(stream);
            }
            return &[];
        }
        match stream.target {
            UploadTarget::Lease => {
                // Without a reply to come, the lease was lost on the way and that was said.
                if let Some(client) = self.clients.get_mut(id)
                    && client.in_flight > 0
                {
                    client.head.hold = Some(Hold::Replies);
                }
            }
            UploadTarget::Nowhere(reply) => self.clients.finish_swallowed(id, &reply),
        }
        rest
    }

    /// Passes on what is here of a huge request, as much as its backend takes.
    pub fn stream_input(&mut self, id: ClientId) {
        if !self.clients.has_more_for_stream(id) {
            return;
        }
        let Some(taken) = self.clients.take_input(id) else {
            return;
        };
        let bytes = taken.rest();
        let mut at = 0;
        let room = |client: &Client| client.stream.as_ref().is_some_and(|s| s.may_read());
        while at < bytes.len() && self.clients.get(id).is_some_and(room) {
            let end = bytes.len().min(at + PIECE_BYTES);
            let rest = self.stream_bytes(id, bytes.get(at..end).unwrap_or_default());
            at = end - rest.len();
        }
        self.clients.put_input_back(id, taken, at);
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
            self.clients.close_if_done(self.cx, id);
        }
    }

    /// Closes clients whose huge requests come too slowly, each with its backend.
    pub fn expire_streams(&mut self) {
        let least = self.cx.rules.settings.clients.upload_bytes_per_second_min;
        let least = least.saturating_mul(WINDOW.as_secs());
        let now = self.cx.now;
        while let Some(id) = self.clients.next_stream_due(self.cx) {
            // It may have passed, and another one be passing, that is judged at its own time.
            let stream = self.clients.get_mut(id).and_then(|c| c.stream.as_mut());
            let Some(stream) = stream.filter(|stream| stream.window_began + WINDOW <= now) else {
                continue;
            };
            if stream.window_bytes >= least || stream.full {
                (stream.window_began, stream.window_bytes) = (now, 0);
                self.clients.watch_stream(self.cx, id, now + WINDOW);
                continue;
            }
            let answered =
                matches!(&stream.target, UploadTarget::Nowhere(reply) if reply.is_empty());
            tracing::warn!("client closed: a huge request came too slowly");
            self.cx.counters.refused(Refusal::UploadTooSlow.label());
            let mut last_words = Vec::new();
            if !answered {
                Refusal::UploadTooSlow.write(&mut last_words);
            }
            self.clients.closes_for(id, ClientCloseReason::Refused);
            self.end_broken(id, last_words);
        }
    }
}

impl Traffic<'_> {
    /// First the slot, then the bytes.
    fn start_upload(&mut self, id: ClientId, partial: &[u8], scanner: RequestScanner) -> bool {
        let now = self.cx.now;
        let Some(client) = self.clients.get_mut(id) else {
            return false;
        };
        let Some(lease) = client.lease.as_ref() else {
            return false;
        };
        let (current_backend, way) = (lease.backend(), lease.state.purpose.way());
        let Some(backend) = self.pool.backend_mut(current_backend) else {
            return false;
        };
        assert_eq!(
            backend.context(),
            client.context(),
            "a huge request runs as its client's user and in its db"
        );
        self.cx.counters.went(way);
        let receiver = match client.session.reply_mode.begin_command() {
            true => Receiver::Silent,
            false => Receiver::Client,
        };
        let sequence = client.take_sequence();
        client.current_backend = current_backend;
        client.in_flight += 1;
        client.active_at = now;
        if let Some(since) = client.head.waits_no_more() {
            self.cx.counters.waited(now.saturating_sub(since));
        }
        backend.push_slot(
            Slot::new(id, sequence, now, 0, receiver, RetryClass::Unknown),
            now,
        );
        backend.out.stream(true);
        // Its name has come: the request was judged by it.
        let renamed = client.policy(&self.cx.rules).renames().sent(partial);
        backend.out.push(renamed.as_deref().unwrap_or(partial));
        client.stream = Some(Box::new(UploadStream {
            scanner,
            target: UploadTarget::Lease,
            window_began: now,
            window_bytes: 0,
            full: backend.out.unsent_len() > UNSENT_BYTES_MAX,
        }));
        self.pool.mark_backend(current_backend);
        self.pool.touch(current_backend);
        self.clients.watch_stream(self.cx, id, now + WINDOW);
        true
    }

    /// The backend of a huge request is lost before the request was whole: it has not
    /// run. The rest is swallowed, and that is what its client is told. False where it cannot be.
    pub fn stream_lost(client: &mut Client, receiver: Receiver) -> bool {
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
        stream.target = UploadTarget::Nowhere(reply.into());
        stream.full = false;
        true
    }

    /// A backend has taken bytes: its client may be read again.
    pub fn stream_room(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let current_backend = client.current_backend;
        if let Some(stream) = &mut client.stream
            && stream.full
            && let Some(backend) = self.pool.backend(current_backend)
            && backend.out.unsent_len() <= UNSENT_BYTES_MAX / 4
        {
            stream.full = false;
            self.clients.stream_goes_on(self.cx, id);
        }
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
            let refused = forbidden(spec).or_else(|| refusal_of_huge(spec, partial, queueing));
            refused?.write(&mut reply);
        }
        Lookup::UnknownSubcommand(_) | Lookup::Withheld(_) | Lookup::Unknown => {
            Refusal::UnknownCommand { frame: partial }.write(&mut reply);
        }
    }
    Some(reply)
}
