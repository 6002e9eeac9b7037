//! The engine under a stream of events: clients that connect, send anything, stop reading and
//! leave; servers that answer, lie, hang and die; a clock that jumps; rules that change. After each
//! event the engine's turn ends, its totals agree, and no connection is without a permit. Whatever
//! an honest server answered is heard by nobody but who asked, once and in order; no write runs
//! twice; and nothing is left when all have gone.
//!
//! The first bytes of an input draw the rules, each following event takes a few more, and the input
//! is played until it ends.

mod actor;
mod events;
mod requests;
mod rules;
mod server;
mod world;

use arbitrary::Unstructured;

use world::World;

/// Events of one input: longer ones show nothing more, and cost more.
const EVENTS_MAX: usize = 300;

/// The target.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    // It fails only where an input that has ended does not count as zeros.
    let Ok(mut world) = World::drawn(&mut input) else {
        return;
    };
    for _ in 0..EVENTS_MAX {
        if input.is_empty() || world.event(&mut input).is_err() {
            break;
        }
    }
    world.end();
}
