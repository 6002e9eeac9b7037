//! A worker that panics in the middle of a turn, for tests of what follows: only in builds with the
//! feature `fault_injection`, and there only where the environment asks for it. In all others this is nothing.

/// Ids of the clients whose coming makes their worker panic, by commas.
#[cfg(feature = "fault_injection")]
const VARIABLE: &str = "INJECTED_PANIC_AT_CLIENTS";

#[cfg(feature = "fault_injection")]
mod switch {
    use std::cell::Cell;
    use std::sync::OnceLock;

    thread_local! {
        static PANICS_NEXT: Cell<bool> = const { Cell::new(false) };
    }

    /// The client of this number has come to this thread's worker.
    pub fn came(client: u64) {
        static CLIENTS: OnceLock<Vec<u64>> = OnceLock::new();
        let clients = CLIENTS.get_or_init(|| {
            let text = std::env::var(super::VARIABLE).unwrap_or_default();
            text.split(',').filter_map(|id| id.parse().ok()).collect()
        });
        if clients.contains(&client) {
            PANICS_NEXT.set(true);
        }
    }

    /// This thread's worker has read and not written yet.
    #[allow(clippy::panic, reason = "it is what this is for")]
    pub fn strike() {
        if PANICS_NEXT.take() {
            panic!("fault_injection");
        }
    }
}

#[cfg(feature = "fault_injection")]
pub use switch::{came, strike};

/// The client of this number has come to this thread's worker.
#[cfg(not(feature = "fault_injection"))]
#[inline(always)]
pub const fn came(_: u64) {}

/// This thread's worker has read and not written yet.
#[cfg(not(feature = "fault_injection"))]
#[inline(always)]
pub const fn strike() {}
