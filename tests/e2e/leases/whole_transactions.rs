//! A whole `MULTI … EXEC` in one write whose verbs the server refuses: what is in it runs or does
//! not run as it does directly, and nobody else's connection waits or queues because of it.

use std::time::Duration;

use crate::support::{Conn, Narrows, RedisServer, command};

/// A server with the user `limited`, who may do all but `verb`, and narrows as that user.
fn with_user_without(verb: &str, flags: &[&str]) -> (RedisServer, Narrows) {
    let server = RedisServer::start();
    let denied = format!("-{verb}");
    let user = [
        "ACL", "SETUSER", "limited", "on", ">pw", "~*", "&*", "+@all", &denied,
    ];
    server.connect().expect(&user, "+OK\r\n");
    let url = server.url().replace("redis://", "redis://limited:pw@");
    let mut all = vec!["--listen", "127.0.0.1:0", "--backend", &url];
    all.extend(flags);
    let narrows = Narrows::start(&all);
    (server, narrows)
}

/// Logged in directly as the same user.
fn direct(server: &RedisServer) -> Conn {
    let mut conn = server.connect();
    conn.expect(&["AUTH", "limited", "pw"], "+OK\r\n");
    conn
}

fn in_one_write(commands: &[&[&str]]) -> Vec<u8> {
    commands.iter().flat_map(|words| command(words)).collect()
}

#[test]
fn a_wait_whose_multi_is_refused_keeps_nobody_else_waiting() {
    let waits: [&[&str]; 3] = [
        &["BLPOP", "q", "0"],
        &["BLMOVE", "q", "r", "LEFT", "RIGHT", "0"],
        &["XREAD", "BLOCK", "0", "STREAMS", "x", "$"],
    ];
    for connections in ["2", "3", "16"] {
        let (server, narrows) =
            with_user_without("multi", &["--max-backend-connections", connections]);
        for wait in waits {
            let sent = in_one_write(&[&["MULTI"], wait, &["EXEC"]]);
            let (mut same, mut client) = (direct(&server), narrows.connect());
            let mut other = narrows.connect();
            other.expect(&["SET", "k", "v"], "+OK\r\n");
            for conn in [&mut same, &mut client] {
                conn.send(&sent);
            }
            let refused = same.reply();
            assert!(refused.text().starts_with("NOPERM"), "{}", refused.text());
            if connections != "2" {
                client.expect_reply(refused.raw());
                client.expect_silence(Duration::from_millis(50));
            }
            for _ in 0..20 {
                other.expect(&["SET", "k", "v"], "+OK\r\n");
                narrows.connect().expect(&["GET", "k"], "$1\r\nv\r\n");
            }
        }
    }
}

#[test]
fn what_stands_in_a_transaction_whose_multi_is_refused_runs_as_it_does_directly() {
    let (server, narrows) = with_user_without("multi", &[]);
    let sent = in_one_write(&[&["MULTI"], &["INCR", "n"], &["GET", "k"], &["EXEC"]]);
    let mut same = direct(&server);
    same.send(&sent);
    let expected: Vec<_> = (0..4).map(|_| same.reply()).collect();
    server.connect().expect(&["DEL", "n"], ":1\r\n");
    let mut client = narrows.connect();
    client.send(&sent);
    for reply in expected {
        client.expect_reply(reply.raw());
    }
}

#[test]
fn a_whole_transaction_whose_end_is_refused_leaves_nobody_elses_commands_queued() {
    for verb in ["discard", "exec"] {
        let (server, narrows) = with_user_without(verb, &["--max-backend-connections", "4"]);
        let mut others: Vec<Conn> = (0..8).map(|_| narrows.connect()).collect();
        for other in &mut others {
            other.expect(&["GET", "k"], "$-1\r\n");
        }
        for _ in 0..10 {
            let mut client = narrows.connect();
            client.send(in_one_write(&[&["MULTI"], &["SET", "a", "1"], &[verb]]));
            for other in &mut others {
                other.send_command(&["GET", "k"]);
                other.send_command(&["SET", "b", "1"]);
            }
            client.expect_reply("+OK\r\n");
            client.expect_reply("+QUEUED\r\n");
            assert!(client.reply().is_error());
            for other in &mut others {
                // Of a read too, where the write behind it was on its way: it is not asked again past that.
                let read = other.reply();
                let unknown = read.raw().ends_with(b"may have run\r\n");
                assert!(read.raw() == b"$-1\r\n" || unknown, "{read:?}");
                let text = other.reply().text();
                assert!(text == "OK" || text.contains("may have run"), "{text}");
            }
        }
        // Only the first one shared a connection.
        let log = narrows.log();
        assert!(log.matches("block_not_ended").count() <= 1, "{verb}: {log}");
        server.connect().expect(&["EXISTS", "a"], ":0\r\n");
    }
}
