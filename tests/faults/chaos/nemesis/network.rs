//! What happens on the way between narrows and the server.

use std::time::Duration;

use super::Nemesis;
use crate::chaos::proxy::{Direction, Disconnect, End, Fault};
use crate::chaos::system::System;

pub(super) const ALL: &[Nemesis] = &[
    Nemesis::new("hole-briefly", 500, |system| {
        system.proxy.set(Fault::Hole(None));
    })
    .ending(heal)
    .blinding(),
    Nemesis::new("hole-past-the-stall", 4000, |system| {
        system.proxy.set(Fault::Hole(None));
    })
    .ending(heal)
    .blinding(),
    Nemesis::new("hole-for-requests", 3000, |system| {
        system.proxy.set(Fault::Hole(Some(Direction::Requests)));
    })
    .ending(heal)
    .blinding(),
    Nemesis::new("hole-for-replies", 3000, |system| {
        system.proxy.set(Fault::Hole(Some(Direction::Replies)));
    })
    .ending(heal)
    .blinding(),
    Nemesis::new("half-open-server-gone", 4000, |system| {
        system.proxy.strike(Disconnect::ServerGone);
    })
    .ending(heal)
    .blinding(),
    Nemesis::new("half-open-client-gone", 1000, |system| {
        system.proxy.strike(Disconnect::ClientGone);
    })
    .ending(heal)
    .blinding(),
    Nemesis::new("resets", 1000, |system| {
        system.proxy.strike(Disconnect::Ends(End::Reset));
    })
    .again_ms(100)
    .ending(heal),
    Nemesis::new("closes", 1000, |system| {
        system.proxy.strike(Disconnect::Ends(End::Close));
    })
    .again_ms(100)
    .ending(heal),
    Nemesis::new("replies-cut-at-a-byte", 1500, |system| {
        cut(system, Direction::Replies);
    })
    .again_ms(200)
    .ending(heal),
    Nemesis::new("requests-cut-at-a-byte", 1500, |system| {
        cut(system, Direction::Requests);
    })
    .again_ms(200)
    .ending(heal),
    Nemesis::new("delay", 1000, |system| {
        let span = Duration::from_millis(system.random.u64(1..30));
        system.proxy.set(Fault::Delay(span));
    })
    .ending(heal),
    Nemesis::new("trickle", 1500, |system| {
        let bytes = system.random.usize(1..9);
        system.proxy.set(Fault::Trickle(bytes));
    })
    .ending(heal),
    Nemesis::new("connections-refused", 1000, |system| {
        system.proxy.set(Fault::Refuse);
    })
    .ending(heal),
    Nemesis::new("connections-closed-at-once", 1000, |system| {
        system.proxy.set(Fault::CloseNew);
        system.proxy.strike(Disconnect::Ends(End::Reset));
    })
    .ending(heal),
];

fn heal(system: &mut System) {
    system.proxy.heal();
}

/// Anywhere from the first byte of a handshake to the middle of a batch.
fn cut(system: &mut System, way: Direction) {
    let most = *system
        .random
        .choice(&[20_usize, 200, 5000, 200_000])
        .unwrap();
    let bytes = system.random.usize(0..most);
    let end = if system.random.bool() {
        End::Reset
    } else {
        End::Close
    };
    system.proxy.set(Fault::CutAfter(way, bytes, end));
}
