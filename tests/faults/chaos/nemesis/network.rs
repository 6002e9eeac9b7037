//! What happens on the way between narrows and the server.

use std::time::Duration;

use super::Nemesis;
use crate::chaos::proxy::{Doom, End, Fault, Way};
use crate::chaos::stage::Stage;

pub(super) const ALL: &[Nemesis] = &[
    Nemesis::new("hole-briefly", 500, |stage| {
        stage.proxy.set(Fault::Hole(None));
    })
    .ending(heal)
    .blinding(),
    Nemesis::new("hole-past-the-stall", 4000, |stage| {
        stage.proxy.set(Fault::Hole(None));
    })
    .ending(heal)
    .blinding(),
    Nemesis::new("hole-for-requests", 3000, |stage| {
        stage.proxy.set(Fault::Hole(Some(Way::Requests)));
    })
    .ending(heal)
    .blinding(),
    Nemesis::new("hole-for-replies", 3000, |stage| {
        stage.proxy.set(Fault::Hole(Some(Way::Replies)));
    })
    .ending(heal)
    .blinding(),
    Nemesis::new("half-open-server-gone", 4000, |stage| {
        stage.proxy.strike(Doom::ServerGone);
    })
    .ending(heal)
    .blinding(),
    Nemesis::new("half-open-client-gone", 1000, |stage| {
        stage.proxy.strike(Doom::ClientGone);
    })
    .ending(heal)
    .blinding(),
    Nemesis::new("resets", 1000, |stage| {
        stage.proxy.strike(Doom::Ends(End::Reset));
    })
    .again_ms(100)
    .ending(heal),
    Nemesis::new("closes", 1000, |stage| {
        stage.proxy.strike(Doom::Ends(End::Close));
    })
    .again_ms(100)
    .ending(heal),
    Nemesis::new("replies-cut-at-a-byte", 1500, |stage| {
        cut(stage, Way::Replies);
    })
    .again_ms(200)
    .ending(heal),
    Nemesis::new("requests-cut-at-a-byte", 1500, |stage| {
        cut(stage, Way::Requests);
    })
    .again_ms(200)
    .ending(heal),
    Nemesis::new("delay", 1000, |stage| {
        let span = Duration::from_millis(stage.random.u64(1..30));
        stage.proxy.set(Fault::Delay(span));
    })
    .ending(heal),
    Nemesis::new("trickle", 1500, |stage| {
        let bytes = stage.random.usize(1..9);
        stage.proxy.set(Fault::Trickle(bytes));
    })
    .ending(heal),
    Nemesis::new("connections-refused", 1000, |stage| {
        stage.proxy.set(Fault::Refuse);
    })
    .ending(heal),
    Nemesis::new("connections-closed-at-once", 1000, |stage| {
        stage.proxy.set(Fault::CloseNew);
        stage.proxy.strike(Doom::Ends(End::Reset));
    })
    .ending(heal),
];

fn heal(stage: &mut Stage) {
    stage.proxy.heal();
}

/// Anywhere from the first byte of a handshake to the middle of a batch.
fn cut(stage: &mut Stage, way: Way) {
    let most = *stage
        .random
        .choice(&[20_usize, 200, 5000, 200_000])
        .unwrap();
    let bytes = stage.random.usize(0..most);
    let end = if stage.random.bool() {
        End::Reset
    } else {
        End::Close
    };
    stage.proxy.set(Fault::CutAfter(way, bytes, end));
}
