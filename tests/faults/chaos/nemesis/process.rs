//! What happens to narrows itself: it is drained or killed, and a new process takes its place on
//! the same port; and what is done to its listener for TLS.

use rustix::process::Signal;

use super::Nemesis;

pub(super) const ALL: &[Nemesis] = &[
    Nemesis::new("narrows-drained", 100, |system| {
        system.end_narrows(Signal::TERM);
    })
    .ending(|system| system.start_narrows())
    .ending_narrows(),
    Nemesis::new("narrows-kill-9", 100, |system| {
        system.end_narrows(Signal::KILL);
    })
    .ending(|system| system.start_narrows())
    .ending_narrows(),
    Nemesis::new("handshake-storm", 4500, |system| system.begin_storm())
        .ending(|system| system.end_storm()),
];
