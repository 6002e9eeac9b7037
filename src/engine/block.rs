//! A whole `MULTI … EXEC` that has come in one piece: what pipelining clients send. It goes down a
//! pipe as one uninterrupted run, so it needs no backend of its own. Anything that would leave
//! state on a connection that many share, or that narrows answers itself, takes a lease instead.
//!
//! The run leaves before the server has said anything to its `MULTI`. Where that is refused the rest
//! runs as if it stood alone, as it does directly: so nothing that may wait is among it.

use crate::command::{Flags, Lookup, Spec};
use crate::resp::{Refusal, RequestEvent, RequestScanner};
use crate::session::step::{TransactionPart, part_of_transaction};

use super::clients::hold::{Hold, Outcome};
use super::key::ClientId;
use super::lease::lent::LeaseFor;
use super::reach::{Blocking, Traffic};
use super::request::name_of;
use super::slot::{Fate, Receiver, access_of};
use super::{Rules, planted};

/// Most commands of a block on a pipe: others wait behind it.
const COMMANDS_MAX: usize = 1024;

/// Most bytes of a block on a pipe.
const BYTES_MAX: usize = 64 << 10;

/// One request of a block.
struct Part<'r> {
    bytes: usize,
    spec: &'r Spec,
    fate: Fate,
}

impl Blocking<'_> {
    /// `bytes` begin with a `MULTI`, `multi` bytes long, of a client without a lease. What becomes
    /// of it, and of how many bytes.
    pub fn block(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        multi: usize,
    ) -> (Outcome, usize) {
        let client = self.clients.get(id);
        let watch_lost = client.is_some_and(|client| client.session.lost.watch());
        let stays_open = client
            .and_then(|client| self.pool.credentials.get(client.credential))
            .is_some_and(|credential| credential.blocks_stay_open);
        let parts = match watch_lost || stays_open {
            // It must be asked what it queues, and never run; or it would not end.
            true => None,
            false => whole_block(rules, bytes, |spec| self.clients.forbidden(id, rules, spec)),
        };
        let Some(parts) = parts else {
            return (self.wait_for_lease(id, LeaseFor::Bracket), multi);
        };
        let length = parts.iter().map(|part| part.bytes).sum();
        let holds_up = |part: &Part<'_>| self.cx.pause_holds_up(access_of(part.spec));
        if parts.iter().any(holds_up) {
            return (self.clients.hold_for_pause(self.cx, id), length);
        }
        (
            self.traffic().send_block(id, rules, bytes, &parts, length),
            length,
        )
    }
}

impl Traffic<'_> {
    fn send_block(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        parts: &[Part<'_>],
        length: usize,
    ) -> Outcome {
        let (clients, pool) = (&rules.settings.clients, &rules.settings.pool);
        let Some(client) = self.clients.get_mut(id) else {
            return Outcome::Ended;
        };
        if client.out.len() > clients.output_pause_bytes {
            return client.hold(Hold::Output);
        }
        let (context, carrier) = (client.context(), client.carrier);
        let inner = parts.iter().filter(|part| part.fate == Fate::Block);
        let access = inner.map(|part| access_of(part.spec)).max();
        let access = access.unwrap_or_default();
        let carrier = if client.in_flight == 0 {
            let key = self.pool.key_of(context);
            match self
                .pool
                .pick(self.cx, key, access, length, &rules.settings)
            {
                Some(pipe) => pipe,
                None => {
                    let outcome = self.wait_for_pipe(id, rules);
                    if outcome == Outcome::Taken {
                        // Its MULTI was refused; nothing of the rest may run without it.
                        for _ in parts.iter().skip(1) {
                            self.overdue(id);
                        }
                    }
                    return outcome;
                }
            }
        } else if client.in_flight as usize + parts.len() > clients.in_flight_max
            || !self.pool.goes_on(context, carrier, access, length, pool)
        {
            return self.clients.hold(id, Hold::Replies);
        } else {
            carrier
        };
        let mut rest = bytes;
        let runs_script = parts
            .iter()
            .any(|part| part.spec.flags.contains(Flags::SCRIPT));
        for part in parts {
            let (request, after) = rest.split_at(part.bytes.min(rest.len()));
            rest = after;
            let fate = match part.fate {
                Fate::BlockEnds if runs_script => Fate::BlockRuns,
                fate => fate,
            };
            self.send(id, carrier, request, part.spec, Receiver::Client, fate);
        }
        Outcome::Taken
    }
}

/// The requests of a block that is here up to its `EXEC` or `DISCARD` and that may go down a pipe.
fn whole_block<'r>(
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
        let fate = match part_of_transaction(&incoming, parts.is_empty()) {
            Some(TransactionPart::Begins) => Fate::BlockBegins,
            Some(TransactionPart::Ends) => Fate::BlockEnds,
            Some(TransactionPart::Inside) => Fate::Block,
            None if planted::is_select_in_block(spec) => Fate::Block,
            None => return None,
        };
        at += advance.consumed;
        parts.push(Part {
            bytes: advance.consumed,
            spec,
            fate,
        });
        if fate == Fate::BlockEnds {
            return Some(parts);
        }
        if parts.len() > COMMANDS_MAX || at > BYTES_MAX {
            return None;
        }
    }
}
