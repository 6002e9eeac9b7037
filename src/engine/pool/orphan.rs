//! The wait of a client that has left.

use crate::engine::lease::state::LeaseFor;

/// The wait of a client that has left.
#[derive(Debug, Clone, Copy)]
pub struct Orphan {
    /// What its backend was lent for.
    pub purpose: LeaseFor,
    /// Nothing else of its client is left on it.
    pub clean: bool,
}
