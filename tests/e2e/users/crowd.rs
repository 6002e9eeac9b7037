//! Many clients of several users at once, over few connections.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::Flavor;
use crate::support::setup::field;
use crate::users::{passthrough, server_with_users};

#[test]
fn users_take_turns_in_what_is_lent_however_many_clients_one_of_them_has() {
    let server = server_with_users(Flavor::Redis);
    let settings = "[backend]\nmax_connections = 8\n[pool]\nleases_max = 1\n\
                    queue_timeout = \"30s\"\n";
    let narrows = passthrough(&server, settings);
    let log_in = |user: &str| {
        let mut client = narrows.connect();
        client.expect(&["AUTH", user, &format!("{user}pw")], "+OK\r\n");
        client
    };
    let mut crowd: Vec<_> = (0..10).map(|_| log_in("alice")).collect();
    let mut bob = log_in("bob");
    crowd[0].expect(&["WATCH", "a:x"], "+OK\r\n");
    for (place, client) in crowd.iter_mut().enumerate().skip(1) {
        client.send_command(&["WATCH", "a:x"]);
        client.send_command(&["ECHO", &place.to_string()]);
        // Each in line before the next one comes.
        client.expect_silence(Duration::from_millis(20));
    }
    bob.send_command(&["WATCH", "b:x"]);
    bob.expect_silence(Duration::from_millis(20));
    crowd[0].expect(&["UNWATCH"], "+OK\r\n");
    bob.expect_reply("+OK\r\n");
    crowd[1].expect_silence(Duration::from_millis(50));
    bob.expect(&["UNWATCH"], "+OK\r\n");
    crowd[1].expect_reply("+OK\r\n");
    crowd[1].expect_reply("$1\r\n1\r\n");
}

/// Clients at once.
const CLIENTS: usize = 500;

#[test]
fn load_no_command_of_five_hundred_clients_that_come_and_go_runs_as_another_user() {
    let server = server_with_users(Flavor::Redis);
    let narrows = passthrough(
        &server,
        "[backend]\nmax_connections = 6\n[pool]\nqueue_timeout = \"20s\"\n",
    );
    let (done, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let until = Instant::now() + Duration::from_secs(6);
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (narrows, done, refused) = (&narrows, &done, &refused);
            let run = move || {
                let mut round = number;
                while Instant::now() < until {
                    round += 1;
                    let (user, own, other) = match round % 2 {
                        0 => ("alice", "a:x", "b:x"),
                        _ => ("bob", "b:x", "a:x"),
                    };
                    let mut client = narrows.connect();
                    client.expect(&["AUTH", user, &format!("{user}pw")], "+OK\r\n");
                    let name = format!("${}\r\n{user}\r\n", user.len());
                    client.expect(&["ACL", "WHOAMI"], &name);
                    client.expect(&["SET", own, user], "+OK\r\n");
                    client.expect(&["GET", own], &name);
                    assert!(client.call(&["GET", other]).text().starts_with("NOPERM"));
                    refused.fetch_add(1, Ordering::Relaxed);
                    done.fetch_add(4, Ordering::Relaxed);
                }
            };
            let small = std::thread::Builder::new().stack_size(256 << 10);
            small.spawn_scoped(scope, run).unwrap();
        }
        let mut admin = server.connect();
        admin.expect(&["AUTH", "admin", "adminpw"], "+OK\r\n");
        while Instant::now() < until {
            let list = admin.call(&["CLIENT", "LIST"]).text();
            let lines: Vec<&str> = list
                .lines()
                .filter(|l| l.contains("name=narrows:"))
                .collect();
            assert!(lines.len() <= 6, "{list}");
            for line in lines {
                let user = field(line, "user").unwrap();
                assert!(
                    ["alice", "bob", "admin", "default"].contains(&user.as_str()),
                    "{line}"
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let (done, refused) = (done.into_inner(), refused.into_inner());
    assert!(done > 1000, "{done} commands");
    let mut admin = server.connect();
    admin.expect(&["AUTH", "admin", "adminpw"], "+OK\r\n");
    let stats = admin.call(&["INFO", "stats"]).text();
    let denied = stats
        .lines()
        .find_map(|l| l.strip_prefix("acl_access_denied_key:"));
    if let Some(denied) = denied {
        assert_eq!(
            denied.parse::<u64>().unwrap(),
            refused,
            "each refusal was the server's own"
        );
    }
}
