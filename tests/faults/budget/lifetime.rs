//! Connections come and go by themselves: idle ones, old ones.

use std::collections::BTreeSet;

use crate::load::{Dataset, Load, expect_counters};
use crate::support::census::Census;
use crate::support::setup::{narrows, other_clients, pipe_ids};
use crate::support::{Conn, PATIENCE, RedisServer, command, wait_until};

#[test]
fn idle_connections_go_until_as_few_are_left_as_are_to_be_kept() {
    for (min_idle, kept) in [(0, 1), (1, 2), (3, 4)] {
        let server = RedisServer::start();
        let toml = format!(
            "[pool]\nidle_timeout = \"200ms\"\nmin_idle = {min_idle}\n\
                            min_idle_leases = 0\n"
        );
        let narrows = narrows(&server.url(), &toml, &["--workers", "1"]);
        let mut admin = server.connect();
        let mut clients: Vec<Conn> = (0..8).map(|_| narrows.connect()).collect();
        // All at once, so that none can have another's connection.
        wait_until("a connection for each database", PATIENCE, || {
            for (db, client) in clients.iter_mut().enumerate() {
                let db = db.to_string();
                client.send([command(&["SELECT", &db]), command(&["PING"])].concat());
            }
            for client in &mut clients {
                client.expect_reply("+OK\r\n");
                client.expect_reply("+PONG\r\n");
            }
            other_clients(&mut admin).len() >= 6
        });
        wait_until("what is kept", PATIENCE, || {
            other_clients(&mut admin).len() <= kept
        });
        assert_eq!(other_clients(&mut admin).len(), kept);
        // Control and what is kept stay; service goes on.
        for client in &mut clients {
            client.expect(&["PING"], "+PONG\r\n");
        }
    }
}

#[test]
fn load_old_connections_are_replaced_without_anybody_noticing() {
    for bound in ["2", "8"] {
        let server = RedisServer::start();
        let toml = "[pool]\nmax_lifetime = \"150ms\"\nmax_lifetime_jitter = 0.5\n";
        let flags = ["--workers", "1", "--max-backend-connections", bound];
        let narrows = narrows(&server.url(), toml, &flags);
        let mut admin = server.connect();
        let census = Census::begin(&server);
        let load = Load::start(narrows.address(), 12, Dataset::Kept);
        let mut seen = BTreeSet::new();
        wait_until("ten generations", PATIENCE, || {
            seen.extend(pipe_ids(&mut admin));
            seen.len() >= 10
        });
        let tally = load.finish();
        let (most, _) = census.end();
        println!("{bound}: {tally:?}, at most {most} backends");
        assert_eq!(
            (tally.unknown, tally.not_executed, tally.cut_off),
            (0, 0, 0),
            "{tally:?}"
        );
        // The census itself and `admin` see each other.
        assert!(
            most <= bound.parse::<usize>().unwrap() + 1,
            "{most} of {bound}"
        );
        expect_counters(&tally, &mut admin);
    }
}
