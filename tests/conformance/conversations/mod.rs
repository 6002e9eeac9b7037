//! A client must not be able to tell narrows from a direct connection: conversations are held with
//! a real server directly and through narrows, and what the client sees is compared byte by byte.
//! The few differences that are accepted stand in `differences.rs`, each with its reason.

mod connection;
mod conversation;
mod data;
mod fixture;
mod inside;
mod newest;
mod over_tls;
mod random;
mod scripts;
mod server;
mod sessions;
mod streams;
mod transactions;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::differences::{
    ACCEPTED, IN_OTHER_WORDS, KEEPS_SKIP, NEVER_CARRIED, NOT_ALLOWED, without_arguments,
};
use crate::support::{Conn, Flavor, Reply, command};
use conversation::{Conversation, conversations, words};
use fixture::{Fixture, Pace, hold, shown};
use random::Session;

#[test]
fn commands_on_data_are_answered_as_directly() {
    for flavor in Flavor::matrix() {
        Fixture::new(flavor).compare(&conversations(data::CONVERSATIONS));
    }
}

#[test]
fn commands_that_few_servers_have_are_answered_as_directly() {
    for flavor in Flavor::matrix() {
        Fixture::new(flavor).compare(&conversations(newest::CONVERSATIONS));
    }
}

#[test]
fn scripts_and_functions_are_answered_as_directly() {
    for flavor in Flavor::matrix() {
        Fixture::new(flavor).compare(&conversations(scripts::CONVERSATIONS));
    }
}

/// With two workers as well: some of it is asked of all.
#[test]
fn the_connection_itself_behaves_as_a_direct_one() {
    for flavor in Flavor::matrix() {
        for workers in ["1", "2"] {
            Fixture::with(flavor, &["--workers", workers])
                .compare(&conversations(connection::CONVERSATIONS));
        }
    }
}

#[test]
fn transactions_are_answered_as_directly() {
    for flavor in Flavor::matrix() {
        Fixture::new(flavor).compare(&conversations(transactions::CONVERSATIONS));
    }
}

#[test]
fn every_route_means_inside_a_transaction_what_it_means_directly_or_is_refused() {
    assert_eq!(inside::is_complete(), [""; 0]);
    for flavor in Flavor::matrix() {
        inside::compare(&Fixture::new(flavor));
    }
}

/// One connection for transactions and one for everybody else.
#[test]
fn transactions_over_few_connections_are_answered_as_directly() {
    let flags = &["--max-backend-connections", "3"];
    let mut few = conversations(transactions::CONVERSATIONS);
    few.retain(|conversation| conversation.name != "transactions of two");
    Fixture::with(Flavor::Redis, flags).compare(&few);
}

/// On all servers at once: it is the waiting that takes time.
#[test]
fn commands_that_wait_are_answered_as_directly() {
    std::thread::scope(|scope| {
        for flavor in Flavor::matrix() {
            scope.spawn(move || {
                Fixture::new(flavor).compare(&conversations(waiting::CONVERSATIONS));
            });
        }
    });
}

#[test]
fn what_the_server_pushes_comes_as_directly() {
    for flavor in Flavor::matrix() {
        let fixture = Fixture::new(flavor);
        fixture.compare(&conversations(streams::CONVERSATIONS));
        fixture.compare_as_they_are(&conversations(streams::RESP3));
        fixture.compare_as_they_are(&conversations(streams::TRACKING));
    }
}

#[test]
fn the_server_speaks_of_itself_as_directly() {
    for flavor in Flavor::matrix() {
        let fixture = Fixture::new(flavor);
        fixture.compare(&conversations(server::CONVERSATIONS));
        if !KEEPS_SKIP.contains(&flavor) {
            fixture.compare(&conversations(&[server::SILENCE]));
        }
    }
}

#[test]
fn accepted_differences_are_those_that_are_listed() {
    for flavor in Flavor::matrix() {
        let fixture = Fixture::new(flavor);
        for case in ACCEPTED {
            if !case.on.is_empty() && !case.on.contains(&flavor) {
                continue;
            }
            let conversation = Conversation::new(case.reason, case.conversation);
            let seen = hold(&conversation, Pace::OneByOne, || fixture.narrows.connect());
            let seen: Vec<String> = seen.iter().map(shown).collect();
            assert_eq!(seen, case.through, "{}", conversation.name);
        }
        for (request, on) in IN_OTHER_WORDS {
            if on.contains(&flavor) {
                let conversation = Conversation::new(request, &format!("inline: {request}"));
                let direct = hold(&conversation, Pace::OneByOne, || fixture.server.connect());
                let through = hold(&conversation, Pace::OneByOne, || fixture.narrows.connect());
                assert_ne!(direct, through, "{request} is answered alike on {flavor:?}");
            }
        }
    }
}

#[test]
fn what_is_not_carried_is_refused_in_clear_words_and_has_not_run() {
    let cases = [
        (
            NEVER_CARRIED,
            "-ERR narrows: ",
            " cannot pass through a connection multiplexer\r\n",
        ),
        (
            NOT_ALLOWED,
            "-NOPERM narrows: ",
            " is not allowed; see [commands] and the user in the configuration\r\n",
        ),
    ];
    for flavor in Flavor::matrix() {
        let fixture = Fixture::new(flavor);
        for (lines, head, tail) in cases {
            for line in lines {
                let mut conn = fixture.narrows.connect();
                let words = words(line);
                let name = full_name(&words);
                conn.expect(&words, format!("{head}'{name}'{tail}"));
                conn.expect(&["PING"], "+PONG\r\n");
                let ran = fixture
                    .server
                    .connect()
                    .call(&["INFO", "commandstats"])
                    .text();
                assert!(!ran.contains(&format!("cmdstat_{name}:")), "{line}: {ran}");
            }
        }
    }
}

/// `client|pause`
fn full_name(words: &[Vec<u8>]) -> String {
    let word = |at: usize| String::from_utf8_lossy(&words[at]).to_lowercase();
    match word(0).as_str() {
        "client" | "script" | "function" => format!("{}|{}", word(0), word(1)),
        name => name.to_owned(),
    }
}

#[test]
fn requests_before_a_half_close_are_all_answered() {
    for flavor in Flavor::matrix() {
        let fixture = Fixture::new(flavor);
        let requests: Vec<Vec<u8>> = (0..500)
            .map(|n: u32| match n % 5 {
                0 => command(&["INCR", "n"]),
                1 => command(&["CLIENT", "GETNAME"]),
                2 => command(&["NOTHING"]),
                3 => command(&["APPEND", "text", "some more of it"]),
                _ => command(&["STRLEN", "text"]),
            })
            .collect();
        let ask = |mut conn: Conn| {
            conn.send(requests.concat());
            conn.finish_sending();
            let mut replies = Vec::new();
            while let Ok(reply) = conn.try_reply() {
                replies.push(without_arguments(reply.raw()).to_vec());
            }
            conn.expect_closed();
            replies
        };
        let direct = ask(fixture.server.connect());
        fixture.empty();
        let through = ask(fixture.narrows.connect());
        assert_eq!(through.len(), 500);
        assert!(direct == through, "{flavor:?}");
    }
}

#[test]
fn values_of_any_size_pass_unchanged_both_ways() {
    for flavor in Flavor::matrix() {
        let fixture = Fixture::new(flavor);
        let mut conn = fixture.narrows.connect();
        let mut direct = fixture.server.connect();
        // Around every bound: 16 KiB reads, 64 KiB, 256 KiB replies, 1 MiB requests on a lease.
        for size in [
            0,
            16 << 10,
            (64 << 10) - 1,
            (256 << 10) + 1,
            (1 << 20) - 40,
            1 << 20,
            5 << 20,
            64 << 20,
        ] {
            let value = text_of(size);
            conn.send_command(&[b"SET", b"key".as_slice(), &value]);
            conn.send_command(&["STRLEN", "key"]);
            conn.expect_reply("+OK\r\n");
            conn.expect_reply(format!(":{size}\r\n"));
            let through = conn.call(&["GET", "key"]);
            assert!(is_bulk_of(&through, &value), "{size} bytes");
            assert!(is_bulk_of(&direct.call(&["GET", "key"]), &value), "{size}");
        }
    }
}

/// Others are answered while one sends and reads what is huge, and its own requests keep their
/// order around it.
#[test]
fn a_huge_request_keeps_its_turn_among_the_clients_others() {
    let fixture = Fixture::new(Flavor::Redis);
    let mut conn = fixture.narrows.connect();
    let value = text_of(3 << 20);
    let before = command(&["SET", "key", "small"]);
    let huge = command(&[b"GETSET", b"key".as_slice(), &value]);
    let after = [
        command(&["STRLEN", "key"]),
        command(&["CLIENT", "GETNAME"]),
        command(&["SELECT", "3"]),
        command(&["EXISTS", "key"]),
    ]
    .concat();
    let all = [before, huge, after].concat();
    let (first, second) = all.split_at(all.len() / 2);
    conn.send(first);
    let mut other = fixture.narrows.connect();
    other.expect(&["PING"], "+PONG\r\n");
    std::thread::sleep(Duration::from_millis(50));
    conn.send(second);
    for reply in [
        "+OK\r\n",
        "$5\r\nsmall\r\n",
        ":3145728\r\n",
        "$-1\r\n",
        "+OK\r\n",
        ":0\r\n",
    ] {
        conn.expect_reply(reply);
    }
}

/// With three backends for four contexts and their neighbours, so that pipes change their context
/// under way; and with plenty.
#[test]
fn random_sessions_are_answered_as_directly() {
    for (at, flavor) in Flavor::matrix().into_iter().enumerate() {
        let at = at as u64;
        for (flags, seeds) in [
            (
                &["--max-backend-connections", "3"][..],
                1_000 + 10 * at..1_010 + 10 * at,
            ),
            (&[], 100 * at..100 * at + 40),
        ] {
            let fixture = Fixture::with(flavor, flags);
            let neighbours = neighbours(&fixture);
            for seed in seeds {
                compare_session(&fixture, seed);
            }
            drop(neighbours);
        }
    }
}

fn compare_session(fixture: &Fixture, seed: u64) {
    let session = Session::new(seed, fixture.flavor());
    fixture.empty();
    let direct = session.hold(&mut fixture.server.connect());
    let data = fixture.digest();
    fixture.empty();
    let through = session.hold(&mut fixture.narrows.connect());
    let differs = direct != through || data != fixture.digest();
    if differs {
        let at = direct.iter().zip(&through).position(|(d, t)| d != t);
        let requests: Vec<String> = session
            .requests
            .iter()
            .map(|request| {
                request
                    .escape_ascii()
                    .to_string()
                    .chars()
                    .take(200)
                    .collect()
            })
            .collect();
        panic!(
            "seed {seed} on {:?}, from reply {at:?} on (None: the data differs, or one ends early)\n\
             requests: {requests:#?}\ndirect: {direct:#?}\nthrough: {through:#?}",
            fixture.flavor()
        );
    }
}

/// Others who talk all the time, each in a context of its own, and touch no data. They end, and
/// find that they got their own replies, when the value is dropped.
fn neighbours(fixture: &Fixture) -> Vec<Neighbour> {
    (0..3)
        .map(|number| {
            let mut conn = fixture.narrows.connect();
            let stop = Arc::new(AtomicBool::new(false));
            let stopped = Arc::clone(&stop);
            let talking = std::thread::spawn(move || {
                let protocol = (2 + number % 2).to_string();
                let _ = conn.call(&["HELLO", &protocol]);
                conn.expect(&["SELECT", &(10 + number).to_string()], "+OK\r\n");
                for count in 0_u64.. {
                    if stopped.load(Ordering::Relaxed) {
                        break;
                    }
                    let words = format!("neighbour {number} {count}");
                    let reply = format!("${}\r\n{words}\r\n", words.len());
                    conn.expect(&["ECHO", &words], reply);
                    std::thread::sleep(Duration::from_micros(200));
                }
            });
            Neighbour {
                stop,
                talking: Some(talking),
            }
        })
        .collect()
}

struct Neighbour {
    stop: Arc<AtomicBool>,
    talking: Option<JoinHandle<()>>,
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let outcome = self.talking.take().map(JoinHandle::join);
        assert!(
            std::thread::panicking() || matches!(outcome, Some(Ok(()))),
            "a neighbour got a wrong reply"
        );
    }
}

fn text_of(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8).collect()
}

fn is_bulk_of(reply: &Reply, value: &[u8]) -> bool {
    let head = format!("${}\r\n", value.len());
    reply
        .raw()
        .strip_prefix(head.as_bytes())
        .and_then(|rest| rest.strip_suffix(b"\r\n"))
        == Some(value)
}
