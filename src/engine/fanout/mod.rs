//! Questions to all workers, and what is asked of the server before its turn.

pub mod filling;
pub mod gather;
pub mod gathers;
pub mod kill;

use std::collections::BTreeMap;

use crate::engine::key::ClientId;

use self::gathers::Gathers;
use self::kill::Kill;

/// See the module.
#[derive(Default)]
pub struct Fanout {
    /// Questions under way.
    pub gathers: Gathers,
    /// `SCRIPT KILL` and its like that go before their turn.
    pub kills: BTreeMap<ClientId, Kill>,
}
