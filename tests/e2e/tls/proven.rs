//! Clients that show who they are: whose certificates are taken, and which user each is by its own.

use rcgen::{CertificateParams, DistinguishedName, DnType, SanType, date_time_ymd};

use super::certificates::{Authority, Identity};
use super::tls_client::{TlsClient, TlsListener};
use crate::support::setup::field;
use crate::support::{Conn, RedisServer};

const REQUIRED: &str = "clients = \"required\"\nclient_ca_file = \"CA_FILE\"\n";

fn named(listener: &TlsListener, common_name: &str, alternative: Vec<SanType>) -> Identity {
    signed(&listener.authority, |params| {
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        params.subject_alt_names = alternative.clone();
    })
}

fn signed(authority: &Authority, change: impl Fn(&mut CertificateParams)) -> Identity {
    authority.signs(&["client.example"], change)
}

fn with<'a>(listener: &'a TlsListener, identity: &'a Identity) -> TlsClient<'a> {
    TlsClient {
        identity: Some(identity),
        ..listener.client()
    }
}

#[test]
fn where_certificates_are_required_nobody_comes_in_without_a_good_one_and_the_log_says_why() {
    let server = RedisServer::start();
    let listener = TlsListener::start(&server, REQUIRED, "");
    listener.client().expect_refused();
    listener
        .narrows
        .expect_logged(&["it has shown no certificate", "tls.clients"]);

    // Each reason is told now and then only: to a narrows of its own.
    let of_another = signed(&Authority::new(), |_| {});
    let expired = signed(&listener.authority, |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let refused = [
        (of_another, "signed by nobody of tls.client_ca_file"),
        (expired, "expired"),
    ];
    for (identity, word) in refused {
        let other = TlsListener::showing(
            &server,
            Authority::new(),
            &[&listener.authority.signs(&["127.0.0.1"], |_| {})],
            &REQUIRED.replace(
                "CA_FILE",
                listener.folder.path().join("ca.pem").to_str().unwrap(),
            ),
            "",
        );
        let client = TlsClient {
            roots: &listener.authority.pem,
            ..with(&other, &identity)
        };
        client.expect_refused();
        other.narrows.expect_logged(&["its certificate is", word]);
    }
    let good = signed(&listener.authority, |_| {});
    with(&listener, &good)
        .connect()
        .unwrap()
        .expect(&["PING"], "+PONG\r\n");
}

#[test]
fn where_they_are_optional_a_client_without_one_is_served_and_one_with_a_bad_one_is_not() {
    let server = RedisServer::start();
    let listener = TlsListener::start(&server, &REQUIRED.replace("required", "optional"), "");
    listener.connect().expect(&["PING"], "+PONG\r\n");
    let good = signed(&listener.authority, |_| {});
    with(&listener, &good)
        .connect()
        .unwrap()
        .expect(&["PING"], "+PONG\r\n");
    let bad = signed(&Authority::new(), |_| {});
    with(&listener, &bad).expect_refused();
}

const USERS: &str = "
[auth]
mode = \"local\"
[users.app]
max_clients = 2
[users.\"a.example\"]
[users.\"spiffe://x/y\"]
[users.ops]
admin = true
password_sha256 = [\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\"]
";

fn by(server: &RedisServer, field: &str) -> TlsListener {
    TlsListener::start(
        server,
        &format!("{REQUIRED}client_user = {field:?}\n"),
        USERS,
    )
}

fn who(client: &mut Conn) -> String {
    let line = client.call(&["CLIENT", "INFO"]).text();
    field(&line, "user").unwrap()
}

#[test]
fn a_client_is_the_user_that_its_certificate_names() {
    let server = RedisServer::start();
    let alternative = vec![
        SanType::DnsName("nobody.example".try_into().unwrap()),
        SanType::DnsName("a.example".try_into().unwrap()),
        SanType::URI("spiffe://x/y".try_into().unwrap()),
    ];
    for (field, user) in [
        ("cn", "app"),
        ("san_dns", "a.example"),
        ("san_uri", "spiffe://x/y"),
    ] {
        let listener = by(&server, field);
        let identity = named(&listener, "app", alternative.clone());
        let mut client = with(&listener, &identity).connect().unwrap();
        assert_eq!(who(&mut client), user, "{field}");
        client.expect(&["SET", "k", "v"], "+OK\r\n");
    }
}

#[test]
fn by_its_certificate_a_client_begins_and_begins_anew_and_may_become_another() {
    let server = RedisServer::start();
    let listener = by(&server, "cn");
    let identity = named(&listener, "app", Vec::new());
    let mut client = with(&listener, &identity).connect().unwrap();
    assert_eq!(who(&mut client), "app");
    client.expect(&["AUTH", "ops", "hello"], "+OK\r\n");
    assert_eq!(who(&mut client), "ops");
    client.expect(&["RESET"], "+RESET\r\n");
    assert_eq!(who(&mut client), "app");
    // The user has no password, and so none that could be guessed.
    let refused = client.call(&["AUTH", "app", ""]).text();
    assert!(refused.starts_with("WRONGPASS"), "{refused}");
    assert_eq!(who(&mut client), "app");
    // Its bound holds for those that came by their certificates.
    let _second = with(&listener, &identity)
        .connect()
        .map(|mut client| who(&mut client))
        .unwrap();
    let mut kept = with(&listener, &identity).connect().unwrap();
    kept.expect(&["PING"], "+PONG\r\n");
    let mut third = with(&listener, &identity).connect().unwrap();
    let text = third.call(&["PING"]).text();
    assert!(
        text.starts_with("ERR max number of clients reached"),
        "{text}"
    );
}

#[test]
fn a_certificate_of_nobody_leaves_the_login_to_the_client() {
    let server = RedisServer::start();
    let listener = by(&server, "cn");
    let identity = named(&listener, "stranger", Vec::new());
    let mut client = with(&listener, &identity).connect().unwrap();
    let text = client.call(&["GET", "k"]).text();
    assert!(text.starts_with("NOAUTH"), "{text}");
    listener
        .narrows
        .expect_logged(&["names no user", "stranger", "tls.client_user"]);
    client.expect(&["AUTH", "ops", "hello"], "+OK\r\n");
    assert_eq!(who(&mut client), "ops");
}

/// An authority signs what it takes for another name.
#[test]
fn a_name_that_is_cut_by_whoever_reads_it_up_to_a_nul_byte_lets_nobody_in() {
    let server = RedisServer::start();
    let listener = by(&server, "cn");
    let identity = named(&listener, "ops\0.attacker.example", Vec::new());
    with(&listener, &identity).expect_refused();
    listener
        .narrows
        .expect_logged(&["NUL byte in the name of its user"]);
}

#[test]
fn a_certificate_says_who_somebody_is_only_where_users_are_narrows_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("narrows.toml");
    let toml = "[listen]\naddresses = [\"tls:127.0.0.1:0\"]\n[tls]\nclient_user = \"cn\"\n";
    std::fs::write(&file, toml).unwrap();
    let mut child = crate::support::Narrows::spawn(&["check", file.to_str().unwrap()]);
    let status = child.wait(crate::support::PATIENCE);
    assert_eq!(status.code(), Some(1));
    child.expect_logged(&["tls.client_user", "auth.mode", "local"]);
}
