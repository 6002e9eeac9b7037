//! What a turn costs where much waits that it has nothing to do with: counted in steps, not in time.

use std::collections::BTreeSet;
use std::time::Duration;

use narrows::engine::{BackendId, ClientId};
use narrows::session::AuthMode;

use crate::scenarios::harness::{HELLO, Harness, without_alarms};
use crate::scenarios::pong;

/// A harness with a pipe that has carried something, and a client of it.
fn with_a_pipe(harness: &mut Harness) -> (ClientId, BackendId) {
    let client = harness.client();
    harness.send(client, "GET a\r\n");
    let pipe = harness.connect();
    harness.written(pipe);
    harness.reply(pipe, b"$1\r\na\r\n");
    assert_eq!(harness.received(client), "$1\r\na\r\n");
    (client, pipe)
}

/// Steps over what waits, while one client asks 100 times and is answered.
fn steps_of_a_hundred_requests(
    harness: &mut Harness,
    (client, pipe): (ClientId, BackendId),
) -> u64 {
    let before = harness.engine.survey().steps();
    for _ in 0..100 {
        harness.now += Duration::from_micros(100);
        harness.send(client, "GET a\r\n");
        harness.written(pipe);
        harness.reply(pipe, b"$1\r\na\r\n");
        assert_eq!(harness.received(client), "$1\r\na\r\n");
    }
    harness.engine.survey().steps() - before
}

#[test]
fn who_waits_for_a_lease_costs_the_others_nothing_and_a_lease_costs_its_own_client_only() {
    let mut harness = Harness::new(2, |settings| {
        without_alarms(settings);
        settings.pool.leases_max = 1;
        settings.pool.queue_timeout = Duration::from_secs(600);
    });
    let asks = with_a_pipe(&mut harness);
    let holder = harness.client();
    harness.send(holder, "WATCH k\r\n");
    let lent = harness.connect();
    harness.written(lent);
    harness.reply(lent, b"+OK\r\n");
    let waiting: Vec<ClientId> = (0..4000).map(|_| harness.client()).collect();
    for client in &waiting {
        harness.send(*client, "WATCH k\r\n");
    }
    assert_eq!(harness.engine.survey().census().lease_waiters, 4000);
    assert_eq!(steps_of_a_hundred_requests(&mut harness, asks), 0);
    let before = harness.engine.survey().steps();
    let mut holds = holder;
    for next in &waiting[..100] {
        harness.send(holds, "UNWATCH\r\n");
        harness.written(lent);
        harness.reply(lent, b"+OK\r\n");
        assert!(harness.written(lent).contains("WATCH"));
        harness.reply(lent, b"+OK\r\n");
        assert_eq!(harness.received(*next), "+OK\r\n");
        holds = *next;
    }
    assert_eq!(harness.engine.survey().census().lease_waiters, 3900);
    let steps = harness.engine.survey().steps() - before;
    assert!(steps <= 400, "{steps} steps for 100 leases");
}

/// A server with so many dbs, that lets everybody in who says who it is.
struct Server {
    dbs: u32,
    dialled: BTreeSet<BackendId>,
}

impl Server {
    fn new(dbs: u32) -> Self {
        Self {
            dbs,
            dialled: BTreeSet::new(),
        }
    }

    /// Answers all that is asked.
    fn serves(&mut self, harness: &mut Harness) {
        loop {
            let open: Vec<BackendId> = harness.permits.iter().map(|(id, _)| *id).collect();
            let mut idle = true;
            for id in open {
                if self.dialled.insert(id) {
                    harness.engine.dialled(id, harness.now);
                }
                for request in harness.written(id).split('*').skip(1) {
                    idle = false;
                    harness.reply(id, &self.answer(request));
                }
            }
            if idle {
                return;
            }
        }
    }

    fn answer(&self, request: &str) -> Vec<u8> {
        let mut words = request.split("\r\n").skip(2).step_by(2);
        match words.next().unwrap_or_default() {
            "HELLO" => HELLO.to_vec(),
            "PING" if words.clone().count() > 1 => pong(&format!("*{request}")).into_bytes(),
            "SELECT" => match words
                .next()
                .is_some_and(|db| db.parse::<u32>().unwrap() < self.dbs)
            {
                true => b"+OK\r\n".to_vec(),
                false => b"-ERR DB index is out of range\r\n".to_vec(),
            },
            "GET" => b"$1\r\na\r\n".to_vec(),
            _ => b"+OK\r\n".to_vec(),
        }
    }
}

/// A client asks and is answered, in its turn.
fn asks(harness: &mut Harness, server: &mut Server, client: ClientId, what: &str) -> String {
    harness.send(client, what);
    for _ in 0..100 {
        server.serves(harness);
        let heard = harness.received(client);
        if !heard.is_empty() {
            return heard;
        }
        harness.advance(Duration::from_millis(5));
    }
    panic!("no answer to {what}");
}

#[test]
fn dbs_that_do_not_exist_cost_those_who_ask_for_them_and_are_forgotten() {
    let mut harness = Harness::new(3, without_alarms);
    let mut server = Server::new(16);
    let [client, guesser] = [harness.client(), harness.client()];
    assert_eq!(
        asks(&mut harness, &mut server, client, "GET a\r\n"),
        "$1\r\na\r\n"
    );
    for db in 0..2000 {
        let select = format!("SELECT {}\r\n", 100 + db);
        let heard = asks(&mut harness, &mut server, guesser, &select);
        assert!(heard.starts_with("-ERR DB index"), "{heard}");
        harness.now += Duration::from_millis(20);
        // Those of the last second, and what came since they were looked at.
        let contexts = harness.engine.survey().census().contexts;
        assert!(contexts < 200, "{contexts} contexts");
    }
    // What nobody wants any more is seen by the first one.
    asks(&mut harness, &mut server, client, "GET a\r\n");
    let before = harness.engine.survey().steps();
    for _ in 0..100 {
        assert_eq!(
            asks(&mut harness, &mut server, client, "GET a\r\n"),
            "$1\r\na\r\n"
        );
    }
    assert_eq!(harness.engine.survey().steps() - before, 0);
}

#[test]
fn two_hundred_contexts_in_use_are_kept_and_cost_nothing() {
    let mut harness = Harness::new(3, without_alarms);
    let mut server = Server::new(300);
    let client = harness.client();
    let others: Vec<ClientId> = (1..=200).map(|_| harness.client()).collect();
    for (db, other) in (1..).zip(&others) {
        let select = format!("SELECT {db}\r\n");
        assert_eq!(asks(&mut harness, &mut server, *other, &select), "+OK\r\n");
    }
    for other in &others {
        assert_eq!(
            asks(&mut harness, &mut server, *other, "GET a\r\n"),
            "$1\r\na\r\n"
        );
    }
    asks(&mut harness, &mut server, client, "GET a\r\n");
    assert_eq!(harness.engine.survey().census().contexts, 201);
    let before = harness.engine.survey().steps();
    for _ in 0..100 {
        harness.advance(Duration::from_millis(100));
        assert_eq!(
            asks(&mut harness, &mut server, client, "GET a\r\n"),
            "$1\r\na\r\n"
        );
    }
    let steps = harness.engine.survey().steps() - before;
    assert!(
        steps < 300,
        "{steps} steps for 100 requests over ten seconds"
    );
    assert_eq!(harness.engine.survey().census().contexts, 201);
}

#[test]
fn users_that_come_and_go_are_forgotten_with_their_contexts_and_may_come_again() {
    let mut harness = Harness::new(6, without_alarms);
    harness.let_users_log_in();
    let mut server = Server::new(16);
    let stays = harness.client();
    let login = "AUTH stays secret\r\n";
    assert_eq!(asks(&mut harness, &mut server, stays, login), "+OK\r\n");
    let mut most = (0, 0);
    for user in 0..2000 {
        // Each comes twice, long after it has been forgotten, with another password.
        let client = harness.client();
        let login = format!("AUTH user{} secret{user}\r\n", user % 1000);
        assert_eq!(asks(&mut harness, &mut server, client, &login), "+OK\r\n");
        assert_eq!(
            asks(&mut harness, &mut server, client, "GET a\r\n"),
            "$1\r\na\r\n"
        );
        harness.engine.client_gone(client, harness.now);
        harness.advance(Duration::from_millis(20));
        let census = harness.engine.survey().census();
        most = (census.contexts.max(most.0), census.credentials.max(most.1));
    }
    assert!(most.0 < 100 && most.1 < 100, "{most:?} contexts and users");
    assert!(asks(&mut harness, &mut server, stays, "GET a\r\n").ends_with("$1\r\na\r\n"));
    // Another password makes nobody another user.
    let before = harness.engine.survey().census().credentials;
    for password in 0..100 {
        let login = format!("AUTH stays {password}\r\n");
        assert_eq!(asks(&mut harness, &mut server, stays, &login), "+OK\r\n");
    }
    assert!(harness.engine.survey().census().credentials <= before);
}

/// What one turn may look at of what waits: the first 32 in vain and as many further behind, and again
/// if somebody has gone on meanwhile.
const LOOKS_MAX: u64 = 2 * 64;

#[test]
fn of_a_thousand_contexts_that_wait_a_turn_looks_at_few_and_all_are_served_in_time() {
    let mut harness = Harness::new(1, |settings| {
        without_alarms(settings);
        settings.pool.queue_timeout = Duration::from_secs(600);
        settings.pool.slice = Duration::from_secs(100);
    });
    let (client, pipe) = with_a_pipe(&mut harness);
    // The only connection never carries nothing, and is not drained before its time.
    harness.send(client, "GET a\r\n");
    let mut waiting: Vec<ClientId> = (1..=1000).map(|_| harness.client()).collect();
    for (db, other) in (1..).zip(&waiting) {
        harness.send(*other, &format!("SELECT {db}\r\n"));
    }
    let before = (harness.engine.survey().steps(), harness.turns);
    for _ in 0..100 {
        harness.now += Duration::from_micros(100);
        harness.send(client, "GET a\r\n");
        harness.written(pipe);
        harness.reply(pipe, b"$1\r\na\r\n");
        assert_eq!(harness.received(client), "$1\r\na\r\n");
    }
    let (steps, turns) = (
        harness.engine.survey().steps() - before.0,
        harness.turns - before.1,
    );
    assert!(steps <= turns * LOOKS_MAX, "{steps} steps in {turns} turns");
    for leaves in waiting.drain(..700) {
        harness.engine.client_gone(leaves, harness.now);
    }
    harness.advance(Duration::from_secs(100));
    let mut server = Server::new(2000);
    server.dialled.insert(pipe);
    harness.reply(pipe, b"$1\r\na\r\n");
    for _ in 0..3000 {
        server.serves(&mut harness);
        harness.advance(Duration::from_millis(5));
        waiting.retain(|other| {
            harness
                .engine
                .writing()
                .of_client(*other)
                .first()
                .is_empty()
        });
        if waiting.is_empty() {
            return;
        }
    }
    panic!("{} of them were not served", waiting.len());
}

#[test]
fn two_thousand_logins_that_wait_cost_a_turn_few_looks_and_are_told_in_time() {
    let mut harness = Harness::new(4, without_alarms);
    harness.let_users_log_in();
    let waiting: Vec<ClientId> = (0..2000).map(|_| harness.client()).collect();
    let before = (harness.engine.survey().steps(), harness.turns);
    for (user, client) in waiting.iter().enumerate() {
        harness.send(*client, &format!("AUTH user{} secret\r\n", user / 2));
    }
    assert_eq!(harness.engine.survey().census().logins, 1000);
    // No dial comes to anything.
    harness.advance(Duration::from_secs(4));
    let (steps, turns) = (
        harness.engine.survey().steps() - before.0,
        harness.turns - before.1,
    );
    let told = 2 * waiting.len() as u64;
    assert!(
        steps <= turns * LOOKS_MAX + told,
        "{steps} steps in {turns} turns"
    );
    for client in waiting {
        assert!(harness.received(client).starts_with("-TRYAGAIN narrows: "));
    }
    assert_eq!(harness.engine.survey().census().logins, 0);
}

/// How much each of the clients below has sent of a request.
const SENT: usize = 1000;

/// Sends so much of a request that is not whole yet, and its worker's turn is not over.
fn sends_a_part(harness: &mut Harness, client: ClientId, bytes: usize) {
    let head = format!("*2\r\n$3\r\nGET\r\n${}\r\n", 1 << 20);
    let mut part = head.into_bytes();
    part.resize(bytes, b'k');
    harness.engine.client_bytes(client, &part, harness.now);
}

#[test]
fn however_many_clients_have_to_go_for_memory_a_turn_looks_at_all_of_them_once() {
    const CLIENTS: usize = 2000;
    let mut harness = Harness::new(1, |settings| {
        without_alarms(settings);
        settings.clients.memory_bytes_max = CLIENTS / 2 * SENT;
    });
    let clients: Vec<ClientId> = (0..CLIENTS).map(|_| harness.client()).collect();
    for client in &clients[..CLIENTS / 2] {
        sends_a_part(&mut harness, *client, SENT);
    }
    harness.turn();
    assert_eq!(
        (harness.gone.len(), harness.engine.survey().steps()),
        (0, 0)
    );
    // Each of them is one too many, and one that grows while they come has the most by then.
    let (grows, others) = clients[CLIENTS / 2..].split_first().unwrap();
    for (at, client) in others.iter().enumerate() {
        sends_a_part(&mut harness, *client, SENT);
        if at == 10 {
            sends_a_part(&mut harness, *grows, 4 * SENT);
        }
    }
    let (steps, turns) = (harness.engine.survey().steps(), harness.turns);
    harness.turn();
    assert!(steps <= CLIENTS as u64, "{steps} steps in one turn");
    assert!(harness.gone.contains(grows), "who has the most stays");
    assert_eq!(harness.gone.len(), CLIENTS / 2, "nobody else goes");
    let held = harness.engine.survey().census().buffered_bytes;
    assert!(held <= CLIENTS / 2 * SENT, "{held} bytes are held");
    let steps = harness.engine.survey().steps() - steps;
    assert_eq!(
        steps,
        0,
        "and {} turns after it none",
        harness.turns - turns
    );
}

#[test]
fn an_answer_that_may_take_long_delays_none_behind_it() {
    let mut harness = Harness::one_of(2, 1, without_alarms, AuthMode::None);
    let [unblocks, lists] = [harness.client(), harness.client()];
    harness.send(unblocks, "CLIENT UNBLOCK 77\r\n");
    harness.send(lists, "CLIENT LIST\r\n");
    assert_eq!(harness.asked.len(), 2);
    // The other worker does not answer.
    harness.advance(Duration::from_millis(999));
    assert_eq!(harness.received(lists), "");
    harness.advance(Duration::from_millis(1));
    assert!(
        harness.received(lists).contains("cmd=client"),
        "the list is late"
    );
    assert_eq!(harness.received(unblocks), "");
    harness.advance(Duration::from_secs(9));
    assert_eq!(harness.received(unblocks), ":0\r\n");
}
