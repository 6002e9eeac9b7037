//! Admission: may it? Pure decisions over numbers: budgets, rates, backoff.
//! Knows nothing of bytes, sockets or Redis.

pub mod backoff;
pub mod budget;
pub mod failures;
pub mod jitter;
pub mod pause;
pub mod planted;
pub mod rate;
pub mod seats;
pub mod sources;

pub use backoff::Backoff;
pub use budget::{Budget, Claim, Permit, Term};
pub use failures::Failures;
pub use jitter::Jitter;
pub use pause::{Paused, ServerPause};
pub use rate::DialRate;
pub use seats::{Seat, Seats};
pub use sources::{Source, SourcePlace, Sources};
