//! Which pipe a request goes down.

use crate::engine::cx::Cx;
use crate::engine::key::{BackendId, ContextId, PoolKey};
use crate::engine::settings::{EngineSettings, PoolSettings};
use crate::engine::slot::AccessKind;

use super::Pool;
use super::backend::{AcquireRequest, Backend, PipeState};

impl Pool {
    /// The least loaded pipe of this pool that takes a request of `bytes` bytes. While
    /// writes are paused they go where others are paused already.
    pub fn pick(
        &mut self,
        cx: &mut Cx,
        key: PoolKey,
        access: AccessKind,
        bytes: usize,
        settings: &EngineSettings,
    ) -> Option<BackendId> {
        let pool = &settings.pool;
        let backends = &self.backends;
        let busy = cx.shared.busy.is_heard() && cx.shared.busy.says(cx.now).is_some();
        let rank = |b: &Backend| match b.state() {
            Some(PipeState::WritesOnly) => 0,
            Some(PipeState::Script) => 2,
            _ => 1,
        };
        let (best, silent_since, behind_script) = self
            .endpoint
            .pool(key)?
            .pipes
            .iter()
            .filter_map(|id| Some((*id, backends.get(*id)?)))
            .filter(|(_, b)| b.takes(access, bytes, pool.pipe_in_flight_max, pool.pipe_bytes_max))
            // A script is no reason to wait before it is known that others are answered.
            .filter(|(_, b)| !(busy && b.state() == Some(PipeState::Script)))
            .min_by_key(|(_, b)| (rank(b), b.in_flight.len()))
            .map(|(id, b)| {
                let silent_since = b.in_flight.is_empty().then_some(b.heard_at);
                (id, silent_since, b.state() == Some(PipeState::Script))
            })?;
        // A server's `timeout` may have closed a connection that was silent for long:
        // it is not given a write that could be lost, before it has answered a ping.
        if let Some(since) = silent_since
            && !pool.ping_interval.is_zero()
            && cx.now.saturating_sub(since) > pool.ping_interval * 2
        {
            self.ping(cx, best);
            if let Some(backend) = self.backends.get_mut(best) {
                backend.turn_to(PipeState::Quarantined);
            }
            return None;
        }
        if behind_script {
            // It goes down that one for want of another.
            let request = AcquireRequest::Pipe(key);
            if !self.acquire_queue.contains(request) {
                self.request(request);
                cx.wake_at(cx.now);
            }
        }
        Some(best)
    }

    /// Whether the pipe that carries a client's earlier requests takes one more. Not a
    /// write while writes are paused on another pipe of `context`: it would stop its reads.
    pub fn goes_on(
        &self,
        context: ContextId,
        current_backend: BackendId,
        access: AccessKind,
        bytes: usize,
        settings: &PoolSettings,
    ) -> bool {
        let (in_flight_max, bytes_max) = (settings.pipe_in_flight_max, settings.pipe_bytes_max);
        let elsewhere =
            access == AccessKind::Write && self.writes_go_elsewhere(context, current_backend);
        !elsewhere
            && self.backends.get(current_backend).is_some_and(|b| {
                // A reload may have changed as whom the client's commands run.
                b.context() == context && b.takes(access, bytes, in_flight_max, bytes_max)
            })
    }

    /// Whether writes are paused on another pipe of `context` than `current_backend`: they go there.
    pub fn writes_go_elsewhere(&self, context: ContextId, current_backend: BackendId) -> bool {
        let paused = |id: &BackendId| {
            let backend = self.backends.get(*id);
            *id != current_backend
                && backend.is_some_and(|b| b.state() == Some(PipeState::WritesOnly))
        };
        let pool = self.endpoint.pools().get(context);
        pool.is_some_and(|pool| pool.pipes.len() > 1 && pool.pipes.iter().any(paused))
    }
}
