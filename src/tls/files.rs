//! Reading what TLS needs from files in PEM form, with words for whatever is wrong with one. All that is read goes
//! into a digest, so that it can be told whether anything has changed since.

use std::io;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

/// Why TLS cannot be spoken as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{why}")]
pub struct TlsError {
    /// The key that it is about.
    pub key: &'static str,
    /// A sentence for people.
    pub why: String,
}

impl TlsError {
    /// About `key`: `why`.
    pub fn new(key: &'static str, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { key, why }
    }

    /// About a file that `key` names.
    pub fn of_file(key: &'static str, path: &Path, why: impl std::fmt::Display) -> Self {
        Self::new(key, format!("{}: {why}", path.display()))
    }
}

/// A file that a key names.
#[derive(Debug, Clone, Copy)]
pub struct KeyedFile<'a> {
    /// The key.
    pub key: &'static str,
    /// The file.
    pub path: &'a Path,
}

/// Reads files.
#[derive(Default)]
pub struct TlsFiles {
    digest: Sha256,
}

impl TlsFiles {
    /// Of all that has been read.
    pub fn digest(self) -> [u8; 32] {
        self.digest.finalize().into()
    }

    /// Those whose signatures are trusted.
    ///
    /// # Errors
    /// The file cannot be read, or holds none.
    pub fn roots(&mut self, file: KeyedFile<'_>) -> Result<RootCertStore, TlsError> {
        let KeyedFile { key, path } = file;
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates(file)? {
            let added = roots.add(certificate);
            added.map_err(|error| {
                let why = format!("holds a certificate that nobody can be trusted by: {error}");
                TlsError::of_file(key, path, why)
            })?;
        }
        Ok(roots)
    }

    /// The certificates in a file, in their order.
    ///
    /// # Errors
    /// The file cannot be read, or holds none.
    pub fn certificates(
        &mut self,
        file: KeyedFile<'_>,
    ) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let KeyedFile { key, path } = file;
        let text = self.read(file)?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        match found {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) => Err(TlsError::of_file(
                key,
                path,
                "holds no certificate in PEM form",
            )),
            Err(error) => Err(TlsError::of_file(key, path, error)),
        }
    }

    /// The private key in a file.
    ///
    /// # Errors
    /// The file cannot be read, or holds none.
    pub fn private_key(&mut self, file: KeyedFile<'_>) -> Result<PrivateKeyDer<'static>, TlsError> {
        let text = self.read(file)?;
        PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
            let why = "holds no private key in PEM form, or one that is encrypted";
            TlsError::of_file(file.key, file.path, why)
        })
    }

    fn read(&mut self, file: KeyedFile<'_>) -> Result<Zeroizing<Vec<u8>>, TlsError> {
        let text: io::Result<Vec<u8>> = std::fs::read(file.path);
        let text = text.map_err(|error| TlsError::of_file(file.key, file.path, error))?;
        let text = Zeroizing::new(text);
        self.digest.update(&text);
        Ok(text)
    }
}
