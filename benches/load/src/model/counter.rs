//! A counter of one client. It starts at a number that no other client's counter comes near, so a
//! reply tells whose it is; every further reply tells exactly how often it was raised.

use super::Contradiction;
use crate::plan::Data;

/// What the counter may stand at.
#[derive(Debug)]
pub(crate) struct Counter {
    /// Part of the key's name, as for strings.
    pub(crate) generation: u16,
    client: u32,
    state: State,
    /// How often it was raised, as last replied.
    count: u64,
    /// How many raises of unknown outcome have not been counted yet.
    unknown: u64,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum State {
    Absent,
    Starting,
    Live,
    /// To be left for another name, when nothing that names it is on its way any more.
    Abandoned,
}

/// What is to be done next with the counter.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Next {
    /// Set it to its first number.
    Start,
    /// Wait for that.
    Wait,
    /// Raise it.
    Raise,
}

impl Counter {
    pub(crate) fn new(client: u32) -> Self {
        Self {
            generation: 0,
            client,
            state: State::Absent,
            count: 0,
            unknown: 0,
        }
    }

    /// The number that the counter of `client` starts at.
    pub(crate) fn first_of(client: u32) -> i64 {
        (i64::from(client) + 1) << CLIENT_SHIFT
    }

    /// Whose counter stands at `number`.
    pub(crate) fn client_of(number: i64) -> Option<u32> {
        u32::try_from((number >> CLIENT_SHIFT).checked_sub(1)?).ok()
    }

    pub(crate) fn next(&mut self) -> Next {
        match self.state {
            State::Live => Next::Raise,
            State::Starting | State::Abandoned => Next::Wait,
            State::Absent => {
                self.state = State::Starting;
                Next::Start
            }
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// Takes another name if this one is abandoned. Only when nothing that names it is on its way.
    pub(crate) fn renew(&mut self) {
        if self.state == State::Abandoned {
            self.generation = self.generation.wrapping_add(1);
            self.state = State::Absent;
        }
    }

    pub(crate) fn started(&mut self) {
        (self.state, self.count, self.unknown) = (State::Live, 0, 0);
    }

    /// The first number was not set.
    pub(crate) fn not_started(&mut self) {
        self.state = State::Absent;
    }

    /// The first number may yet be set: that name is left.
    pub(crate) fn start_in_doubt(&mut self) {
        self.abandon();
    }

    pub(crate) fn doubt(&mut self) {
        self.unknown += 1;
    }

    /// A raise was answered.
    pub(crate) fn raised(&mut self, reply: i64, data: Data) -> Result<(), Contradiction> {
        self.settle(reply, 1, data)
    }

    /// The counter was read.
    pub(crate) fn read(&mut self, found: Option<i64>, data: Data) -> Result<(), Contradiction> {
        match found {
            Some(number) => self.settle(number, 0, data),
            None if data == Data::MayVanish => {
                self.abandon();
                Ok(())
            }
            None => Err(Contradiction(self.expected(0))),
        }
    }

    fn settle(&mut self, reply: i64, own: u64, data: Data) -> Result<(), Contradiction> {
        if data == Data::MayVanish && (0..=1 << (CLIENT_SHIFT - 1)).contains(&reply) {
            // Gone, and begun anew at nothing by this raise or one before it.
            self.abandon();
            return Ok(());
        }
        let count = u64::try_from(reply - Self::first_of(self.client)).ok();
        let least = self.count + own;
        match count.filter(|count| (least..=least + self.unknown).contains(count)) {
            None => Err(Contradiction(self.expected(own))),
            Some(count) => {
                self.unknown -= count - least;
                self.count = count;
                Ok(())
            }
        }
    }

    fn expected(&self, own: u64) -> String {
        let least = self.count + own;
        let most = least + self.unknown;
        let first = Self::first_of(self.client);
        format!("{first} + {least} to {most}")
    }

    fn abandon(&mut self) {
        (self.state, self.count, self.unknown) = (State::Abandoned, 0, 0);
    }
}

/// So many raises, and no counter reaches the next client's.
const CLIENT_SHIFT: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> (Counter, i64) {
        let mut counter = Counter::new(6);
        assert_eq!(counter.next(), Next::Start);
        assert_eq!(counter.next(), Next::Wait);
        counter.started();
        assert_eq!(counter.next(), Next::Raise);
        (counter, Counter::first_of(6))
    }

    #[test]
    fn every_raise_counts_once() {
        let (mut counter, first) = live();
        assert!(counter.raised(first + 1, Data::Kept).is_ok());
        assert!(counter.raised(first + 1, Data::Kept).is_err());
        assert!(counter.raised(first + 3, Data::Kept).is_err());
        assert!(counter.read(Some(first + 1), Data::Kept).is_ok());
        assert!(counter.read(None, Data::Kept).is_err());
        assert_eq!(Counter::client_of(first + 1), Some(6));
    }

    #[test]
    fn a_raise_of_unknown_outcome_counts_at_most_once() {
        let (mut counter, first) = live();
        counter.doubt();
        counter.doubt();
        assert!(counter.raised(first + 2, Data::Kept).is_ok());
        assert!(counter.raised(first + 5, Data::Kept).is_err());
        assert!(counter.raised(first + 4, Data::Kept).is_ok());
        assert!(counter.read(Some(first + 5), Data::Kept).is_err());
    }

    #[test]
    fn a_counter_that_vanished_begins_anew_under_another_name() {
        let (mut counter, _) = live();
        assert!(counter.raised(1, Data::Kept).is_err());
        assert!(counter.raised(1, Data::MayVanish).is_ok());
        assert!(counter.raised(2, Data::MayVanish).is_ok());
        assert_eq!((counter.generation, counter.next()), (0, Next::Wait));
        counter.renew();
        assert_eq!((counter.generation, counter.next()), (1, Next::Start));
    }
}
