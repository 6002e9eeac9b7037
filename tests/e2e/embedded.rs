//! The private server: it answers, only its owner can reach it, and it is gone when its owner is,
//! also after `kill -9`, which no destructor sees.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::{Child, Conn, Narrows, PATIENCE, process_exists, wait_until};
use narrows::embedded::Embedded;

/// The promise: gone within about a second, with room for a busy machine.
const GONE_PATIENCE: Duration = Duration::from_secs(3);

#[test]
fn it_answers_on_a_private_socket_until_it_is_dropped() {
    let embedded = Embedded::start().unwrap();
    let (socket, pid) = (embedded.socket().to_owned(), embedded.pid());
    let folder = socket.parent().unwrap();
    assert_eq!(
        std::fs::metadata(folder).unwrap().permissions().mode() & 0o777,
        0o700
    );

    let mut conn = Conn::connect_unix(&socket);
    let info = conn.call(&["INFO", "server"]).text();
    assert!(info.contains(&format!("process_id:{pid}\r\n")), "{info}");
    assert!(info.contains("tcp_port:0\r\n"), "{info}");
    conn.expect(&["CONFIG", "GET", "save"], "*2\r\n$4\r\nsave\r\n$0\r\n\r\n");

    drop(embedded);
    conn.expect_closed();
    assert!(!process_exists(pid) && !folder.exists());
}

#[test]
fn a_port_on_loopback_on_request() {
    let embedded = Embedded::start_with_port().unwrap();
    let address = embedded.address().unwrap();
    assert!(address.ip().is_loopback());
    Conn::connect(&address.to_string()).expect(&["PING"], "+PONG\r\n");
    Conn::connect_unix(embedded.socket()).expect(&["PING"], "+PONG\r\n");
}

#[test]
fn narrows_says_that_it_stands_in_front_of_it() {
    let narrows = Narrows::start(&["--embedded", "--listen", "127.0.0.1:0"]);
    narrows.connect().expect(&["PING"], "+PONG\r\n");
    let log = narrows.log();
    let ready = log.lines().find(|line| line.contains("narrows is ready"));
    assert!(
        ready.is_some_and(|line| line.contains("/redis.sock")),
        "{log}"
    );
}

#[test]
fn kill_9_of_its_owner_ends_it_and_removes_its_folder() {
    let (mut owner, pid, socket) = start_owner(&[]);
    Conn::connect_unix(&socket).expect(&["PING"], "+PONG\r\n");
    owner.kill();
    expect_gone(pid, &socket);
}

#[test]
fn kill_9_of_its_owner_ends_a_server_that_is_stopped() {
    let (mut owner, pid, socket) = start_owner(&[]);
    signal(pid, rustix::process::Signal::STOP);
    owner.kill();
    expect_gone(pid, &socket);
}

#[test]
fn the_folder_of_a_server_that_dies_is_removed() {
    let embedded = Embedded::start().unwrap();
    signal(embedded.pid(), rustix::process::Signal::KILL);
    expect_gone(embedded.pid(), embedded.socket());
}

#[test]
fn without_a_server_on_the_path_it_says_what_to_install() {
    let mut owner = spawn_owner(&[("PATH", "/nonexistent")]);
    let error = owner.wait_for_line(PATIENCE, |line| {
        line.strip_prefix("error: ").map(str::to_owned)
    });
    assert!(
        error.contains("install") && error.contains("redis-server"),
        "{error}"
    );
}

/// Not a test by itself: the owner whose end the tests above watch, this same program started again.
#[test]
fn owner_process() {
    if std::env::var_os(OWNER).is_none() {
        return;
    }
    match Embedded::start() {
        Ok(embedded) => {
            println!(
                "\nstarted: {} {}",
                embedded.pid(),
                embedded.socket().display()
            );
            // Its end comes from outside; the limit is for a test that died before that.
            std::thread::sleep(Duration::from_secs(60));
        }
        Err(error) => println!("\nerror: {error:#}"),
    }
}

const OWNER: &str = "NARROWS_TEST_EMBEDDED_OWNER";

fn spawn_owner(environment: &[(&str, &str)]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "embedded::owner_process", "--nocapture"])
        .env(OWNER, "1");
    command.envs(environment.iter().copied());
    Child::spawn(&mut command)
}

fn start_owner(environment: &[(&str, &str)]) -> (Child, u32, PathBuf) {
    let mut owner = spawn_owner(environment);
    let (pid, socket) = owner.wait_for_line(PATIENCE, |line| {
        let (pid, socket) = line.strip_prefix("started: ")?.split_once(' ')?;
        Some((pid.parse().unwrap(), PathBuf::from(socket)))
    });
    (owner, pid, socket)
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

#[track_caller]
fn expect_gone(pid: u32, socket: &Path) {
    let folder = socket.parent().unwrap();
    wait_until("the end of the server", GONE_PATIENCE, || {
        !process_exists(pid)
    });
    wait_until("the removal of its folder", GONE_PATIENCE, || {
        !folder.exists()
    });
}
