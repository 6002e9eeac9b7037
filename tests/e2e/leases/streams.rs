//! What a server pushes, each client on a connection of its own.

use std::time::Duration;

use crate::support::setup::{NONE_READY, field, narrows, pipe_ids};
use crate::support::{Conn, Flavor, Narrows, PATIENCE, RedisServer, command, wait_until};

pub(crate) fn subscribed(channel: &str, count: usize) -> String {
    let len = channel.len();
    format!("*3\r\n$9\r\nsubscribe\r\n${len}\r\n{channel}\r\n:{count}\r\n")
}

pub(crate) fn message(channel: &str, text: &str) -> String {
    let (of_channel, of_text) = (channel.len(), text.len());
    format!("*3\r\n$7\r\nmessage\r\n${of_channel}\r\n{channel}\r\n${of_text}\r\n{text}\r\n")
}

/// `PUBLISH` until so many get it: who subscribes or leaves may not have done so yet.
fn published(conn: &mut Conn, channel: &str, text: &str, to: i64) {
    wait_until("all of them listen", PATIENCE, || {
        conn.call(&["PUBSUB", "NUMSUB", channel]).items()[1] == crate::support::Value::Integer(to)
    });
    assert_eq!(conn.call(&["PUBLISH", channel, text]).integer(), to);
}

#[test]
fn a_connection_is_given_back_when_nothing_is_subscribed_any_more() {
    for flavor in Flavor::pair() {
        let server = RedisServer::start_flavor(flavor, &[]);
        let narrows = narrows(&server.url(), NONE_READY, &[]);
        let mut admin = server.connect();
        let mut client = narrows.connect();
        for protocol in ["2", "3", "2"] {
            client.call(&["HELLO", protocol]);
            for _ in 0..10 {
                let kind = if protocol == "2" { '*' } else { '>' };
                client.send_command(&["SUBSCRIBE", "a", "b"]);
                client.reply();
                client.reply();
                client.send(command(&["UNSUBSCRIBE"]));
                let replies = [client.reply(), client.reply()];
                assert!(
                    replies[1]
                        .raw()
                        .starts_with(format!("{kind}3\r\n").as_bytes())
                );
                client.expect(&["SET", "k", "v"], "+OK\r\n");
                client.expect(
                    &["CLIENT", "GETNAME"],
                    if protocol == "2" { "$-1\r\n" } else { "_\r\n" },
                );
            }
        }
        assert!(
            pipe_ids(&mut admin).len() <= 3,
            "{:?}",
            pipe_ids(&mut admin)
        );
        let info = client.call(&["INFO", "narrows"]).text();
        assert!(info.contains("backends_poisoned_total:0"), "{info}");
    }
}

/// All that comes back to these requests in one write, up to the answer to the last one.
fn told(conn: &mut Conn, requests: &[&[&str]]) -> String {
    let mut all: Vec<u8> = requests
        .iter()
        .flat_map(|request| command(request))
        .collect();
    all.extend(command(&["ECHO", "the end"]));
    conn.send(all);
    let mut heard = Vec::new();
    while !heard.ends_with(b"$7\r\nthe end\r\n") {
        heard.extend_from_slice(conn.reply().raw());
    }
    heard.escape_ascii().to_string()
}

#[test]
fn a_publisher_hears_itself_as_the_server_frames_it() {
    let script =
        "redis.call('publish', 'ch', 'a') redis.call('publish', 'ch', 'b') return {1, {2}}";
    for flavor in Flavor::pair() {
        let server = RedisServer::start_flavor(flavor, &[]);
        let narrows = Narrows::in_front_of(&server, &[]);
        let talk = |mut conn: Conn| {
            conn.call(&["HELLO", "3"]);
            conn.call(&["DEL", "n", "h"]);
            let listens: [&[&str]; 4] = [
                &["SUBSCRIBE", "ch"],
                &["PSUBSCRIBE", "c*"],
                &["SSUBSCRIBE", "s"],
                &["CLIENT", "TRACKING", "ON"],
            ];
            let mut heard = vec![told(&mut conn, &listens)];
            for requests in [
                &[
                    &["MULTI"][..],
                    &["INCR", "n"],
                    &["PUBLISH", "ch", "hi"],
                    &["EXEC"],
                ][..],
                &[
                    &["GET", "n"],
                    &["MULTI"],
                    &["HSET", "h", "a", "1"],
                    &["PUBLISH", "ch", "one"],
                    &["SPUBLISH", "s", "two"],
                    &["HGETALL", "h"],
                    &["CLIENT", "GETNAME"],
                    &["SELECT", "1"],
                    &["PUBLISH", "ch", "three"],
                    &["SELECT", "0"],
                    &["EVAL", script, "0"],
                    &["SET", "n", "5"],
                    &["EXEC"],
                    &["GET", "n"],
                ],
                &[&["EVAL", script, "0"], &["PUBLISH", "ch", "plain"]],
                &[&["MULTI"], &["PUBLISH", "ch", "x"], &["DISCARD"]],
            ] {
                heard.push(told(&mut conn, requests));
            }
            heard
        };
        let (direct, through) = (talk(server.connect()), talk(narrows.connect()));
        assert_eq!(direct, through);
        let info = narrows.connect().call(&["INFO", "narrows"]).text();
        assert!(info.contains("backends_poisoned_total:0"), "{info}");
    }
}

#[test]
fn clients_and_figures_tell_who_listens() {
    for flavor in Flavor::pair() {
        let server = RedisServer::start_flavor(flavor, &[]);
        let narrows = Narrows::in_front_of(&server, &["--workers", "2"]);
        let mut client = narrows.connect();
        client.call(&["HELLO", "3"]);
        client.expect(&["CLIENT", "SETNAME", "listener"], "+OK\r\n");
        client.expect(&["CLIENT", "TRACKING", "ON"], "+OK\r\n");
        client.send("SUBSCRIBE a b\r\nPSUBSCRIBE p\r\nSSUBSCRIBE s\r\n");
        for _ in 0..4 {
            client.reply();
        }
        let mut other = narrows.connect();
        let list = other.call(&["CLIENT", "LIST", "TYPE", "pubsub"]).text();
        assert_eq!(list.lines().count(), 1, "{list}");
        let told = |name| field(&list, name).unwrap();
        assert_eq!(
            (told("name"), told("flags")),
            ("listener".into(), "Pt".into())
        );
        assert_eq!(
            (told("sub"), told("psub"), told("ssub")),
            ("2".into(), "1".into(), "1".into())
        );
        assert_eq!(told("redir"), "0");
        let info = other.call(&["INFO", "clients"]).text();
        assert!(info.contains("tracking_clients:1\r\n"), "{info}");
        if info.contains("pubsub_clients:") {
            assert!(info.contains("pubsub_clients:1\r\n"), "{info}");
        }
        assert_eq!(
            other.call(&["CLIENT", "KILL", "TYPE", "pubsub"]).integer(),
            1
        );
        client.expect_closed();
    }
}

#[test]
fn who_may_have_missed_something_is_disconnected() {
    for flavor in Flavor::pair() {
        let server = RedisServer::start_flavor(flavor, &[]);
        let narrows = Narrows::in_front_of(&server, &[]);
        let mut admin = server.connect();
        for (protocol, begin, replies) in [
            ("2", &["SUBSCRIBE", "a"][..], 1),
            ("3", &["SUBSCRIBE", "a"], 1),
            ("3", &["CLIENT", "TRACKING", "ON"], 1),
            ("2", &["MONITOR"], 1),
        ] {
            let mut client = narrows.connect();
            client.call(&["HELLO", protocol]);
            client.expect(&["SELECT", "5"], "+OK\r\n");
            client.send_command(begin);
            for _ in 0..replies {
                client.reply();
            }
            let list = admin.call(&["CLIENT", "LIST"]).text();
            let lines = list.lines().filter(|line| line.contains(" db=5 "));
            for id in lines.filter_map(|line| field(line, "id")) {
                admin.expect(&["CLIENT", "KILL", "ID", &id], ":1\r\n");
            }
            // MONITOR may have shown the kill itself before.
            while let Ok(line) = client.try_reply() {
                assert!(line.raw().starts_with(b"+1"), "{line:?}");
            }
        }
        let mut client = narrows.connect();
        client.expect(&["PING"], "+PONG\r\n");
    }
}

#[test]
fn monitor_shows_what_others_do() {
    for flavor in Flavor::pair() {
        let server = RedisServer::start_flavor(flavor, &[]);
        let narrows = Narrows::in_front_of(&server, &[]);
        for protocol in ["2", "3"] {
            let mut client = narrows.connect();
            client.call(&["HELLO", protocol]);
            client.expect(&["MONITOR"], "+OK\r\n");
            let mut other = narrows.connect();
            other.expect(&["SET", "seen", "+OK"], "+OK\r\n");
            let shows = |client: &mut Conn, what: &str| {
                wait_until("it is shown", PATIENCE, || {
                    let line = client.reply().text();
                    assert!(line.starts_with(|c: char| c.is_ascii_digit()), "{line}");
                    line.contains(what)
                });
            };
            shows(&mut client, "\"SET\" \"seen\" \"+OK\"");
            // Its own commands are answered between the lines.
            client.send_command(&["PING"]);
            wait_until("it is answered", PATIENCE, || {
                client.reply().raw() == b"+PONG\r\n"
            });
            // In silence it shows nothing; with RESET it is over.
            client.send_command(&["CLIENT", "REPLY", "OFF"]);
            client.send_command(&["RESET"]);
            wait_until("it is over", PATIENCE, || {
                client.reply().raw() == b"+RESET\r\n"
            });
            other.expect(&["SET", "seen", "not"], "+OK\r\n");
            client.expect(&["GET", "seen"], "$3\r\nnot\r\n");
        }
    }
}

#[test]
fn a_subscriber_that_does_not_read_is_cut_off_and_holds_up_nobody() {
    let server = RedisServer::start();
    let settings = "[clients]\noutput_subscriber_bytes_max = \"1MiB\"\n\
                    output_subscriber_soft_bytes = \"512KiB\"\noutput_subscriber_soft_time = \"200ms\"\n";
    let narrows = narrows(&server.url(), settings, &[]);
    let mut other = narrows.connect();
    // At once, and after a while of being behind.
    for (size, messages) in [(64 << 10, 1000), (8 << 10, 1000)] {
        let text = "x".repeat(size);
        let mut slow = narrows.connect();
        let mut quick = narrows.connect();
        for conn in [&mut slow, &mut quick] {
            conn.expect(&["SUBSCRIBE", "a"], subscribed("a", 1));
        }
        published(&mut other, "a", "first", 2);
        quick.expect_reply(message("a", "first"));
        let mut cut_off = false;
        for _ in 0..messages {
            let count = other.call(&["PUBLISH", "a", &text]).integer();
            quick.expect_reply(message("a", &text));
            cut_off |= count == 1;
        }
        assert!(cut_off, "{messages} messages of {size} bytes");
        drop(quick);
        // What it was sent before is whole up to the place where it was cut.
        slow.expect_reply(message("a", "first"));
    }
    narrows.expect_logged(&["does not read what it has subscribed to"]);
}

#[test]
fn a_message_larger_than_a_subscriber_may_have_unread_closes_it() {
    let server = RedisServer::start();
    let settings = "[clients]\noutput_subscriber_bytes_max = \"1MiB\"\n\
                    output_subscriber_soft_bytes = \"512KiB\"\n";
    let narrows = narrows(&server.url(), settings, &[]);
    let mut client = narrows.connect();
    client.expect(&["SUBSCRIBE", "a"], subscribed("a", 1));
    let mut admin = server.connect();
    admin.expect(&["PUBLISH", "a", &"y".repeat(600 << 10)], ":1\r\n");
    client.expect_reply(message("a", &"y".repeat(600 << 10)));
    admin.expect(&["PUBLISH", "a", &"x".repeat(2 << 20)], ":1\r\n");
    client.expect_closed();
}

#[test]
fn a_silent_subscriber_outlives_every_deadline() {
    let server = RedisServer::start();
    let settings = "[backend]\nhealth_interval = \"100ms\"\nstall_timeout = \"700ms\"\n\
                    stall_timeout_answering = \"800ms\"\n[clients]\nrequest_timeout = \"900ms\"\n\
                    idle_in_transaction = \"900ms\"\n[pool]\nidle_timeout = \"100ms\"\n\
                    max_lifetime = \"300ms\"\nping_interval = \"100ms\"\n";
    let narrows = narrows(&server.url(), settings, &[]);
    let mut client = narrows.connect();
    client.call(&["HELLO", "3"]);
    client.expect(&["WATCH", "k"], "+OK\r\n");
    // A watcher's connection cannot be kept for good before the server's own limit is known.
    wait_until("it may keep its connection", PATIENCE, || {
        client.send_command(&["SUBSCRIBE", "a"]);
        client.reply().raw().starts_with(b">3\r\n")
    });
    client.expect_silence(Duration::from_millis(1500));
    published(&mut narrows.connect(), "a", "late", 1);
    assert!(client.reply().raw().ends_with(b"$4\r\nlate\r\n"));
}

#[test]
fn what_cannot_be_lent_for_ever_is_told_so_and_the_client_stays() {
    let server = RedisServer::start();
    let settings = "[backend]\nmax_connections = 3\n[pool]\nqueue_timeout = \"200ms\"\n";
    let narrows = narrows(&server.url(), settings, &[]);
    let mut first = narrows.connect();
    first.expect(&["SUBSCRIBE", "a"], subscribed("a", 1));
    let mut late = narrows.connect();
    let told = late.call(&["SUBSCRIBE", "a"]);
    assert!(told.raw().starts_with(b"-TRYAGAIN narrows: "), "{told:?}");
    late.expect(&["SET", "k", "v"], "+OK\r\n");
    first.expect(
        &["UNSUBSCRIBE", "a"],
        "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n",
    );
    late.expect(&["SUBSCRIBE", "a"], subscribed("a", 1));
}

#[test]
fn redirected_tracking_is_refused_in_clear_words() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &[]);
    let mut client = narrows.connect();
    let words = "-ERR narrows: REDIRECT is not supported; track over RESP3 without it\r\n";
    client.expect(&["CLIENT", "TRACKING", "ON", "REDIRECT", "1"], words);
    client.call(&["HELLO", "3"]);
    client.expect(&["CLIENT", "TRACKING", "ON"], "+OK\r\n");
    client.expect(
        &["CLIENT", "TRACKING", "ON", "NOLOOP", "redirect", "1"],
        words,
    );
    client.expect(&["GET", "k"], "_\r\n");
}

/// Fifty want to subscribe over eight connections, a thousand others just go on.
#[test]
fn load_a_thousand_go_on_beside_fifty_that_subscribe() {
    let server = RedisServer::start();
    let settings = "[backend]\nmax_connections = 8\n[pool]\nqueue_timeout = \"500ms\"\n";
    let narrows = narrows(&server.url(), settings, &[]);
    let mut subscribers: Vec<Conn> = (0..50).map(|_| narrows.connect()).collect();
    let mut plain: Vec<Conn> = (0..1000).map(|_| narrows.connect()).collect();
    for conn in &mut subscribers {
        conn.send_command(&["SUBSCRIBE", "news"]);
    }
    for round in 0..5 {
        for (number, conn) in plain.iter_mut().enumerate() {
            conn.send_command(&["SET", &format!("k{number}"), &format!("{round}")]);
            conn.send_command(&["GET", &format!("k{number}")]);
        }
        for conn in &mut plain {
            conn.expect_reply("+OK\r\n");
            conn.expect_reply(format!("$1\r\n{round}\r\n"));
        }
    }
    let mut listening = Vec::new();
    for mut conn in subscribers {
        let reply = conn.reply();
        match reply.raw().starts_with(b"-TRYAGAIN narrows: ") {
            true => conn.expect(&["PING"], "+PONG\r\n"),
            false => {
                assert_eq!(reply.raw(), subscribed("news", 1).as_bytes());
                listening.push(conn);
            }
        }
    }
    assert!((1..=6).contains(&listening.len()), "{}", listening.len());
    published(&mut plain[0], "news", "hello", listening.len() as i64);
    for conn in &mut listening {
        conn.expect_reply(message("news", "hello"));
    }
    for conn in &mut plain {
        conn.expect(&["PING"], "+PONG\r\n");
    }
}

#[test]
fn who_listens_to_all_channels_hears_nothing_of_what_narrows_publishes_itself() {
    for flavor in Flavor::pair() {
        let server = RedisServer::start_flavor(flavor, &[]);
        let narrows = Narrows::in_front_of(&server, &[]);
        for protocol in ["2", "3"] {
            let mut listener = narrows.connect();
            listener.call(&["HELLO", protocol]);
            listener.send_command(&["PSUBSCRIBE", "*"]);
            listener.reply();
            let mut waiter = narrows.connect();
            let id = waiter.call(&["CLIENT", "ID"]).integer().to_string();
            waiter.send_command(&["BLPOP", "q", "0"]);
            let mut other = narrows.connect();
            wait_until("the wait has begun", PATIENCE, || {
                other.call(&["CLIENT", "UNBLOCK", &id]).integer() == 1
            });
            waiter.expect_reply("*-1\r\n");
            assert_eq!(other.call(&["WAIT", "0", "10"]).integer(), 0);
            assert_eq!(other.call(&["PUBLISH", "x", "last"]).integer(), 1);
            let heard = listener.reply();
            assert!(heard.raw().ends_with(b"$4\r\nlast\r\n"), "{heard:?}");
        }
    }
}
