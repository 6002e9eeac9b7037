//! Addresses that narrows listens on, as operators write them. Nothing is resolved here: a
//! name may stand for several addresses, and which of them is open should be no surprise.

use std::net::SocketAddr;
use std::os::unix::net::SocketAddr as UnixAddr;
use std::path::{Path, PathBuf};

use super::kind::quoted;
use crate::runtime::settings::Listen;

/// Reads `127.0.0.1:6380`, `[::1]:6380`, `tls:127.0.0.1:6380`, `unix:/path` or `unix:///path`.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn parse(text: &str) -> Result<Listen, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return socket_path(path).map(Listen::Unix);
    }
    if let Some(address) = text.strip_prefix("tls:") {
        let address = address.strip_prefix("//").unwrap_or(address);
        return tcp(address).map(Listen::Tls);
    }
    tcp(text).map(Listen::Tcp)
}

fn tcp(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let port = text.rsplit_once(':').map_or(text, |(_, port)| port);
    let said = quoted(text);
    if port.parse::<u16>().is_err() {
        return Err(format!("{said} has no port (0 to 65535) at its end"));
    }
    let hint = format!(
        "write 127.0.0.1:{port} for this machine only, \
         0.0.0.0:{port} or [::]:{port} for all networks"
    );
    Err(match text.rsplit_once(':') {
        None | Some(("" | "*", _)) => format!("{said} does not say on which address: {hint}"),
        Some(("localhost", _)) => format!("{said}: names are not resolved here: {hint}"),
        Some((host, _)) if host.contains(':') && !host.starts_with('[') => {
            format!("{said}: an IPv6 address stands in brackets, as in [::1]:{port}")
        }
        Some(_) => format!("{said} is not a numeric address: {hint}"),
    })
}

/// The address as it is written, without quotes.
pub(super) fn show(listen: &Listen) -> String {
    match listen {
        Listen::Tcp(address) => address.to_string(),
        Listen::Tls(address) => format!("tls:{address}"),
        Listen::Unix(path) => format!("unix:{}", path.display()),
    }
}

/// Whether only programs of this machine can reach it.
pub(super) fn is_local(listen: &Listen) -> bool {
    match listen {
        Listen::Tcp(address) | Listen::Tls(address) => address.ip().to_canonical().is_loopback(),
        Listen::Unix(_) => true,
    }
}

/// A path that fits into a unix socket's address (107 bytes on Linux).
pub(super) fn socket_path(path: &str) -> Result<PathBuf, String> {
    if path.is_empty() {
        return Err("a unix socket needs a path, as in unix:/run/narrows.sock".to_owned());
    }
    match UnixAddr::from_pathname(Path::new(path)) {
        Ok(_) => Ok(PathBuf::from(path)),
        Err(_) => Err("the path is too long for a unix socket (107 bytes) or holds NUL".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_shown() {
        for text in [
            "127.0.0.1:6380",
            "[::1]:0",
            "0.0.0.0:65535",
            "unix:/run/n.sock",
            "tls:127.0.0.1:6380",
            "tls:[::]:6380",
        ] {
            assert_eq!(show(&parse(text).unwrap()), text);
        }
        assert_eq!(parse("unix:///run/n.sock"), parse("unix:/run/n.sock"));
        assert_eq!(parse("tls://[::]:1"), parse("tls:[::]:1"));
    }

    #[test]
    fn what_is_not_an_address_is_refused_with_the_way_to_write_it() {
        for (text, hint) in [
            ("6380", "write 127.0.0.1:6380"),
            (":6380", "0.0.0.0:6380"),
            ("*:6380", "does not say on which address"),
            ("localhost:6380", "not resolved"),
            ("redis.example:6380", "not a numeric address"),
            ("::1:6380", "brackets"),
            ("127.0.0.1", "no port"),
            ("127.0.0.1:65536", "no port"),
            ("tls:6380", "write 127.0.0.1:6380"),
            ("tls:unix:/x", "no port"),
            ("unix:", "needs a path"),
            ("", "no port"),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains(hint), "{text:?}: {why}");
        }
        let long = format!("unix:/{}", "x".repeat(107));
        assert!(parse(&long).unwrap_err().contains("too long"));
    }

    #[test]
    fn loopback_and_unix_sockets_are_local() {
        for (text, local) in [
            ("127.8.0.1:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("unix:/x", true),
            ("0.0.0.0:1", false),
            ("tls:127.0.0.1:1", true),
            ("tls:0.0.0.0:1", false),
            ("[::]:1", false),
            ("10.0.0.1:1", false),
        ] {
            assert_eq!(is_local(&parse(text).unwrap()), local, "{text}");
        }
    }
}
