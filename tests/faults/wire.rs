//! The faults of the wire by themselves: that the fault proxy does what its names say, and that
//! narrows finds a real black hole by TCP.

use std::time::{Duration, Instant};

use crate::chaos::proxy::{Direction, Disconnect, End, Fault, FaultProxy};
use crate::netns::Namespace;
use crate::support::{Child, Conn, Narrows, PATIENCE, RedisServer, wait_for, wait_until};

/// Long enough for what was sent to arrive on a busy machine, if it does.
const A_WHILE: Duration = Duration::from_millis(200);

fn behind_a_proxy() -> (RedisServer, FaultProxy, Conn) {
    let server = RedisServer::start();
    let proxy = FaultProxy::in_front_of(server.address().parse().unwrap());
    let mut conn = Conn::connect(&proxy.address().to_string());
    conn.expect(&["PING"], "+PONG\r\n");
    (server, proxy, conn)
}

#[test]
fn what_goes_into_a_hole_comes_out_when_it_closes() {
    let (server, proxy, mut conn) = behind_a_proxy();
    for hole in [None, Some(Direction::Requests), Some(Direction::Replies)] {
        proxy.set(Fault::Hole(hole));
        conn.send_command(&["INCR", "count"]);
        let mut late = Conn::connect(&proxy.address().to_string());
        late.send_command(&["PING"]);
        conn.expect_silence(A_WHILE);
        late.expect_silence(A_WHILE);
        let ran = server.connect().call(&["EXISTS", "count"]).integer() == 1;
        assert_eq!(ran, hole == Some(Direction::Replies), "{hole:?}");
        proxy.heal();
        conn.expect_reply(":1\r\n");
        late.expect_reply("+PONG\r\n");
        conn.expect(&["DEL", "count"], ":1\r\n");
    }
}

#[test]
fn a_cut_ends_a_connection_at_its_byte() {
    let (_server, proxy, _) = behind_a_proxy();
    proxy.set(Fault::CutAfter(Direction::Replies, 4, End::Close));
    let mut conn = Conn::connect(&proxy.address().to_string());
    conn.send_command(&["ECHO", "value"]);
    let error = conn.try_reply().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    proxy.set(Fault::CutAfter(Direction::Replies, 16, End::Reset));
    let mut conn = Conn::connect(&proxy.address().to_string());
    conn.send_command(&["PING"]);
    conn.expect_reply("+PONG\r\n");
    conn.send_command(&["ECHO", "value"]);
    let error = conn.try_reply().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_half_open_connection_is_open_on_one_side_only() {
    let (server, proxy, mut conn) = behind_a_proxy();
    proxy.strike(Disconnect::ServerGone);
    wait_until("the server to see it go", PATIENCE, || {
        server.info_number("connected_clients") == 1
    });
    conn.send_command(&["PING"]);
    conn.expect_silence(A_WHILE);
    assert_eq!(proxy.open(), 1);
    let mut second = Conn::connect(&proxy.address().to_string());
    second.expect(&["PING"], "+PONG\r\n");
    proxy.strike(Disconnect::ClientGone);
    second.expect_closed();
    assert_eq!(server.info_number("connected_clients"), 2);
    proxy.heal();
    conn.expect_closed();
    wait_until("the server to see the other go", PATIENCE, || {
        server.info_number("connected_clients") == 1
    });
}

#[test]
fn a_trickle_and_a_delay_change_no_byte() {
    let (_server, proxy, mut conn) = behind_a_proxy();
    let value = "0123456789".repeat(300);
    for fault in [
        Fault::Trickle(1),
        Fault::Trickle(7),
        Fault::Delay(Duration::from_millis(10)),
    ] {
        proxy.set(fault);
        assert_eq!(conn.call(&["ECHO", &value]).text(), value);
    }
}

#[test]
fn refused_connections_are_taken_again_after_the_fault() {
    let (_server, proxy, mut conn) = behind_a_proxy();
    proxy.set(Fault::CloseNew);
    Conn::connect(&proxy.address().to_string()).expect_closed();
    conn.expect(&["PING"], "+PONG\r\n");
    proxy.set(Fault::Refuse);
    conn.expect_closed();
    wait_until("a refusal", PATIENCE, || {
        Conn::try_connect(&proxy.address().to_string()).is_err()
    });
    proxy.heal();
    let mut again = wait_for("an open door", PATIENCE, || {
        Conn::try_connect(&proxy.address().to_string()).ok()
    });
    again.expect(&["PING"], "+PONG\r\n");
}

/// A silent connection is given up after five seconds while the server answers on others; the
/// health check, which is struck as well, needs two to find its way again.
const SHORT_STALLS: &str = r#"
    [backend]
    handshake_timeout = "500ms"
    health_interval = "200ms"
    stall_timeout = "4s"
    stall_timeout_answering = "5s"
"#;

#[test]
fn a_half_open_pipe_that_owes_a_read_is_given_up_and_no_write_waits_behind_it() {
    let server = RedisServer::start();
    let proxy = FaultProxy::in_front_of(server.address().parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("narrows.toml");
    std::fs::write(&file, SHORT_STALLS).unwrap();
    let narrows = Narrows::start(&[
        "--config",
        file.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
        "--backend",
        &format!("redis://{}", proxy.address()),
    ]);
    let (mut reader, mut writer) = (narrows.connect(), narrows.connect());
    writer.expect(&["SET", "key", "value"], "+OK\r\n");
    proxy.strike(Disconnect::ServerGone);
    let begin = Instant::now();
    reader.send_command(&["GET", "key"]);
    // The health check has a new connection by then, and is answered on it.
    narrows.expect_logged(&["a connection says nothing"]);
    writer.expect(&["SET", "key", "other"], "+OK\r\n");
    reader.expect_reply("$5\r\nother\r\n");
    // Ten times as much, as for writes that somebody has paused, would be fifty.
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
}

/// How narrows is told to find a dead wire: by TCP, as the deadlines of silence are far away.
const BY_TCP: &str = r#"
    [backend]
    tcp_keepalive = "1s"
    stall_timeout = "60s"
    stall_timeout_answering = "120s"
    connect_timeout = "500ms"
    backoff_max = "200ms"
    [pool]
    queue_timeout = "1s"
"#;

#[test]
fn a_real_black_hole_is_found_by_tcp_and_service_is_back_with_the_wire() {
    let namespace = match Namespace::create() {
        Ok(namespace) => namespace,
        Err(why) => {
            eprintln!("NO NETWORK NAMESPACE HERE ({why}): holes are tested with the proxy alone");
            return;
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let address = format!("{}:6379", namespace.address());
    let mut command = namespace.command("redis-server");
    command
        .args(["--port", "6379", "--bind", &namespace.address()])
        .args(["--protected-mode", "no", "--save", "", "--dir"])
        .arg(folder.path());
    let _server = Child::spawn(&mut command);
    wait_for("the server behind the wire", PATIENCE, || {
        Conn::try_connect(&address).ok()
    });
    let file = folder.path().join("narrows.toml");
    std::fs::write(&file, BY_TCP).unwrap();
    let narrows = Narrows::start(&[
        "--config",
        file.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
        "--backend",
        &format!("redis://{address}"),
    ]);
    let (mut reader, mut writer) = (narrows.connect(), narrows.connect());
    writer.expect(&["INCR", "count"], ":1\r\n");
    reader.expect(&["GET", "count"], "$1\r\n1\r\n");

    namespace.pull_the_wire();
    let begin = Instant::now();
    writer.send_command(&["INCR", "count"]);
    reader.send_command(&["GET", "count"]);
    let unknown = "ERR narrows: backend connection lost; the command may have run";
    assert_eq!(writer.reply().text(), unknown);
    let text = reader.reply().text();
    assert!(text.starts_with("TRYAGAIN narrows: "), "{text}");
    let told = begin.elapsed();
    println!("told {told:?} after the wire was pulled");
    // One second until TCP gives up, one in the queue, and what the kernel adds to its timers.
    assert!(told < Duration::from_secs(6), "{told:?}");

    namespace.plug_the_wire();
    let begin = Instant::now();
    let count = wait_for("service", PATIENCE, || {
        reader.call(&["GET", "count"]).text().parse::<i64>().ok()
    });
    println!("service {:?} after the wire was back", begin.elapsed());
    // It may have run: the packet may have waited at our end of the wire.
    assert!((1..=2).contains(&count), "{count}");
    let next = writer.call(&["INCR", "count"]).integer();
    assert!((count + 1..=3).contains(&next), "{next} after {count}");
}
