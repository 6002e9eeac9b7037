//! How many backends are lent for what, and who waits for one.

mod counts;
mod lease_line;
mod places;
mod waiting;

use self::counts::LeaseCounts;
use self::lease_line::LeaseLine;

/// See the module.
#[derive(Default)]
pub struct Leases {
    /// Those who wait.
    line: LeaseLine,
    counts: LeaseCounts,
}
