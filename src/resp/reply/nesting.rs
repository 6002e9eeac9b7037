//! How deep inside a reply the scanner is, and how many values are still to come at each depth. A
//! flat reply needs no allocation, a nested one a word or two per depth, whatever it announces.

use crate::resp::violation::ReplyError;

/// The aggregate under way and those around it.
#[derive(Clone, Debug, Default)]
pub(super) struct Nesting {
    level: Level,
    /// The levels around it, outermost first; the reply itself is not among them.
    parents: Vec<Level>,
}

/// What is expected inside one aggregate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Level {
    /// No aggregate: the reply itself.
    #[default]
    Reply,
    /// So many more values, never 0.
    Counted(u64),
    /// So many more keys and values of an attribute, never 0; it is no value itself.
    Attribute(u64),
    /// Values up to a `.`.
    Streamed,
    /// Keys and values up to a `.`, which cannot stand before a value.
    StreamedPairs {
        /// Whether the next one is a value.
        value_next: bool,
    },
    /// Pieces of a string up to an empty one.
    Chunks,
}

impl Nesting {
    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// Enters an aggregate.
    pub(super) fn open(&mut self, level: Level, depth_max: usize) -> Result<(), ReplyError> {
        let depth = match self.level {
            Level::Reply => 0,
            _ => self.parents.len() + 1,
        };
        if depth >= depth_max {
            return Err(ReplyError::TooDeep);
        }
        if depth > 0 {
            self.parents.push(self.level);
        }
        self.level = level;
        Ok(())
    }

    /// A value has ended, and with it perhaps aggregates around it; true if the reply has.
    #[inline]
    pub(super) fn value_ended(&mut self) -> bool {
        loop {
            match &mut self.level {
                Level::Reply => return true,
                Level::Counted(left) => {
                    *left -= 1;
                    if *left > 0 {
                        return false;
                    }
                    // The aggregate is a value of the one around it.
                    self.close();
                }
                Level::Attribute(left) => {
                    *left -= 1;
                    if *left == 0 {
                        self.close();
                    }
                    return false;
                }
                Level::StreamedPairs { value_next } => {
                    *value_next = !*value_next;
                    return false;
                }
                Level::Streamed | Level::Chunks => return false,
            }
        }
    }

    /// So many values have ended at once, and more are to come.
    pub(super) fn values_ended(&mut self, count: u64) {
        if let Level::Counted(left) = &mut self.level {
            *left -= count;
        }
    }

    /// The end of a streamed aggregate or string; `None` where none can end, else as
    /// [`Self::value_ended`].
    pub(super) fn stream_ended(&mut self) -> Option<bool> {
        match self.level {
            Level::Streamed | Level::Chunks | Level::StreamedPairs { value_next: false } => {
                self.close();
                Some(self.value_ended())
            }
            _ => None,
        }
    }

    /// Bytes that are to come at least behind the value under way, going by the values announced.
    /// `begun` tells whether a first byte of that value has come.
    pub(super) fn announced(&self, begun: bool) -> u64 {
        let level = self.level.values_left();
        let level = if begun {
            level.saturating_sub(1)
        } else {
            level
        };
        // Each aggregate around it is counted in the one around that.
        self.parents
            .iter()
            .map(|parent| parent.values_left().saturating_sub(1))
            .fold(level, u64::saturating_add)
            .saturating_mul(VALUE_BYTES_MIN)
    }

    fn close(&mut self) {
        self.level = self.parents.pop().unwrap_or_default();
        if self.level == Level::Reply && self.parents.capacity() > PARENTS_KEPT {
            self.parents = Vec::new();
        }
    }
}

impl Level {
    fn values_left(self) -> u64 {
        match self {
            Self::Counted(left) | Self::Attribute(left) => left,
            _ => 0,
        }
    }
}

/// `_\r\n`: no value is shorter.
const VALUE_BYTES_MIN: u64 = 3;

/// Room for this many levels is kept for the next reply: enough for all that Redis itself sends.
const PARENTS_KEPT: usize = 16;

#[cfg(test)]
mod tests {
    use super::{Level, Nesting, PARENTS_KEPT};
    use crate::resp::ReplyError;

    #[test]
    fn a_flat_aggregate_allocates_nothing() {
        let mut nesting = Nesting::default();
        nesting.open(Level::Counted(2), 1).unwrap();
        assert!(!nesting.value_ended());
        assert!(nesting.value_ended());
        assert_eq!(nesting.parents.capacity(), 0);
    }

    #[test]
    fn the_last_value_ends_all_aggregates_that_it_is_the_last_of() {
        let mut nesting = Nesting::default();
        for left in [1, 2, 1] {
            nesting.open(Level::Counted(left), 3).unwrap();
        }
        assert!(!nesting.value_ended());
        assert_eq!(nesting.level(), Level::Counted(1));
        assert!(nesting.value_ended());
    }

    #[test]
    fn an_attribute_is_no_value() {
        let mut nesting = Nesting::default();
        nesting.open(Level::Counted(1), 2).unwrap();
        nesting.open(Level::Attribute(2), 2).unwrap();
        assert!(!nesting.value_ended());
        assert!(!nesting.value_ended());
        assert_eq!(nesting.level(), Level::Counted(1));
        assert!(nesting.value_ended());
    }

    #[test]
    fn a_streamed_map_ends_only_between_pairs() {
        let mut nesting = Nesting::default();
        let level = Level::StreamedPairs { value_next: false };
        nesting.open(level, 1).unwrap();
        assert!(!nesting.value_ended());
        assert_eq!(nesting.stream_ended(), None);
        assert!(!nesting.value_ended());
        assert_eq!(nesting.stream_ended(), Some(true));
    }

    #[test]
    fn depth_is_bounded_and_what_it_took_is_given_back() {
        let mut nesting = Nesting::default();
        for _ in 0..128 {
            nesting.open(Level::Counted(1), 128).unwrap();
        }
        assert_eq!(
            nesting.open(Level::Counted(1), 128),
            Err(ReplyError::TooDeep)
        );
        assert!(nesting.value_ended());
        assert!(nesting.parents.capacity() <= PARENTS_KEPT);
    }

    #[test]
    fn announced_bytes_saturate() {
        let mut nesting = Nesting::default();
        nesting.open(Level::Counted(u64::MAX), 2).unwrap();
        nesting.open(Level::Counted(u64::MAX), 2).unwrap();
        assert_eq!(nesting.announced(true), u64::MAX);
    }
}
