//! What of a client's transaction was lost with the connection that held it. It belongs to the
//! client and to no connection: whatever else the client does meanwhile, on whatever it is lent
//! for that, neither takes it along nor ends it.

/// See the module. The default: nothing was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LostTransaction {
    watch: bool,
    multi: bool,
}

impl LostTransaction {
    /// Keys were watched for it, and that they are is not relied upon any more.
    pub(super) fn lose_watch(&mut self) {
        self.watch = true;
    }

    /// Its commands were queued, and are no more.
    pub(super) fn lose_multi(&mut self) {
        self.multi = true;
    }

    /// Whether keys were watched for it: they may have changed, so no `EXEC` may run.
    pub fn watch(self) -> bool {
        self.watch
    }

    /// Whether its commands were queued: what follows up to `EXEC` is refused.
    pub fn multi(self) -> bool {
        self.multi
    }

    /// It begins another transaction in place of the one that was lost. In Redis that ends no watch.
    pub fn begins_another(&mut self) {
        self.multi = false;
    }

    /// `UNWATCH` was answered, outside of `MULTI`.
    pub(super) fn unwatched(&mut self) {
        self.watch = false;
    }

    /// Its transaction is over: by `EXEC`, by a `DISCARD` that was not refused, or by `RESET`.
    pub fn over(&mut self) {
        *self = Self::default();
    }
}
