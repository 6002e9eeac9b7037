//! TLS towards the server, as it is configured: read once, used by every connection.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};

use super::connection::TlsConnection;
use super::expiry::CertificateUse;
use super::files::{FilesRead, KeyedFile, TlsError, TlsFiles};
use super::verify::{ServerVerifier, Verify};

/// What is configured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BackendTlsSettings {
    /// Whose signatures are trusted: a file of certificates. `None`: those whom this machine trusts.
    pub ca_file: Option<PathBuf>,
    /// narrows' own certificate, with those that lead to its authority, for servers that ask for one.
    pub cert_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
    /// What the server's certificate has to be for. Empty: the host of the URL.
    pub server_name: String,
    /// The lowest version that is spoken.
    pub min_version: TlsVersion,
    /// What has to be right of the server's certificate.
    pub verify: Verify,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    /// 1.2 (RFC 5246).
    #[default]
    V1_2,
    /// 1.3 (RFC 8446).
    V1_3,
}

impl TlsVersion {
    /// This one and those that came after it.
    pub fn and_above(self) -> &'static [&'static SupportedProtocolVersion] {
        static FROM_1_2: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
        static FROM_1_3: [&SupportedProtocolVersion; 1] = [&version::TLS13];
        match self {
            Self::V1_2 => &FROM_1_2,
            Self::V1_3 => &FROM_1_3,
        }
    }
}

/// See the module.
pub struct BackendTls {
    settings: BackendTlsSettings,
    files: FilesRead,
    config: Arc<ClientConfig>,
}

impl fmt::Debug for BackendTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BackendTls").field(&self.settings).finish()
    }
}

impl PartialEq for BackendTls {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings && self.files == other.files
    }
}

const CA_FILE: &str = "backend.tls.ca_file";
const CERT_FILE: &str = "backend.tls.cert_file";
const KEY_FILE: &str = "backend.tls.key_file";
const SERVER_NAME: &str = "backend.tls.server_name";

/// Sessions that can be taken up again by a new connection: those of one server.
const SESSIONS_MAX: usize = 8;

impl BackendTls {
    /// Reads all files that `settings` name.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn load(settings: &BackendTlsSettings) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut files = TlsFiles::new(CertificateUse::Backend);
        let authorities = match settings.verify {
            Verify::Pin(_) => None,
            Verify::Full | Verify::Ca => {
                let roots = match &settings.ca_file {
                    Some(path) => files.roots(KeyedFile { key: CA_FILE, path })?,
                    None => roots_of_the_system()?,
                };
                Some(of_roots(roots, &provider)?)
            }
        };
        let verifier = ServerVerifier {
            authorities,
            verify: settings.verify,
            algorithms: provider.signature_verification_algorithms,
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(settings.min_version.and_above())
            .map_err(|error| TlsError::new("backend.tls.min_version", error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match (&settings.cert_file, &settings.key_file) {
            (None, None) => builder.with_no_client_auth(),
            (Some(chain), Some(key)) => {
                let own = files.certificates(KeyedFile {
                    key: CERT_FILE,
                    path: chain,
                })?;
                let key = files.private_key(KeyedFile {
                    key: KEY_FILE,
                    path: key,
                })?;
                let both =
                    |error| TlsError::new(KEY_FILE, format!("is not of {CERT_FILE}: {error}"));
                builder.with_client_auth_cert(own, key).map_err(both)?
            }
            (Some(_), None) => {
                return Err(TlsError::new(CERT_FILE, format!("needs {KEY_FILE} too")));
            }
            (None, Some(_)) => {
                return Err(TlsError::new(KEY_FILE, format!("needs {CERT_FILE} too")));
            }
        };
        config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        Ok(Self {
            settings: settings.clone(),
            files: files.done(),
            config: Arc::new(config),
        })
    }

    /// The same from the files as they are now.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn load_again(&self) -> Result<Self, TlsError> {
        Self::load(&self.settings)
    }

    /// What was read.
    pub fn files(&self) -> &FilesRead {
        &self.files
    }

    /// The beginning of a connection to `host`.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn connect(&self, host: &str) -> Result<TlsConnection, String> {
        let name = match self.settings.server_name.as_str() {
            "" => host,
            name => name,
        };
        let name = name_of(name).map_err(|error| error.why)?;
        TlsConnection::client(Arc::clone(&self.config), name).map_err(|error| error.to_string())
    }
}

/// Whether a name can stand in [`BackendTlsSettings::server_name`].
///
/// # Errors
/// What is wrong with it, in words.
pub fn check_server_name(name: &str) -> Result<(), String> {
    match name.is_empty() || ServerName::try_from(name).is_ok() {
        true => Ok(()),
        false => Err(NO_NAME.to_owned()),
    }
}

const NO_NAME: &str = "is neither the name of a host nor a numeric address";

fn name_of(name: &str) -> Result<ServerName<'static>, TlsError> {
    let parsed = ServerName::try_from(name.to_owned());
    parsed.map_err(|_| TlsError::new(SERVER_NAME, format!("{name:?} {NO_NAME}")))
}

fn of_roots(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| TlsError::new(CA_FILE, error.to_string()))
}

/// Those that this machine trusts, as OpenSSL finds them (`SSL_CERT_FILE`, `SSL_CERT_DIR`).
fn roots_of_the_system() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    match added {
        0 => Err(TlsError::new(
            CA_FILE,
            "is not set, and this machine names nobody whose signatures it trusts: install \
             ca-certificates, or name a file",
        )),
        _ => Ok(roots),
    }
}
