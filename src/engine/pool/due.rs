//! What time brings a backend to. One that owes replies and says nothing is closed by one of two clocks:
//! `stall_timeout` while narrows' own health check is not answered either, `stall_timeout_answering` while
//! it is.

use std::time::Duration;

use crate::admission::Paused;
use crate::admission::fault_injection::{self, Bug};
use crate::engine::cx::Cx;
use crate::engine::slot::Slot;

use super::Pool;
use super::backend::{Backend, Phase, PipeState};
use super::close_reason::CloseReason;
use super::idle::{Unused, is_unused};

/// The earliest of some moments.
#[derive(Default)]
pub struct Earliest {
    pub at: Option<Duration>,
}

impl Earliest {
    pub fn earliest(&mut self, at: Duration) {
        self.at = Some(self.at.map_or(at, |now| now.min(at)));
    }
}

impl Pool {
    /// What is due for a backend now, or when something will be.
    pub fn due(
        &self,
        cx: &Cx,
        backend: &Backend,
        unused: &Unused,
    ) -> (Option<Due>, Option<Duration>) {
        let now = cx.now;
        let settings = &cx.rules.settings;
        let mut next = Earliest::default();
        if let Some((begun, reason)) = self.own_work(cx, backend) {
            let deadline = cx.counts_from(begun) + settings.backend.handshake_timeout;
            return match deadline <= now {
                true => (Some(Due::Close(reason)), None),
                false => (None, Some(deadline)),
            };
        }
        if matches!(backend.phase, Phase::Dialling) {
            return (None, None);
        }
        // An old pipe is drained, so that one that is never idle is replaced too.
        if let Some(at) = backend.retire_at
            && matches!(backend.phase, Phase::Idle | Phase::Pipe { .. })
        {
            if at <= now {
                return (Some(Due::Retire), None);
            }
            next.earliest(at);
        }
        // Where a client waits for as long as it likes, a dead server is found by TCP.
        if backend.patient {
            return (None, next.at);
        }
        if !backend.in_flight.is_empty() && !fault_injection::has(Bug::StallMissed) {
            return self.due_while_owing(cx, backend, next);
        }
        if !is_unused(backend) {
            return (None, next.at);
        }
        let budget = &cx.shared.budget;
        if (budget.growth_stopped() || budget.is_exceeded()) && unused.all > 1 {
            return (Some(Due::Retire), None);
        }
        if !settings.pool.idle_timeout.is_zero() && !unused.keeps(backend) {
            let at = backend.used_at + settings.pool.idle_timeout;
            if at <= now {
                return (Some(Due::Retire), None);
            }
            next.earliest(at);
        }
        if !settings.pool.ping_interval.is_zero() {
            let at = backend.heard_at + settings.pool.ping_interval;
            if at <= now {
                return (Some(Due::Ping), None);
            }
            next.earliest(at);
        }
        (None, next.at)
    }

    /// The same for one that owes replies. `next` is when it is due for another reason.
    pub fn due_while_owing(
        &self,
        cx: &Cx,
        backend: &Backend,
        mut next: Earliest,
    ) -> (Option<Due>, Option<Duration>) {
        let (now, settings) = (cx.now, &cx.rules.settings);
        if let Some(at) = backend.script_due(now) {
            if at <= now {
                return (Some(Due::Script), None);
            }
            next.earliest(at);
        }
        // A server that says that it is busy is alive.
        if !self.waits_for_script(cx, backend) {
            let at = self.silent_since(cx, backend) + self.stall_limit(cx, backend);
            if at <= now {
                return (Some(Due::Close(CloseReason::Stalled)), None);
            }
            next.earliest(at);
        }
        if let Some(at) = backend.check_due(settings.pool.check_interval) {
            if at <= now {
                return (Some(Due::Ping), None);
            }
            next.earliest(at);
        }
        // The shorter clock may begin to hold at any moment.
        next.earliest((backend.heard_at + settings.backend.stall_timeout).max(now + SECOND));
        (None, next.at)
    }

    /// How long a backend that owes replies may be silent.
    pub fn stall_limit(&self, cx: &Cx, backend: &Backend) -> Duration {
        let settings = &cx.rules.settings.backend;
        match (self.endpoint.is_answering(), backend.state()) {
            // Somebody has paused writes: that is no death while the server answers others.
            // A connection that is dead is found by TCP, which misses the acknowledgements;
            // the bound is for what neither explains.
            (true, Some(PipeState::WritesOnly)) => settings.stall_timeout_answering * 10,
            (true, _) => settings.stall_timeout_answering,
            (false, _) => settings.stall_timeout,
        }
    }

    /// Since when a backend is being set to its context, or cleaned, and what it is lost to in the end.
    pub fn own_work(&self, cx: &Cx, backend: &Backend) -> Option<(Duration, CloseReason)> {
        let timeout = cx.rules.settings.backend.handshake_timeout;
        match &backend.phase {
            Phase::Handshake(handshake) => {
                let begun = handshake.deadline.saturating_sub(timeout);
                Some((begun, CloseReason::HandshakeTimeout))
            }
            Phase::Cleaning(cleaning) => Some((cleaning.since, CloseReason::ClientGone)),
            _ => None,
        }
    }

    /// Since when nothing has come from a backend that could have come.
    pub fn silent_since(&self, cx: &Cx, backend: &Backend) -> Duration {
        let held_by = match backend.owes_despite_a_pause() {
            true => Paused::All,
            false => Paused::Writes,
        };
        cx.shared.pause.counts_from(backend.heard_at, held_by)
    }

    /// Whether this backend is silent because the server is busy.
    pub fn waits_for_script(&self, cx: &Cx, backend: &Backend) -> bool {
        let may_run_one = matches!(backend.phase, Phase::Leased(_))
            || backend.in_flight.iter().any(Slot::is_script);
        may_run_one && cx.shared.busy.says(cx.now).is_some()
    }
}

/// What time has brought a backend to.
pub enum Due {
    Close(CloseReason),
    Ping,
    Retire,
    /// It stands behind a script.
    Script,
}

pub const SECOND: Duration = Duration::from_secs(1);
