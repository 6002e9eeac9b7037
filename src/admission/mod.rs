//! Admission: may it? Pure decisions over numbers: budgets, rates, backoff.
//! Knows nothing of bytes, sockets or Redis.

pub mod address_quota;
pub mod backoff;
pub mod budget;
pub mod failures;
pub mod fault_injection;
pub mod jitter;
pub mod pause;
pub mod rate;
pub mod user_quota;

pub use address_quota::{AddressQuota, AddressQuotas, SourceAddress};
pub use backoff::Backoff;
pub use budget::{Budget, Claim, Permit, Term};
pub use failures::Failures;
pub use jitter::Jitter;
pub use pause::{Paused, ServerPause};
pub use rate::DialRate;
pub use user_quota::{UserQuota, UserQuotas};
