//! What clients hear: bytes become replies, each is judged by the client whose request it answers.

use rustix::event::epoll::EventFlags;

use super::{Audit, Shard, Stage, nanos};
use crate::client::{Heard, Wrong};
use crate::gauge::Phase;
use crate::history::What;
use crate::link::Flight;
use crate::offence::{Offence, OffenceKind, shown};
use crate::outcome::{Outcome, first_words};
use crate::wire::{self, Scan};

/// Why a client's connection is given up.
enum GivenUp {
    /// It was lost.
    Lost(String),
    /// An error, which has been told, does not let it go on.
    Told(&'static str),
    /// The run has ended.
    Offence,
}

impl Shard {
    /// The socket of a client is ready.
    pub(super) fn serve(&mut self, place: u32, flags: EventFlags, now: u64) {
        let Some(seat) = self.seats.get_mut(place as usize) else {
            return;
        };
        let Some(link) = &mut seat.link else { return };
        if !link.is_connected {
            return self.connected(place, now);
        }
        if flags.contains(EventFlags::OUT)
            && let Err(ending) = link.flush()
        {
            return self.lose(place, &ending.to_string(), now);
        }
        if flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::ERR | EventFlags::HUP)
        {
            self.listen(place, now);
        }
    }

    /// Reads until nothing is left, and goes on.
    fn listen(&mut self, place: u32, now: u64) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let outcome = self.read_all(place, &mut scratch, now);
        self.scratch = scratch;
        match outcome {
            Ok(()) => self.proceed(place, now),
            Err(GivenUp::Lost(why)) => self.lose(place, &why, now),
            Err(GivenUp::Told(why)) => self.let_go(place, why, now),
            Err(GivenUp::Offence) => {}
        }
    }

    fn read_all(&mut self, place: u32, scratch: &mut [u8], now: u64) -> Result<(), GivenUp> {
        loop {
            let Some(seat) = self.seats.get_mut(place as usize) else {
                return Ok(());
            };
            let Some(link) = &mut seat.link else {
                return Ok(());
            };
            let bytes = match link.read(scratch) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return Ok(()),
                Err(ending) => return Err(GivenUp::Lost(ending.to_string())),
            };
            self.counts.bytes_in += bytes as u64;
            let received = scratch.get(..bytes).unwrap_or_default();
            if link.inbox.is_empty() {
                let used = self.hear(place, received, now)?;
                self.keep(place, received.get(used..).unwrap_or_default());
            } else {
                link.inbox.extend_from_slice(received);
                if link.inbox.len() >= link.wanted {
                    let mut inbox = std::mem::take(&mut link.inbox);
                    let used = self.hear(place, &inbox, now)?;
                    inbox.drain(..used);
                    self.keep_all(place, inbox);
                }
            }
        }
    }

    fn keep(&mut self, place: u32, rest: &[u8]) {
        if !rest.is_empty() {
            self.keep_all(place, rest.to_vec());
        }
    }

    fn keep_all(&mut self, place: u32, rest: Vec<u8>) {
        if let Some(link) = self
            .seats
            .get_mut(place as usize)
            .and_then(|s| s.link.as_mut())
        {
            link.wanted = match wire::scan(&rest) {
                Scan::Partial(least) => least,
                _ => 0,
            };
            link.inbox = if rest.is_empty() { Vec::new() } else { rest };
        }
    }

    /// Takes the whole replies at the beginning of `bytes`; how many bytes they were.
    fn hear(&mut self, place: u32, bytes: &[u8], now: u64) -> Result<usize, GivenUp> {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(at);
            }
            let length = match wire::scan(rest) {
                Scan::Whole(length) => length,
                Scan::Partial(_) => return Ok(at),
                Scan::Broken => {
                    let expected = "RESP".to_owned();
                    return Err(self.accuse(place, OffenceKind::Broken, expected, None, rest, now));
                }
            };
            self.hear_one(place, rest.get(..length).unwrap_or_default(), now)?;
            at += length;
        }
    }

    fn hear_one(&mut self, place: u32, raw: &[u8], now: u64) -> Result<(), GivenUp> {
        let Some(seat) = self.seats.get_mut(place as usize) else {
            return Ok(());
        };
        let Some(link) = &mut seat.link else {
            return Ok(());
        };
        let Some(flight) = link.flights.pop_front() else {
            return Err(self.unsolicited(place, raw, now));
        };
        match seat.client.judge(flight.ask, raw) {
            Heard::Right(held) => {
                seat.client.history.note(now, What::Heard(flight.ask, held));
                self.right(&flight, now);
                Ok(())
            }
            Heard::Trouble(outcome) => self.trouble(place, &flight, outcome, raw, now),
            Heard::Wrong(Wrong { kind, why, of }) => {
                // It stands first among those that wait, in the dump too.
                link.flights.push_front(flight);
                Err(self.accuse(place, kind, why, of, raw, now))
            }
        }
    }

    fn right(&mut self, flight: &Flight, now: u64) {
        self.counts.verified += 1;
        self.heard_right = true;
        if let Some(count) = self.tally.commands.get_mut(flight.ask.command_index()) {
            *count += 1;
        }
        if self.phase > Phase::Draining || self.phase == Phase::Opening {
            return;
        }
        self.tally.verified += u64::from(self.phase == Phase::Running);
        let latency = now.saturating_sub(flight.due);
        self.window.saturating_record(latency);
        if flight.due >= self.warm_until {
            self.tally.latency.saturating_record(latency);
            self.tally
                .service
                .saturating_record(now.saturating_sub(flight.sent));
            self.tally
                .lag
                .saturating_record(flight.sent.saturating_sub(flight.due));
        }
    }

    fn trouble(
        &mut self,
        place: u32,
        flight: &Flight,
        outcome: Outcome,
        raw: &[u8],
        now: u64,
    ) -> Result<(), GivenUp> {
        let text = raw.get(1..raw.len().saturating_sub(2)).unwrap_or_default();
        self.counts.errors += 1;
        match outcome {
            Outcome::Unknown => self.counts.unknown += 1,
            _ => self.counts.not_run += 1,
        }
        let Some(seat) = self.seats.get_mut(place as usize) else {
            return Ok(());
        };
        let words = String::from_utf8_lossy(text.get(..80).unwrap_or(text));
        let what = What::Refused(flight.ask, words.into());
        seat.client.history.note(now, what);
        let client = seat.client.names.client;
        self.shared.trouble(now, client, first_words(text));
        if self.phase == Phase::Auditing && seat.audit != Audit::Done {
            return Err(GivenUp::Told("the audit begins again"));
        }
        // What follows on this connection might run in another context than it is meant for.
        if flight.ask.sets_context() || seat.stage == Stage::Greeting {
            return Err(GivenUp::Told("its context is in doubt"));
        }
        Ok(())
    }

    /// A reply that nobody waits for: an error says why the connection is about to be closed.
    fn unsolicited(&mut self, place: u32, raw: &[u8], now: u64) -> GivenUp {
        match raw.strip_prefix(b"-") {
            Some(text) if !crate::outcome::is_offence(text) => GivenUp::Lost(first_words(text)),
            _ => {
                let expected = "nothing: no request is on its way".to_owned();
                let of = crate::client::whose(raw);
                self.accuse(place, OffenceKind::Unsolicited, expected, of, raw, now)
            }
        }
    }

    fn accuse(
        &mut self,
        place: u32,
        kind: OffenceKind,
        expected: String,
        tagged: Option<u32>,
        raw: &[u8],
        now: u64,
    ) -> GivenUp {
        if let Some(seat) = self.seats.get(place as usize) {
            let hearer = seat.party();
            self.shared.accuse(Offence {
                kind,
                at_s: now as f64 / 1e9,
                request: hearer.waiting.first().cloned().unwrap_or_default(),
                expected,
                received_bytes: raw.len(),
                received: shown(raw),
                hearer,
                tagged,
                other: None,
                dump: None,
            });
        }
        GivenUp::Offence
    }

    /// The connection of a client is lost: that is trouble.
    pub(super) fn lose(&mut self, place: u32, why: &str, now: u64) {
        let Some(seat) = self.seats.get(place as usize) else {
            return;
        };
        if seat.link.is_some() {
            let client = seat.client.names.client;
            self.shared.trouble(now, client, why.to_owned());
            self.let_go(place, why, now);
        }
    }

    /// The connection of a client is over, and with it all that waits for replies.
    fn let_go(&mut self, place: u32, why: &str, now: u64) {
        let Some(seat) = self.seats.get_mut(place as usize) else {
            return;
        };
        let Some(link) = seat.link.take() else { return };
        for flight in &link.flights {
            seat.client.settle(flight.ask, Outcome::Unknown);
            self.counts.unknown += 1;
        }
        let waiting = link.flights.len();
        let words = format!("{why}; {waiting} requests without reply");
        seat.client.history.note(now, What::Link(words.into()));
        seat.client.at_rest();
        seat.failures += 1;
        if seat.audit == Audit::Reading {
            seat.audit = Audit::Due;
        } else if seat.audit == Audit::CleaningUp {
            seat.audit = Audit::Done;
        }
        self.counts.lost += 1;
        self.counts.open -= 1;
        self.come_again(place, now);
    }

    /// Gives up what has waited too long.
    pub(super) fn check_deadlines(&mut self, place: u32, now: u64) {
        let patience = nanos(self.rules.plan.request_deadline);
        let Some(seat) = self.seats.get_mut(place as usize) else {
            return;
        };
        while seat.backlog.front().is_some_and(|due| due + patience < now) {
            seat.backlog.pop_front();
            self.counts.given_up += 1;
        }
        let Some(link) = &seat.link else { return };
        if !link.is_connected {
            if link.opened + CONNECT_PATIENCE_NS < now {
                self.refused(place, "timed out", now);
            }
            return;
        }
        let oldest = link.flights.front();
        if let Some(flight) = oldest.filter(|flight| flight.sent + patience < now) {
            self.counts.hangs += 1;
            let why = format!("hang: no reply to {}", flight.ask.command());
            self.lose(place, &why, now);
        }
    }
}

/// A connection that has not come about after this long is given up.
const CONNECT_PATIENCE_NS: u64 = 5_000_000_000;
