//! How many backends are lent for what, and who waits for one.

pub mod counts;
pub mod lease_line;
mod places;

use self::counts::LeaseCounts;
use self::lease_line::LeaseLine;

/// See the module.
#[derive(Default)]
pub struct Leases {
    /// Those who wait.
    pub line: LeaseLine,
    pub counts: LeaseCounts,
}
