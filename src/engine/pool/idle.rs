//! What is idle, and how much of that is kept.

use super::backend::{Backend, Phase};
use super::due::is_idle;

/// The backends of a worker that carry nothing, and how many of them stay however long they do.
pub struct Idle {
    pub all: usize,
    pub spares: usize,
    /// Spares that stay.
    pub warm: usize,
    /// Of whatever kind stay so many.
    pub kept: usize,
}

impl Idle {
    /// Whether none of the kind of `backend`, which is one of these, has to go. The last spares stay
    /// also where many pipes are idle just now: others would be dialled in their place.
    pub fn keeps(&self, backend: &Backend) -> bool {
        self.all <= self.kept || is_spare(backend) && self.spares <= self.warm
    }

    /// This one goes.
    pub fn goes(&mut self, backend: &Backend) {
        if is_idle(backend) {
            self.all = self.all.saturating_sub(1);
            self.spares = self.spares.saturating_sub(usize::from(is_spare(backend)));
        }
    }
}

pub fn is_spare(backend: &Backend) -> bool {
    matches!(backend.phase, Phase::Spare)
}
