//! Telling the service manager how narrows is: datagrams to the socket that it names, as
//! `sd_notify(3)` describes them. Without a manager nothing is sent. Knows nothing of when what
//! is to be said.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Where the manager listens, if there is one.
#[derive(Debug)]
pub struct Systemd {
    manager: Option<(UnixDatagram, SocketAddr)>,
    /// How often it wants a sign of life at least.
    watchdog: Option<Duration>,
}

impl Systemd {
    /// As the environment says: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    pub fn of(environment: impl Fn(&str) -> Option<OsString>) -> Self {
        let manager = environment("NOTIFY_SOCKET").and_then(|place| {
            let address = address(place.as_bytes());
            let opened = address.and_then(|address| Ok((UnixDatagram::unbound()?, address)));
            if let Err(error) = &opened {
                tracing::warn!(%error, "the service manager cannot be told anything");
            }
            opened.ok()
        });
        if let Some((socket, _)) = &manager {
            // A manager that reads nothing must not hold up anything here.
            let _ = socket.set_nonblocking(true);
        }
        let number = |name| environment(name)?.to_str()?.parse::<u64>().ok();
        // It may be meant for the process that has started this one.
        let own = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| own && *usec > 0);
        Self {
            watchdog: watchdog
                .map(Duration::from_micros)
                .filter(|_| manager.is_some()),
            manager,
        }
    }

    /// How often [`Systemd::alive`] must be said at least, if the manager watches.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Clients can connect; `status` is one line for people. Also the end of a reload.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// The configuration is being read again: [`Systemd::ready`] follows.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let usec = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }

    /// The end has begun.
    pub fn stopping(&self, status: &str) {
        self.tell(&format!("STOPPING=1\nSTATUS={}", one_line(status)));
    }

    /// One line for people.
    pub fn status(&self, status: &str) {
        self.tell(&format!("STATUS={}", one_line(status)));
    }

    /// The sign of life that a watchdog waits for.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, message: &str) {
        if let Some((socket, manager)) = &self.manager
            && let Err(error) = socket.send_to_addr(message.as_bytes(), manager)
        {
            tracing::debug!(%error, "the service manager was not told");
        }
    }
}

/// A path, or with `@` in front a name in the abstract namespace.
fn address(place: &[u8]) -> std::io::Result<SocketAddr> {
    match place.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(place)),
    }
}

/// A line end would begin another assignment.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_manager_nothing_is_watched_and_nothing_fails() {
        let systemd = Systemd::of(|name| (name == "WATCHDOG_USEC").then(|| "1000".into()));
        assert_eq!(systemd.watchdog(), None);
        systemd.ready("listening");
    }

    #[test]
    fn what_is_said_reaches_a_named_and_an_abstract_socket_as_assignments() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("narrows-test-{}", std::process::id());
        let hidden = SocketAddr::from_abstract_name(&name).unwrap();
        let sockets = [
            (
                path.as_os_str().to_owned(),
                UnixDatagram::bind(&path).unwrap(),
            ),
            (
                format!("@{name}").into(),
                UnixDatagram::bind_addr(&hidden).unwrap(),
            ),
        ];
        for (place, socket) in sockets {
            let environment = |name: &str| match name {
                "NOTIFY_SOCKET" => Some(place.clone()),
                "WATCHDOG_USEC" => Some("2000000".into()),
                "WATCHDOG_PID" => Some(std::process::id().to_string().into()),
                _ => None,
            };
            let systemd = Systemd::of(environment);
            assert_eq!(systemd.watchdog(), Some(Duration::from_secs(2)));
            systemd.ready("a\nREADY=0");
            systemd.reloading();
            let mut buffer = [0; 256];
            let mut heard = || {
                let bytes = socket.recv(&mut buffer).unwrap();
                String::from_utf8(buffer[..bytes].to_vec()).unwrap()
            };
            assert_eq!(heard(), "READY=1\nSTATUS=a READY=0");
            let reloading = heard();
            let usec = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
            assert!(usec.unwrap().parse::<u64>().unwrap() > 0);
        }
    }

    #[test]
    fn another_process_watchdog_is_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let _socket = UnixDatagram::bind(&path).unwrap();
        let systemd = Systemd::of(|name| match name {
            "NOTIFY_SOCKET" => Some(path.as_os_str().to_owned()),
            "WATCHDOG_USEC" => Some("2000000".into()),
            "WATCHDOG_PID" => Some("1".into()),
            _ => None,
        });
        assert_eq!(systemd.watchdog(), None);
    }
}
