//! Servers that log a connection in by the certificate that narrows presents: nobody's command runs as that
//! user unless it is meant to.

use super::certificate_login::CertificateLogin;
use super::*;
use crate::metrics::http::get;
use crate::support::{Conn, Flavor, PATIENCE, RedisServer, wait_for};
use certificates::Authority;

/// A server with users, one of which narrows' certificate logs in.
struct Scene {
    server: RedisServer,
    login: CertificateLogin,
    folder: tempfile::TempDir,
    admin: Conn,
}

const USERS: [&[&str]; 2] = [
    &["ACL", "SETUSER", "svc", "on", ">pw", "~*", "&*", "+@all"],
    &[
        "ACL", "SETUSER", "other", "on", ">pw", "~*", "&*", "+@all", "-acl",
    ],
];

impl Scene {
    fn new(by_certificate: Option<&str>, options: &[&str]) -> Self {
        let server = RedisServer::start_flavor(Flavor::Valkey91, options);
        let mut admin = server.connect();
        for user in USERS {
            // Some have no `ACL`, and their users in their options.
            admin.call(user);
        }
        let authority = Authority::new();
        let identity = authority.signs(&["127.0.0.1"], |_| {});
        let login = CertificateLogin::start(&server, &identity, by_certificate);
        let folder = tempfile::tempdir().unwrap();
        authority
            .signs(&["narrows"], |_| {})
            .write(folder.path(), "narrows");
        std::fs::write(folder.path().join("ca.pem"), &authority.pem).unwrap();
        Self {
            server,
            login,
            folder,
            admin,
        }
    }

    fn narrows(&self, auth: &str) -> Narrows {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        let (ca, cert, key) = (file("ca.pem"), file("narrows.pem"), file("narrows.key"));
        let toml = format!(
            "[backend.tls]\nca_file = {ca:?}\ncert_file = {cert:?}\nkey_file = {key:?}\n\
             [pool]\nqueue_timeout = \"300ms\"\n[auth]\nmode = {auth:?}\n"
        );
        let url = format!("rediss://127.0.0.1:{}", self.login.port);
        let narrows = crate::support::setup::narrows(&url, &toml, &[]);
        let address = narrows.admin_address();
        wait_for("an answer to control", PATIENCE, || {
            (get(&address, "/readyz").status == 200).then_some(())
        });
        narrows
    }
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

#[test]
fn who_has_not_logged_in_is_the_default_user_whatever_the_certificate_says() {
    for by_certificate in [Some("svc"), Some("other"), None] {
        let scene = Scene::new(by_certificate, &[]);
        let narrows = scene.narrows("passthrough");
        let mut client = narrows.connect();
        client.expect(&["ACL", "WHOAMI"], bulk("default"));
        client.expect(&["SELECT", "3"], "+OK\r\n");
        client.expect(&["ACL", "WHOAMI"], bulk("default"));
        let mut waits = narrows.connect();
        waits.send_command(&["BLPOP", "l", "0"]);
        client.expect(&["SELECT", "0"], "+OK\r\n");
        client.expect(&["RPUSH", "l", "x"], ":1\r\n");
        waits.expect_reply("*2\r\n$1\r\nl\r\n$1\r\nx\r\n");
        waits.expect(&["ACL", "WHOAMI"], bulk("default"));
        client.expect(&["AUTH", "svc", "pw"], "+OK\r\n");
        client.expect(&["ACL", "WHOAMI"], bulk("svc"));
        client.expect(&["RESET"], "+RESET\r\n");
        client.expect(&["ACL", "WHOAMI"], bulk("default"));
    }
}

#[test]
fn who_has_to_log_in_has_to_whatever_the_certificate_says() {
    let mut scene = Scene::new(Some("svc"), &[]);
    scene.admin.expect(
        &["ACL", "SETUSER", "default", "resetpass", ">own"],
        "+OK\r\n",
    );
    let narrows = scene.narrows("passthrough");
    let mut client = narrows.connect();
    client.expect(&["GET", "k"], "-NOAUTH Authentication required.\r\n");
    assert!(
        client
            .call(&["AUTH", "svc", "no"])
            .text()
            .starts_with("WRONGPASS")
    );
    client.expect(&["GET", "k"], "-NOAUTH Authentication required.\r\n");
    client.expect(&["AUTH", "own"], "+OK\r\n");
    client.expect(&["ACL", "WHOAMI"], bulk("default"));
}

#[test]
fn where_the_login_cannot_be_undone_nobody_is_served_without_one() {
    let scene = Scene::new(Some("svc"), &["--rename-command", "RESET", ""]);
    let narrows = scene.narrows("passthrough");
    let mut client = narrows.connect();
    client.expect(&["GET", "k"], "-NOAUTH Authentication required.\r\n");
    narrows.expect_logged(&["takes narrows' certificate for this user", "svc"]);
    client.expect(&["AUTH", "svc", "pw"], "+OK\r\n");
    client.expect(&["ACL", "WHOAMI"], bulk("svc"));
    // Whom it does not log in is who it should be.
    let scene = Scene::new(None, &["--rename-command", "RESET", ""]);
    let narrows = scene.narrows("passthrough");
    narrows
        .connect()
        .expect(&["ACL", "WHOAMI"], bulk("default"));
}

#[test]
fn a_server_that_answers_no_such_question_is_named_for_that() {
    let renamed = [
        "--rename-command",
        "RESET",
        "",
        "--rename-command",
        "ACL",
        "",
        "--user",
        "svc",
        "on",
        ">pw",
        "~*",
        "&*",
        "+@all",
    ];
    let scene = Scene::new(Some("svc"), &renamed);
    let narrows = scene.narrows("passthrough");
    let text = narrows.connect().call(&["GET", "k"]).text();
    assert!(text.starts_with("TRYAGAIN narrows: no backend"), "{text}");
    narrows.expect_logged(&["it knows neither RESET nor ACL WHOAMI"]);
    // Whoever it is, it is narrows.
    let narrows = scene.narrows("none");
    narrows.connect().expect(&["SET", "k", "v"], "+OK\r\n");
}

#[test]
fn narrows_is_who_the_certificate_says_where_clients_are_narrows() {
    for user in ["svc", "other"] {
        let mut scene = Scene::new(Some(user), &[]);
        scene
            .admin
            .expect(&["ACL", "SETUSER", "default", "off"], "+OK\r\n");
        let narrows = scene.narrows("none");
        let mut client = narrows.connect();
        client.expect(&["SET", "k", "v"], "+OK\r\n");
        narrows.expect_logged(&["narrows is this user of the server", user]);
        let page = get(&narrows.admin_address(), "/readyz").body;
        let shown = format!("by its certificate narrows is this user of the server: {user}");
        assert!(page.contains(&shown), "{page}");
    }
}

/// A server's mind may change, of all connections to come.
#[test]
fn narrows_is_one_user_of_the_server_on_all_that_new_commands_go_to() {
    let scene = Scene::new(Some("svc"), &[]);
    let narrows = scene.narrows("none");
    let mut client = narrows.connect();
    client.expect(&["ACL", "WHOAMI"], bulk("svc"));
    let mut subscriber = narrows.connect();
    let subscribed = "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";
    subscriber.expect(&["SUBSCRIBE", "c"], subscribed);
    scene.login.log_in_as("other");
    // What has to be dialled for: one after the other of what waits.
    let mut waiting: Vec<Conn> = (0..3).map(|_| narrows.connect()).collect();
    for client in &mut waiting {
        client.send_command(&["BLPOP", "l", "0"]);
    }
    narrows.expect_logged(&["narrows is another user of the server than before", "other"]);
    let denied = "NOPERM User other has no permissions to run the 'acl|whoami' command";
    wait_for("all to be the other user", PATIENCE, || {
        (client.call(&["ACL", "WHOAMI"]).text() == denied).then_some(())
    });
    for _ in 0..20 {
        assert_eq!(client.call(&["ACL", "WHOAMI"]).text(), denied);
    }
    client.expect(&["PUBLISH", "c", "m"], ":1\r\n");
    subscriber.expect_reply("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n");
    for _ in &waiting {
        client.call(&["RPUSH", "l", "x"]).integer();
    }
    for client in &mut waiting {
        client.expect_reply("*2\r\n$1\r\nl\r\n$1\r\nx\r\n");
    }
    drop(scene.server);
}

/// A server that is busy does not say whose a connection is, and is asked to end its script all the same.
#[test]
fn a_script_can_be_ended_whoever_narrows_is() {
    for mode in ["passthrough", "none"] {
        let scene = Scene::new(Some("svc"), &["--busy-reply-threshold", "100"]);
        let narrows = scene.narrows(mode);
        let (mut runs, mut ends) = (narrows.connect(), narrows.connect());
        ends.expect(&["SET", "k", "v"], "+OK\r\n");
        runs.send_command(&["EVAL", "while true do end", "0"]);
        wait_for("the script to be ended", PATIENCE, || {
            (ends.call(&["SCRIPT", "KILL"]).text() == "OK").then_some(())
        });
        assert!(runs.reply().is_error());
        ends.expect(&["GET", "k"], bulk("v"));
    }
}
