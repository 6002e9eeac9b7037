//! When a connection is made, and what it begins as.

use std::time::Duration;

use crate::admission::Claim;
use crate::engine::cx::Cx;
use crate::engine::effect::Effect;
use crate::engine::key::{BackendId, PoolKey};

use super::Pool;
use super::backend::{AcquireRequest, Backend};

impl Pool {
    /// Dials for `request` within a part of the budget, if that, the backoff and the rate allow it now.
    pub fn dial(
        &mut self,
        cx: &mut Cx,
        claim: Claim,
        request: AcquireRequest,
        key: PoolKey,
    ) -> Option<BackendId> {
        let now = cx.now;
        let permit = cx.shared.budget.acquire(claim)?;
        if let Err(wait) = cx.shared.dials.take(now) {
            self.endpoint.no_dial_before(now + wait);
            cx.wake_at(now + wait);
            return None;
        }
        let credential = self.contexts.credential(key.context);
        let within = self.contexts.enter(key.context);
        let endpoint = key.endpoint;
        let mut backend = Backend::new(endpoint, within, credential.unwrap_or_default(), now);
        backend.made_for = Some(request);
        backend.kept_back = !matches!(claim, Claim::Worker(_));
        let pool = &cx.rules.settings.pool;
        if !pool.max_lifetime.is_zero() {
            let (lifetime, jitter) = (pool.max_lifetime, pool.max_lifetime_jitter);
            let life = cx.jitter.shorten(lifetime, jitter);
            backend.retire_at = Some(now + life);
            cx.wake_at(now + life);
        }
        let id = self.backends.insert(backend);
        cx.counters.dials += 1;
        cx.effects.push(Effect::Dial {
            endpoint,
            backend: id,
            permit,
        });
        Some(id)
    }

    /// The health check is answered, or is not any more.
    pub fn answers(&mut self, cx: &mut Cx, answering: bool) {
        if self.endpoint.answers(answering, cx.now) {
            cx.wake_at(cx.now);
        }
    }

    /// Whether another worker should know that this one waits for a place in the budget, which it is
    /// told again after `every`.
    pub fn tells_others(&mut self, cx: &Cx, every: Duration) -> bool {
        let tells = cx.workers > 1 && self.place_wanted_at + every <= cx.now;
        if tells {
            self.place_wanted_at = cx.now;
        }
        tells
    }

    /// The budget is told whether this worker waits for a place in it.
    pub fn wants_place(&mut self, cx: &Cx, waits: bool) {
        if waits != self.waits_for_budget {
            self.waits_for_budget = waits;
            cx.shared.budget.count_waiter(waits);
        }
    }

    /// Whether this worker waits for a place in the budget.
    pub fn is_waiting_for_budget(&self) -> bool {
        self.waits_for_budget
    }

    /// Whether a connection may be made ready for leases now.
    pub fn may_warm(&self, now: Duration) -> bool {
        self.endpoint.may_be_dialled(now) && self.warm_at <= now
    }

    /// No connection is made ready for leases before then.
    pub fn warm_not_before(&mut self, at: Duration) {
        self.warm_at = at;
    }
}
