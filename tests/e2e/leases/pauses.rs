//! `CLIENT PAUSE` through narrows: what the server holds up is held up and nothing else, and nobody
//! believes in a pause that is over.

use std::time::{Duration, Instant};

use crate::support::setup::{SHORT_DEADLINES, narrows};
use crate::support::{Conn, Flavor, Narrows, PATIENCE, RedisServer, wait_until};

/// What is sent under a pause, and how many replies it has.
const CONVERSATIONS: &[(&str, usize)] = &[
    ("SET k v", 1),
    ("SET k", 1),
    ("GET k", 1),
    ("MGET k l", 1),
    ("TOUCH k", 1),
    ("SORT s", 1),
    ("SORT_RO s", 1),
    ("OBJECT ENCODING k", 1),
    ("EXPIRE k 100", 1),
    ("DBSIZE", 1),
    ("FLUSHDB", 1),
    ("EVAL return(1) 0", 1),
    ("EVAL_RO return(1) 0", 1),
    ("EVALSHA 0123456789012345678901234567890123456789 0", 1),
    ("SCRIPT EXISTS 0123456789012345678901234567890123456789", 1),
    ("SCRIPT LOAD return(1)", 1),
    ("FUNCTION FLUSH", 1),
    ("FUNCTION LIST", 1),
    ("PUBLISH c m", 1),
    ("PUBSUB NUMPAT", 1),
    ("PFCOUNT h", 1),
    ("PING", 1),
    ("ECHO x", 1),
    ("TIME", 1),
    ("INFO clients", 1),
    ("CONFIG GET maxmemory", 1),
    ("COMMAND COUNT", 1),
    ("CLIENT ID", 1),
    ("CLIENT SETNAME me", 1),
    ("CLIENT LIST", 1),
    ("SELECT 1", 1),
    ("SELECT 1\r\nGET k", 2),
    ("SELECT 1\r\nSET k v", 2),
    ("HELLO 3", 1),
    ("SUBSCRIBE c", 1),
    ("BLPOP q 0.01", 1),
    ("XREAD BLOCK 10 STREAMS x $", 1),
    ("XREADGROUP GROUP g c STREAMS x >", 1),
    ("WATCH k", 1),
    ("WATCH k\r\nMULTI\r\nGET k\r\nEXEC", 4),
    ("WATCH k\r\nMULTI\r\nSET k v\r\nEXEC", 4),
    ("MULTI\r\nGET k\r\nEXEC", 3),
    ("MULTI\r\nINCR n\r\nEXEC", 3),
    ("MULTI\r\nPUBLISH c m\r\nEXEC", 3),
    ("EXEC", 1),
    ("UNWATCH", 1),
    ("NOSUCH", 1),
];

/// Whoever is not held up has its replies within this, on a busy machine too.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

/// Which of them are answered in a pause of this kind.
fn answered(connect: impl Fn() -> Conn, pause: &str) -> Vec<bool> {
    let mut operator = connect();
    let mut clients: Vec<Conn> = CONVERSATIONS.iter().map(|_| connect()).collect();
    for client in &mut clients {
        client.expect(&["PING"], "+PONG\r\n");
    }
    // What was queued before is held up as a whole.
    let mut queued = [connect(), connect()];
    for (client, command) in queued.iter_mut().zip(["SET k v", "GET k"]) {
        client.send(format!("MULTI\r\n{command}\r\n"));
        client.expect_reply("+OK\r\n");
        client.expect_reply("+QUEUED\r\n");
    }
    operator.expect(&["CLIENT", "PAUSE", "60000", pause], "+OK\r\n");
    for (client, (text, _)) in clients.iter_mut().zip(CONVERSATIONS) {
        client.send(format!("{text}\r\n"));
    }
    for client in &mut queued {
        client.send("EXEC\r\n");
    }
    // All have been asked by now, and whoever is silent is so for as long.
    let deadline = Instant::now() + ANSWERED_WITHIN;
    let counts = CONVERSATIONS.iter().map(|(_, replies)| *replies);
    let counts = counts.chain([1, 1]);
    let everybody = clients.iter_mut().chain(&mut queued);
    let found = everybody.zip(counts).map(|(client, replies)| {
        (0..replies).all(|_| {
            let left = deadline.saturating_duration_since(Instant::now());
            let patience = left.max(Duration::from_millis(1));
            client.try_reply_within(patience).is_ok()
        })
    });
    let found = found.collect();
    operator.expect(&["CLIENT", "UNPAUSE"], "+OK\r\n");
    found
}

#[test]
fn a_pause_of_writes_holds_up_what_it_holds_up_directly_and_nothing_else() {
    for flavor in Flavor::pair() {
        let server = RedisServer::start_flavor(flavor, &[]);
        let direct = answered(|| server.connect(), "WRITE");
        let toml = "[pool]\nleases_max = 24\nblocking_max = 24\n";
        let narrows = crate::support::setup::narrows(
            &server.url(),
            toml,
            &["--max-backend-connections", "40"],
        );
        let through = answered(|| narrows.connect(), "WRITE");
        let names: Vec<&str> = CONVERSATIONS.iter().map(|(text, _)| *text).collect();
        let names = names.into_iter().chain(["queued SET", "queued GET"]);
        let differ: Vec<_> = names
            .zip(direct.iter().zip(&through))
            .filter(|(_, (direct, through))| direct != through)
            .collect();
        assert!(
            differ.is_empty(),
            "{flavor:?} (direct, through): {differ:?}"
        );
    }
}

#[test]
fn who_is_held_up_counts_as_blocked_and_goes_on_at_the_end_of_the_pause() {
    let server = RedisServer::start();
    for connections in ["2", "3", "16"] {
        let narrows = Narrows::in_front_of(&server, &["--max-backend-connections", connections]);
        let (mut a, mut b, mut c) = (narrows.connect(), narrows.connect(), narrows.connect());
        b.expect(&["SET", "k", "1"], "+OK\r\n");
        a.expect(&["CLIENT", "PAUSE", "60000", "WRITE"], "+OK\r\n");
        b.send_command(&["SET", "k", "2"]);
        c.send(b"GET k\r\nINCR k\r\nGET k\r\n");
        c.expect_reply("$1\r\n1\r\n");
        wait_until("both are held up", PATIENCE, || {
            let info = a.call(&["INFO", "clients"]).text();
            info.contains("blocked_clients:2\r\n")
        });
        let list = a.call(&["CLIENT", "LIST"]).text();
        assert_eq!(list.matches(" flags=b ").count(), 2, "{list}");
        a.expect(&["CLIENT", "UNPAUSE"], "+OK\r\n");
        b.expect_reply("+OK\r\n");
        let count = c.reply().text();
        assert!(count == "2" || count == "3", "{count}");
        c.reply();
        let info = a.call(&["INFO", "clients"]).text();
        assert!(info.contains("blocked_clients:0\r\n"), "{info}");
    }
}

#[test]
fn a_pause_dies_with_its_server() {
    for (pause, flags) in [
        ("WRITE", &["--workers", "1"][..]),
        ("WRITE", &["--max-backend-connections", "2"]),
        ("ALL", &["--workers", "2"]),
    ] {
        let mut server = RedisServer::start();
        let narrows = narrows(&server.url(), SHORT_DEADLINES, flags);
        let (mut writer, mut reader, mut other) =
            (narrows.connect(), narrows.connect(), narrows.connect());
        reader.expect(&["GET", "k"], "$-1\r\n");
        narrows
            .connect()
            .expect(&["CLIENT", "PAUSE", "60000", pause], "+OK\r\n");
        writer.send_command(&["SET", "k", "v"]);
        writer.expect_silence(Duration::from_millis(100));
        server.kill9();
        let begin = Instant::now();
        reader.send_command(&["GET", "k"]);
        other.send_command(&["MULTI"]);
        for client in [&mut reader, &mut other, &mut writer] {
            let text = client.reply().text();
            assert!(text.starts_with("TRYAGAIN narrows: "), "{pause}: {text}");
        }
        // A health check, and what a request waits for a backend; twice, on a busy machine.
        assert!(begin.elapsed() < Duration::from_secs(4), "{pause}");
    }
}

#[test]
fn a_pause_of_a_day_that_is_ended_at_the_server_itself_is_over_and_silence_is_death_again() {
    for pause in ["WRITE", "ALL"] {
        let mut server = RedisServer::start();
        let narrows = narrows(&server.url(), SHORT_DEADLINES, &[]);
        let mut direct = server.connect();
        let (mut writer, mut reader) = (narrows.connect(), narrows.connect());
        reader.expect(&["GET", "k"], "$-1\r\n");
        let mut operator = narrows.connect();
        operator.expect(&["CLIENT", "PAUSE", "86400000", "WRITE"], "+OK\r\n");
        if pause == "ALL" {
            // One that cannot be ended directly ends with its time.
            operator.expect(&["CLIENT", "UNPAUSE"], "+OK\r\n");
            operator.expect(&["CLIENT", "PAUSE", "300", "ALL"], "+OK\r\n");
        }
        writer.send_command(&["SET", "k", "v"]);
        writer.expect_silence(Duration::from_millis(200));
        if pause == "WRITE" {
            direct.expect(&["CLIENT", "UNPAUSE"], "+OK\r\n");
        }
        writer.expect_reply("+OK\r\n");
        server.stop();
        let begin = Instant::now();
        for client in [&mut writer, &mut reader] {
            client.send_command(&["INCR", "n"]);
        }
        for client in [&mut writer, &mut reader] {
            let text = client.reply().text();
            let told = text.contains("may have run") || text.starts_with("TRYAGAIN ");
            assert!(told, "{pause}: {text}");
        }
        assert!(begin.elapsed() < Duration::from_secs(5), "{pause}");
        server.cont();
    }
}
