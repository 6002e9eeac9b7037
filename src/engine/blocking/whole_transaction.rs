//! A whole `MULTI … EXEC` that has come in one piece: what pipelining clients send. It goes down a
//! pipe as one uninterrupted run, so it needs no backend of its own. Anything that would leave
//! state on a connection that many share, or that narrows answers itself, takes a lease instead.
//!
//! The run leaves before the server has said anything to its `MULTI`. Where that is refused the rest
//! runs as if it stood alone, as it does directly: so nothing that may wait is among it.

use crate::command::{Flags, Lookup, Spec};
use crate::resp::{Refusal, RequestEvent, RequestScanner};
use crate::session::step::{TransactionPart, part_of_transaction};

use crate::engine::clients::hold::{Hold, RequestOutcome};
use crate::engine::key::ClientId;
use crate::engine::lease::state::LeaseFor;
use crate::engine::reach::{Blocking, Traffic};
use crate::engine::request::name_of;
use crate::engine::slot::{Receiver, RetryClass, access_of};
use crate::engine::{Rules, fault_injection};

/// Most commands of a whole transaction on a pipe: others wait behind it.
const COMMANDS_MAX: usize = 1024;

/// Most bytes of a whole transaction on a pipe.
const BYTES_MAX: usize = 64 << 10;

/// One request of a whole transaction.
struct Part<'r> {
    bytes: usize,
    spec: &'r Spec,
    retry_class: RetryClass,
}

impl Blocking<'_> {
    /// `bytes` begin with a `MULTI`, `multi` bytes long, of a client without a lease. What becomes
    /// of it, and of how many bytes.
    pub fn whole_transaction(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        multi: usize,
    ) -> (RequestOutcome, usize) {
        let client = self.clients.get(id);
        let watch_lost = client.is_some_and(|client| client.session.lost.watch());
        let stays_open = client
            .and_then(|client| self.pool.credential(client.credential))
            .is_some_and(|credential| credential.blocks_stay_open);
        let parts = match watch_lost || stays_open {
            // It must be asked what it queues, and never run; or it would not end.
            true => None,
            false => parts_of_whole(rules, bytes, |spec| self.clients.forbidden(id, rules, spec)),
        };
        let Some(parts) = parts else {
            return (self.wait_for_lease(id, LeaseFor::Transaction), multi);
        };
        let length = parts.iter().map(|part| part.bytes).sum();
        let holds_up = |part: &Part<'_>| self.cx.pause_holds_up(access_of(part.spec));
        if parts.iter().any(holds_up) {
            return (self.clients.hold_for_pause(self.cx, id), length);
        }
        (
            self.traffic()
                .send_whole_transaction(id, rules, bytes, &parts, length),
            length,
        )
    }
}

impl Traffic<'_> {
    fn send_whole_transaction(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        parts: &[Part<'_>],
        length: usize,
    ) -> RequestOutcome {
        let (clients, pool) = (&rules.settings.clients, &rules.settings.pool);
        let Some(client) = self.clients.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        if client.out.len() > clients.output_pause_bytes {
            return client.hold(Hold::Output);
        }
        let (context, current_backend) = (client.context(), client.current_backend);
        let inner = parts
            .iter()
            .filter(|part| part.retry_class == RetryClass::InTransaction);
        let access = inner.map(|part| access_of(part.spec)).max();
        let access = access.unwrap_or_default();
        let current_backend = if client.in_flight == 0 {
            let key = self.pool.key_of(context);
            match self
                .pool
                .pick(self.cx, key, access, length, &rules.settings)
            {
                Some(pipe) => pipe,
                None => {
                    let outcome = self.wait_for_pipe(id, rules);
                    if outcome == RequestOutcome::Taken {
                        // Its MULTI was refused; nothing of the rest may run without it.
                        for _ in parts.iter().skip(1) {
                            self.queue_timed_out(id);
                        }
                    }
                    return outcome;
                }
            }
        } else if client.in_flight as usize + parts.len() > clients.in_flight_max
            || !self
                .pool
                .goes_on(context, current_backend, access, length, pool)
        {
            return self.clients.hold(id, Hold::Replies);
        } else {
            current_backend
        };
        let mut rest = bytes;
        let runs_script = parts
            .iter()
            .any(|part| part.spec.flags.contains(Flags::SCRIPT));
        for part in parts {
            let (request, after) = rest.split_at(part.bytes.min(rest.len()));
            rest = after;
            let retry_class = match part.retry_class {
                RetryClass::TransactionEnds if runs_script => RetryClass::TransactionRuns,
                retry_class => retry_class,
            };
            self.send(
                id,
                current_backend,
                request,
                part.spec,
                Receiver::Client,
                retry_class,
            );
        }
        RequestOutcome::Taken
    }
}

/// The requests of a transaction that is here up to its `EXEC` or `DISCARD` and that may go down a pipe.
fn parts_of_whole<'r>(
    rules: &'r Rules,
    bytes: &[u8],
    forbidden: impl Fn(&'r Spec) -> Option<Refusal<'r>>,
) -> Option<Vec<Part<'r>>> {
    let mut parts: Vec<Part<'r>> = Vec::new();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let advance = RequestScanner::default()
            .advance(rest, &rules.settings.limits)
            .ok()?;
        let RequestEvent::Complete(frame) = advance.event else {
            return None;
        };
        let request = rest.get(..advance.consumed)?;
        let name = name_of(request, &frame);
        let Lookup::Known(spec) = rules.commands.lookup(request, name, frame.argc) else {
            return None;
        };
        let incoming = rules.incoming(request, &frame, spec, forbidden(spec));
        let retry_class = match part_of_transaction(&incoming, parts.is_empty()) {
            Some(TransactionPart::Begins) => RetryClass::TransactionBegins,
            Some(TransactionPart::Ends) => RetryClass::TransactionEnds,
            Some(TransactionPart::Inside) => RetryClass::InTransaction,
            None if fault_injection::is_select_in_transaction(spec) => RetryClass::InTransaction,
            None => return None,
        };
        at += advance.consumed;
        parts.push(Part {
            bytes: advance.consumed,
            spec,
            retry_class,
        });
        if retry_class == RetryClass::TransactionEnds {
            return Some(parts);
        }
        if parts.len() > COMMANDS_MAX || at > BYTES_MAX {
            return None;
        }
    }
}
