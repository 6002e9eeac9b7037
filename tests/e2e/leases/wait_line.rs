//! Commands that wait while all places for that are taken: they stand in line for their own timeout,
//! take what lies there without a place, and are to everybody as any other that waits.

use std::time::{Duration, Instant};

use crate::support::setup::narrows;
use crate::support::{Conn, Flavor, Narrows, PATIENCE, RedisServer, wait_until};

/// More than narrows lets pass between two looks at what lies there, and a bit.
const SOON: Duration = Duration::from_secs(5);

/// A server, and narrows in front of it, whose one place for waits is taken.
struct Full {
    server: RedisServer,
    narrows: Narrows,
    _holder: Conn,
}

impl Full {
    fn of(flavor: Flavor, settings: &str) -> Self {
        let server = RedisServer::start_flavor(flavor, &[]);
        let toml = format!("[pool]\nblocking_max = 1\n{settings}");
        let narrows = narrows(&server.url(), &toml, &[]);
        let mut holder = narrows.connect();
        holder.send_command(&["BLPOP", "nobody", "0"]);
        wait_until("the place is taken", PATIENCE, || {
            server.info_number("blocked_clients") == 1
        });
        Self {
            server,
            narrows,
            _holder: holder,
        }
    }

    /// A client that stands in line with this command, as the `how many`th that waits.
    fn in_line(&self, request: &str, how_many: u64) -> Conn {
        let mut client = self.narrows.connect();
        client.send(format!("{request}\r\n"));
        let mut asks = self.narrows.connect();
        wait_until("it stands in line", PATIENCE, || {
            let info = asks.call(&["INFO", "clients"]).text();
            info.contains(&format!("blocked_clients:{how_many}\r\n"))
        });
        client
    }
}

/// On all at once: it is the waiting that takes time.
fn on_each(settings: &str, test: impl Fn(&Full) + Sync) {
    std::thread::scope(|scope| {
        for flavor in Flavor::pair() {
            let test = &test;
            scope.spawn(move || test(&Full::of(flavor, settings)));
        }
    });
}

fn raw(conn: &mut Conn, request: &str) -> String {
    let args: Vec<&str> = request.split(' ').collect();
    String::from_utf8_lossy(conn.call(&args).raw()).into_owned()
}

#[test]
fn a_wait_without_a_place_ends_at_its_own_deadline_as_directly() {
    on_each("queue_timeout = \"50ms\"\n", |full| {
        let mut direct = full.server.connect();
        direct.expect(&["XGROUP", "CREATE", "s", "g", "$", "MKSTREAM"], "+OK\r\n");
        for hello in ["HELLO 2", "HELLO 3"] {
            let mut through = full.narrows.connect();
            raw(&mut through, hello);
            raw(&mut direct, hello);
            for request in [
                "BLPOP q 0.2",
                "BRPOP q r 0.2",
                "BLMOVE q r LEFT RIGHT 0.2",
                "BRPOPLPUSH q r 0.2",
                "BLMPOP 0.2 2 q r LEFT",
                "BZPOPMIN z 0.2",
                "BZPOPMAX z 0.2",
                "BZMPOP 0.2 1 z MIN",
                "XREAD BLOCK 200 STREAMS s $",
                "XREADGROUP GROUP g c BLOCK 200 STREAMS s >",
            ] {
                let began = Instant::now();
                direct.send(format!("{request}\r\n"));
                let heard = raw(&mut through, request);
                let took = began.elapsed();
                assert!(took >= Duration::from_millis(200), "{request}: {took:?}");
                assert!(took < SOON, "{request}: {took:?}");
                let directly = String::from_utf8_lossy(direct.reply().raw()).into_owned();
                assert_eq!(heard, directly, "{request}");
            }
        }
    });
}

#[test]
fn what_lies_there_is_had_without_a_place_as_directly() {
    on_each("", |full| {
        let mut fills = full.server.connect();
        for hello in ["HELLO 2", "HELLO 3"] {
            for request in [
                "BLPOP none q 0",
                "BRPOP q 0",
                "BLMOVE q r LEFT RIGHT 0",
                "BRPOPLPUSH q r 0",
                "BLMPOP 0 2 none q LEFT COUNT 2",
                "BZPOPMIN z 0",
                "BZPOPMAX z 0",
                "BZMPOP 0 1 z MIN COUNT 2",
                "XREAD COUNT 1 BLOCK 0 STREAMS none s 0 0",
                "XREADGROUP GROUP g c COUNT 1 BLOCK 0 STREAMS s >",
                // What the server refuses.
                "BLPOP q -1",
                "BLPOP z 0",
                "BLMOVE q z LEFT LEFT 0",
                "BLMPOP 0 x q LEFT",
                "XREADGROUP GROUP nobody c BLOCK 0 STREAMS s >",
                "XREAD BLOCK x STREAMS s $",
            ] {
                let mut heard =
                    [full.narrows.connect(), full.server.connect()].map(|mut client| {
                        fills.expect(&["FLUSHALL"], "+OK\r\n");
                        fills.expect(&["RPUSH", "q", "1", "2", "3"], ":3\r\n");
                        fills.expect(&["ZADD", "z", "1", "a", "2", "b", "3", "c"], ":3\r\n");
                        fills.expect(&["XADD", "s", "1-1", "f", "v"], "$3\r\n1-1\r\n");
                        fills.expect(&["XADD", "s", "2-1", "f", "v"], "$3\r\n2-1\r\n");
                        fills.expect(&["XGROUP", "CREATE", "s", "g", "0"], "+OK\r\n");
                        raw(&mut client, hello);
                        let reply = raw(&mut client, request);
                        // And no more than that was taken.
                        let left = [
                            "LRANGE q 0 -1",
                            "LRANGE r 0 -1",
                            "ZRANGE z 0 -1",
                            "XPENDING s g - + 9 c",
                        ];
                        let left = left.map(|question| raw(&mut client, question));
                        let left = left.map(|text| match text.starts_with("*1\r\n*4\r\n") {
                            // How long it has been pending.
                            true => text.split_inclusive(':').take(1).collect(),
                            false => text,
                        });
                        (reply, left)
                    });
                let [through, direct] = &mut heard;
                assert_eq!(through, direct, "{hello}: {request}");
            }
        }
    });
}

#[test]
fn who_has_come_first_is_served_first_of_those_in_line() {
    on_each("", |full| {
        let mut pushes = full.server.connect();
        let mut first = full.in_line("BLPOP q 0", 2);
        let mut second = full.in_line("BLMOVE q r LEFT RIGHT 0", 3);
        let mut third = full.in_line("BRPOP other q 0", 4);
        let mut apart = full.in_line("BLPOP p 0", 5);
        pushes.expect(&["RPUSH", "q", "a", "b", "c"], ":3\r\n");
        first.expect_reply("*2\r\n$1\r\nq\r\n$1\r\na\r\n");
        second.expect_reply("$1\r\nb\r\n");
        third.expect_reply("*2\r\n$1\r\nq\r\n$1\r\nc\r\n");
        pushes.expect(&["RPUSH", "p", "d"], ":1\r\n");
        apart.expect_reply("*2\r\n$1\r\np\r\n$1\r\nd\r\n");
        // Nobody who comes later gets what was there for one who stands before it.
        let mut early = full.in_line("BLPOP q 0", 2);
        pushes.expect(&["RPUSH", "q", "e"], ":1\r\n");
        let mut late = full.narrows.connect();
        late.send("BLPOP q 0\r\n");
        early.expect_reply("*2\r\n$1\r\nq\r\n$1\r\ne\r\n");
        pushes.expect(&["RPUSH", "q", "f"], ":1\r\n");
        late.expect_reply("*2\r\n$1\r\nq\r\n$1\r\nf\r\n");
    });
}

#[test]
fn who_reads_from_the_end_of_a_stream_sees_what_is_added_while_it_stands_in_line() {
    on_each("", |full| {
        let mut adds = full.narrows.connect();
        adds.expect(&["XADD", "s", "5-1", "f", "old"], "$3\r\n5-1\r\n");
        // The last entry is gone, and the stream ends where it was all the same.
        adds.expect(&["XADD", "s", "6-1", "f", "gone"], "$3\r\n6-1\r\n");
        adds.expect(&["XDEL", "s", "6-1"], ":1\r\n");
        let mut reads = full.in_line("XREAD BLOCK 0 STREAMS none s $ $", 2);
        let mut inline_and_more = full.narrows.connect();
        inline_and_more.send("xread block 0 streams t $\r\nPING\r\n");
        let mut asks = full.narrows.connect();
        wait_until("both wait", PATIENCE, || {
            let info = asks.call(&["INFO", "clients"]).text();
            info.contains("blocked_clients:3\r\n")
        });
        asks.expect(&["XADD", "s", "7-1", "f", "new"], "$3\r\n7-1\r\n");
        asks.expect(&["XADD", "t", "1-1", "f", "first"], "$3\r\n1-1\r\n");
        asks.expect(&["XADD", "t", "2-1", "f", "second"], "$3\r\n2-1\r\n");
        reads.expect_reply(
            "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n7-1\r\n*2\r\n$1\r\nf\r\n$3\r\nnew\r\n",
        );
        let heard = inline_and_more.reply();
        let heard = String::from_utf8_lossy(heard.raw()).into_owned();
        assert!(
            heard.contains("first") && heard.contains("second"),
            "{heard}"
        );
        inline_and_more.expect_reply("+PONG\r\n");
    });
}

/// In one transaction nothing is seen to between the two.
#[test]
fn a_client_that_a_transaction_kills_does_not_wait_any_more_for_what_stands_behind() {
    on_each("", |full| {
        for blocked in ["BLPOP q 0", "BZPOPMIN z 9"] {
            let mut waits = full.narrows.connect();
            let id = waits.call(&["CLIENT", "ID"]).integer().to_string();
            waits.send(format!("{blocked}\r\n"));
            let mut asks = full.narrows.connect();
            wait_until("it stands in line", PATIENCE, || {
                let info = asks.call(&["INFO", "clients"]).text();
                info.contains("blocked_clients:2\r\n")
            });
            asks.expect(&["MULTI"], "+OK\r\n");
            asks.expect(&["CLIENT", "KILL", "ID", &id], "+QUEUED\r\n");
            asks.expect(&["CLIENT", "UNBLOCK", &id], "+QUEUED\r\n");
            asks.expect(&["EXEC"], "*2\r\n:1\r\n:0\r\n");
        }
    });
}

#[test]
fn a_wait_in_line_is_ended_by_client_unblock() {
    on_each("", |full| {
        let mut asks = full.narrows.connect();
        for (request, reason, hears) in [
            ("BLPOP q 0", "TIMEOUT", "*-1\r\n"),
            ("BLMOVE q r LEFT LEFT 9", "TIMEOUT", "*-1\r\n"),
            ("XREAD BLOCK 0 STREAMS s $", "TIMEOUT", "*-1\r\n"),
            (
                "BZPOPMIN z 0",
                "ERROR",
                "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n",
            ),
        ] {
            let mut waits = full.in_line(request, 2);
            let list = asks.call(&["CLIENT", "LIST"]).text();
            let name = request.split(' ').next().unwrap().to_ascii_lowercase();
            let mut lines = list.lines();
            let line = lines
                .find(|line| line.contains(&format!(" cmd={name} ")) && line.contains("flags=b"));
            let line = line.filter(|_| name != "blpop").or_else(|| {
                let of = |line: &&str| line.contains("flags=b") && line.contains("cmd=blpop");
                list.lines().rfind(of)
            });
            let id = line.and_then(|line| line.strip_prefix("id="));
            let id = id
                .and_then(|line| line.split(' ').next())
                .unwrap_or_default();
            asks.expect(&["CLIENT", "UNBLOCK", id, reason], ":1\r\n");
            waits.expect_reply(hears);
            asks.expect(&["CLIENT", "UNBLOCK", id, reason], ":0\r\n");
            waits.expect(&["PING"], "+PONG\r\n");
        }
        // What was pushed meanwhile is there.
        asks.expect(&["RPUSH", "q", "x"], ":1\r\n");
        asks.expect(&["LLEN", "q"], ":1\r\n");
    });
}

#[test]
fn who_leaves_the_line_takes_nothing() {
    on_each("", |full| {
        let mut admin = full.server.connect();
        let mut stays = full.in_line("BLPOP q 0", 2);
        let mut goes = full.in_line("BLPOP q 0", 3);
        goes.send("PING\r\n");
        drop(goes);
        let mut half = full.in_line("BLPOP q 0", 3);
        half.finish_sending();
        half.expect_closed();
        admin.expect(&["RPUSH", "q", "a", "b"], ":2\r\n");
        stays.expect_reply("*2\r\n$1\r\nq\r\n$1\r\na\r\n");
        // Longer than it takes to look at what lies there.
        stays.expect_silence(Duration::from_millis(1200));
        admin.expect(&["LRANGE", "q", "0", "-1"], "*1\r\n$1\r\nb\r\n");
    });
}

#[test]
fn what_stands_before_a_half_close_is_served_without_a_place() {
    on_each("", |full| {
        let mut client = full.narrows.connect();
        client.send("RPUSH q 1\r\nBLPOP q 0\r\nSET a b\r\nBLPOP q 0\r\nSET a c\r\n");
        client.finish_sending();
        client.expect_reply(":1\r\n");
        client.expect_reply("*2\r\n$1\r\nq\r\n$1\r\n1\r\n");
        client.expect_reply("+OK\r\n");
        client.expect_closed();
        full.server.connect().expect(&["GET", "a"], "$1\r\nb\r\n");
    });
}

#[test]
fn the_time_in_line_is_a_part_of_a_waits_own() {
    on_each("", |full| {
        let began = Instant::now();
        let mut waits = full.in_line("BLPOP q 2", 2);
        std::thread::sleep(Duration::from_millis(1000));
        // The place is free: it waits there for what is left of its time.
        full.server
            .connect()
            .expect(&["RPUSH", "nobody", "x"], ":1\r\n");
        waits.expect_reply("*-1\r\n");
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(2), "{took:?}");
        assert!(took < Duration::from_millis(2900), "{took:?}");
    });
}

#[test]
fn who_finds_the_line_full_is_told_at_once() {
    let full = Full::of(Flavor::Redis, "queue_clients_max = 2\n");
    let _first = full.in_line("BLPOP q 0", 2);
    let _second = full.in_line("BLPOP q 0", 3);
    let mut third = full.narrows.connect();
    let told = third.call(&["BLPOP", "q", "0"]).text();
    assert!(told.starts_with("TRYAGAIN narrows: "), "{told}");
    third.expect(&["PING"], "+PONG\r\n");
}

#[test]
fn who_may_not_begin_a_block_waits_in_line_and_holds_nobody_up() {
    on_each("", |full| {
        let mut admin = full.server.connect();
        admin.expect(&["ACL", "SETUSER", "default", "-multi"], "+OK\r\n");
        let mut waits = full.in_line("BLPOP q 0", 2);
        let mut timed = full.in_line("BLPOP q 0.5", 3);
        let mut plain = full.narrows.connect();
        for _ in 0..200 {
            let began = Instant::now();
            plain.expect(
                &["INCR", "n"],
                format!(":{}\r\n", admin.call(&["INCR", "m"]).integer()),
            );
            assert!(began.elapsed() < SOON);
        }
        timed.expect_reply("*-1\r\n");
        admin.expect(&["RPUSH", "nobody", "x"], ":1\r\n");
        wait_until("it has the place", PATIENCE, || {
            full.server.info_number("blocked_clients") == 1
        });
        admin.expect(&["RPUSH", "q", "y"], ":1\r\n");
        waits.expect_reply("*2\r\n$1\r\nq\r\n$1\r\ny\r\n");
        full.narrows.expect_logged(&["WARN", "begin blocks"]);
    });
}

#[test]
fn waits_are_served_where_no_connection_can_be_lent() {
    for flavor in Flavor::pair() {
        let server = RedisServer::start_flavor(flavor, &[]);
        let narrows = narrows(&server.url(), "[backend]\nmax_connections = 2\n", &[]);
        let (mut waits, mut pushes) = (narrows.connect(), narrows.connect());
        waits.send("SELECT 3\r\nBLPOP q 0\r\nBLPOP q 0.1\r\n");
        waits.expect_reply("+OK\r\n");
        pushes.expect(&["RPUSH", "q", "elsewhere"], ":1\r\n");
        pushes.expect(&["SELECT", "3"], "+OK\r\n");
        pushes.expect(&["RPUSH", "q", "x"], ":1\r\n");
        waits.expect_reply("*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
        waits.expect_reply("*-1\r\n");
    }
}

#[test]
fn who_waits_in_line_when_the_server_is_gone_is_told_in_time() {
    let mut told = String::new();
    // It is tried once a second: a try that is under way when the server goes may have taken something.
    for _ in 0..5 {
        let mut full = Full::of(Flavor::Redis, "queue_timeout = \"500ms\"\n");
        let mut waits = full.in_line("BLPOP q 0", 2);
        // What has been asked of the server for it stands before this, on the same connection.
        let mut plain = full.narrows.connect();
        plain.expect(&["PING"], "+PONG\r\n");
        plain.expect(&["PING"], "+PONG\r\n");
        full.server.kill9();
        told = waits.reply().text();
        if told != "ERR narrows: backend connection lost; the command may have run" {
            break;
        }
    }
    assert!(told.starts_with("TRYAGAIN narrows: "), "{told}");
}
