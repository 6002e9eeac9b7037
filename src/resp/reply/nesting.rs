//! How much of a reply is still to come, as one count of values however deep they lie: an aggregate
//! is one value less and its elements more. Nothing here grows with what a script nests. Only values
//! whose length is not announced, which no server sends, need to know what lies around them.

use crate::resp::violation::ReplyError;

/// The values still to come, and the streams that they are in.
#[derive(Clone, Debug, Default)]
pub(super) struct Nesting {
    /// Values still due in the innermost stream, the one under way among them; 0 between them.
    due: u64,
    stream: StreamedValue,
    /// The streams around it, outermost first, with what is due in each.
    around: Vec<(StreamedValue, u64)>,
}

/// What values are in whose number is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum StreamedValue {
    /// The replies of a backend: one after another.
    #[default]
    Replies,
    /// Values up to a `.`.
    Values,
    /// Keys and values up to a `.`, which cannot stand before a value.
    Pairs {
        /// Whether the next one is a value.
        value_next: bool,
    },
    /// Pieces of a string up to an empty one.
    Chunks,
}

impl Nesting {
    /// A value is under way: the one that is due, or one more of the stream.
    #[inline(always)]
    pub(super) fn begin(&mut self) {
        self.due = self.due.max(1);
    }

    /// Whether the value under way is the reply itself or, in front of it, an attribute.
    #[inline]
    pub(super) fn is_outermost(&self) -> bool {
        self.due == 1 && self.stream == StreamedValue::Replies
    }

    /// Whether pieces of a string are due.
    #[inline(always)]
    pub(super) fn in_chunks(&self) -> bool {
        self.stream == StreamedValue::Chunks
    }

    /// How many values may end without ending anything around them.
    #[inline(always)]
    pub(super) fn spare(&self) -> u64 {
        self.due.saturating_sub(1)
    }

    /// So many values have ended at once, of those that are [to spare](Self::spare).
    #[inline(always)]
    pub(super) fn values_ended(&mut self, count: u64) {
        self.due = self.due.saturating_sub(count);
    }

    /// The value under way is an aggregate of so many; true if the reply ends with its head.
    #[inline]
    pub(super) fn open(&mut self, values: u64) -> Result<bool, ReplyError> {
        match values.checked_sub(1) {
            None => Ok(self.value_ended()),
            Some(more) => self.add(more),
        }
    }

    /// So many keys and values of an attribute, or values of a push, come before the value under way.
    pub(super) fn attribute(&mut self, values: u64) -> Result<bool, ReplyError> {
        self.add(values)
    }

    fn add(&mut self, more: u64) -> Result<bool, ReplyError> {
        // Heads of more gigabytes than any reply has.
        self.due = self
            .due
            .checked_add(more)
            .ok_or(ReplyError::InvalidLength)?;
        Ok(false)
    }

    /// The value under way has ended, and with it perhaps what it was the last of; true if the reply
    /// has.
    #[inline]
    pub(super) fn value_ended(&mut self) -> bool {
        self.due = self.due.saturating_sub(1);
        if self.due > 0 {
            return false;
        }
        match &mut self.stream {
            StreamedValue::Replies => true,
            StreamedValue::Pairs { value_next } => {
                *value_next = !*value_next;
                false
            }
            StreamedValue::Values | StreamedValue::Chunks => false,
        }
    }

    /// The value under way is a stream.
    pub(super) fn open_stream(&mut self, stream: StreamedValue) -> Result<(), ReplyError> {
        if self.around.len() >= STREAMS_MAX {
            return Err(ReplyError::TooDeep);
        }
        self.around.push((self.stream, self.due));
        (self.stream, self.due) = (stream, 0);
        Ok(())
    }

    /// The end of a stream; `None` where none can end, else as [`Self::value_ended`].
    pub(super) fn stream_ended(&mut self) -> Option<bool> {
        let ends = match self.stream {
            StreamedValue::Values
            | StreamedValue::Chunks
            | StreamedValue::Pairs { value_next: false } => self.due == 0,
            StreamedValue::Replies | StreamedValue::Pairs { value_next: true } => false,
        };
        if !ends {
            return None;
        }
        (self.stream, self.due) = self.around.pop().unwrap_or_default();
        Some(self.value_ended())
    }

    /// Bytes that are to come at least behind the value under way, going by the values announced.
    /// `begun` tells whether a first byte of that value has come.
    pub(super) fn announced(&self, begun: bool) -> u64 {
        let here = self.due.saturating_sub(u64::from(begun));
        // Each stream is one of those that are due around it.
        let around = self.around.iter().map(|(_, due)| due.saturating_sub(1));
        around
            .fold(here, u64::saturating_add)
            .saturating_mul(VALUE_BYTES_MIN)
    }
}

/// `_\r\n`: no value is shorter.
const VALUE_BYTES_MIN: u64 = 3;

/// Streams inside streams. The documents of RESP3 know them, and no server sends any.
pub(super) const STREAMS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::{Nesting, STREAMS_MAX, StreamedValue};
    use crate::resp::ReplyError;

    fn value(nesting: &mut Nesting) -> bool {
        nesting.begin();
        nesting.value_ended()
    }

    fn open(nesting: &mut Nesting, values: u64) -> bool {
        nesting.begin();
        nesting.open(values).unwrap()
    }

    #[test]
    fn the_last_value_ends_all_aggregates_that_it_is_the_last_of() {
        let mut nesting = Nesting::default();
        for values in [1, 2, 1] {
            assert!(!open(&mut nesting, values));
        }
        assert!(!value(&mut nesting));
        assert!(value(&mut nesting));
        assert!(open(&mut nesting, 0) && value(&mut nesting));
    }

    #[test]
    fn depth_costs_nothing() {
        let mut nesting = Nesting::default();
        for _ in 0..1_000_000 {
            assert!(!open(&mut nesting, 1));
        }
        assert!(value(&mut nesting));
        assert_eq!(nesting.around.capacity(), 0);
    }

    #[test]
    fn an_attribute_is_no_value() {
        let mut nesting = Nesting::default();
        open(&mut nesting, 1);
        nesting.begin();
        nesting.attribute(2).unwrap();
        assert!(!value(&mut nesting) && !value(&mut nesting));
        assert!(value(&mut nesting));
    }

    #[test]
    fn a_streamed_map_ends_only_between_pairs() {
        let mut nesting = Nesting::default();
        nesting.begin();
        let pairs = StreamedValue::Pairs { value_next: false };
        nesting.open_stream(pairs).unwrap();
        assert!(!value(&mut nesting));
        assert_eq!(nesting.stream_ended(), None);
        open(&mut nesting, 1);
        assert_eq!(nesting.stream_ended(), None, "its element is due");
        assert!(!value(&mut nesting));
        assert_eq!(nesting.stream_ended(), Some(true));
        assert_eq!(nesting.stream_ended(), None);
    }

    #[test]
    fn streams_inside_streams_are_bounded() {
        let mut nesting = Nesting::default();
        for _ in 0..STREAMS_MAX {
            nesting.begin();
            nesting.open_stream(StreamedValue::Values).unwrap();
        }
        nesting.begin();
        assert_eq!(
            nesting.open_stream(StreamedValue::Values),
            Err(ReplyError::TooDeep)
        );
    }

    #[test]
    fn what_is_announced_is_checked() {
        let mut nesting = Nesting::default();
        assert!(!open(&mut nesting, u64::MAX));
        assert_eq!(nesting.announced(true), u64::MAX);
        nesting.begin();
        assert_eq!(nesting.open(u64::MAX), Err(ReplyError::InvalidLength));
    }
}
