//! Commands that wait: those that have found no place on the server, and those that are being ended
//! there.

pub mod cancels;
pub mod line;
mod places;
pub mod tries;

use std::collections::BTreeMap;

use crate::engine::key::ClientId;

use self::cancels::Cancels;
use self::line::Line;
use self::tries::Try;

/// See the module.
#[derive(Default)]
pub struct Waits {
    /// Waits that are being ended.
    pub cancels: Cancels,
    /// Waits that have found no place on the server.
    pub line: Line,
    /// Those of them that are being tried, and some whose clients have left meanwhile.
    pub tries: BTreeMap<ClientId, Try>,
}
