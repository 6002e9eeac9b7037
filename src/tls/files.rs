//! Reading what TLS needs from files in PEM form, with words for whatever is wrong with one. All that is read goes
//! into a digest, so that it can be told whether anything has changed since; of certificates it is kept when they
//! expire.

use std::io;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use super::expiry::{CertificateFile, CertificateUse};

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

/// What files held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilesDigest([u8; 32]);

impl FilesDigest {
    /// What files hold now, those that cannot be read included. Whoever looks finds what a path leads to at that
    /// moment, over however many links.
    pub fn of<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Self {
        let mut digest = Sha256::new();
        for path in paths {
            match std::fs::read(path).map(Zeroizing::new) {
                Ok(text) => add(&mut digest, path, &text),
                Err(error) => add(&mut digest, path, error.to_string().as_bytes()),
            }
        }
        Self(digest.finalize().into())
    }
}

/// With lengths, so that nothing can pass from one file to the next unseen.
fn add(digest: &mut Sha256, path: &Path, text: &[u8]) {
    for bytes in [path.as_os_str().as_encoded_bytes(), text] {
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    }
}

/// Files that were read for one purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesRead {
    digest: FilesDigest,
    paths: Vec<PathBuf>,
    certificates: Vec<CertificateFile>,
}

impl FilesRead {
    /// Whether they still hold what was read.
    pub fn are_as_read(&self) -> bool {
        FilesDigest::of(self.paths()) == self.digest
    }

    /// All of them.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().map(PathBuf::as_path)
    }

    /// Those of them that hold certificates.
    pub fn certificates(&self) -> &[CertificateFile] {
        &self.certificates
    }
}

/// Reads files.
pub struct TlsFiles {
    used_for: CertificateUse,
    digest: Sha256,
    paths: Vec<PathBuf>,
    certificates: Vec<CertificateFile>,
}

impl TlsFiles {
    /// For what is used so.
    pub fn new(used_for: CertificateUse) -> Self {
        Self {
            used_for,
            digest: Sha256::new(),
            paths: Vec::new(),
            certificates: Vec::new(),
        }
    }

    /// All that has been read.
    pub fn done(self) -> FilesRead {
        FilesRead {
            digest: FilesDigest(self.digest.finalize().into()),
            paths: self.paths,
            certificates: self.certificates,
        }
    }

    /// Those whose signatures are trusted.
    ///
    /// # Errors
    /// The file cannot be read, or holds none.
    pub fn roots(&mut self, file: KeyedFile<'_>) -> Result<RootCertStore, TlsError> {
        let KeyedFile { key, path } = file;
        let mut roots = RootCertStore::empty();
        let found = self.read_certificates(file)?;
        let kept = CertificateFile::authorities(self.used_for, key, path, &found);
        self.certificates.extend(kept);
        for certificate in found {
            let added = roots.add(certificate);
            added.map_err(|error| {
                let why = format!("holds a certificate that nobody can be trusted by: {error}");
                TlsError::of_file(key, path, why)
            })?;
        }
        Ok(roots)
    }

    /// The certificates in a file, in their order: one that is shown, and those that lead to its authority.
    ///
    /// # Errors
    /// The file cannot be read, or holds none.
    pub fn certificates(
        &mut self,
        file: KeyedFile<'_>,
    ) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let found = self.read_certificates(file)?;
        let KeyedFile { key, path } = file;
        let kept = CertificateFile::own(self.used_for, key, path, &found);
        self.certificates.extend(kept);
        Ok(found)
    }

    fn read_certificates(
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
        add(&mut self.digest, file.path, &text);
        self.paths.push(file.path.to_owned());
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// As Kubernetes has it: a link to a folder is replaced, and no file is ever written.
    #[test]
    fn another_content_is_seen_behind_links_too_and_a_file_that_is_not_there_is_content() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let point_to = |name: &str| {
            symlink(name, at("new")).unwrap();
            std::fs::rename(at("new"), at("..data")).unwrap();
        };
        for name in ["1", "2", "3"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        std::fs::write(at("1/key"), "one").unwrap();
        std::fs::write(at("2/key"), "two").unwrap();
        symlink("..data/key", at("key")).unwrap();
        let paths = [at("key"), at("other")];
        let digest = || FilesDigest::of(paths.iter().map(PathBuf::as_path));
        point_to("1");
        let first = digest();
        assert_eq!(digest(), first);
        point_to("2");
        let second = digest();
        assert_ne!(second, first);
        point_to("3");
        let none = digest();
        assert!(none != first && none != second);
        point_to("1");
        assert_eq!(digest(), first);
        std::fs::write(at("other"), "").unwrap();
        assert_ne!(digest(), first);
    }
}
