//! Where a client's transaction stands on the connection that it has been lent: what the server's
//! replies have shown, and what must become of its `EXEC`.
//!
//! Nothing is guessed ahead: the state changes when a reply is here, and whoever decides by it
//! first lets all earlier replies come in.

use crate::resp::{Protocol, Refusal, write};

/// What the reply to a request changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// `WATCH`.
    Watch,
    /// `UNWATCH`.
    Unwatch,
    /// `MULTI`.
    Multi,
    /// `EXEC`.
    Exec,
    /// `EXEC`, whose reply holds places that narrows fills in.
    ExecFilled,
    /// `DISCARD`.
    Discard,
    /// A `DISCARD` of narrows' own in the place of an `EXEC` that must not run.
    Abort,
    /// `SELECT` or `HELLO` outside `MULTI`: the connection changes with its client.
    Switch,
    /// A command that changes subscriptions; its reply is an error, or confirmations.
    Subscribe,
    /// `MONITOR`.
    Monitor,
    /// `CLIENT TRACKING ON`.
    TrackingOn,
    /// `CLIENT TRACKING OFF`.
    TrackingOff,
    /// `WAIT`.
    Wait,
    /// `WAITAOF`.
    WaitAof,
    /// `CLIENT PAUSE` or `CLIENT UNPAUSE`.
    Pause,
}

/// Why an `EXEC` must not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doom {
    /// A command was refused by narrows at queue time.
    Refused,
    /// The connection that watched for it is lost: a watched key may have changed.
    WatchLost,
}

/// A place in `EXEC`'s reply that does not go to the client as it is.
#[derive(Debug)]
pub struct Place {
    /// The place, from 0.
    pub at: u32,
    /// What belongs there.
    pub what: Filled,
}

/// See [`Place`].
#[derive(Debug)]
pub enum Filled {
    /// narrows' own answer to this request; the server ran a `PING` instead.
    Local(Box<[u8]>),
    /// The server's answer to `SELECT`: if it is `+OK`, the client's db is this one.
    Select(u32),
}

/// What a client hears of a reply.
#[derive(Debug, PartialEq, Eq)]
pub enum Hears {
    /// The reply.
    AsIs,
    /// This instead.
    Instead(Vec<u8>),
}

/// The state. The default is that of a connection that nothing was done on.
#[derive(Debug, Default)]
pub struct Bracket {
    watching: bool,
    queueing: bool,
    /// The server said what no server should: what it holds for us is not known.
    in_doubt: bool,
    /// The server has refused to open it. What its client sent behind ran all the same, or did
    /// not, if the server has closed the connection with that.
    refused_to_open: bool,
    doom: Option<Doom>,
    /// Number of the `MULTI` among its client's requests, moved on by those behind it that the server
    /// has refused without queueing them: a request's place is counted from here.
    multi_at: u32,
    places: Vec<Place>,
}

impl Bracket {
    /// One whose watches were lost with another connection.
    pub fn after_lost_watch() -> Self {
        Self {
            doom: Some(Doom::WatchLost),
            ..Self::default()
        }
    }

    /// Whether the connection holds anything for its client.
    pub fn is_open(&self) -> bool {
        self.watching || self.queueing || self.doom.is_some()
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

    /// Whether an `EXEC` depends on keys that are watched, or were.
    pub fn is_watching(&self) -> bool {
        self.watching || self.doom == Some(Doom::WatchLost)
    }

    /// Why its `EXEC` must not run, if so.
    pub fn doom(&self) -> Option<Doom> {
        self.doom
    }

    /// Commands queued since `MULTI`, where `next` is the number of its client's next request;
    /// `None` outside of one.
    pub fn queued(&self, next: u32) -> Option<u32> {
        let since = next.wrapping_sub(self.multi_at).wrapping_sub(1);
        self.queueing.then_some(since)
    }

    /// narrows has refused a command at queue time.
    pub fn refused(&mut self) {
        if self.queueing {
            self.doom.get_or_insert(Doom::Refused);
        }
    }

    /// The reply to request number `sequence` has come. Inside `MULTI` a `MULTI` or `WATCH` is refused at
    /// once, takes no place in `EXEC`'s reply, and before Redis 8 does not abort it either.
    pub fn count(&mut self, mark: Mark, sequence: u32) {
        match mark {
            Mark::Multi | Mark::Watch if self.queueing => {
                self.multi_at = self.multi_at.wrapping_add(1);
            }
            Mark::Multi => self.multi_at = sequence,
            _ => {}
        }
    }

    /// Request number `sequence` is queued; its place in `EXEC`'s reply is to be filled. The replies
    /// to all requests before it have come.
    pub fn fill(&mut self, sequence: u32, what: Filled) {
        let at = sequence.wrapping_sub(self.multi_at).wrapping_sub(1);
        self.places.push(Place { at, what });
    }

    /// Whether `EXEC`'s reply holds places to be filled.
    pub fn is_to_be_filled(&self) -> bool {
        !self.places.is_empty()
    }

    /// Whether `EXEC` is to move its client to another db.
    pub fn moves(&self) -> bool {
        let moves = |place: &Place| matches!(place.what, Filled::Select(_));
        self.places.iter().any(moves)
    }

    /// The places to be filled, in order.
    pub fn take_places(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.places)
    }

    /// The server has run something else than what was queued: what it holds for us is not known.
    pub fn doubt(&mut self) {
        self.in_doubt = true;
    }

    /// An `EXEC` or `DISCARD` is on its way and its reply will never come: either way nothing is
    /// queued or watched any more.
    pub fn over(&mut self) {
        *self = Self::default();
    }

    /// The server says that nothing is queued. What is watched stays so.
    fn not_queueing(&mut self) {
        self.queueing = false;
        self.places.clear();
        self.doom = self.doom.filter(|doom| *doom != Doom::Refused);
    }

    /// The reply to a marked request has come: at least its head, or all of it if it is one line.
    pub fn settle(&mut self, mark: Mark, reply: &[u8], protocol: Protocol) -> Hears {
        let ok = reply == b"+OK\r\n";
        let error = matches!(reply.first(), Some(b'-' | b'!'));
        match mark {
            Mark::Watch | Mark::Multi if !self.queueing => {
                self.refused_to_open = error;
                self.watching |= ok && mark == Mark::Watch;
                self.queueing = ok && mark == Mark::Multi;
            }
            // Refused inside MULTI.
            Mark::Watch | Mark::Multi => {}
            // Inside MULTI it is queued, and EXEC ends all watches anyway.
            Mark::Unwatch if ok => {
                self.watching = false;
                self.doom = self.doom.filter(|doom| *doom != Doom::WatchLost);
            }
            Mark::Exec | Mark::ExecFilled if error && is_without_multi(reply) => {
                self.not_queueing()
            }
            Mark::Exec | Mark::ExecFilled => {
                let known = !error || reply.starts_with(b"-EXECABORT");
                self.over();
                self.in_doubt = !known;
            }
            Mark::Discard if ok => self.over(),
            Mark::Discard if error && is_without_multi(reply) => self.not_queueing(),
            Mark::Discard => self.in_doubt = true,
            Mark::Abort => {
                let doom = self.doom;
                self.over();
                self.in_doubt = !ok;
                return Hears::Instead(instead_of_exec(doom, protocol));
            }
            Mark::Unwatch | Mark::Switch => {}
            // See the connection's feed.
            Mark::Subscribe | Mark::Monitor | Mark::TrackingOn | Mark::TrackingOff => {}
            Mark::Wait | Mark::WaitAof | Mark::Pause => {}
        }
        Hears::AsIs
    }
}

/// `ERR EXEC without MULTI`, `ERR DISCARD without MULTI`: nothing was open.
fn is_without_multi(reply: &[u8]) -> bool {
    reply.trim_ascii_end().ends_with(b" without MULTI")
}

fn instead_of_exec(doom: Option<Doom>, protocol: Protocol) -> Vec<u8> {
    let mut reply = Vec::new();
    match doom {
        // What Redis says when a watched key has changed: it may have.
        Some(Doom::WatchLost) => write::null_array(&mut reply, protocol),
        Some(Doom::Refused) | None => Refusal::ExecAborted.write(&mut reply),
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(marks: &[(Mark, &str)]) -> Bracket {
        let mut bracket = Bracket::default();
        for (mark, reply) in marks {
            bracket.settle(*mark, reply.as_bytes(), Protocol::Resp2);
        }
        bracket
    }

    #[test]
    fn a_transaction_is_over_with_any_reply_to_its_exec_that_redis_has() {
        for reply in ["*1\r\n", "*-1\r\n", "_\r\n", "-EXECABORT Transaction\r\n"] {
            let bracket = settled(&[
                (Mark::Watch, "+OK\r\n"),
                (Mark::Multi, "+OK\r\n"),
                (Mark::Exec, reply),
            ]);
            assert!(!bracket.is_open() && !bracket.is_in_doubt(), "{reply}");
        }
    }

    #[test]
    fn an_odd_reply_leaves_the_connection_in_doubt() {
        let open = [(Mark::Multi, "+OK\r\n")];
        for odd in [
            (Mark::Exec, "-ERR odd\r\n"),
            (Mark::Discard, "-LOADING x\r\n"),
        ] {
            assert!(settled(&[open[0], odd]).is_in_doubt(), "{odd:?}");
        }
    }

    #[test]
    fn a_watch_outlives_a_command_that_failed_and_ends_with_unwatch() {
        let bracket = settled(&[
            (Mark::Watch, "+OK\r\n"),
            (Mark::Exec, "-ERR EXEC without MULTI\r\n"),
        ]);
        assert!(bracket.is_watching());
        let bracket = settled(&[(Mark::Watch, "+OK\r\n"), (Mark::Unwatch, "+OK\r\n")]);
        assert!(!bracket.is_open());
        // Queued, not run.
        let bracket = settled(&[
            (Mark::Watch, "+OK\r\n"),
            (Mark::Multi, "+OK\r\n"),
            (Mark::Unwatch, "+QUEUED\r\n"),
        ]);
        assert!(bracket.is_watching() && bracket.is_queueing());
    }

    #[test]
    fn what_is_doomed_never_hears_that_it_ran() {
        let mut bracket = Bracket::after_lost_watch();
        bracket.settle(Mark::Multi, b"+OK\r\n", Protocol::Resp2);
        let hears = bracket.settle(Mark::Abort, b"+OK\r\n", Protocol::Resp2);
        assert_eq!(hears, Hears::Instead(b"*-1\r\n".to_vec()));
        assert!(!bracket.is_open());

        let mut bracket = settled(&[(Mark::Multi, "+OK\r\n")]);
        bracket.refused();
        let hears = bracket.settle(Mark::Abort, b"-ERR odd\r\n", Protocol::Resp3);
        assert!(matches!(hears, Hears::Instead(text) if text.starts_with(b"-EXECABORT ")));
        assert!(bracket.is_in_doubt());
    }

    #[test]
    fn a_place_is_counted_from_its_multi() {
        let mut bracket = Bracket::default();
        bracket.count(Mark::Multi, u32::MAX);
        bracket.fill(1, Filled::Select(3));
        assert_eq!(bracket.take_places()[0].at, 1);
    }

    #[test]
    fn what_the_server_refuses_to_queue_takes_no_place() {
        let mut bracket = Bracket::default();
        bracket.count(Mark::Multi, 10);
        bracket.settle(Mark::Multi, b"+OK\r\n", Protocol::Resp2);
        bracket.fill(11, Filled::Select(3));
        for (mark, sequence) in [(Mark::Watch, 12), (Mark::Multi, 13)] {
            bracket.count(mark, sequence);
            bracket.settle(mark, b"-ERR not inside MULTI\r\n", Protocol::Resp2);
        }
        bracket.fill(15, Filled::Select(4));
        let places: Vec<u32> = bracket.take_places().iter().map(|place| place.at).collect();
        // The one at 14 is between them.
        assert_eq!(places, [0, 2]);
        assert_eq!(bracket.queued(16), Some(3));
    }
}
