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
    cancels: Cancels,
    /// Waits that have found no place on the server.
    line: Line,
    /// Those of them that are being tried, and some whose clients have left meanwhile.
    tries: BTreeMap<ClientId, Try>,
}

impl Waits {
    /// Waits that are being ended.
    pub fn cancels(&self) -> &Cancels {
        &self.cancels
    }

    pub fn cancels_mut(&mut self) -> &mut Cancels {
        &mut self.cancels
    }

    /// Waits that have found no place on the server.
    pub fn line(&self) -> &Line {
        &self.line
    }

    pub fn line_mut(&mut self) -> &mut Line {
        &mut self.line
    }

    /// Whether the client's wait is being tried.
    pub fn is_tried(&self, id: ClientId) -> bool {
        self.tries.contains_key(&id)
    }

    pub fn begin_try(&mut self, id: ClientId, one: Try) {
        self.tries.insert(id, one);
    }

    pub fn try_of(&mut self, id: ClientId) -> Option<&mut Try> {
        self.tries.get_mut(&id)
    }

    pub fn end_try(&mut self, id: ClientId) -> Option<Try> {
        self.tries.remove(&id)
    }

    /// How many are being tried.
    pub fn tries_len(&self) -> usize {
        self.tries.len()
    }
}
