//! Walking replies: how many bytes of what has come belong to whom. Successive replies to
//! one client make one batch, which is handed over as a whole.

use crate::admission::fault_injection::{self, Bug};
use crate::engine::key::ClientId;
use crate::engine::slot::{Receiver, RetryClass, Settled, Slot};
use crate::resp::{Limits, ReplyKind};

use super::backend::{Backend, PipeState};
use super::close_reason::CloseReason;
use super::handshake::HandshakeStep;

/// Bytes from a backend that go to one receiver.
#[derive(Debug)]
pub struct ReplyBatch {
    /// How many bytes.
    pub bytes: usize,
    /// To whom.
    pub receiver: Receiver,
    /// To which client, if to one.
    pub client: ClientId,
    /// Sequence of the first reply that the batch ends, if it ends any.
    pub first: u32,
    /// Replies that end in the batch. More than one only for [`Receiver::Client`].
    pub ended: u32,
    /// What follows is not sane: after the batch has been handed over the backend is lost.
    pub error: Option<CloseReason>,
}

impl ReplyBatch {
    /// Nobody waits for these bytes.
    fn unsolicited(mut self, bytes: &[u8]) -> Self {
        match fault_injection::has(Bug::ExtraSkipped) {
            true => self.bytes = bytes.len(),
            false => self.error = Some(CloseReason::Unsolicited),
        }
        self
    }
}

impl Backend {
    /// Walks `bytes`, which are not empty, up to the end of the batch they begin with. Slots
    /// whose replies have come whole are consumed.
    pub fn next_batch(&mut self, bytes: &[u8], limits: &Limits, big: u64) -> ReplyBatch {
        let mut batch = ReplyBatch {
            bytes: 0,
            receiver: Receiver::Tombstone,
            client: ClientId::default(),
            first: 0,
            ended: 0,
            error: None,
        };
        let Some(slot) = self.in_flight.front() else {
            return batch.unsolicited(bytes);
        };
        (batch.receiver, batch.client) = (slot.receiver(), slot.client());
        loop {
            let rest = bytes.get(batch.bytes..).unwrap_or_default();
            let advance = match self.replies.advance(rest, limits) {
                Ok(advance) => advance,
                Err(error) => {
                    batch.error = Some(CloseReason::Malformed(error));
                    return batch;
                }
            };
            if let Some(kind) = self.replies.kind() {
                let reply = rest.get(..advance.consumed).unwrap_or_default();
                batch.error = self.mismatch(kind, reply, advance.complete);
                if !matches!(batch.error, None | Some(CloseReason::LeftOpen)) {
                    return batch;
                }
            }
            batch.bytes += advance.consumed;
            if !advance.complete {
                self.begun = matches!(batch.receiver, Receiver::Client | Receiver::OnLease(_));
                if self.replies.announced() > big {
                    self.turn_to(PipeState::Quarantined);
                }
                return batch;
            }
            self.begun = false;
            let Some(settled) = self.take_oldest() else {
                return batch;
            };
            // A server that answers before it has the whole request waits for the rest of it:
            // nothing else may be written to it.
            let streams = self.out.is_streaming() && self.out.unsent_len() > 0;
            if streams || self.out.was_overtaken() {
                batch.error = Some(CloseReason::Early);
            }
            if batch.ended == 0 {
                batch.first = settled.sequence;
            }
            // A reply out of turn would be another request's: never go on from there.
            assert_eq!(
                settled.sequence,
                batch.first.wrapping_add(batch.ended),
                "replies leave in request order"
            );
            batch.ended += 1;
            let (of_client, client) = (batch.receiver == Receiver::Client, batch.client);
            let same = |slot: &Slot| slot.receiver() == batch.receiver && slot.client() == client;
            let goes_on = batch.error.is_none()
                && of_client
                && batch.bytes < bytes.len()
                && self.in_flight.front().is_some_and(same);
            if !goes_on {
                return batch;
            }
        }
    }

    /// What is wrong with a reply of this kind to the oldest request. `reply` is what has come of
    /// it now.
    #[inline]
    fn mismatch(&mut self, kind: ReplyKind, reply: &[u8], whole: bool) -> Option<CloseReason> {
        if kind == ReplyKind::Push {
            return (!fault_injection::has(Bug::PushTaken)).then_some(CloseReason::Push);
        }
        let slot = self.in_flight.front()?;
        let is_check = matches!(
            slot.receiver(),
            Receiver::Ping | Receiver::Handshake(HandshakeStep::Check)
        );
        if !is_check && self.check.is_answered_by(reply) {
            return Some(CloseReason::OutOfStep);
        }
        let shape = slot.shape();
        if shape.allows(kind) {
            return None;
        }
        if matches!(kind, ReplyKind::Error | ReplyKind::BlobError) {
            return self.error_came(reply, whole);
        }
        let fits = fault_injection::has(Bug::KindIgnored)
            || (!whole && self.replies.may_become_null() && shape.allows(ReplyKind::Null));
        (!fits).then_some(CloseReason::WrongKind(kind))
    }

    /// What an error, of which `reply` has come now, says beyond its own request: that the server
    /// is busy with a script, or that a transaction has not ended.
    #[cold]
    fn error_came(&mut self, reply: &[u8], whole: bool) -> Option<CloseReason> {
        let room = ERROR_BYTES_MAX.saturating_sub(self.error.len());
        let part = reply.get(..room.min(reply.len())).unwrap_or_default();
        self.error.extend_from_slice(part);
        if !whole {
            return None;
        }
        let script = self.in_flight.front().is_some_and(Slot::is_script);
        // A script may say so itself.
        if self.error.starts_with(b"-BUSY ") && !script {
            self.busy = Some(self.error.as_slice().into());
        }
        let ends_transaction = self.in_flight.front().is_some_and(Slot::ends_transaction);
        let left_open = ends_transaction && !is_end_of_transaction(&self.error);
        self.error.clear();
        left_open.then_some(CloseReason::LeftOpen)
    }

    /// Takes the oldest slot: its reply is here.
    #[inline]
    pub fn take_oldest(&mut self) -> Option<Settled> {
        let slot = self.in_flight.pop_front()?;
        let settled = match slot.receiver() {
            Receiver::Silent | Receiver::OnLeaseSilent(_) | Receiver::Tombstone => slot.discard(),
            _ => slot.deliver(),
        };
        self.script_over |= matches!(
            settled.retry_class,
            RetryClass::Script | RetryClass::TransactionRuns
        );
        self.out.reply_came(settled.bytes);
        Some(settled)
    }
}

/// How much of an error is looked at, in bytes: more than any that is known here.
const ERROR_BYTES_MAX: usize = 512;

/// Whether an error in answer to `EXEC` or `DISCARD` means that nothing is queued any more, or that
/// nothing ever was. After any other, as of a user who may `MULTI` and not `DISCARD`, the server
/// goes on queueing (`rejectCommand`, server.c; `execCommandAbort`, multi.c).
fn is_end_of_transaction(error: &[u8]) -> bool {
    let error = error.trim_ascii_end();
    error.starts_with(b"-EXECABORT")
        || error.ends_with(b" without MULTI")
        || error.ends_with(b" EXEC aborted.")
}

#[cfg(test)]
mod tests {
    use super::is_end_of_transaction;

    #[test]
    fn what_is_no_known_end_leaves_a_block_open() {
        for end in [
            "-EXECABORT Transaction discarded because of previous errors.\r\n",
            "-ERR EXEC without MULTI\r\n",
            "-ERR DISCARD without MULTI\r\n",
        ] {
            assert!(is_end_of_transaction(end.as_bytes()), "{end}");
        }
        for open in [
            "-NOPERM this user has no permissions to run the 'discard' command\r\n",
            "-BUSY Redis is busy running a script.\r\n",
            "-ERR unknown command 'DISCARD'\r\n",
        ] {
            assert!(!is_end_of_transaction(open.as_bytes()), "{open}");
        }
    }
}
