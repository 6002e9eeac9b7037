//! The file of a unix socket that clients connect to: only a socket that nobody answers on is ever
//! removed, and nobody can connect before its permissions are what they are to be.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

use super::settings::RuntimeSettings;

/// A listener at `path`, non-blocking.
pub(super) fn bind(path: &Path, settings: &RuntimeSettings) -> io::Result<UnixListener> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    let address = SockAddr::unix(path)?;
    socket.bind(&address)?;
    // Until it listens nobody can connect, whatever new files are like here.
    let mode = std::fs::Permissions::from_mode(settings.unix_socket_mode);
    std::fs::set_permissions(path, mode)?;
    let backlog = i32::try_from(settings.listen_backlog).unwrap_or(i32::MAX);
    socket.listen(backlog)?;
    Ok(UnixListener::from(std::os::fd::OwnedFd::from(socket)))
}

/// Removes the socket at `path` if one is left over there, from a process that was killed for
/// instance.
///
/// # Errors
/// Something else is there, or somebody answers.
pub fn remove_stale(path: &Path) -> io::Result<()> {
    let kind = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !kind.is_socket() {
        let text = "there is something that is no socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // One whose queue is full lives, and must not be waited for.
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "Address already in use: somebody answers there",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn settings(unix_socket_mode: u32) -> RuntimeSettings {
        RuntimeSettings {
            unix_socket_mode,
            ..RuntimeSettings::default()
        }
    }

    #[test]
    fn only_a_socket_that_nobody_answers_on_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let kind = || bind(&path, &settings(0o700)).unwrap_err().kind();
        std::fs::write(&path, "precious").unwrap();
        assert_eq!(kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(kind(), io::ErrorKind::AlreadyExists);
        std::fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink("/nowhere/at/all", &path).unwrap();
        assert_eq!(kind(), io::ErrorKind::AlreadyExists);
        std::fs::remove_file(&path).unwrap();

        let first = bind(&path, &settings(0o700)).unwrap();
        assert_eq!(kind(), io::ErrorKind::AddrInUse);
        assert!(remove_stale(&path).is_err() && UnixStream::connect(&path).is_ok());
        drop(first);
        let second = bind(&path, &settings(0o700)).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        drop(second);
        remove_stale(&path).unwrap();
        assert!(!path.exists());
        remove_stale(&path).unwrap();
    }

    #[test]
    fn one_whose_queue_is_full_lives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        socket.listen(0).unwrap();
        let _waits = UnixStream::connect(&path).unwrap();
        let error = remove_stale(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(path.exists());
    }

    #[test]
    fn a_socket_has_the_permissions_that_it_is_to_have() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o700, 0o770, 0o777, 0o600] {
            let path = folder.path().join(format!("{mode:o}"));
            let listener = bind(&path, &settings(mode)).unwrap();
            let found = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode);
            drop(listener);
        }
    }
}
