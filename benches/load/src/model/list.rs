//! A list of one client: `RPUSH` behind, `LPOP` before, so elements come out in the order they went
//! in, each once.

use std::collections::VecDeque;

use super::Contradiction;
use crate::plan::Data;

/// What the list may hold.
#[derive(Debug, Default)]
pub(crate) struct List {
    /// Part of the key's name, as for strings.
    pub(crate) generation: u16,
    /// In the order they were pushed.
    elements: VecDeque<Element>,
    /// How many elements are certainly pushed.
    certain: usize,
    /// How many pops of unknown outcome have not been accounted for.
    pops_unknown: usize,
}

#[derive(Debug, Clone, Copy)]
struct Element {
    sequence: u64,
    /// Its push was acknowledged; otherwise it may come at any time.
    certain: bool,
}

impl List {
    /// Whether it is long enough to pop rather than push.
    pub(crate) fn is_full(&self) -> bool {
        self.elements.len() >= ELEMENTS_MAX
    }

    /// A push was answered with this length.
    pub(crate) fn pushed(
        &mut self,
        sequence: u64,
        length: i64,
        data: Data,
    ) -> Result<(), Contradiction> {
        self.add(sequence, true);
        let most = self.elements.len();
        let least = match data {
            Data::Kept => self.certain.saturating_sub(self.pops_unknown).max(1),
            Data::MayVanish => 1,
        };
        match usize::try_from(length) {
            Ok(length) if (least..=most).contains(&length) => Ok(()),
            _ => Err(Contradiction(format!("a length of {least} to {most}"))),
        }
    }

    pub(crate) fn push_in_doubt(&mut self, sequence: u64) {
        self.add(sequence, false);
    }

    pub(crate) fn pop_in_doubt(&mut self) {
        self.pops_unknown += 1;
    }

    /// A pop gave this element.
    pub(crate) fn popped(&mut self, found: Option<u64>, data: Data) -> Result<(), Contradiction> {
        let place = match found {
            None => self.elements.len(),
            Some(found) => self
                .elements
                .iter()
                .position(|element| element.sequence == found)
                .ok_or_else(|| self.contradiction())?,
        };
        self.skip(place, data)?;
        if let Some(found) = found {
            self.remove(found);
        }
        Ok(())
    }

    /// The whole list was read.
    pub(crate) fn read(&mut self, found: &[u64], data: Data) -> Result<(), Contradiction> {
        let known = |sequence: &u64| self.elements.iter().any(|e| e.sequence == *sequence);
        let mut once = found.to_vec();
        once.sort_unstable();
        once.dedup();
        if once.len() != found.len() || !found.iter().all(known) {
            return Err(self.contradiction());
        }
        let gone = |element: &&Element| element.certain && !found.contains(&element.sequence);
        let gone = self.elements.iter().filter(gone).count();
        if gone > self.pops_unknown && data == Data::Kept {
            return Err(self.contradiction());
        }
        Ok(())
    }

    /// Takes another name when too much may still happen to this one.
    pub(crate) fn renew(&mut self) {
        let uncertain = self.elements.len() - self.certain;
        if uncertain + self.pops_unknown >= UNKNOWN_MAX {
            let generation = self.generation.wrapping_add(1);
            *self = Self {
                generation,
                ..Self::default()
            };
        }
    }

    fn add(&mut self, sequence: u64, certain: bool) {
        self.elements.push_back(Element { sequence, certain });
        self.certain += usize::from(certain);
    }

    /// The certain elements before `place` are gone: pops of unknown outcome have taken them. Those
    /// that are not certain may still come.
    fn skip(&mut self, place: usize, data: Data) -> Result<(), Contradiction> {
        let skipped = self.elements.iter().take(place);
        let gone = skipped.filter(|element| element.certain).count();
        if gone == 0 {
            return Ok(());
        }
        if gone > self.pops_unknown && data == Data::Kept {
            return Err(self.contradiction());
        }
        self.pops_unknown = self.pops_unknown.saturating_sub(gone);
        self.certain -= gone;
        let mut at = 0;
        self.elements.retain(|element| {
            at += 1;
            at > place || !element.certain
        });
        Ok(())
    }

    fn remove(&mut self, sequence: u64) {
        let is_it = |element: &Element| element.sequence == sequence;
        if let Some(place) = self.elements.iter().position(is_it)
            && let Some(element) = self.elements.remove(place)
        {
            self.certain -= usize::from(element.certain);
        }
    }

    fn contradiction(&self) -> Contradiction {
        let shown: Vec<String> = self
            .elements
            .iter()
            .take(SHOWN_MAX)
            .map(|Element { sequence, certain }| {
                format!("{sequence:#x}{}", if *certain { "" } else { "?" })
            })
            .collect();
        Contradiction(format!(
            "{} elements in this order, {} pops of unknown outcome: {}",
            self.elements.len(),
            self.pops_unknown,
            shown.join(" ")
        ))
    }
}

const ELEMENTS_MAX: usize = 32;
const UNKNOWN_MAX: usize = 16;
const SHOWN_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sequences: &[u64]) -> List {
        let mut list = List::default();
        for (length, sequence) in (1..).zip(sequences) {
            list.pushed(*sequence, length, Data::Kept).unwrap();
        }
        list
    }

    #[test]
    fn elements_come_out_in_order_and_once() {
        let mut list = of(&[1, 2, 3]);
        assert!(list.popped(Some(1), Data::Kept).is_ok());
        assert!(list.popped(Some(1), Data::Kept).is_err());
        assert!(list.popped(Some(3), Data::Kept).is_err());
        assert!(list.popped(None, Data::Kept).is_err());
        assert!(list.popped(Some(9), Data::Kept).is_err());
        assert!(list.read(&[2, 3], Data::Kept).is_ok());
        assert!(list.read(&[2], Data::Kept).is_err());
        assert!(list.read(&[2, 3, 3], Data::Kept).is_err());
    }

    #[test]
    fn a_pop_of_unknown_outcome_takes_one_from_the_head() {
        let mut list = of(&[1, 2, 3]);
        list.pop_in_doubt();
        assert!(list.popped(Some(2), Data::Kept).is_ok());
        assert!(list.popped(None, Data::Kept).is_err());
        assert!(list.popped(Some(1), Data::Kept).is_err());
        assert!(list.popped(Some(3), Data::Kept).is_ok());
        assert!(list.popped(None, Data::Kept).is_ok());
    }

    #[test]
    fn a_push_of_unknown_outcome_may_come_late() {
        let mut list = of(&[1]);
        list.push_in_doubt(2);
        assert!(list.pushed(3, 2, Data::Kept).is_ok());
        assert!(list.popped(Some(1), Data::Kept).is_ok());
        assert!(list.popped(Some(3), Data::Kept).is_ok());
        assert!(list.popped(None, Data::Kept).is_ok());
        assert!(list.popped(Some(2), Data::Kept).is_ok());
        assert!(list.popped(Some(2), Data::Kept).is_err());
    }
}
