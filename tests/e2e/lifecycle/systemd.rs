//! What the service manager is told, and the unit that starts narrows under it.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Narrows, PATIENCE, RedisServer};

/// A service manager that listens.
struct Manager {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, folder }
    }

    fn start(&self, server: &RedisServer, watchdog_usec: &str) -> Narrows {
        let place = self.folder.path().join("notify");
        let variables = [
            ("NOTIFY_SOCKET", place.to_str().unwrap()),
            ("WATCHDOG_USEC", watchdog_usec),
        ];
        let url = server.url();
        let arguments = [
            "--listen",
            "127.0.0.1:0",
            "--backend",
            &url,
            "--workers",
            "2",
        ];
        Narrows::start_in(&variables, &arguments)
    }

    /// The next message.
    fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let bytes = self.socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..bytes].to_vec()).unwrap()
    }
}

#[test]
fn the_manager_is_told_of_the_start_of_reloads_and_of_the_end() {
    let server = RedisServer::start();
    let manager = Manager::new();
    let mut narrows = manager.start(&server, "0");
    let ready = manager.next();
    assert!(
        ready.starts_with("READY=1\nSTATUS=listening on 127.0.0.1:"),
        "{ready}"
    );
    narrows.connect().expect(&["PING"], "+PONG\r\n");

    narrows.signal(Signal::HUP);
    let reloading = manager.next();
    let usec = reloading
        .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
        .unwrap();
    assert!(
        usec.parse::<u64>().is_ok_and(|usec| usec > 0),
        "{reloading}"
    );
    let ready = manager.next();
    assert!(ready.starts_with("READY=1\nSTATUS="), "{ready}");
    assert!(ready.ends_with("nothing has changed"), "{ready}");

    narrows.signal(Signal::TERM);
    let stopping = manager.next();
    assert!(
        stopping.starts_with("STOPPING=1\nSTATUS=draining"),
        "{stopping}"
    );
    assert_eq!(narrows.wait(PATIENCE).code(), Some(0), "{}", narrows.log());
}

#[test]
fn signs_of_life_are_given_while_the_server_is_stopped_and_not_while_narrows_is() {
    let mut server = RedisServer::start();
    let manager = Manager::new();
    let mut narrows = manager.start(&server, "150000");
    assert!(manager.next().starts_with("READY=1"));
    for _ in 0..3 {
        assert_eq!(manager.next(), "WATCHDOG=1");
    }
    server.stop();
    let mut client = narrows.connect();
    client.send_command(&["GET", "k"]);
    for _ in 0..5 {
        assert_eq!(manager.next(), "WATCHDOG=1");
    }
    narrows.signal(Signal::STOP);
    let quiet = Duration::from_millis(400);
    manager.socket.set_read_timeout(Some(quiet)).unwrap();
    let mut buffer = [0; 4096];
    // What was on its way when it was stopped may still come.
    let mut left = 0;
    while manager.socket.recv(&mut buffer).is_ok() {
        left += 1;
        assert!(left < 100, "a stopped process goes on");
    }
    manager.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    narrows.signal(Signal::CONT);
    assert_eq!(manager.next(), "WATCHDOG=1");
    server.cont();
    client.expect_reply("$-1\r\n");
}

/// Keys that systemd 252 knows in the sections of a service; a misspelt one would be ignored with
/// a line in a log that nobody reads.
const KNOWN: &[(&str, &str)] = &[
    ("Unit", "Description Documentation After Wants"),
    (
        "Service",
        "Type NotifyAccess ExecStartPre ExecStart ExecReload Restart RestartSec TimeoutStopSec WatchdogSec \
         LimitNOFILE TasksMax OOMScoreAdjust RuntimeDirectory RuntimeDirectoryMode DynamicUser \
         UMask NoNewPrivileges CapabilityBoundingSet AmbientCapabilities ProtectSystem \
         ProtectHome ProtectProc ProtectClock ProtectControlGroups ProtectHostname \
         ProtectKernelLogs ProtectKernelModules ProtectKernelTunables PrivateTmp PrivateDevices \
         PrivateUsers RemoveIPC RestrictAddressFamilies RestrictNamespaces RestrictRealtime \
         RestrictSUIDSGID LockPersonality MemoryDenyWriteExecute SystemCallArchitectures \
         SystemCallFilter",
    ),
    ("Install", "WantedBy"),
];

#[test]
fn the_unit_has_known_keys_only_and_is_confined() {
    let unit = include_str!("../../../deploy/narrows.service");
    let mut section = "";
    let mut keys = Vec::new();
    for line in unit.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.strip_suffix(']').unwrap();
        } else if !line.starts_with('#') && !line.is_empty() {
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{line}"));
            let (_, known) = KNOWN.iter().find(|(name, _)| *name == section).unwrap();
            let mut known = known.split_whitespace();
            assert!(known.any(|known| known == key), "[{section}] {key}");
            keys.push((key, value));
        }
    }
    for confined in [
        ("Type", "notify"),
        ("DynamicUser", "yes"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("CapabilityBoundingSet", ""),
        ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
    ] {
        assert!(keys.contains(&confined), "{confined:?}");
    }
    let number = |name| {
        let found = keys.iter().find(|(key, _)| *key == name);
        found.unwrap().1.parse::<u64>().unwrap()
    };
    let defaults = narrows::config::Config::default();
    let (runtime, clients) = (defaults.runtime, defaults.engine.clients);
    assert!(number("TimeoutStopSec") > runtime.drain_timeout.as_secs());
    assert!(number("LimitNOFILE") > clients.max_clients as u64);
}
