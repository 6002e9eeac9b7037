//! How many leases there are, by what they are for.

use crate::engine::lease::state::LeaseFor;

/// LeaseCounts held, by what they are for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct LeaseCounts([usize; LeaseFor::ALL.len()]);

impl LeaseCounts {
    /// All.
    pub fn total(self) -> usize {
        self.0.iter().sum()
    }

    /// Those for one purpose.
    pub fn of(self, purpose: LeaseFor) -> usize {
        self.0.get(purpose as usize).copied().unwrap_or_default()
    }

    pub fn add(&mut self, purpose: LeaseFor) {
        if let Some(count) = self.0.get_mut(purpose as usize) {
            *count += 1;
        }
    }

    pub fn sub(&mut self, purpose: LeaseFor) {
        if let Some(count) = self.0.get_mut(purpose as usize) {
            *count = count.saturating_sub(1);
        }
    }
}
