//! Another server takes the place of the one there was, while clients are connected: they stay, and
//! go on at the one that is there now. Driven from inside the process: no configuration says so.

use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use narrows::command::{CommandTable, Policy};
use narrows::engine::{self, Rules};
use narrows::runtime;
use narrows::runtime::settings::{Listen, RuntimeSettings};
use narrows::session::Access;
use narrows::topology::ServerAddress;
use tokio::runtime::Builder;
use tokio::sync::mpsc;

use crate::load::UNKNOWN;
use crate::role::role;
use crate::support::setup::other_clients;
use crate::support::{Conn, PATIENCE, RedisServer, wait_until};

fn settings_for(server: &RedisServer) -> RuntimeSettings {
    RuntimeSettings {
        listen: vec![Listen::Tcp(([127, 0, 0, 1], 0).into())],
        backend: ServerAddress::Unix(server.socket()),
        workers: 2,
        health_interval: Duration::from_millis(100),
        ..RuntimeSettings::default()
    }
}

/// narrows in a thread of this process, which is its control thread.
struct Inside {
    address: String,
    reloads: mpsc::Sender<RuntimeSettings>,
    thread: JoinHandle<bool>,
}

impl Inside {
    fn in_front_of(server: &RedisServer) -> Self {
        let settings = settings_for(server);
        let (reloads, mut asked) = mpsc::channel(4);
        let (told, addresses) = channel();
        let live = async move {
            let narrows = runtime::start(settings, rules()).unwrap();
            told.send(narrows.addresses[0].clone()).unwrap();
            while let Some(settings) = asked.recv().await {
                narrows.reload(settings, |_| rules());
            }
            narrows.drain().await
        };
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(live)
        });
        Self {
            address: addresses.recv().unwrap(),
            reloads,
            thread,
        }
    }

    /// Another server takes the place of the one there was.
    fn goes_to(&self, server: &RedisServer) {
        self.reloads.blocking_send(settings_for(server)).unwrap();
    }

    /// Whether it has ended with everything done.
    fn ends(self) -> bool {
        drop(self.reloads);
        self.thread.join().unwrap()
    }
}

fn rules() -> Rules {
    Rules {
        settings: engine::settings::EngineSettings::default(),
        commands: CommandTable::builtin(),
        policy: Policy::default(),
        access: Access::default(),
    }
}

/// Control waits for the end of the pause as well, and has to hear that the server is another one.
#[test]
fn a_pause_of_the_server_there_was_holds_nobody_up_at_the_one_that_has_come() {
    let (before, after) = (RedisServer::start(), RedisServer::start());
    after.connect().expect(&["SET", "k", "after"], "+OK\r\n");
    let narrows = Inside::in_front_of(&before);
    let mut client = Conn::connect(&narrows.address);
    client.expect(&["CLIENT", "PAUSE", "600000"], "+OK\r\n");
    let mut held_up = Conn::connect(&narrows.address);
    held_up.send_command(&["GET", "k"]);
    // So long that control, which looks ten times a second, has asked as well.
    held_up.expect_silence(Duration::from_secs(1));
    narrows.goes_to(&after);
    held_up.expect_reply("$5\r\nafter\r\n");
    assert!(narrows.ends());
}

#[test]
fn clients_stay_and_go_on_at_the_server_that_has_come_and_the_one_before_is_left_alone() {
    let (before, after) = (RedisServer::start(), RedisServer::start());
    let mut direct = (before.connect(), after.connect());
    direct.0.expect(&["SET", "k", "before"], "+OK\r\n");
    direct.1.expect(&["SET", "k", "after"], "+OK\r\n");
    direct.1.expect(&["REPLICAOF", "127.0.0.1", "1"], "+OK\r\n");
    let narrows = Inside::in_front_of(&before);
    // One for each worker.
    let connect = || Conn::connect(&narrows.address);
    let mut clients = [connect(), connect()];
    for client in &mut clients {
        client.expect(&["GET", "k"], "$6\r\nbefore\r\n");
        assert_eq!(role(client, "3"), "master");
    }
    // One that is lent a connection, and leaves something on it.
    let mut waits = connect();
    waits.send_command(&["BLPOP", "q", "0"]);
    wait_until("it waits", PATIENCE, || {
        direct
            .0
            .call(&["INFO", "clients"])
            .text()
            .contains("blocked_clients:1")
    });

    narrows.goes_to(&after);
    waits.expect_reply(format!("-{UNKNOWN}\r\n"));
    waits.expect(&["GET", "k"], "$5\r\nafter\r\n");
    for client in &mut clients {
        // Its worker hears of it in its own time.
        wait_until("its worker goes there", PATIENCE, || {
            client.call(&["GET", "k"]).text() == "after"
        });
        wait_until("its role", PATIENCE, || role(client, "3") == "replica");
    }
    wait_until("control has left as well", PATIENCE, || {
        other_clients(&mut direct.0).is_empty()
    });
    let names = other_clients(&mut direct.1).join("\n");
    assert!(names.contains(":control "), "{names}");
    direct.0.expect(&["LLEN", "q"], ":0\r\n");
    assert!(narrows.ends());
}
