//! SIGHUP: what may change changes without a client noticing, what may not is named, and a
//! configuration with a mistake changes nothing.

use std::path::PathBuf;

use rustix::process::Signal;

use crate::support::setup::{NONE_READY, field, other_clients, pipe_ids};
use crate::support::{Conn, Narrows, PATIENCE, RedisServer, wait_until};

/// narrows with a configuration file that a test rewrites.
struct Reloadable {
    narrows: Narrows,
    file: PathBuf,
    reloads: usize,
    _folder: tempfile::TempDir,
}

impl Reloadable {
    fn new(server: &RedisServer, toml: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("narrows.toml");
        std::fs::write(&file, toml).unwrap();
        let path = file.to_str().unwrap();
        let mut all = vec!["--config", path];
        all.extend(flags);
        Self {
            narrows: Narrows::in_front_of(server, &all),
            file,
            reloads: 0,
            _folder: folder,
        }
    }

    /// Writes the file, sends the signal and waits for what the log says of it.
    fn reload(&mut self, toml: &str) -> String {
        std::fs::write(&self.file, toml).unwrap();
        let before = self.narrows.log().len();
        self.reloads += 1;
        self.narrows.signal(Signal::HUP);
        wait_until("the reload", PATIENCE, || {
            let said = |words| self.narrows.log().matches(words).count();
            said("configuration reloaded") + said("configuration not reloaded") == self.reloads
        });
        self.narrows.log()[before..].to_owned()
    }
}

#[test]
fn what_may_change_holds_for_the_next_request_and_nobody_is_disconnected() {
    let server = RedisServer::start();
    let mut reloadable = Reloadable::new(&server, "", &["--workers", "2"]);
    let mut clients: Vec<Conn> = (0..8).map(|_| reloadable.narrows.connect()).collect();
    for client in &mut clients {
        client.expect(&["SET", "k", "v"], "+OK\r\n");
    }
    let log = reloadable.reload(
        "[commands]\ndeny = ['KEYS']\n[clients]\nmax_clients = 8\n[log]\nlevel = 'debug'\n",
    );
    let changed = "3 keys changed: clients.max_clients, commands.deny, log.level";
    assert!(log.contains(changed), "{log}");
    // That scripts are refused from now on, since they would get round it, is said.
    let mut warnings = log.lines().filter(|line| line.contains("WARN"));
    assert!(warnings.all(|line| line.contains("scripts")), "{log}");
    assert!(log.contains("DEBUG"), "{log}");
    for client in &mut clients {
        let refused = "-NOPERM narrows: 'keys' is not allowed; see [commands] and the user in the \
                       configuration\r\n";
        // The worker may not have come to the message yet.
        wait_until("the new rules", PATIENCE, || {
            client.call(&["KEYS", "*"]).raw() == refused.as_bytes()
        });
        client.expect(&["GET", "k"], "$1\r\nv\r\n");
    }
    let mut ninth = reloadable.narrows.connect();
    ninth.expect_reply("-ERR max number of clients reached\r\n");
    // What was learned of the server's commands is not lost with it.
    let unknown = clients[0].call(&["NO.SUCH", "x"]).text();
    assert!(
        unknown.starts_with("ERR unknown command 'NO.SUCH'"),
        "{unknown}"
    );

    let log = reloadable.reload("");
    assert!(log.contains("3 keys changed"), "{log}");
    wait_until("the old rules", PATIENCE, || {
        !clients[0].call(&["KEYS", "*"]).is_error()
    });
    let log = reloadable.reload("");
    assert!(log.contains("nothing has changed"), "{log}");
    reloadable.narrows.connect().expect(&["PING"], "+PONG\r\n");
}

#[test]
fn what_needs_a_restart_is_named_with_both_values_and_stays() {
    let server = RedisServer::start();
    let mut reloadable = Reloadable::new(&server, "[pool]\nslice = '10ms'\n", &[]);
    let mut client = reloadable.narrows.connect();
    client.expect(&["PING"], "+PONG\r\n");
    let log = reloadable.reload(
        "[listen]\nbacklog = 7\n[runtime]\nworkers = 3\n[pool]\nslice = '11ms'\n\
         [backend]\ninstance = 'other'\n",
    );
    for said in [
        "key=\"listen.backlog\" old=\"1024\" new=\"7\"",
        "key=\"runtime.workers\" old=\"0\" new=\"3\"",
        "key=\"backend.instance\"",
        "1 key changed: pool.slice",
    ] {
        assert!(log.contains(said), "{said}: {log}");
    }
    assert_eq!(log.matches("needs a restart").count(), 3, "{log}");
    // Said again as long as it is so.
    let log = reloadable.reload("[listen]\nbacklog = 7\n[pool]\nslice = '11ms'\n");
    assert!(
        log.contains("listen.backlog") && !log.contains("workers"),
        "{log}"
    );
    client.expect(&["PING"], "+PONG\r\n");
}

#[test]
fn a_configuration_with_mistakes_changes_nothing_and_all_of_them_are_logged() {
    let server = RedisServer::start();
    let mut reloadable = Reloadable::new(&server, "", &[]);
    let log = reloadable.reload(
        "[commands]\ndeny = ['GET']\n[pool]\nslice = 'soon'\nqueue_timeuot = '1s'\n[nosuch]\n",
    );
    for said in [
        "narrows.toml:4: pool.slice:",
        "queue_timeuot",
        "nosuch",
        "configuration not reloaded: the old one stays in force mistakes=3",
    ] {
        assert!(log.contains(said), "{said}: {log}");
    }
    let mut client = reloadable.narrows.connect();
    client.expect(&["GET", "k"], "$-1\r\n");
    std::fs::remove_file(&reloadable.file).unwrap();
    let before = reloadable.narrows.log().len();
    reloadable.narrows.signal(Signal::HUP);
    wait_until("the missing file to be told", PATIENCE, || {
        reloadable.narrows.log()[before..].contains("No such file")
    });
    client.expect(&["GET", "k"], "$-1\r\n");
}

#[test]
fn a_new_password_serves_new_connections_and_leaves_the_others() {
    let server = RedisServer::start();
    let mut admin = server.connect();
    admin.expect(
        &["ACL", "SETUSER", "app", "on", ">first", "~*", "&*", "+@all"],
        "+OK\r\n",
    );
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "first").unwrap();
    let url = format!("redis://app@{}", server.address());
    let flags = [
        "--backend-password-file",
        password.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
    ];
    let file = folder.path().join("narrows.toml");
    std::fs::write(&file, NONE_READY).unwrap();
    let common = ["--config", file.to_str().unwrap(), "--backend", &url];
    let mut narrows = Narrows::start(&[&common[..], &flags].concat());
    let mut client = narrows.connect();
    client.expect(&["SET", "k", "1"], "+OK\r\n");
    let before = pipe_ids(&mut admin);

    admin.expect(&["ACL", "SETUSER", "app", "<first", ">second"], "+OK\r\n");
    std::fs::write(&password, "second").unwrap();
    narrows.signal(Signal::HUP);
    narrows.expect_logged(&["1 key changed: the login"]);
    client.expect(&["GET", "k"], "$1\r\n1\r\n");
    assert_eq!(pipe_ids(&mut admin), before, "connections stay");
    for secret in ["first", "second"] {
        assert!(!narrows.log().contains(secret), "{}", narrows.log());
    }
    // Control and workers log in anew when they have to.
    admin.call(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    wait_until("a new connection", PATIENCE, || {
        let lines = other_clients(&mut admin);
        let fresh = |line: &&String| line.contains("name=narrows:");
        lines.iter().filter(fresh).count() >= 1
            && client.call(&["GET", "k"]).raw() == b"$1\r\n1\r\n"
    });
    assert!(pipe_ids(&mut admin).iter().all(|id| !before.contains(id)));
}

#[test]
fn after_a_new_user_nothing_runs_as_the_old_one() {
    let server = RedisServer::start();
    let mut admin = server.connect();
    for user in ["one", "two"] {
        admin.expect(
            &["ACL", "SETUSER", user, "on", ">word", "~*", "&*", "+@all"],
            "+OK\r\n",
        );
    }
    let url = |user: &str| {
        format!(
            "[backend]\nurl = 'redis://{user}:word@{}'\n",
            server.address()
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("narrows.toml");
    std::fs::write(&file, url("one")).unwrap();
    let flags = [
        "--config",
        file.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
    ];
    let mut narrows = Narrows::start(&flags);
    let (mut client, mut other) = (narrows.connect(), narrows.connect());
    client.expect(&["ACL", "WHOAMI"], "$3\r\none\r\n");
    other.expect(&["WATCH", "k"], "+OK\r\n");
    std::fs::write(&file, url("two")).unwrap();
    narrows.signal(Signal::HUP);
    narrows.expect_logged(&["1 key changed: the login"]);
    wait_until("the new user", PATIENCE, || {
        client.call(&["ACL", "WHOAMI"]).raw() == b"$3\r\ntwo\r\n"
    });
    // A transaction that had begun goes on where it began; what comes behind it does not.
    other.expect(&["MULTI"], "+OK\r\n");
    other.expect(&["ACL", "WHOAMI"], "+QUEUED\r\n");
    other.expect(&["EXEC"], "*1\r\n$3\r\none\r\n");
    other.expect(&["ACL", "WHOAMI"], "$3\r\ntwo\r\n");
    wait_until("only control to be left of the old user", PATIENCE, || {
        let lines = other_clients(&mut admin);
        let old = |line: &&String| {
            field(line, "user").as_deref() == Some("one") && !line.contains(":control ")
        };
        lines.iter().filter(old).count() == 0
    });
}

#[test]
fn a_connection_that_is_lent_stays_its_users_whatever_a_reload_makes_of_its_client() {
    let server = RedisServer::start();
    let mut admin = server.connect();
    for user in ["one", "two"] {
        let rules = ["ACL", "SETUSER", user, "on", ">word", "~*", "&*", "+@all"];
        admin.expect(&rules, "+OK\r\n");
    }
    let folder = tempfile::tempdir().unwrap();
    let word = folder.path().join("word");
    std::fs::write(&word, "word").unwrap();
    let toml = |user: &str| {
        format!(
            "[auth]\nmode = 'local'\n[users.default]\nnopass = true\nbackend_user = '{user}'\n\
             backend_password_file = {word:?}\n"
        )
    };
    let mut reloadable = Reloadable::new(&server, &toml("one"), &["--workers", "1"]);
    let mut lent: Vec<Conn> = (0..4).map(|_| reloadable.narrows.connect()).collect();
    for client in &mut lent {
        client.expect(&["WATCH", "k"], "+OK\r\n");
        client.expect(&["ACL", "WHOAMI"], "$3\r\none\r\n");
    }
    reloadable.reload(&toml("two"));
    let mut others: Vec<Conn> = (0..4).map(|_| reloadable.narrows.connect()).collect();
    wait_until("the new user", PATIENCE, || {
        others[0].call(&["ACL", "WHOAMI"]).raw() == b"$3\r\ntwo\r\n"
    });
    // Outside of MULTI and inside of it, and a HELLO that changes nothing.
    lent[0].expect(&["SELECT", "1"], "+OK\r\n");
    lent[1].expect(&["MULTI"], "+OK\r\n");
    lent[1].expect(&["SELECT", "1"], "+QUEUED\r\n");
    lent[1].expect(&["EXEC"], "*1\r\n+OK\r\n");
    lent[1].expect(&["ACL", "WHOAMI"], "$3\r\ntwo\r\n");
    lent[2].expect(&["SELECT", "1"], "+OK\r\n");
    assert!(!lent[2].call(&["HELLO", "2"]).is_error());
    lent[2].expect(&["ACL", "WHOAMI"], "$3\r\none\r\n");
    for client in [0, 2, 3] {
        lent[client].expect(&["UNWATCH"], "+OK\r\n");
    }
    for client in lent.iter_mut().chain(&mut others) {
        client.expect(&["SELECT", "1"], "+OK\r\n");
        client.expect(&["ACL", "WHOAMI"], "$3\r\ntwo\r\n");
    }
    // Many at once, so that every connection there is carries some of it.
    for round in 0..20 {
        for client in lent.iter_mut().chain(&mut others) {
            client.send_command(&["SELECT", &(round % 2).to_string()]);
            client.send_command(&["ACL", "WHOAMI"]);
        }
        for client in lent.iter_mut().chain(&mut others) {
            client.expect_reply("+OK\r\n");
            client.expect_reply("$3\r\ntwo\r\n");
        }
    }
    assert!(!reloadable.narrows.log().contains("panicked"));
}

#[test]
fn a_lower_bound_on_connections_is_reached_without_cutting_anybody_off() {
    let server = RedisServer::start();
    let toml = |max: u32| format!("[backend]\nmax_connections = {max}\n");
    let mut reloadable = Reloadable::new(&server, &toml(9), &["--workers", "1"]);
    let mut admin = server.connect();
    let mut clients: Vec<Conn> = (0..6).map(|_| reloadable.narrows.connect()).collect();
    for (db, client) in clients.iter_mut().enumerate() {
        client.expect(&["SELECT", &db.to_string()], "+OK\r\n");
        client.expect(&["SET", "db", &db.to_string()], "+OK\r\n");
        client.expect(&["WATCH", "db"], "+OK\r\n");
    }
    let before = pipe_ids(&mut admin);
    assert!(before.len() >= 6, "one is lent to each: {before:?}");
    let log = reloadable.reload(&toml(3));
    let changed = "1 key changed: backend.max_connections";
    assert!(log.contains(changed), "{log}");
    for (db, client) in clients.iter_mut().enumerate() {
        client.expect(&["MULTI"], "+OK\r\n");
        client.expect(&["GET", "db"], "+QUEUED\r\n");
        client.expect(&["EXEC"], format!("*1\r\n$1\r\n{db}\r\n"));
    }
    wait_until("no more than the bound", PATIENCE, || {
        for (db, client) in clients.iter_mut().enumerate() {
            client.expect(&["GET", "db"], format!("$1\r\n{db}\r\n"));
        }
        other_clients(&mut admin).len() <= 3
    });
    let log = reloadable.reload(&toml(2));
    assert!(!log.contains("WARN"), "control and one worker: {log}");
    reloadable.reload(&toml(9));
    let info = clients[0].call(&["INFO", "narrows"]).text();
    assert!(info.contains("narrows_max_backends:9"), "{info}");
}
