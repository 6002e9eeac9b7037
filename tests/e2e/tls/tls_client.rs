//! A client that speaks TLS, and narrows where it is listened to.

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion, version};

use super::certificates::{Authority, Identity};
use crate::support::{Conn, Narrows, RedisServer};

/// narrows with a listener for TLS beside the one without.
pub(crate) struct TlsListener {
    pub(crate) narrows: Narrows,
    pub(crate) folder: tempfile::TempDir,
    /// Whoever signed what it shows.
    pub(crate) authority: Authority,
}

impl TlsListener {
    /// In front of `server`; shows a certificate for 127.0.0.1, and has these further lines in its `[tls]` and
    /// behind it.
    pub(crate) fn start(server: &RedisServer, tls: &str, toml: &str) -> Self {
        let authority = Authority::new();
        let shown = authority.signs(&["127.0.0.1"], |_| {});
        Self::showing(server, authority, &[&shown], tls, toml)
    }

    /// The same, with these certificates, all of one authority.
    pub(crate) fn showing(
        server: &RedisServer,
        authority: Authority,
        shown: &[&Identity],
        tls: &str,
        toml: &str,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mut certificates, mut keys) = (Vec::new(), Vec::new());
        for (number, identity) in shown.iter().enumerate() {
            let (certificate, key) = identity.write(folder.path(), &format!("shown{number}"));
            certificates.push(certificate.to_str().unwrap().to_owned());
            // In another order.
            keys.insert(0, key.to_str().unwrap().to_owned());
        }
        std::fs::write(folder.path().join("ca.pem"), &authority.pem).unwrap();
        let tls = tls.replace("CA_FILE", folder.path().join("ca.pem").to_str().unwrap());
        let toml =
            format!("[tls]\ncert_files = {certificates:?}\nkey_files = {keys:?}\n{tls}\n{toml}");
        let flags = ["--listen", "tls:127.0.0.1:0"];
        let narrows = crate::support::setup::narrows(&server.url(), &toml, &flags);
        Self {
            narrows,
            folder,
            authority,
        }
    }

    /// Where TLS is spoken.
    pub(crate) fn address(&self) -> String {
        self.narrows.tls_address()
    }

    /// A client of its authority's, without a certificate of its own.
    pub(crate) fn client(&self) -> TlsClient<'_> {
        TlsClient {
            address: self.address(),
            roots: &self.authority.pem,
            head: b"",
            name: "127.0.0.1",
            identity: None,
            versions: rustls::ALL_VERSIONS,
        }
    }

    pub(crate) fn connect(&self) -> Conn {
        self.client().connect().unwrap()
    }
}

/// TLS 1.2 alone.
pub(crate) static ONLY_1_2: [&SupportedProtocolVersion; 1] = [&version::TLS12];

/// TLS 1.3 alone.
pub(crate) static ONLY_1_3: [&SupportedProtocolVersion; 1] = [&version::TLS13];

/// How a client connects.
#[derive(Clone)]
pub(crate) struct TlsClient<'a> {
    pub(crate) address: String,
    pub(crate) roots: &'a str,
    /// What comes before its handshake.
    pub(crate) head: &'a [u8],
    /// Whom it wants.
    pub(crate) name: &'static str,
    /// What it shows.
    pub(crate) identity: Option<&'a Identity>,
    pub(crate) versions: &'static [&'static SupportedProtocolVersion],
}

impl TlsClient<'_> {
    /// Its handshake is over, as far as it sees: with TLS 1.3 it may be refused behind it.
    pub(crate) fn connect(&self) -> io::Result<Conn> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(self.roots.as_bytes()) {
            roots.add(root.unwrap()).unwrap();
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let config = match self.identity {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let chain = CertificateDer::pem_slice_iter(own.certificate.as_bytes());
                let chain = chain.map(Result::unwrap).collect();
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let name = ServerName::try_from(self.name).unwrap();
        let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut tcp = TcpStream::connect(&self.address)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(Conn::READ_PATIENCE))?;
        tcp.write_all(self.head)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut tcp)?;
        }
        Ok(Conn::over_tls(rustls::StreamOwned::new(connection, tcp)))
    }

    /// narrows refuses it, at once or with its first request.
    #[track_caller]
    pub(crate) fn expect_refused(&self) {
        let mut client = match self.connect() {
            Ok(client) => client,
            Err(_) => return,
        };
        // It may be closed already.
        let _ = client.try_send("PING\r\n");
        let reply = client.try_reply().map(|reply| reply.text());
        assert!(reply.is_err(), "it is served: {reply:?}");
    }
}
