//! Where a client's transaction stands on the connection that it has been lent: what the server's
//! replies have shown, and what must become of its `EXEC`.
//!
//! Nothing is guessed ahead: the state changes when a reply is here, and whoever decides by it
//! first lets all earlier replies come in.

use crate::resp::{Protocol, Refusal, write};

use super::{AbortReason, LostTransaction, StateChange};

/// A place in `EXEC`'s reply that does not go to the client as it is.
#[derive(Debug)]
pub struct ExecPlace {
    /// The place, from 0.
    pub at: u32,
    /// What belongs there.
    pub what: Filled,
}

/// See [`ExecPlace`].
#[derive(Debug)]
pub enum Filled {
    /// narrows' own answer to this request; the server ran a `PING` instead.
    Local(Box<[u8]>),
    /// The same, where all workers are asked first.
    Asked(Box<[u8]>),
    /// The server's `INFO`, made true for narrows' clients.
    Info {
        /// Whether it asked for the section about narrows.
        section: bool,
    },
    /// The server's answer to `SELECT`: if it is `+OK`, the client's db is this one.
    Select(u32),
}

/// What a client hears of a reply.
#[derive(Debug, PartialEq, Eq)]
pub enum ReplyOverride {
    /// The reply.
    AsIs,
    /// This instead.
    Instead(Vec<u8>),
}

/// The state. The default is that of a connection that nothing was done on.
#[derive(Debug, Default)]
pub struct Transaction {
    watching: bool,
    queueing: bool,
    /// The server said what no server should: what it holds for us is not known.
    in_doubt: bool,
    /// The server has refused to open it. What its client sent behind ran all the same, or did
    /// not, if the server has closed the connection with that.
    refused_to_open: bool,
    /// narrows has refused a command at queue time.
    refused: bool,
    /// Requests on their way whose replies may change whether commands are queued.
    under_way: u32,
    /// Number of the `MULTI` among its client's requests, moved on by those behind it that the server
    /// has refused without queueing them: a request's place is counted from here.
    multi_at: u32,
    places: Vec<ExecPlace>,
    /// Bytes of all requests among them.
    places_bytes: usize,
}

impl Transaction {
    /// Whether the connection holds anything for its client.
    pub fn is_open(&self) -> bool {
        self.watching || self.queueing
    }

    /// Whether the server may hold something that no reply has told of.
    pub fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Whether the server has refused to open it.
    pub fn was_refused(&self) -> bool {
        self.refused_to_open
    }

    /// Whether the server queues commands instead of running them.
    pub fn is_queueing(&self) -> bool {
        self.queueing
    }

    /// Whether an `EXEC` depends on keys that are watched.
    pub fn is_watching(&self) -> bool {
        self.watching
    }

    /// A marked request is on its way.
    pub fn sent(&mut self, change: StateChange) {
        self.under_way += u32::from(change.moves());
    }

    /// Whether it stands as the replies so far have shown it: none is due that may change it. Until
    /// then nothing may be judged by it.
    pub fn is_settled(&self) -> bool {
        self.under_way == 0
    }

    /// Whether what becomes of an `EXEC` is judged by more than the server. What has been lost or
    /// refused may belong to a transaction whose end is still on its way.
    pub fn judges_exec(&self, lost: LostTransaction) -> bool {
        self.refused || lost.watch() || self.is_to_be_filled()
    }

    /// Why an `EXEC` must not run, if so, of a client that has lost this. As in Redis an error at
    /// queue time is told before a conflict.
    pub fn abort_reason(&self, lost: LostTransaction) -> Option<AbortReason> {
        match self.queueing {
            true if self.refused => Some(AbortReason::Refused),
            true if lost.watch() => Some(AbortReason::WatchLost),
            _ => None,
        }
    }

    /// Commands queued since `MULTI`, where `next` is the number of its client's next request;
    /// `None` outside of one.
    pub fn queued(&self, next: u32) -> Option<u32> {
        let since = next.wrapping_sub(self.multi_at).wrapping_sub(1);
        self.queueing.then_some(since)
    }

    /// narrows has refused a command at queue time.
    pub fn refused(&mut self) {
        self.refused |= self.queueing;
    }

    /// The reply to request number `sequence` has come. Inside `MULTI` a `MULTI` or `WATCH` is refused at
    /// once, takes no place in `EXEC`'s reply, and before Redis 8 does not abort it either.
    pub fn count(&mut self, change: StateChange, sequence: u32) {
        match change {
            StateChange::Multi | StateChange::Watch if self.queueing => {
                self.multi_at = self.multi_at.wrapping_add(1);
            }
            StateChange::Multi => self.multi_at = sequence,
            _ => {}
        }
    }

    /// Request number `sequence` is queued; its place in `EXEC`'s reply is to be filled. The replies
    /// to all requests before it have come.
    pub fn fill(&mut self, sequence: u32, what: Filled) {
        let at = sequence.wrapping_sub(self.multi_at).wrapping_sub(1);
        if let Filled::Local(request) | Filled::Asked(request) = &what {
            self.places_bytes += request.len();
        }
        self.places.push(ExecPlace { at, what });
    }

    /// Bytes that are kept for the places to be filled.
    pub fn held_bytes(&self) -> usize {
        self.places_bytes + self.places.len() * size_of::<ExecPlace>()
    }

    /// Whether `EXEC`'s reply holds places to be filled.
    pub fn is_to_be_filled(&self) -> bool {
        !self.places.is_empty()
    }

    /// Whether all workers are to be asked for what belongs in some of them.
    pub fn fan_outs(&self) -> bool {
        let fan_outs =
            |place: &ExecPlace| matches!(place.what, Filled::Asked(_) | Filled::Info { .. });
        self.places.iter().any(fan_outs)
    }

    /// Whether `EXEC` is to move its client to another db.
    pub fn moves(&self) -> bool {
        let moves = |place: &ExecPlace| matches!(place.what, Filled::Select(_));
        self.places.iter().any(moves)
    }

    /// The places to be filled, in order.
    pub fn take_places(&mut self) -> Vec<ExecPlace> {
        self.places_bytes = 0;
        std::mem::take(&mut self.places)
    }

    /// The server has run something else than what was queued: what it holds for us is not known.
    pub fn doubt(&mut self) {
        self.in_doubt = true;
    }

    /// The reply to a marked request will never come. What its client is told where that is certain all
    /// the same: nothing has run where a `DISCARD` was sent in the place of an `EXEC`.
    pub fn unanswered(
        &mut self,
        lost: &mut LostTransaction,
        change: StateChange,
        protocol: Protocol,
    ) -> Option<Vec<u8>> {
        self.came(change);
        match change {
            // Either way nothing is queued or watched any more.
            StateChange::Exec
            | StateChange::ExecFilled
            | StateChange::Abort
            | StateChange::AbortUnwatched
                if self.queueing =>
            {
                self.over();
                lost.over();
            }
            // Its client has given up what is queued. It may have been refused: what is watched is
            // not known to have ended.
            StateChange::Discard => self.not_queueing(),
            _ => {}
        }
        let abort_reason = change.abort_reason();
        abort_reason.map(|abort_reason| instead_of_exec(Some(abort_reason), protocol))
    }

    /// The connection is gone: what it held is `lost` to its client.
    pub fn is_lost_to(&self, lost: &mut LostTransaction) {
        self.watches_are_lost_to(lost);
        if self.queueing {
            lost.lose_multi();
        }
    }

    fn watches_are_lost_to(&self, lost: &mut LostTransaction) {
        if self.watching {
            lost.lose_watch();
        }
    }

    fn came(&mut self, change: StateChange) {
        self.under_way = self.under_way.saturating_sub(u32::from(change.moves()));
    }

    fn over(&mut self) {
        *self = Self {
            under_way: self.under_way,
            ..Self::default()
        };
    }

    /// The server says that nothing is queued. What is watched stays so.
    fn not_queueing(&mut self) {
        self.queueing = false;
        self.take_places();
        self.refused = false;
    }

    /// The reply to a marked request has come: at least its head, or all of it if it is one line.
    /// `lost` is what its client had lost before.
    pub fn settle(
        &mut self,
        lost: &mut LostTransaction,
        change: StateChange,
        reply: &[u8],
        protocol: Protocol,
    ) -> ReplyOverride {
        self.came(change);
        let ok = reply == b"+OK\r\n";
        let error = matches!(reply.first(), Some(b'-' | b'!'));
        match change {
            StateChange::Watch | StateChange::Multi if !self.queueing => {
                self.refused_to_open = error;
                self.watching |= ok && change == StateChange::Watch;
                self.queueing = ok && change == StateChange::Multi;
            }
            // Refused inside MULTI.
            StateChange::Watch | StateChange::Multi => {}
            // Inside MULTI it is queued, and EXEC ends all watches anyway.
            StateChange::Unwatch if ok => {
                self.watching = false;
                lost.unwatched();
            }
            StateChange::Exec | StateChange::ExecFilled if error && is_without_multi(reply) => {
                self.not_queueing()
            }
            StateChange::Exec | StateChange::ExecFilled => {
                let known = !error || reply.starts_with(b"-EXECABORT");
                match known {
                    true => lost.over(),
                    // Nobody knows whether the watches have ended: they are not relied upon.
                    false => self.watches_are_lost_to(lost),
                }
                self.over();
                self.in_doubt = !known;
            }
            StateChange::Discard if ok => {
                self.over();
                lost.over();
            }
            StateChange::Discard if error && is_without_multi(reply) => self.not_queueing(),
            StateChange::Discard => self.in_doubt = true,
            StateChange::Abort | StateChange::AbortUnwatched => {
                self.over();
                lost.over();
                self.in_doubt = !ok;
                return ReplyOverride::Instead(instead_of_exec(change.abort_reason(), protocol));
            }
            StateChange::Unwatch | StateChange::Switch => {}
            // See the connection's push stream.
            StateChange::Subscribe
            | StateChange::Monitor
            | StateChange::TrackingOn
            | StateChange::TrackingOff => {}
            StateChange::Wait | StateChange::WaitAof | StateChange::Pause => {}
            // See what is pinned.
            StateChange::Pin(_) | StateChange::HimportsNoMore => {}
            StateChange::TouchesAgain | StateChange::ImportsNoMore => {}
        }
        ReplyOverride::AsIs
    }
}

/// `ERR EXEC without MULTI`, `ERR DISCARD without MULTI`: nothing was open.
fn is_without_multi(reply: &[u8]) -> bool {
    reply.trim_ascii_end().ends_with(b" without MULTI")
}

fn instead_of_exec(abort_reason: Option<AbortReason>, protocol: Protocol) -> Vec<u8> {
    let mut reply = Vec::new();
    match abort_reason {
        // What Redis says when a watched key has changed: it may have.
        Some(AbortReason::WatchLost) => write::null_array(&mut reply, protocol),
        Some(AbortReason::Refused) | None => Refusal::ExecAborted.write(&mut reply),
    }
    reply
}

#[cfg(test)]
mod tests;
