//! Clients whose TLS handshakes never end, or come all at once.

use std::time::Duration;

use super::bystander::Bystander;
use crate::chaos::storm::HandshakeStorm;
use crate::support::tls::Files;
use crate::support::{RedisServer, setup};

/// By how much of a storm anybody is held up is for the soak to measure, on a machine of its own.
#[test]
fn load_whoever_is_connected_is_served_in_a_storm_of_handshakes_and_so_is_who_comes() {
    let server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let shown = Files::write(folder.path());
    let flags = ["--listen", "tls:127.0.0.1:0"];
    let narrows = setup::narrows(
        &server.url(),
        &format!("{}handshake_timeout = \"1s\"\n", shown.section()),
        &flags,
    );
    let bystander = Bystander::beside(&narrows);
    let storm = HandshakeStorm::begin(narrows.address(), &narrows.tls_address(), &shown);
    std::thread::sleep(Duration::from_secs(2));
    let report = storm.end();
    assert!(report.handshakes >= 50, "{report:?}");
    bystander.noticed_nothing(Duration::from_secs(1));
    eprintln!("{report:?}");
}
