//! Users of narrows' configuration.

use crate::support::setup::narrows;
use crate::support::{Narrows, RedisServer};

const WRONGPASS: &str = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
const NOAUTH: &str = "-NOAUTH Authentication required.\r\n";

/// `hello` and `world`, as `sha256sum` prints them.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const WORLD: &str = "486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7";

fn local(server: &RedisServer, users: &str) -> Narrows {
    narrows(
        &server.url(),
        &format!("[auth]\nmode = \"local\"\n{users}"),
        &[],
    )
}

#[test]
fn nobody_is_served_without_a_login_and_everybody_with_one() {
    let server = RedisServer::start();
    let users = format!("[users.alice]\npassword_sha256 = [\"{HELLO}\", \"{WORLD}\"]\n");
    let narrows = local(&server, &users);
    let mut client = narrows.connect();
    client.expect(&["GET", "k"], NOAUTH);
    client.expect(&["CLIENT", "ID"], NOAUTH);
    client.expect(&["AUTH", "hello"], WRONGPASS);
    client.expect(&["AUTH", "alice", "hell"], WRONGPASS);
    client.expect(&["AUTH", "bob", "hello"], WRONGPASS);
    for password in ["hello", "world"] {
        client.expect(&["AUTH", "alice", password], "+OK\r\n");
        client.expect(&["SET", "k", "v"], "+OK\r\n");
    }
    let line = client.call(&["CLIENT", "INFO"]).text();
    assert!(line.contains(" user=alice "), "{line}");
    client.expect(&["RESET"], "+RESET\r\n");
    client.expect(&["GET", "k"], NOAUTH);
    let mut three = narrows.connect();
    let refused = three.call(&["HELLO", "3"]).text();
    assert!(
        refused.starts_with("NOAUTH HELLO must be called"),
        "{refused}"
    );
    assert_eq!(
        three.call(&["HELLO", "3", "AUTH", "alice", "hello"]).raw()[0],
        b'%'
    );
}

#[test]
fn a_user_runs_as_the_one_of_the_server_that_it_names() {
    let server = RedisServer::start();
    let mut admin = server.connect();
    let rules = [
        "ACL",
        "SETUSER",
        "reader",
        "on",
        ">readerpw",
        "~*",
        "+@read",
        "+acl|whoami",
    ];
    admin.expect(&rules, "+OK\r\n");
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("reader");
    std::fs::write(&password, "readerpw").unwrap();
    let users = format!(
        "[users.alice]\npassword_sha256 = [\"{HELLO}\"]\nbackend_user = \"reader\"\n\
         backend_password_file = {password:?}\n[users.bob]\npassword_sha256 = [\"{WORLD}\"]\n"
    );
    let narrows = local(&server, &users);
    let (mut alice, mut bob) = (narrows.connect(), narrows.connect());
    alice.expect(&["AUTH", "alice", "hello"], "+OK\r\n");
    bob.expect(&["AUTH", "bob", "world"], "+OK\r\n");
    bob.expect(&["SET", "k", "v"], "+OK\r\n");
    alice.expect(&["GET", "k"], "$1\r\nv\r\n");
    assert!(alice.call(&["SET", "k", "w"]).text().starts_with("NOPERM"));
    alice.expect(&["AUTH", "bob", "world"], "+OK\r\n");
    alice.expect(&["SET", "k", "w"], "+OK\r\n");
}

#[test]
fn only_who_may_administrate_does() {
    let server = RedisServer::start();
    let users = format!(
        "[users.alice]\npassword_sha256 = [\"{HELLO}\"]\n\
         [users.ops]\npassword_sha256 = [\"{WORLD}\"]\nadmin = true\n"
    );
    let narrows = local(&server, &users);
    let (mut alice, mut ops) = (narrows.connect(), narrows.connect());
    alice.expect(&["AUTH", "alice", "hello"], "+OK\r\n");
    ops.expect(&["AUTH", "ops", "world"], "+OK\r\n");
    for asked in [
        &["CLIENT", "LIST"][..],
        &["CLIENT", "KILL", "ID", "1000000"],
        &["CONFIG", "SET", "maxmemory", "0"],
        &["ACL", "SETUSER", "x"],
    ] {
        let refused = alice.call(asked).text();
        let named = asked[..2].join("|").to_lowercase();
        let expected = format!("NOPERM this user has no permissions to run the '{named}' command");
        assert_eq!(refused, expected);
        let answer = ops.call(asked).text();
        assert!(!answer.starts_with("NOPERM"), "{asked:?}: {answer}");
    }
    // Inside a block that comes whole too.
    alice.send(b"MULTI\r\nCONFIG GET maxmemory\r\nEXEC\r\n");
    alice.expect_reply("+OK\r\n");
    assert!(alice.reply().text().starts_with("NOPERM"));
    assert!(alice.reply().text().starts_with("EXECABORT"));
    alice.expect(&["CLIENT", "SETNAME", "me"], "+OK\r\n");
}

#[test]
fn rules_and_limits_are_of_each_user() {
    let server = RedisServer::start();
    let users = format!(
        "user_clients_max = 3\n[users.alice]\npassword_sha256 = [\"{HELLO}\"]\nmax_clients = 1\n\
         deny = [\"FLUSH*\"]\n[users.bob]\npassword_sha256 = [\"{WORLD}\"]\n"
    );
    let narrows = local(&server, &users);
    let mut alice = narrows.connect();
    alice.expect(&["AUTH", "alice", "hello"], "+OK\r\n");
    assert!(
        alice
            .call(&["FLUSHALL"])
            .text()
            .starts_with("NOPERM narrows: 'flushall'")
    );
    // Once more is no second client.
    alice.expect(&["AUTH", "alice", "hello"], "+OK\r\n");
    let mut second = narrows.connect();
    second.expect(
        &["AUTH", "alice", "hello"],
        "-ERR max number of clients reached\r\n",
    );
    second.expect_closed();
    narrows.expect_logged(&["max number of clients of this user reached"]);
    let mut bobs: Vec<_> = (0..3).map(|_| narrows.connect()).collect();
    for bob in &mut bobs {
        bob.expect(&["AUTH", "bob", "world"], "+OK\r\n");
        bob.expect(&["FLUSHALL"], "+OK\r\n");
    }
    let mut fourth = narrows.connect();
    fourth.expect(
        &["AUTH", "bob", "world"],
        "-ERR max number of clients reached\r\n",
    );
    drop(alice);
    crate::support::wait_until("the place is free", crate::support::PATIENCE, || {
        narrows.connect().call(&["AUTH", "alice", "hello"]).raw() == b"+OK\r\n"
    });
}

#[test]
fn clients_begin_as_the_default_user_where_that_needs_no_password() {
    let server = RedisServer::start();
    let users = format!(
        "[users.default]\nnopass = true\ndeny = [\"SET\"]\n\
         [users.alice]\npassword_sha256 = [\"{HELLO}\"]\n"
    );
    let narrows = local(&server, &users);
    let mut client = narrows.connect();
    client.expect(&["GET", "k"], "$-1\r\n");
    assert!(
        client
            .call(&["SET", "k", "v"])
            .text()
            .starts_with("NOPERM narrows")
    );
    client.expect(&["AUTH", "alice", "hello"], "+OK\r\n");
    client.expect(&["SET", "k", "v"], "+OK\r\n");
    client.expect(&["AUTH", "default", "whatever"], "+OK\r\n");
    assert!(
        client
            .call(&["SET", "k", "v"])
            .text()
            .starts_with("NOPERM narrows")
    );
    let text = client.call(&["AUTH", "x"]).text();
    assert!(
        text.starts_with("ERR AUTH <password> called without any password"),
        "{text}"
    );
}

#[test]
fn no_script_does_for_a_user_what_is_denied_to_it() {
    const REFUSED: &str = "-NOPERM narrows: scripts are refused, as they could run commands that are \
                           denied; see scripts in the configuration\r\n";
    let server = RedisServer::start();
    let password = format!("password_sha256 = [\"{HELLO}\"]");
    let narrows = local(
        &server,
        &format!(
            "[users.kept]\n{password}\ndeny = [\"FLUSHALL\"]\n\
             [users.strict]\n{password}\nadmin = false\n\
             [users.trusted]\n{password}\ndeny = [\"FLUSHALL\"]\nscripts = \"allow\"\n\
             [users.plain]\n{password}\n"
        ),
    );
    let flush = "return redis.call('flushall')";
    let library = "#!lua name=l\nredis.register_function('f', function() return 1 end)";
    server.connect().expect(&["SET", "k", "v"], "+OK\r\n");
    for user in ["kept", "strict"] {
        let mut client = narrows.connect();
        client.expect(&["AUTH", user, "hello"], "+OK\r\n");
        for script in [
            &["EVAL", flush, "0"][..],
            &["eval_ro", flush, "0"],
            &["EVALSHA", "00", "0"],
            &["EVALSHA_RO", "00", "0"],
            &["FCALL", "f", "0"],
            &["FCALL_RO", "f", "0"],
            &["SCRIPT", "LOAD", flush],
            &["FUNCTION", "LOAD", library],
            &["FUNCTION", "RESTORE", "x"],
            &["TFCALL", "l.f", "0"],
        ] {
            client.expect(script, REFUSED);
        }
        client.expect(&["MULTI"], "+OK\r\n");
        client.expect(&["EVAL", flush, "0"], REFUSED);
        assert!(client.call(&["EXEC"]).text().starts_with("EXECABORT"));
        client.expect(&["GET", "k"], "$1\r\nv\r\n");
    }
    let mut plain = narrows.connect();
    plain.expect(&["AUTH", "plain", "hello"], "+OK\r\n");
    plain.expect(&["EVAL", "return 7", "0"], ":7\r\n");
    let mut trusted = narrows.connect();
    trusted.expect(&["AUTH", "trusted", "hello"], "+OK\r\n");
    trusted.expect(&["EVAL", flush, "0"], "+OK\r\n");
    plain.expect(&["GET", "k"], "$-1\r\n");
}
