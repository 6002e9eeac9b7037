//! The private server of `narrows --embedded` and of the demo: `redis-server` (or `valkey-server`)
//! as found on the PATH, on a unix socket in a temporary folder that only this user can enter,
//! without persistence. It ends with narrows, whatever way narrows ends. Knows nothing of how
//! narrows connects to it.

mod supervised;

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tempfile::TempDir;

pub(crate) use supervised::Supervised;

/// A running private server. Dropping it ends the server and removes its folder.
#[derive(Debug)]
pub struct Embedded {
    // Declared before the folder, so that the server is gone when the folder is removed.
    server: Supervised,
    socket: PathBuf,
    address: Option<SocketAddr>,
    program: PathBuf,
    _folder: TempDir,
}

impl Embedded {
    /// Starts a server that is reachable by its unix socket only, and waits until it answers.
    ///
    /// # Errors
    /// When there is no server program on the PATH, or when it does not answer within ten seconds;
    /// then with the last lines of its log.
    pub fn start() -> anyhow::Result<Self> {
        Self::launch(&find_program()?, None)
    }

    /// The same, with a port on 127.0.0.1 beside the socket. Anyone on this machine can connect to
    /// it: meant for the minute of a demo or a test.
    ///
    /// # Errors
    /// As [`Embedded::start`].
    pub fn start_with_port() -> anyhow::Result<Self> {
        let program = find_program()?;
        let deadline = Instant::now() + START_PATIENCE;
        let mut attempt = 1;
        loop {
            let address = free_loopback_address()?;
            match Self::launch(&program, Some(address)) {
                // Someone may take the port between our look and the server's bind.
                Err(_) if attempt < PORT_ATTEMPTS_MAX && Instant::now() < deadline => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    /// The unix socket that the server listens on.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The address on 127.0.0.1, when it was started with a port.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The server's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// The program that runs: the path of a `redis-server` or `valkey-server`.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    fn launch(program: &Path, address: Option<SocketAddr>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("narrows-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .context("could not make a temporary folder for the embedded server")?;
        let socket = folder.path().join("redis.sock");
        if socket.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            bail!(
                "{} is too long for a unix socket: set TMPDIR to a shorter folder",
                socket.display()
            );
        }
        let arguments = server_arguments(folder.path(), &socket, address);
        let server = Supervised::spawn(program, &arguments, Stdio::null(), Some(folder.path()))
            .with_context(|| format!("could not start {}", program.display()))?;
        let mut embedded = Self {
            server,
            socket,
            address,
            program: program.to_owned(),
            _folder: folder,
        };
        embedded.wait_until_it_answers()?;
        Ok(embedded)
    }

    fn wait_until_it_answers(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        let name = self.program.display().to_string();
        // Kept from one look to the next: when the server has ended, its folder is gone as well.
        let mut log = String::new();
        loop {
            log = last_lines(&self.log_path()).unwrap_or(log);
            if let Some(status) = self.server.ended()? {
                bail!("{name} ended at once ({status}): {log}");
            }
            if answers_ping(&self.socket) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!(
                    "{name} did not answer within {} s: {log}",
                    START_PATIENCE.as_secs()
                );
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn log_path(&self) -> PathBuf {
        self.socket.with_file_name(LOG_NAME)
    }
}

fn server_arguments(folder: &Path, socket: &Path, address: Option<SocketAddr>) -> Vec<OsString> {
    let port = address.map_or(0, |address| address.port()).to_string();
    let log = folder.join(LOG_NAME);
    let options: [(&str, &OsStr); 10] = [
        ("--port", port.as_ref()),
        ("--bind", "127.0.0.1".as_ref()),
        ("--unixsocket", socket.as_ref()),
        ("--unixsocketperm", "700".as_ref()),
        ("--dir", folder.as_ref()),
        ("--logfile", log.as_ref()),
        ("--save", "".as_ref()),
        ("--appendonly", "no".as_ref()),
        ("--daemonize", "no".as_ref()),
        // The largest that the kernel's usual somaxconn allows: a thousand clients may come at once.
        ("--tcp-backlog", "4096".as_ref()),
    ];
    options
        .into_iter()
        .flat_map(|(name, value)| [OsString::from(name), value.to_owned()])
        .collect()
}

fn find_program() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    find_on(&path).context(
        "no redis-server or valkey-server on the PATH: install one (Debian, Ubuntu: apt-get install redis-server)",
    )
}

fn find_on(path: &OsStr) -> Option<PathBuf> {
    let folders: Vec<PathBuf> = std::env::split_paths(path).collect();
    let candidates = PROGRAMS
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    candidates
        .into_iter()
        .find(|candidate| is_executable(candidate))
}

fn is_executable(candidate: &Path) -> bool {
    fs::metadata(candidate)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn free_loopback_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}

fn answers_ping(socket: &Path) -> bool {
    let ask = || -> std::io::Result<[u8; PONG.len()]> {
        let mut connection = UnixStream::connect(socket)?;
        connection.set_read_timeout(Some(PING_PATIENCE))?;
        connection.write_all(b"PING\r\n")?;
        let mut reply = [0; PONG.len()];
        connection.read_exact(&mut reply)?;
        Ok(reply)
    };
    ask().is_ok_and(|reply| reply == *PONG)
}

/// The end of the server's log in one line, or nothing when there is none.
fn last_lines(log: &Path) -> Option<String> {
    let text = fs::read_to_string(log)
        .ok()
        .filter(|text| !text.is_empty())?;
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let first = lines.len().saturating_sub(LOG_LINES_SHOWN);
    Some(
        lines
            .into_iter()
            .skip(first)
            .collect::<Vec<_>>()
            .join(" | "),
    )
}

/// In order of preference.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

const LOG_NAME: &str = "server.log";
const LOG_LINES_SHOWN: usize = 3;
const PONG: &[u8; 7] = b"+PONG\r\n";

/// From start to the first PONG.
const START_PATIENCE: Duration = Duration::from_secs(10);
const PING_PATIENCE: Duration = Duration::from_secs(1);
const POLL_INTERVAL: Duration = Duration::from_millis(5);
const PORT_ATTEMPTS_MAX: u32 = 5;

/// `sun_path` of Linux holds 108 bytes with the closing zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_is_preferred_and_only_executables_count() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("a"), folder.path().join("b"));
        let path = std::env::join_paths([&first, &second]).unwrap();
        let place = |file: &Path, mode| {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
            fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
        };
        assert_eq!(find_on(&path), None);
        place(&first.join("valkey-server"), 0o755);
        assert_eq!(find_on(&path), Some(first.join("valkey-server")));
        place(&first.join("redis-server"), 0o644);
        assert_eq!(find_on(&path), Some(first.join("valkey-server")));
        place(&second.join("redis-server"), 0o755);
        assert_eq!(find_on(&path), Some(second.join("redis-server")));
    }

    #[test]
    fn a_program_that_ends_at_once_is_reported() {
        let error = Embedded::launch(Path::new("/bin/false"), None).unwrap_err();
        assert!(
            error.to_string().contains("/bin/false ended at once"),
            "{error}"
        );
    }

    #[test]
    fn a_server_that_refuses_its_options_is_reported_with_its_log() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = taken.local_addr().unwrap();
        let error = Embedded::launch(&find_program().unwrap(), Some(address)).unwrap_err();
        assert!(error.to_string().contains("ended at once"), "{error}");
    }
}
