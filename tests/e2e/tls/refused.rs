//! Certificates that are not accepted, and what is said of them; and who is accepted all the same.

use rustix::process::Signal;

use super::*;
use crate::support::{PATIENCE, wait_for};
use certificates::{Authority, expired, good, own_authority, version_1};

/// narrows says this of the server, and serves nobody.
fn refused(server: &TlsServer, tls: &str, words: &[&str]) {
    let narrows = server.narrows(tls);
    narrows.expect_logged(words);
    let mut client = narrows.connect();
    let text = client.call(&["PING"]).text();
    assert!(
        text.starts_with("TRYAGAIN narrows: no backend is connected"),
        "{text}"
    );
}

fn accepted(server: &TlsServer, tls: &str) {
    let narrows = server.narrows(tls);
    narrows.connect().expect(&["SET", "k", "v"], "+OK\r\n");
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused_and_can_be_pinned() {
    let identity = good();
    let server = TlsServer::start(&identity, &[]);
    let other = server.file("other.pem", &Authority::new().pem);
    let tls = format!("ca_file = {:?}", other.to_str().unwrap());
    let pin = format!("pin:{}", identity.fingerprint);
    refused(
        &server,
        &tls,
        &[
            "signed by nobody who is trusted",
            "backend.tls.ca_file",
            &pin,
        ],
    );
    accepted(&server, &format!("verify = {pin:?}"));
    let wrong = format!("verify = \"pin:{}\"", "0".repeat(64));
    refused(&server, &wrong, &["is not the one", &pin]);
}

#[test]
fn a_certificate_for_another_host_is_refused_unless_that_is_expected() {
    let identity = Authority::new().signs(&["redis.internal", "10.1.2.3"], |_| {});
    let server = TlsServer::start(&identity, &[]);
    let trusted = server.trusted();
    refused(
        &server,
        &trusted,
        &["is for redis.internal, 10.1.2.3, not for 127.0.0.1"],
    );
    accepted(
        &server,
        &format!("{trusted}\nserver_name = \"redis.internal\""),
    );
    accepted(&server, &format!("{trusted}\nverify = \"ca\""));
    let nameless = TlsServer::start(&Authority::new().signs(&[], |_| {}), &[]);
    let trusted = nameless.trusted();
    refused(&nameless, &trusted, &["names no server", "subjectAltName"]);
    accepted(&nameless, &format!("{trusted}\nverify = \"ca\""));
}

#[test]
fn a_certificate_that_is_not_valid_today_is_refused() {
    let identity = expired();
    let server = TlsServer::start(&identity, &[]);
    for verify in ["full", "ca"] {
        let tls = format!("{}\nverify = {verify:?}", server.trusted());
        refused(&server, &tls, &["has expired, on Jan  1 00:00:00 2021"]);
    }
    accepted(
        &server,
        &format!("verify = \"pin:{}\"", identity.fingerprint),
    );
}

#[test]
fn forms_of_certificate_that_are_refused_are_named_and_can_be_pinned() {
    for (identity, words) in [
        (own_authority(), "that of an authority, signed by itself"),
        (version_1(), "of version 1"),
    ] {
        let server = TlsServer::start(&identity, &[]);
        let other = server.file("other.pem", &Authority::new().pem);
        let tls = format!("ca_file = {:?}", other.to_str().unwrap());
        let pin = format!("pin:{}", identity.fingerprint);
        refused(&server, &tls, &[words, &pin]);
        accepted(&server, &format!("verify = {pin:?}"));
    }
}

#[test]
fn a_server_that_wants_a_certificate_gets_narrows_own() {
    let authority = Authority::new();
    let server = TlsServer::start(
        &authority.signs(&["127.0.0.1"], |_| {}),
        &["--tls-auth-clients", "yes"],
    );
    let trusted = server.trusted();
    refused(
        &server,
        &trusted,
        &[
            "asks for a certificate of narrows'",
            "backend.tls.cert_file",
        ],
    );
    let own = authority.signs(&["narrows"], |_| {});
    let (cert, key) = own.write(server.folder.path(), "narrows");
    let tls = format!(
        "{trusted}\ncert_file = {:?}\nkey_file = {:?}",
        cert.to_str().unwrap(),
        key.to_str().unwrap()
    );
    accepted(&server, &tls);
}

#[test]
fn versions_that_are_too_old_are_not_spoken() {
    let server = TlsServer::start(&good(), &["--tls-protocols", "TLSv1.2"]);
    let trusted = server.trusted();
    accepted(&server, &trusted);
    refused(
        &server,
        &format!("{trusted}\nmin_version = \"1.3\""),
        &["ProtocolVersion"],
    );
}

#[test]
fn a_port_without_tls_is_named_for_what_it_is() {
    let server = TlsServer::start(&good(), &[]);
    let narrows = server.narrows_to("127.0.0.1", server.server.port(), &server.trusted());
    narrows.expect_logged(&["does it speak TLS on this port?"]);
}

/// Files are read again, and what is wrong with them is said.
#[test]
fn a_reload_takes_the_files_as_they_are() {
    let server = TlsServer::start(&good(), &[]);
    let authority = std::fs::read_to_string(server.folder.path().join("client-ca.pem")).unwrap();
    let file = server.file("ca.pem", &Authority::new().pem);
    let configuration = server.file(
        "narrows.toml",
        &format!("[backend.tls]\nca_file = {:?}\n", file.to_str().unwrap()),
    );
    let mut narrows = Narrows::start(&[
        "--config",
        configuration.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
        "--backend",
        &format!("rediss://127.0.0.1:{}", server.port),
    ]);
    narrows.expect_logged(&["signed by nobody who is trusted"]);
    server.file("ca.pem", "no certificate");
    narrows.signal(Signal::HUP);
    narrows.expect_logged(&["backend.tls.ca_file", "holds no certificate in PEM form"]);
    server.file("ca.pem", &authority);
    narrows.signal(Signal::HUP);
    narrows.expect_logged(&["configuration reloaded", "backend.tls"]);
    let mut client = narrows.connect();
    wait_for("an answer", PATIENCE, || {
        (client.call(&["PING"]).text() == "PONG").then_some(())
    });
}
