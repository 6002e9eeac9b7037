//! A key that holds a value of one client.

use super::Contradiction;
use crate::plan::Data;

/// What the key may hold: the last value known to be there, or any value of a write of unknown
/// outcome that has not shown up yet.
#[derive(Debug, Default)]
pub(crate) struct StringKey {
    /// Part of the key's name. A new one leaves behind what may still happen to the old.
    pub(crate) generation: u16,
    /// Sequence number of the value; `None` for no value.
    held: Option<u64>,
    /// Sequence numbers of the writes of unknown outcome.
    unknown: Vec<u64>,
}

impl StringKey {
    /// A write was acknowledged.
    pub(crate) fn written(&mut self, sequence: u64) {
        self.held = Some(sequence);
    }

    /// A write has an unknown outcome.
    pub(crate) fn doubt(&mut self, sequence: u64) {
        self.unknown.push(sequence);
    }

    /// A read gave this value.
    pub(crate) fn read(&mut self, found: Option<u64>, data: Data) -> Result<(), Contradiction> {
        if found == self.held {
            return Ok(());
        }
        let pending = found.and_then(|found| self.unknown.iter().position(|one| *one == found));
        if let Some(place) = pending {
            self.unknown.swap_remove(place);
            self.held = found;
            return Ok(());
        }
        if found.is_none() && data == Data::MayVanish {
            self.held = None;
            return Ok(());
        }
        Err(Contradiction(self.expected()))
    }

    /// Whether the key certainly holds something.
    pub(crate) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Whether it has, or may have, ever been written under its present name.
    pub(crate) fn is_touched(&self) -> bool {
        self.held.is_some() || !self.unknown.is_empty()
    }

    /// Takes another name when too much may still happen to this one. Only when nothing that
    /// names it is on its way.
    pub(crate) fn renew(&mut self) {
        if self.unknown.len() >= UNKNOWN_MAX {
            self.generation = self.generation.wrapping_add(1);
            self.held = None;
            self.unknown.clear();
        }
    }

    fn expected(&self) -> String {
        let held = match self.held {
            Some(sequence) => format!("write {sequence:#x}"),
            None => "no value".to_owned(),
        };
        if self.unknown.is_empty() {
            return held;
        }
        let unknown: Vec<String> = self.unknown.iter().map(|s| format!("{s:#x}")).collect();
        format!("{held}, or one of unknown outcome: {}", unknown.join(", "))
    }
}

const UNKNOWN_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_acknowledged_write_can_be_read() {
        let mut key = StringKey::default();
        assert!(key.read(None, Data::Kept).is_ok());
        key.written(1);
        key.written(2);
        assert!(key.read(Some(2), Data::Kept).is_ok());
        assert!(key.read(Some(1), Data::Kept).is_err());
        assert!(key.read(None, Data::Kept).is_err());
        assert!(key.read(None, Data::MayVanish).is_ok());
        assert!(key.read(Some(2), Data::MayVanish).is_err());
    }

    #[test]
    fn a_write_of_unknown_outcome_may_show_up_once_and_late() {
        let mut key = StringKey::default();
        key.written(1);
        key.doubt(2);
        assert!(key.read(Some(1), Data::Kept).is_ok());
        key.written(3);
        assert!(key.read(Some(2), Data::Kept).is_ok());
        assert!(key.read(Some(3), Data::Kept).is_err());
        key.written(4);
        assert!(key.read(Some(2), Data::Kept).is_err());
    }
}
