//! Passwords from files, as container platforms hand them out. Texts of mistakes name the
//! file, never what is in it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use secrecy::SecretString;
use zeroize::Zeroizing;

/// A password, and what is to be said about its file.
pub(super) struct Secret {
    pub(super) text: SecretString,
    pub(super) warning: Option<String>,
}

/// Reads the password in `path`; one newline at the end is not part of it.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn read(path: &Path) -> Result<Secret, String> {
    let shown = path.display();
    let (bytes, mode) = load(path).map_err(|why| format!("{shown} cannot be read: {why}"))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > SECRET_BYTES_MAX {
        return Err(format!("{shown} is larger than 4 KiB: not a password"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("{shown} is not UTF-8 text"))?;
    let text = match text.strip_suffix('\n') {
        Some(line) => line.strip_suffix('\r').unwrap_or(line),
        None => text,
    };
    if text.is_empty() {
        return Err(format!("{shown} is empty"));
    }
    if text.contains(['\n', '\r', '\0']) {
        return Err(format!("{shown} has more than one line"));
    }
    Ok(Secret {
        text: text.into(),
        warning: warning_about(path, mode),
    })
}

/// What is to be said of a file with a secret that others than its owner may read. Not a
/// mistake: platforms that mount secrets give them mode 0644 in a directory of their own.
pub(super) fn warning_about(path: &Path, mode: u32) -> Option<String> {
    warning(path, "a password", mode)
}

/// The same of a file with a private key.
pub(super) fn warning_about_key(path: &Path) -> Option<String> {
    warning(path, "a private key", mode_of(path))
}

fn warning(path: &Path, what: &str, mode: u32) -> Option<String> {
    let open = mode & 0o077 != 0;
    open.then(|| {
        let shown = path.display();
        let mode = mode & 0o777;
        format!("{shown} holds {what} and can be read by others (mode {mode:04o}); 0600 is enough")
    })
}

/// Permission bits of `path`, 0 if there are none to be had.
pub(super) fn mode_of(path: &Path) -> u32 {
    std::fs::metadata(path).map_or(0, |meta| meta.permissions().mode())
}

fn load(path: &Path) -> io::Result<(Zeroizing<Vec<u8>>, u32)> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    // All of it at once: what grows leaves copies behind that nobody wipes.
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX as usize + 1));
    file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    // A pipe (`<(pass show redis)`) is nobody else's, whatever its bits say.
    let mode = if meta.is_file() {
        meta.permissions().mode()
    } else {
        0
    };
    Ok((bytes, mode))
}

/// A password is shorter; a mistyped path such as a device must not fill the memory.
const SECRET_BYTES_MAX: u64 = 4096;

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret;

    use super::*;

    fn file(dir: &tempfile::TempDir, content: &[u8], mode: u32) -> std::path::PathBuf {
        let path = dir.path().join("secret");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn one_newline_at_the_end_is_not_part_of_the_password() {
        let dir = tempfile::tempdir().unwrap();
        for content in ["s3cret", "s3cret\n", "s3cret\r\n"] {
            let secret = read(&file(&dir, content.as_bytes(), 0o600)).ok().unwrap();
            let shown = (secret.text.expose_secret(), secret.warning);
            assert_eq!(shown, ("s3cret", None));
        }
        let secret = read(&file(&dir, b" with space \n", 0o600)).ok().unwrap();
        assert_eq!(secret.text.expose_secret(), " with space ");
    }

    #[test]
    fn a_file_that_others_can_read_is_warned_about() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o644, 0o640, 0o604] {
            let secret = read(&file(&dir, b"s3cret", mode)).ok().unwrap();
            let warning = secret.warning.unwrap();
            assert!(warning.contains(&format!("{mode:04o}")), "{warning}");
            assert!(!warning.contains("s3cret"));
        }
    }

    #[test]
    fn what_is_no_password_is_refused_without_showing_it() {
        let dir = tempfile::tempdir().unwrap();
        let big = vec![b'x'; 5000];
        for (content, why) in [
            (&b""[..], "is empty"),
            (b"\n", "is empty"),
            (b"s3cret\nother\n", "more than one line"),
            (b"s3cret\n\n", "more than one line"),
            (b"s3cret\xff", "UTF-8"),
            (&big, "larger than"),
        ] {
            let said = read(&file(&dir, content, 0o600)).err().unwrap();
            assert!(said.contains(why) && !said.contains("s3cret"), "{said}");
        }
        let missing = read(&dir.path().join("none")).err().unwrap();
        assert!(missing.contains("No such file"), "{missing}");
    }
}
