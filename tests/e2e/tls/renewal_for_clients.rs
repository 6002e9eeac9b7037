//! What clients are shown, and whom they are trusted by, is replaced while they come and go.

use std::sync::atomic::{AtomicBool, Ordering};

use super::certificates::Authority;
use super::tls_client::{TlsClient, TlsListener};
use crate::metrics::{exposition::Exposition, http::get};
use crate::support::{PATIENCE, RedisServer, wait_until};

const OFTEN: &str = "reload_interval = \"100ms\"\n";

fn replace(listener: &TlsListener, by: &Authority) {
    let shown = by.signs(&["127.0.0.1"], |_| {});
    // One after the other, as a program without care does: in between the key is of another certificate.
    shown.write(listener.folder.path(), "shown0");
}

#[test]
fn load_what_clients_are_shown_is_replaced_and_nobody_notices() {
    let server = RedisServer::start();
    let listener = TlsListener::start(&server, OFTEN, "");
    let next = Authority::new();
    let both = format!("{}{}", listener.authority.pem, next.pem);
    let stop = AtomicBool::new(false);
    let mut known = listener.connect();
    std::thread::scope(|scope| {
        let coming = scope.spawn(|| {
            let client = TlsClient {
                roots: &both,
                ..listener.client()
            };
            let mut came = 0;
            while !stop.load(Ordering::Relaxed) {
                client.connect().unwrap().expect(&["PING"], "+PONG\r\n");
                came += 1;
            }
            came
        });
        known.expect(&["PING"], "+PONG\r\n");
        replace(&listener, &next);
        let client = TlsClient {
            roots: &next.pem,
            ..listener.client()
        };
        wait_until("the new one to be shown", PATIENCE, || {
            client.connect().is_ok()
        });
        known.expect(&["PING"], "+PONG\r\n");
        stop.store(true, Ordering::Relaxed);
        assert!(coming.join().unwrap() > 0);
    });
    assert!(
        listener.client().connect().is_err(),
        "the old one is shown no more"
    );
    let page = get(&listener.narrows.admin_address(), "/metrics").body;
    let page = Exposition::read(&page);
    assert!(page.value("narrows_tls_handshakes_total") >= 2.0);
}

#[test]
fn an_authority_that_is_taken_away_lets_in_nobody_any_more() {
    let server = RedisServer::start();
    let required = format!("{OFTEN}clients = \"required\"\nclient_ca_file = \"CA_FILE\"\n");
    let listener = TlsListener::start(&server, &required, "");
    let identity = listener.authority.signs(&["client"], |_| {});
    let client = TlsClient {
        identity: Some(&identity),
        ..listener.client()
    };
    let mut known = client.connect().unwrap();
    known.expect(&["PING"], "+PONG\r\n");
    std::fs::write(listener.folder.path().join("ca.pem"), Authority::new().pem).unwrap();
    wait_until("it to be refused", PATIENCE, || {
        let Ok(mut conn) = client.connect() else {
            return true;
        };
        conn.try_send("PING\r\n").is_err() || conn.try_reply().is_err()
    });
    // Who is connected stays so.
    known.expect(&["PING"], "+PONG\r\n");
}
