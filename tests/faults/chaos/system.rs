//! The arrangement that is put under strain: a real server, the fault proxy in front of it, narrows
//! in front of that, and connections of the test's own straight to the server. It knows how each is
//! started and started again, and nothing of when.
#![allow(dead_code, reason = "the soak and the short tests use a part each")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::chaos::checkers;
use crate::chaos::proxy::FaultProxy;
use crate::chaos::storm::{HandshakeStorm, StormReport};
use crate::support::tls::Files;
use crate::support::{Conn, Flavor, Narrows, PATIENCE, RedisServer, wait_for};

/// Deadlines that can be waited for, and idle backends that go soon, so that what is left is seen.
const CONFIGURATION: &str = r#"
    [backend]
    connect_timeout = "500ms"
    handshake_timeout = "1s"
    health_interval = "200ms"
    stall_timeout = "1500ms"
    stall_timeout_answering = "3s"
    backoff_max = "200ms"
    [pool]
    queue_timeout = "1s"
    idle_timeout = "2s"
    [runtime]
    drain_timeout = "4s"
"#;

/// The bound on narrows' connections to the server.
pub(crate) const BACKENDS_MAX: usize = 8;

/// The most that one request may take, from the deadlines above: a stall, a queue, and another of
/// each after it was asked again; with room for a busy machine.
pub(crate) const REQUEST_DEADLINE: Duration = Duration::from_secs(12);

/// Everything that takes part but the load.
pub(crate) struct System {
    pub(crate) server: RedisServer,
    pub(crate) proxy: FaultProxy,
    pub(crate) random: fastrand::Rng,
    /// Held by a fault while it lasts.
    pub(crate) admin: Option<Conn>,
    /// Handshakes with narrows, while they are many.
    pub(crate) storm: Option<HandshakeStorm>,
    /// What storms have come to.
    pub(crate) storms: Vec<StormReport>,
    shown: Files,
    narrows: Option<Narrows>,
    /// What narrows' earlier processes have logged.
    past_log: String,
    address: String,
    pid: Arc<AtomicU32>,
    workers: String,
    folder: tempfile::TempDir,
}

impl System {
    /// With a server that keeps what it has acknowledged.
    pub(crate) fn new(flavor: Flavor, workers: usize, seed: u64) -> Self {
        // It is in the file by then, and so survives a kill: without fsync nothing ever
        // postpones the write.
        let keeping = ["--appendonly", "yes", "--appendfsync", "no"];
        Self::with(flavor, &keeping, CONFIGURATION, workers, seed)
    }

    /// With a server that is empty when it has been killed.
    pub(crate) fn forgetful(flavor: Flavor, workers: usize, seed: u64) -> Self {
        Self::with(flavor, &[], CONFIGURATION, workers, seed)
    }

    /// As [`System::new`], with users beside everybody else: for the checkers.
    pub(crate) fn with_users(flavor: Flavor, workers: usize, seed: u64) -> Self {
        let keeping = ["--appendonly", "yes", "--appendfsync", "no"];
        let options = [&keeping, checkers::OF_THE_SERVER].concat();
        let configuration = format!("{CONFIGURATION}{}", checkers::CONFIGURATION);
        Self::with(flavor, &options, &configuration, workers, seed)
    }

    fn with(
        flavor: Flavor,
        options: &[&str],
        configuration: &str,
        workers: usize,
        seed: u64,
    ) -> Self {
        let breakable = [
            "--enable-debug-command",
            "yes",
            "--busy-reply-threshold",
            "200",
        ];
        let server = RedisServer::start_flavor(flavor, &[options, &breakable].concat());
        let proxy = FaultProxy::in_front_of(server.backend_address().parse().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        let configuration = configuration.replace("PASSWORD_FILE", password.to_str().unwrap());
        // Half of all seeds try what is off unless asked for.
        let pause = format!("[runtime]\ncoalescing_pause = {}\n", seed % 2 == 1);
        let configuration = configuration.replace("[runtime]\n", &pause);
        let shown = Files::write(folder.path());
        let configuration = format!(
            "{configuration}{}handshake_timeout = \"1s\"\n",
            shown.section()
        );
        std::fs::write(password, checkers::PASSWORD).unwrap();
        std::fs::write(folder.path().join("narrows.toml"), configuration).unwrap();
        let mut system = Self {
            server,
            proxy,
            random: fastrand::Rng::with_seed(seed),
            admin: None,
            storm: None,
            storms: Vec::new(),
            shown,
            narrows: None,
            past_log: String::new(),
            address: "127.0.0.1:0".to_owned(),
            pid: Arc::default(),
            workers: workers.to_string(),
            folder,
        };
        system.start_narrows();
        system
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn narrows(&self) -> &Narrows {
        self.narrows.as_ref().unwrap()
    }

    /// The number of narrows' process, which changes with a restart; 0 between two.
    pub(crate) fn pid(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.pid)
    }

    /// As [`System::pid`], at this moment.
    pub(crate) fn narrows_pid(&self) -> u32 {
        self.pid.load(Ordering::SeqCst)
    }

    /// The log of all of narrows' processes.
    pub(crate) fn log(&self) -> String {
        let now = self.narrows.as_ref().map(Narrows::log).unwrap_or_default();
        format!("{}{now}", self.past_log)
    }

    /// A connection straight to the server, as soon as it takes one.
    #[track_caller]
    pub(crate) fn direct(&self) -> Conn {
        wait_for("a connection to the server", PATIENCE, || {
            let mut conn = Conn::try_connect(&self.server.address()).ok()?;
            conn.try_send(b"PING\r\n").ok()?;
            conn.try_reply().ok()?;
            Some(conn)
        })
    }

    /// On the port of before, which must be free.
    pub(crate) fn start_narrows(&mut self) {
        let file = self.configuration();
        let backend = self.server.url_at(&self.proxy.address().to_string());
        let most = BACKENDS_MAX.to_string();
        let narrows = Narrows::start(&[
            "--config",
            file.to_str().unwrap(),
            "--listen",
            &self.address,
            "--listen",
            "tls:127.0.0.1:0",
            "--backend",
            &backend,
            "--max-backend-connections",
            &most,
            "--workers",
            &self.workers,
        ]);
        self.address = narrows.address().to_owned();
        self.pid.store(narrows.pid(), Ordering::SeqCst);
        self.narrows = Some(narrows);
    }

    /// Asks narrows to end (TERM) or ends it (KILL), and waits for its end.
    #[track_caller]
    pub(crate) fn end_narrows(&mut self, signal: Signal) {
        let mut narrows = self.narrows.take().unwrap();
        self.pid.store(0, Ordering::SeqCst);
        narrows.signal(signal);
        let status = narrows.wait(PATIENCE);
        let log = narrows.log();
        if signal == Signal::TERM {
            assert_eq!(status.code(), Some(0), "narrows ended badly:\n{log}");
        }
        self.past_log.push_str(&log);
    }

    /// As many handshakes as narrows takes, and more.
    pub(crate) fn begin_storm(&mut self) {
        let tls = self.narrows().tls_address();
        self.storm = Some(HandshakeStorm::begin(&self.address, &tls, &self.shown));
    }

    pub(crate) fn end_storm(&mut self) {
        let report = self.storm.take().map(HandshakeStorm::end);
        if let Some(report) = &report {
            eprintln!("  {report:?}");
        }
        self.storms.extend(report);
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("narrows.toml")
    }
}
