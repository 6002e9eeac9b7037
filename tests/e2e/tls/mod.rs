//! TLS towards the server and towards clients: what goes over it, which certificates are accepted, what is said of
//! others, and how they are replaced.

mod by_certificate;
mod certificate_login;
mod certificates;
mod clients;
mod handshakes;
mod proven;
mod refused;
mod renewal;
mod renewal_for_clients;
mod tls_client;
mod work;

use std::net::TcpListener;
use std::path::PathBuf;

use crate::support::{Narrows, RedisServer};
use certificates::Identity;

/// A server that speaks TLS on a port of its own, beside the one without.
pub(crate) struct TlsServer {
    pub(crate) server: RedisServer,
    pub(crate) port: u16,
    pub(crate) folder: tempfile::TempDir,
}

impl TlsServer {
    /// One that presents `identity`, with further options of its own.
    pub(crate) fn start(identity: &Identity, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = identity.write(folder.path(), "server");
        // Nothing is verified by it where clients need no certificate, and the server wants one.
        let ca = folder.path().join("client-ca.pem");
        std::fs::write(&ca, &identity.authority).unwrap();
        for _ in 0..5 {
            let port = free_port();
            let of_tls = [
                "--tls-port",
                &port.to_string(),
                "--tls-cert-file",
                cert.to_str().unwrap(),
                "--tls-key-file",
                key.to_str().unwrap(),
                "--tls-ca-cert-file",
                ca.to_str().unwrap(),
                "--tls-auth-clients",
                "no",
            ];
            let server = RedisServer::start_with(&[&of_tls, options].concat());
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Self {
                    server,
                    port,
                    folder,
                };
            }
        }
        panic!("no free port in five attempts");
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// narrows in front of it, with these lines of `[backend.tls]`.
    pub(crate) fn narrows(&self, tls: &str) -> Narrows {
        self.narrows_to("127.0.0.1", self.port, tls)
    }

    pub(crate) fn narrows_to(&self, host: &str, port: u16, tls: &str) -> Narrows {
        // Whoever is not served is told soon.
        let toml = format!("[backend.tls]\n{tls}\n[pool]\nqueue_timeout = \"200ms\"\n");
        crate::support::setup::narrows(&format!("rediss://{host}:{port}"), &toml, &[])
    }

    /// The authority of the server's certificate, as a line of `[backend.tls]`.
    pub(crate) fn trusted(&self) -> String {
        let path = self.folder.path().join("client-ca.pem");
        format!("ca_file = {:?}", path.to_str().unwrap())
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
