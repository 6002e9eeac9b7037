//! A client connects: who it is, and what it is going to do.

use std::net::SocketAddr;

use narrows::engine::Accepted;

use super::actor::Actor;
use super::rng::{Part, Rng};
use super::world::World;

impl World {
    pub fn connect(&mut self) {
        let w = self.rng.below(self.workers.len());
        let number = self.actors.len() as u32;
        let id = u64::from(number) + 1;
        let peer = ([127, 0, 0, 1], 1000 + number as u16).into();
        let local = SocketAddr::from(([127, 0, 0, 1], 6380));
        let accepted = Accepted::tcp(id, peer, local);
        let key = self.workers[w].engine.client_connected(accepted, self.now);
        let mut actor = Actor::new(w, key, number, id);
        actor.huge = self.rng.hits(4);
        // As many libraries do. Drawn apart, in some worlds only: it is a habit, and no event.
        let mut habits = Rng::of(self.seed ^ 0x5747, Part::Setup);
        actor.writes_first = habits.hits(15) && id % 2 == 1;
        let transacting = self.transacting || self.runs_as.is_some();
        let most = if transacting { 90 } else { 40 };
        actor.desyncs = self.desyncs;
        actor.transacts = !self.desyncs && !self.in_time_slices && self.rng.hits(most);
        actor.waits_much = self.waits_much();
        actor.transacts_percent = if transacting { 80 } else { 12 };
        actor.unauthenticated = self.server.users.default_is_closed;
        actor.users = self.users;
        let most = match (self.subscribing, self.transacting) {
            (true, _) => 90,
            (_, true) => 5,
            _ => 25,
        };
        actor.subscribes = !self.desyncs && !self.in_time_slices && self.rng.hits(most);
        actor.subscribes_percent = if self.subscribing { 60 } else { 10 };
        if let Some(focus) = self.focus {
            focus.shape(&mut actor);
        }
        self.actors.push(actor);
    }
}
