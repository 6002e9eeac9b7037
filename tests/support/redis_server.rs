//! A real server for one test, on a free loopback port and a unix socket, in a folder of its own,
//! without persistence; where `tls` says so, on a port with TLS too, which is narrows' then.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;

use super::{Child, Conn, Flavor, PATIENCE, tls, wait_for};

/// A running server. Killed by its own pid on drop.
pub struct RedisServer {
    flavor: Flavor,
    port: u16,
    /// With TLS.
    tls_port: Option<u16>,
    arguments: Vec<String>,
    folder: tempfile::TempDir,
    child: Child,
}

impl RedisServer {
    /// The system's own, with its defaults.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further options: `&["--maxclients", "10"]`.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_flavor(Flavor::Redis, arguments)
    }

    pub fn start_flavor(flavor: Flavor, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments
            .iter()
            .map(|argument| (*argument).to_owned())
            .collect();
        // Another process may take the port between our look and the server's bind.
        for _ in 0..5 {
            let folder = tempfile::Builder::new()
                .prefix("narrows-test-")
                .tempdir()
                .unwrap();
            let port = free_port();
            let tls_port = tls::is_for(flavor).then(free_port);
            let mut arguments = arguments.clone();
            if let Some(port) = tls_port {
                arguments.extend(tls::options_of_server(folder.path(), port));
            }
            let child = launch(flavor, port, folder.path(), &arguments);
            let mut server = Self {
                flavor,
                port,
                tls_port,
                arguments,
                folder,
                child,
            };
            if server.becomes_ready() {
                return server;
            }
            let log = server.child.log();
            assert!(
                log.contains("bind"),
                "{} ended at once:\n{log}",
                flavor.name()
            );
        }
        panic!("no free port in five attempts");
    }

    pub fn flavor(&self) -> Flavor {
        self.flavor
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`, without TLS.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `127.0.0.1:PORT` as narrows connects to it: see [`RedisServer::url_at`].
    pub fn backend_address(&self) -> String {
        format!("127.0.0.1:{}", self.tls_port.unwrap_or(self.port))
    }

    /// Where it speaks TLS.
    #[track_caller]
    pub fn tls_port(&self) -> u16 {
        self.tls_port.unwrap()
    }

    /// The file of whoever has signed its certificate.
    pub fn tls_authority(&self) -> PathBuf {
        tls::authority_in(self.folder.path())
    }

    /// For narrows: `redis://127.0.0.1:PORT`, or `rediss://` where the server has TLS.
    pub fn url(&self) -> String {
        self.url_at(&self.backend_address())
    }

    /// The same with what stands before the address there: `user:password`.
    pub fn url_of_user(&self, login: &str) -> String {
        self.url_at(&format!("{login}@{}", self.backend_address()))
    }

    /// The same of somebody who passes bytes on to [`RedisServer::backend_address`].
    pub fn url_at(&self, place: &str) -> String {
        let scheme = self.tls_port.map_or("redis", |_| "rediss");
        format!("{scheme}://{place}")
    }

    /// `unix:///PATH`
    pub fn unix_url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// A new connection over the port.
    pub fn connect(&self) -> Conn {
        Conn::connect(&self.address())
    }

    /// A field of `INFO everything`, as the server itself sees it: `connected_clients`. It counts
    /// the connection that asks.
    #[track_caller]
    pub fn info(&self, field: &str) -> String {
        let text = self.connect().call(&["INFO", "everything"]).text();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("INFO has no field {field}"))
            .to_owned()
    }

    /// [`RedisServer::info`] as a number.
    #[track_caller]
    pub fn info_number(&self, field: &str) -> u64 {
        let text = self.info(field);
        text.parse()
            .unwrap_or_else(|_| panic!("INFO {field} is {text:?}, not a number"))
    }

    /// Freezes it (SIGSTOP): connections stay, nothing is answered.
    pub fn stop(&mut self) {
        self.child.signal(Signal::STOP);
        // Until it has come what is sent may still be served.
        let stat = format!("/proc/{}/stat", self.child.pid());
        wait_for("the server to stand still", PATIENCE, || {
            let stat = std::fs::read_to_string(&stat).ok()?;
            let (_, behind_its_name) = stat.rsplit_once(')')?;
            behind_its_name.trim_start().starts_with('T').then_some(())
        });
    }

    /// Lets a frozen one go on (SIGCONT).
    pub fn cont(&mut self) {
        self.child.signal(Signal::CONT);
    }

    /// `kill -9`; its port and socket stay reserved for [`RedisServer::restart`] by nobody else.
    pub fn kill9(&mut self) {
        self.child.kill();
    }

    /// Kills it if it still runs, and starts an empty one on the same port and socket.
    pub fn restart(&mut self) {
        self.kill9();
        self.child = launch(self.flavor, self.port, self.folder.path(), &self.arguments);
        assert!(
            self.becomes_ready(),
            "did not come back:\n{}",
            self.child.log()
        );
    }

    /// False when it has ended instead.
    fn becomes_ready(&mut self) -> bool {
        let (address, socket) = (self.address(), self.socket());
        wait_for("an answer of the server", PATIENCE, || {
            if self.child.ended().is_some() {
                return Some(false);
            }
            // NOAUTH, LOADING and the like are answers too.
            let mut conn = Conn::try_connect(&address).ok()?;
            conn.send(b"PING\r\n");
            (conn.try_reply().is_ok() && socket.exists()).then_some(true)
        })
    }
}

fn launch(flavor: Flavor, port: u16, folder: &std::path::Path, arguments: &[String]) -> Child {
    let socket = folder.join("redis.sock");
    let _ = std::fs::remove_file(&socket);
    let mut command = Command::new(flavor.program());
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--unixsocket".as_ref(), socket.as_os_str()])
        .args(["--dir".as_ref(), folder.as_os_str()])
        .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
        .args(arguments);
    Child::spawn(&mut command)
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
