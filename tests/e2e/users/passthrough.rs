//! Users of the server.

use crate::support::setup;
use crate::support::{Conn, Flavor, PATIENCE, RedisServer, command, wait_until};
use crate::users::{passthrough, server_with_users};

const NOAUTH: &str = "-NOAUTH Authentication required.\r\n";
const WRONGPASS: &str = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";

fn admin(server: &RedisServer) -> Conn {
    let mut admin = server.connect();
    admin.expect(&["AUTH", "admin", "adminpw"], "+OK\r\n");
    admin
}

#[test]
fn a_client_is_who_it_logs_in_as_and_nobody_before() {
    for flavor in Flavor::pair() {
        let server = server_with_users(flavor);
        let narrows = passthrough(&server, "");
        let mut client = narrows.connect();
        client.expect(&["GET", "a:1"], NOAUTH);
        let unknown = "ERR unknown command 'NOSUCHCOMMAND', with args beginning with: ";
        wait_until("its commands are known", PATIENCE, || {
            client.call(&["NOSUCHCOMMAND"]).text() == unknown
        });
        client.expect(
            &["GET"],
            "-ERR wrong number of arguments for 'get' command\r\n",
        );
        client.expect(&["AUTH", "alice", "wrong"], WRONGPASS);
        client.expect(&["AUTH", "nobody", "alicepw"], WRONGPASS);
        client.expect(&["GET", "a:1"], NOAUTH);
        client.expect(&["AUTH", "alice", "alicepw"], "+OK\r\n");
        client.expect(&["ACL", "WHOAMI"], "$5\r\nalice\r\n");
        client.expect(&["SET", "a:1", "x"], "+OK\r\n");
        assert!(
            client
                .call(&["SET", "b:1", "x"])
                .text()
                .starts_with("NOPERM")
        );
        // A login that fails changes nothing.
        client.expect(&["AUTH", "bob", "wrong"], WRONGPASS);
        client.expect(&["ACL", "WHOAMI"], "$5\r\nalice\r\n");
        client.expect(&["AUTH", "bob", "bobpw"], "+OK\r\n");
        client.expect(&["ACL", "WHOAMI"], "$3\r\nbob\r\n");
        let line = client.call(&["CLIENT", "INFO"]).text();
        assert!(line.contains(" user=bob "), "{line}");
        client.expect(&["RESET"], "+RESET\r\n");
        client.expect(&["GET", "a:1"], NOAUTH);
    }
}

#[test]
fn what_is_pipelined_behind_a_login_runs_as_that_user() {
    let server = server_with_users(Flavor::Redis);
    let narrows = passthrough(&server, "");
    let mut client = narrows.connect();
    client.send(
        b"AUTH alice alicepw\r\nACL WHOAMI\r\nSET a:1 1\r\nAUTH bob bobpw\r\nACL WHOAMI\r\n\
          AUTH alice nope\r\nACL WHOAMI\r\nGET a:1\r\n",
    );
    client.expect_reply("+OK\r\n");
    client.expect_reply("$5\r\nalice\r\n");
    client.expect_reply("+OK\r\n");
    client.expect_reply("+OK\r\n");
    client.expect_reply("$3\r\nbob\r\n");
    client.expect_reply(WRONGPASS);
    client.expect_reply("$3\r\nbob\r\n");
    assert!(client.reply().text().starts_with("NOPERM"));
}

/// Whoever goes back to nobody may send no more than nobody may.
#[test]
fn a_huge_request_behind_a_reset_is_that_of_an_unauthenticated_client() {
    for flavor in Flavor::pair() {
        let server = server_with_users(flavor);
        let narrows = passthrough(&server, "");
        let huge = command(&["SET", "a:1", &"x".repeat(3 << 20)]);
        let talks = |mut conn: Conn| {
            conn.expect(&["AUTH", "alice", "alicepw"], "+OK\r\n");
            let mut all = command(&["GET", "a:1"]);
            all.extend_from_slice(&command(&["RESET"]));
            all.extend_from_slice(&huge);
            // It is closed before it has sent all of that.
            let _ = conn.try_send(&all);
            conn.expect_reply("$-1\r\n");
            conn.expect_reply("+RESET\r\n");
            let _ = conn.try_reply().map(|reply| {
                let text = reply.text();
                assert!(text.starts_with("ERR Protocol error: "), "{text}");
                conn.expect_closed();
            });
        };
        talks(server.connect());
        talks(narrows.connect());
    }
}

#[test]
fn hello_logs_in_as_well() {
    let server = server_with_users(Flavor::Redis);
    let narrows = passthrough(&server, "");
    let (mut client, mut direct) = (narrows.connect(), server.connect());
    for refused in [
        &["HELLO", "3"][..],
        &["HELLO"],
        &["HELLO", "3", "AUTH", "alice", "x"],
        &["HELLO", "4", "AUTH", "alice", "alicepw"],
        &["HELLO", "3", "AUTH", "alice"],
    ] {
        let expected = direct.call(refused).text();
        assert_eq!(client.call(refused).text(), expected, "{refused:?}");
    }
    let hello = ["HELLO", "3", "AUTH", "alice", "alicepw", "SETNAME", "me"];
    assert_eq!(client.call(&hello).raw()[0], b'%');
    client.expect(&["ACL", "WHOAMI"], "$5\r\nalice\r\n");
    client.expect(&["CLIENT", "GETNAME"], "$2\r\nme\r\n");
    client.expect(&["GET", "a:none"], "_\r\n");
}

#[test]
fn load_short_connections_that_log_in_need_no_dial_once_the_user_is_known() {
    let server = server_with_users(Flavor::Redis);
    let narrows = passthrough(
        &server,
        "[backend]\nmax_connections = 6\n[pool]\nmin_idle_leases = 0\n",
    );
    let once = |user: &str, password: &str| {
        let mut client = narrows.connect();
        client.expect(&["AUTH", user, password], "+OK\r\n");
        client.expect(&["ECHO", user], format!("${}\r\n{user}\r\n", user.len()));
    };
    once("alice", "alicepw");
    once("bob", "bobpw");
    let mut admin = admin(&server);
    let received = |admin: &mut Conn| {
        let stats = admin.call(&["INFO", "stats"]).text();
        let line = stats
            .lines()
            .find_map(|l| l.strip_prefix("total_connections_received:"));
        line.unwrap().parse::<u64>().unwrap()
    };
    let before = received(&mut admin);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    once("alice", "alicepw");
                    once("bob", "bobpw");
                }
            });
        }
    });
    let dials = received(&mut admin) - before;
    assert!(dials <= 2, "{dials} new connections for 1600 logins");
}

#[test]
fn who_has_not_logged_in_is_the_default_user_where_that_needs_no_password() {
    for flavor in Flavor::pair() {
        let server = RedisServer::start_flavor(flavor, &[]);
        let narrows = passthrough_open(&server);
        let mut client = narrows.connect();
        client.expect(&["SET", "k", "v"], "+OK\r\n");
        client.expect(&["ACL", "WHOAMI"], "$7\r\ndefault\r\n");
        // Nor is its first request held to the limits of those who must log in.
        let mut other = narrows.connect();
        let big = "x".repeat(100_000);
        other.expect(&["SET", "big", &big], "+OK\r\n");
        let mut fresh = narrows.connect();
        let many: Vec<String> = (0..50).map(|n| format!("k{n}")).collect();
        let mget: Vec<&str> = std::iter::once("MGET")
            .chain(many.iter().map(String::as_str))
            .collect();
        assert_eq!(fresh.call(&mget).raw()[0], b'*');
    }
}

fn passthrough_open(server: &RedisServer) -> crate::support::Narrows {
    crate::support::setup::narrows(&server.url(), "[auth]\nmode = \"passthrough\"\n", &[])
}

#[test]
fn requests_before_a_login_are_held_to_redis_own_limits() {
    let server = server_with_users(Flavor::Redis);
    let narrows = passthrough(&server, "");
    let big = "x".repeat(20_000);
    let many = ["MGET"; 11];
    for request in [&["SET", "k", &big][..], &many] {
        let (mut client, mut direct) = (narrows.connect(), server.connect());
        let expected = direct.call(request).text();
        assert_eq!(client.call(request).text(), expected);
        client.expect_closed();
    }
    let mut client = narrows.connect();
    client.expect(&["AUTH", "alice", "alicepw"], "+OK\r\n");
    client.expect(&["SET", "a:1", &big], "+OK\r\n");
}

#[test]
fn a_password_that_is_changed_holds_for_the_next_login_and_ends_those_whose_connections_end() {
    let server = server_with_users(Flavor::Redis);
    let narrows = passthrough(&server, "");
    let mut admin = admin(&server);
    let mut old = narrows.connect();
    old.expect(&["AUTH", "alice", "alicepw"], "+OK\r\n");
    admin.expect(&["ACL", "SETUSER", "alice", "resetpass", ">new"], "+OK\r\n");
    // As on a direct connection: who is logged in stays so.
    old.expect(&["SET", "a:1", "x"], "+OK\r\n");
    let mut next = narrows.connect();
    next.expect(&["AUTH", "alice", "alicepw"], WRONGPASS);
    next.expect(&["AUTH", "alice", "new"], "+OK\r\n");
    next.expect(&["GET", "a:1"], "$1\r\nx\r\n");
    // The new password is known by now: a lost connection is only a lost connection.
    admin.call(&["CLIENT", "KILL", "USER", "alice"]);
    wait_until("it is served again", PATIENCE, || {
        next.call(&["GET", "a:1"]).raw() == b"$1\r\nx\r\n"
    });
    admin.expect(
        &["ACL", "SETUSER", "alice", "resetpass", ">newer"],
        "+OK\r\n",
    );
    admin.call(&["CLIENT", "KILL", "USER", "alice"]);
    // Nobody is left who could tell: those clients are disconnected, as directly.
    wait_until("it is disconnected", PATIENCE, || {
        next.send_command(&["GET", "a:1"]);
        next.try_reply().is_err()
    });
    let mut bob = narrows.connect();
    bob.expect(&["AUTH", "bob", "bobpw"], "+OK\r\n");
    bob.expect(&["SET", "b:1", "x"], "+OK\r\n");
}

#[test]
fn the_clients_of_a_user_that_is_deleted_are_disconnected() {
    for flavor in Flavor::pair() {
        let server = server_with_users(flavor);
        let narrows = passthrough(&server, "");
        let (mut alice, mut bob) = (narrows.connect(), narrows.connect());
        alice.expect(&["AUTH", "alice", "alicepw"], "+OK\r\n");
        bob.expect(&["AUTH", "bob", "bobpw"], "+OK\r\n");
        alice.expect(&["SET", "a:1", "x"], "+OK\r\n");
        admin(&server).expect(&["ACL", "DELUSER", "alice"], ":1\r\n");
        wait_until("it is disconnected", PATIENCE, || {
            let _ = alice.try_send(b"GET a:1\r\n");
            alice.try_reply().is_err()
        });
        bob.expect(&["SET", "b:1", "x"], "+OK\r\n");
        let mut again = narrows.connect();
        again.expect(&["AUTH", "alice", "alicepw"], WRONGPASS);
    }
}

#[test]
fn another_user_waits_until_what_is_open_is_closed() {
    let server = server_with_users(Flavor::Redis);
    let narrows = passthrough(&server, "");
    let mut client = narrows.connect();
    client.expect(&["AUTH", "alice", "alicepw"], "+OK\r\n");
    client.expect(&["WATCH", "a:1"], "+OK\r\n");
    let refused = client.call(&["AUTH", "bob", "bobpw"]).text();
    assert!(
        refused.starts_with("ERR narrows: a transaction or subscription is open"),
        "{refused}"
    );
    // The same user with a fresh token is no other user.
    client.expect(&["AUTH", "alice", "alicepw"], "+OK\r\n");
    client.expect(&["MULTI"], "+OK\r\n");
    client.expect(&["SET", "a:1", "x"], "+QUEUED\r\n");
    client.expect(&["EXEC"], "*1\r\n+OK\r\n");
    client.expect(&["AUTH", "bob", "bobpw"], "+OK\r\n");
    client.expect(&["ACL", "WHOAMI"], "$3\r\nbob\r\n");
}

#[test]
fn whoever_guesses_is_refused_unchecked_for_a_while_and_disturbs_nobody() {
    let server = server_with_users(Flavor::Redis);
    let narrows = passthrough(&server, "failures_max = 5\n");
    let mut alice = narrows.connect();
    alice.expect(&["AUTH", "alice", "alicepw"], "+OK\r\n");
    let mut guesses = narrows.connect();
    for guess in 0..5 {
        guesses.expect(&["AUTH", "alice", &guess.to_string()], WRONGPASS);
    }
    let refused = guesses.call(&["AUTH", "alice", "alicepw"]).text();
    assert!(
        refused.starts_with("ERR narrows: too many failed logins"),
        "{refused}"
    );
    alice.expect(&["SET", "a:1", "x"], "+OK\r\n");
    narrows.expect_logged(&["too many failed logins"]);
    let log = narrows.log();
    assert!(
        !log.contains("alicepw") && !log.contains("adminpw"),
        "{log}"
    );
}

#[test]
fn a_guesser_has_no_more_guesses_however_many_workers_there_are() {
    let server = server_with_users(Flavor::Redis);
    let settings = "[auth]\nmode = \"local\"\nfailures_max = 5\n[users.default]\nnopass = true\n";
    let narrows = crate::support::setup::narrows(&server.url(), settings, &["--workers", "4"]);
    // Each comes to the worker with the fewest, so two to each.
    let mut guessers: Vec<_> = (0..8).map(|_| narrows.connect()).collect();
    let judged = guessers.iter_mut().filter_map(|guesser| {
        let said = guesser.call(&["AUTH", "alice", "guess"]).text();
        said.starts_with("WRONGPASS").then_some(())
    });
    assert_eq!(judged.count(), 5);
}

#[test]
fn narrows_serves_users_without_a_login_of_its_own() {
    let server = server_with_users(Flavor::Redis);
    let settings = "[auth]\nmode = \"passthrough\"\n";
    let narrows = crate::support::setup::narrows(&server.url(), settings, &[]);
    let mut client = narrows.connect();
    client.expect(&["AUTH", "alice", "alicepw"], "+OK\r\n");
    client.expect(&["SET", "a:1", "x"], "+OK\r\n");
    client.expect(&["CLIENT", "SETNAME", "me"], "+OK\r\n");
}

#[test]
fn without_credentials_of_its_own_narrows_lets_clients_log_in_as_directly() {
    let server = RedisServer::start();
    server
        .connect()
        .expect(&["CONFIG", "SET", "requirepass", "pw"], "+OK\r\n");
    let narrows = setup::narrows(&server.url(), "[auth]\nmode = \"auto\"\n", &[]);
    let mut client = narrows.connect();
    client.expect(&["GET", "k"], NOAUTH);
    client.expect(&["AUTH", "wrong"], WRONGPASS);
    client.expect(&["AUTH", "pw"], "+OK\r\n");
    client.expect(&["SET", "k", "v"], "+OK\r\n");
    let mut three = narrows.connect();
    assert_eq!(
        three.call(&["HELLO", "3", "AUTH", "default", "pw"]).raw()[0],
        b'%'
    );
    three.expect(&["GET", "k"], "$1\r\nv\r\n");
    // An open server stays open.
    let open = RedisServer::start();
    let narrows = setup::narrows(&open.url(), "[auth]\nmode = \"auto\"\n", &[]);
    narrows.connect().expect(&["SET", "k", "v"], "+OK\r\n");
}

#[test]
fn who_brings_narrows_own_credential_is_let_in_and_who_guesses_at_it_not_for_long() {
    let server = server_with_users(Flavor::Redis);
    let url = format!("redis://admin:adminpw@{}", server.address());
    let narrows = setup::narrows(&url, "[auth]\nmode = \"auto\"\nfailures_max = 2\n", &[]);
    let mut client = narrows.connect();
    client.expect(&["AUTH", "admin", "adminpw"], "+OK\r\n");
    client.expect(&["ACL", "WHOAMI"], "$5\r\nadmin\r\n");
    assert_eq!(
        client
            .call(&["HELLO", "3", "AUTH", "admin", "adminpw"])
            .raw()[0],
        b'%'
    );
    for _ in 0..2 {
        client.expect(&["AUTH", "admin", "guess"], WRONGPASS);
    }
    let refused = client.call(&["AUTH", "admin", "adminpw"]).text();
    assert!(refused.contains("too many failed logins"), "{refused}");
}
