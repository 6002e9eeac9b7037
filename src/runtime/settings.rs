//! What an operator may set of the runtime: where to listen, whom to dial, how many threads.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::network::Network;
use crate::tls::backend::{BackendTls, BackendTlsSettings};
use crate::tls::listener::{ListenTls, ListenTlsSettings};
use crate::topology::ServerAddress;

/// Where narrows listens for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A TCP address; port 0 picks a free one.
    Tcp(SocketAddr),
    /// The same, where clients speak TLS.
    Tls(SocketAddr),
    /// A unix socket at this path.
    Unix(PathBuf),
}

impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Tls(address) => write!(f, "tls:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Who narrows is towards the server, for all of its connections.
#[derive(Clone, Default)]
pub struct BackendCredentials {
    /// `None`: the server's default user.
    pub user: Option<String>,
    /// `None`: no AUTH is sent.
    pub password: Option<SecretString>,
}

impl BackendCredentials {
    /// The password as it is sent.
    pub fn exposed_password(&self) -> Option<&str> {
        self.password.as_ref().map(SecretString::expose_secret)
    }
}

/// Whether an operator has written other ones: no client's guess is compared here.
impl PartialEq for BackendCredentials {
    fn eq(&self, other: &Self) -> bool {
        self.user == other.user && self.exposed_password() == other.exposed_password()
    }
}

impl Eq for BackendCredentials {}

impl std::fmt::Debug for BackendCredentials {
    /// Never shows the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "(set)"))
            .finish()
    }
}

/// The bounds of TLS handshakes with clients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HandshakeLimits {
    /// Handshakes at once.
    pub max: usize,
    /// Longest time for one.
    pub timeout: Duration,
    /// Part of one processor for all of them, above 0 and up to 1.
    pub cpu_max: f64,
}

impl Default for HandshakeLimits {
    fn default() -> Self {
        Self {
            max: 256,
            timeout: Duration::from_secs(5),
            cpu_max: 0.5,
        }
    }
}

/// All settings of the runtime.
#[derive(Debug, Clone, PartialEq)]
pub struct RuntimeSettings {
    /// Addresses for clients, at least one.
    pub listen: Vec<Listen>,
    /// Permission bits of unix sockets that narrows creates.
    pub unix_socket_mode: u32,
    /// Length of the kernel's queue of connections not yet accepted.
    pub listen_backlog: u32,
    /// Clients of other machines are served although clients are not asked for a login.
    pub allow_open: bool,
    /// Peers whose connections begin with a PROXY protocol header.
    pub proxy_protocol_from: Vec<Network>,
    /// How TLS is spoken with clients; `None`: it is not.
    pub client_tls: Option<Arc<ListenTls>>,
    /// What that is made of.
    pub client_tls_settings: ListenTlsSettings,
    /// TLS handshakes with clients, as far as they are bounded.
    pub handshakes: HandshakeLimits,
    /// The server.
    pub backend: ServerAddress,
    /// How TLS is spoken with the server; `None`: it is not.
    pub backend_tls: Option<Arc<BackendTls>>,
    /// What that is made of.
    pub backend_tls_settings: BackendTlsSettings,
    /// How often files of certificates and keys are looked at. Zero: never.
    pub tls_reload_interval: Duration,
    /// Database a new client starts in (the path of the backend URL).
    pub database: u32,
    /// narrows' own credentials.
    pub credentials: BackendCredentials,
    /// The bound on connections to the server, of every kind, for the whole process. At least 2.
    pub backend_connections_max: u32,
    /// A TCP connection to the server must be there within this.
    pub connect_timeout: Duration,
    /// Dials a second, for the whole process.
    pub dials_per_second_max: u32,
    /// Idle time before TCP keepalive probes, on both sides. Zero: none.
    pub tcp_keepalive: Duration,
    /// How often the server's health is asked.
    pub health_interval: Duration,
    /// Part of the server's `maxclients` above which narrows stops growing, 0.1 to 1.0.
    pub maxclients_high_water: f64,
    /// Worker threads. Zero: 1 up to 4 cores, else 2.
    pub workers: usize,
    /// A worker waits a few microseconds for more where many clients are at work.
    pub coalescing_pause: bool,
    /// After SIGTERM, requests in flight get this long to finish.
    pub drain_timeout: Duration,
    /// Name of this instance in the server's CLIENT LIST. Empty: the host's name and pid.
    pub instance: String,
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self {
            listen: vec![Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 6380)))],
            unix_socket_mode: 0o700,
            listen_backlog: 1024,
            allow_open: false,
            proxy_protocol_from: Vec::new(),
            client_tls: None,
            client_tls_settings: ListenTlsSettings::default(),
            handshakes: HandshakeLimits::default(),
            backend: ServerAddress::default(),
            backend_tls: None,
            backend_tls_settings: BackendTlsSettings::default(),
            tls_reload_interval: Duration::from_secs(10),
            database: 0,
            credentials: BackendCredentials::default(),
            backend_connections_max: 16,
            connect_timeout: Duration::from_secs(2),
            dials_per_second_max: 50,
            tcp_keepalive: Duration::from_secs(60),
            health_interval: Duration::from_secs(1),
            maxclients_high_water: 0.8,
            workers: 0,
            coalescing_pause: false,
            drain_timeout: Duration::from_secs(10),
            instance: String::new(),
        }
    }
}
