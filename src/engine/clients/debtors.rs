//! Who holds how much, while too much is held.

use std::collections::BinaryHeap;

use crate::engine::key::ClientId;

/// Who holds how much, from the first time in a turn that too much is held up to the end of that turn:
/// so a turn looks at all clients once at most, however many have to go. What it says of one is what
/// that one held at most since.
#[derive(Debug, Default)]
pub struct Debtors(Option<BinaryHeap<(usize, ClientId)>>);

impl Debtors {
    /// Whether it has been looked who holds how much, in this turn.
    #[inline]
    pub fn are_known(&self) -> bool {
        self.0.is_some()
    }

    /// They are these.
    pub fn know(&mut self, all: impl Iterator<Item = (usize, ClientId)>) {
        self.0 = Some(all.filter(|(debt, _)| *debt > 0).collect());
    }

    /// One of them holds so much now. Of no account while they are not known.
    pub fn grows(&mut self, debt: usize, id: ClientId) {
        if let Some(debtors) = self.0.as_mut().filter(|_| debt > 0) {
            debtors.push((debt, id));
        }
    }

    /// The one who held most at some time since, and how much that was.
    pub fn pop(&mut self) -> Option<(usize, ClientId)> {
        self.0.as_mut()?.pop()
    }
}
