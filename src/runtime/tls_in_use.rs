//! What of the settings was read from files of certificates and keys: which files, what they hold, and
//! the same from the files as they are now. Whoever speaks TLS has a field here, and nothing else of
//! what is said and done of files has to know of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::tls::backend::BackendTls;
use crate::tls::expiry::{CertificateFile, UnixSeconds};
use crate::tls::files::{FilesDigest, FilesRead, TlsError};
use crate::tls::listener::ListenTls;

use super::settings::RuntimeSettings;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TlsInUse {
    backend: Option<Arc<BackendTls>>,
    clients: Option<Arc<ListenTls>>,
}

impl TlsInUse {
    /// What is in `settings`.
    pub fn of(settings: &RuntimeSettings) -> Self {
        Self {
            backend: settings.backend_tls.clone(),
            clients: settings.client_tls.clone(),
        }
    }

    /// Takes the place of what is in `settings`.
    pub fn put_into(&self, settings: &mut RuntimeSettings) {
        settings.backend_tls = self.backend.clone();
        settings.client_tls = self.clients.clone();
    }

    /// The same from the files as they are now; what has not changed is kept.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn load_again(&self) -> Result<Self, TlsError> {
        let backend = match &self.backend {
            Some(tls) if !tls.files().are_as_read() => Some(Arc::new(tls.load_again()?)),
            kept => kept.clone(),
        };
        let clients = match &self.clients {
            Some(tls) if !tls.files().are_as_read() => Some(Arc::new(tls.load_again()?)),
            kept => kept.clone(),
        };
        Ok(Self { backend, clients })
    }

    /// All that was read, by purpose.
    fn files(&self) -> impl Iterator<Item = &FilesRead> {
        let backend = self.backend.iter().map(|tls| tls.files());
        backend.chain(self.clients.iter().map(|tls| tls.files()))
    }

    /// Whether anything was read from a file.
    pub fn has_files(&self) -> bool {
        self.files().any(|files| files.paths().next().is_some())
    }

    /// Whether all files still hold what was read.
    pub fn is_as_read(&self) -> bool {
        self.files().all(FilesRead::are_as_read)
    }

    /// What the files hold now.
    pub fn content_now(&self) -> FilesDigest {
        FilesDigest::of(self.files().flat_map(FilesRead::paths))
    }

    /// The files of certificates that are in use, each once for each use.
    pub fn certificates(&self) -> Vec<CertificateFile> {
        let mut found: BTreeMap<_, CertificateFile> = BTreeMap::new();
        for file in self.files().flat_map(FilesRead::certificates) {
            let place = (file.used_for, file.path.as_path());
            let is_first = |known: &CertificateFile| known.not_after <= file.not_after;
            if !found.get(&place).is_some_and(is_first) {
                found.insert(place, file.clone());
            }
        }
        found.into_values().collect()
    }

    /// Whether this can take the place of `before`: none of its certificates has expired, but for those
    /// that are in use already.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn check(&self, before: &Self, now: UnixSeconds) -> Result<(), TlsError> {
        let known = before.files().flat_map(FilesRead::certificates);
        let known: Vec<&CertificateFile> = known.collect();
        let mut files = self.files().flat_map(FilesRead::certificates);
        files.try_for_each(|file| match known.contains(&file) {
            true => Ok(()),
            false => file.check(now).map_err(|why| TlsError::new(file.key, why)),
        })
    }
}
