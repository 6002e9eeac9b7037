//! TLS towards clients, as it is configured: read once, used by every connection.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, InconsistentKeys, ServerConfig};

use super::backend::TlsVersion;
use super::connection::TlsConnection;
use super::expiry::CertificateUse;
use super::files::{FilesRead, KeyedFile, TlsError, TlsFiles};
use super::subject::{self, CertificateUser};

/// What is configured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListenTlsSettings {
    /// The certificates that clients are shown, with those that lead to their authorities: the first one where
    /// nothing speaks for another.
    pub cert_files: Vec<String>,
    /// Their keys, in any order.
    pub key_files: Vec<String>,
    /// Whether clients show certificates.
    pub clients: ClientCertificates,
    /// Whose signatures under those are trusted: a file of certificates.
    pub client_ca_file: Option<PathBuf>,
    /// What of a client's certificate is the name of its user.
    pub client_user: CertificateUser,
    /// The lowest version that is spoken.
    pub min_version: TlsVersion,
}

/// Whether clients show certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientCertificates {
    /// They are not asked for one.
    #[default]
    Off,
    /// They are asked, and need not have one.
    Optional,
    /// Nobody comes in without one.
    Required,
}

/// See the module.
pub struct ListenTls {
    settings: ListenTlsSettings,
    files: FilesRead,
    config: Arc<ServerConfig>,
}

impl fmt::Debug for ListenTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ListenTls").field(&self.settings).finish()
    }
}

impl PartialEq for ListenTls {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings && self.files == other.files
    }
}

const CERT_FILES: &str = "tls.cert_files";
const KEY_FILES: &str = "tls.key_files";
const CLIENTS: &str = "tls.clients";
const CLIENT_CA_FILE: &str = "tls.client_ca_file";
const CLIENT_USER: &str = "tls.client_user";

/// Tickets that a client is given to take its session up again (TLS 1.3). One that opens several connections at
/// once uses one for each; each is some 200 bytes of the handshake.
const TICKETS: usize = 2;

impl ListenTls {
    /// Reads all files that `settings` name.
    ///
    /// # Errors
    /// What is wrong with one of them, or with the settings.
    pub fn load(settings: &ListenTlsSettings) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut files = TlsFiles::new(CertificateUse::Listen);
        let certificates = CertificatesByName::load(settings, &provider, &mut files)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(settings.min_version.and_above())
            .map_err(|error| TlsError::new("tls.min_version", error.to_string()))?;
        let builder = match verifier(settings, provider, &mut files)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(certificates));
        // A client brings what is needed to take its session up again: nothing is kept of those that are gone.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = TICKETS;
        config.ticketer = rustls::crypto::ring::Ticketer::new()
            .map_err(|error| TlsError::new(CERT_FILES, error.to_string()))?;
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

    /// The beginning of a connection with a client.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn accept(&self) -> Result<TlsConnection, String> {
        TlsConnection::server(Arc::clone(&self.config)).map_err(|error| error.to_string())
    }

    /// Whether nobody comes in without a certificate.
    pub fn requires_certificate(&self) -> bool {
        self.settings.clients == ClientCertificates::Required
    }

    /// What of a client's certificate is the name of its user.
    pub fn client_user(&self) -> CertificateUser {
        self.settings.client_user
    }
}

fn verifier(
    settings: &ListenTlsSettings,
    provider: Arc<CryptoProvider>,
    files: &mut TlsFiles,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let key = CLIENT_CA_FILE;
    let path = match (&settings.client_ca_file, settings.clients) {
        (_, ClientCertificates::Off) if settings.client_user != CertificateUser::None => {
            let why = "needs tls.clients = \"optional\" or \"required\"";
            return Err(TlsError::new(CLIENT_USER, why));
        }
        (None, ClientCertificates::Off) => return Ok(None),
        (Some(_), ClientCertificates::Off) => {
            let why = "means nothing with tls.clients = \"off\"";
            return Err(TlsError::new(key, why));
        }
        (None, _) => {
            let why = "needs tls.client_ca_file: whose signatures under clients' certificates are trusted";
            return Err(TlsError::new(CLIENTS, why));
        }
        (Some(path), _) => path,
    };
    let roots = files.roots(KeyedFile { key, path })?;
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match settings.clients {
        ClientCertificates::Optional => builder.allow_unauthenticated(),
        ClientCertificates::Off | ClientCertificates::Required => builder,
    };
    let verifier = builder.build();
    let verifier = verifier.map_err(|error| TlsError::of_file(key, path, error))?;
    Ok(Some(verifier))
}

/// The certificates that clients are shown, each with its key.
#[derive(Debug)]
struct CertificatesByName(Vec<NamedCertificate>);

#[derive(Debug)]
struct NamedCertificate {
    /// The hosts that it is for, perhaps with `*` in place of the first label.
    names: Vec<String>,
    key: Arc<CertifiedKey>,
}

impl CertificatesByName {
    fn load(
        settings: &ListenTlsSettings,
        provider: &CryptoProvider,
        files: &mut TlsFiles,
    ) -> Result<Self, TlsError> {
        if settings.cert_files.is_empty() {
            let why = "is needed for an address with tls: in listen.addresses";
            return Err(TlsError::new(CERT_FILES, why));
        }
        let mut keys = Vec::new();
        for path in &settings.key_files {
            let (key, path) = (KEY_FILES, Path::new(path));
            let read = files.private_key(KeyedFile { key, path })?;
            let loaded = provider.key_provider.load_private_key(read);
            keys.push(loaded.map_err(|error| TlsError::of_file(key, path, error))?);
        }
        let mut all = Vec::new();
        for path in &settings.cert_files {
            let path = Path::new(path);
            let key = CERT_FILES;
            let chain = files.certificates(KeyedFile { key, path })?;
            let names = chain.first().map(|leaf| subject::hosts(leaf));
            let names = names.unwrap_or(Err("is empty"));
            let names = names.map_err(|why| TlsError::of_file(key, path, why))?;
            let key = with_its_key(chain, &keys)
                .map_err(|why| TlsError::of_file(CERT_FILES, path, why))?;
            all.push(NamedCertificate {
                names,
                key: Arc::new(key),
            });
        }
        Ok(Self(all))
    }
}

/// The certificate with the one of `keys` that is its own.
fn with_its_key(
    chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    keys: &[Arc<dyn SigningKey>],
) -> Result<CertifiedKey, String> {
    for key in keys {
        let both = CertifiedKey::new(chain.clone(), Arc::clone(key));
        match both.keys_match() {
            Ok(()) => return Ok(both),
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(format!(
        "none of the keys in {KEY_FILES} is that of this certificate"
    ))
}

impl ResolvesServerCert for CertificatesByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let understood = |one: &&NamedCertificate| one.key.key.choose_scheme(schemes).is_some();
        let all = || self.0.iter().filter(understood);
        let named = hello.server_name().and_then(|name| {
            let exact =
                all().find(|one| one.names.iter().any(|own| own.eq_ignore_ascii_case(name)));
            exact.or_else(|| all().find(|one| one.names.iter().any(|own| is_wild_for(own, name))))
        });
        named
            .or_else(|| all().next())
            .map(|one| Arc::clone(&one.key))
    }
}

/// Whether `own` has `*` in place of the first label of `name`, and is the same otherwise.
fn is_wild_for(own: &str, name: &str) -> bool {
    let parent = own.strip_prefix("*.");
    let of_name = name.split_once('.').map(|(_, parent)| parent);
    parent.is_some_and(|parent| of_name.is_some_and(|name| parent.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests;
