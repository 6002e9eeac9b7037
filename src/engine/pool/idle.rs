//! Backends that carry nothing, idle ones among them, and how many of them are kept.

use super::Pool;
use super::backend::{AcquireRequest, Backend, Phase};
use crate::engine::cx::Cx;
use crate::engine::event::EngineEvent;
use crate::engine::key::BackendId;

/// The backends of a worker that carry nothing, and how many of them stay however long they do.
pub struct Unused {
    pub all: usize,
    pub idle: usize,
    /// Idle ones that stay.
    pub warm: usize,
    /// Of whatever kind stay so many.
    pub kept: usize,
}

impl Unused {
    /// Whether none of the kind of `backend`, which is one of these, has to go. The last idle ones stay
    /// also where many pipes carry nothing just now: others would be dialled in their place.
    pub fn keeps(&self, backend: &Backend) -> bool {
        self.all <= self.kept || is_idle(backend) && self.idle <= self.warm
    }

    /// This one goes.
    pub fn goes(&mut self, backend: &Backend) {
        if is_unused(backend) {
            self.all = self.all.saturating_sub(1);
            self.idle = self.idle.saturating_sub(usize::from(is_idle(backend)));
        }
    }
}

pub fn is_idle(backend: &Backend) -> bool {
    matches!(backend.phase, Phase::Idle)
}

impl Pool {
    /// A clean backend that nobody holds. One that is kept back, or that was made for somebody, may be
    /// awaited: that is for others to say.
    pub fn make_idle(&mut self, cx: &mut Cx, id: BackendId) {
        let Some(backend) = self.backends.get(id) else {
            return;
        };
        let awaited = matches!(
            backend.made_for,
            Some(AcquireRequest::Kill(_) | AcquireRequest::Lease(_))
        );
        if backend.kept_back || awaited {
            return cx.events.push_back(EngineEvent::BackendMade(id));
        }
        self.is_anybodys(cx, id);
    }

    /// A clean backend that nobody in particular waits for.
    pub fn is_anybodys(&mut self, cx: &mut Cx, id: BackendId) {
        let Some(backend) = self.backends.get_mut(id) else {
            return;
        };
        assert!(
            backend.is_quiet(),
            "a backend that owes something is not idle"
        );
        backend.phase = Phase::Idle;
        self.weights.touch_if_known(id);
        backend.replies.let_pushes_nest(false);
        backend.made_for = None;
        backend.used_at = cx.now;
        if backend.retire_at.is_some_and(|at| at <= cx.now) {
            return self.retire(cx, id);
        }
        self.idle.push(id);
        cx.wake_at(cx.now);
    }
}

/// Whether a backend is in use by nobody, as far as traffic goes.
pub fn is_unused(backend: &Backend) -> bool {
    matches!(backend.phase, Phase::Idle | Phase::Pipe { .. }) && backend.is_quiet()
}
