//! The URL of the server. It may hold a password, so nothing here ever quotes it: errors are
//! fixed sentences, and both `Debug` and `Display` hide the password. Not read by the `url` crate,
//! which mends what it is given: passwords and paths of sockets would come out as others
//! (docs/designs-not-taken.md). Its decoder of percent signs is used.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use thiserror::Error;

use super::listen::socket_path;
use crate::runtime::settings::BackendCredentials;
use crate::topology::ServerAddress;

/// Where the server is, which database clients start in, and who narrows is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendUrl {
    /// Host and port, or the path of a unix socket.
    pub address: ServerAddress,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Database that a new client starts in.
    pub database: u32,
    /// As far as the URL holds them. Empty ones count as not given.
    pub credentials: BackendCredentials,
}

/// Why a URL is refused. None quotes any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UrlError {
    /// Not one of the known beginnings.
    #[error("the URL must begin with redis://, rediss://, unix:// or redis+unix://")]
    Scheme,
    /// A `/`, `?` or `#` that should have been percent-encoded cut the user or password short.
    #[error(
        "the user or the password holds a character that must be percent-encoded \
         (/ as %2F, ? as %3F, # as %23, @ as %40, % as %25)"
    )]
    Unencoded,
    /// A `%` without two hexadecimal digits, or what results is not UTF-8.
    #[error("a % is not followed by two hexadecimal digits, or the decoded text is not UTF-8")]
    Percent,
    /// No host, or not one.
    #[error("the host is missing or is neither a name, an IPv4 address nor an IPv6 address in []")]
    Host,
    /// Port zero or no number.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// Not a database number.
    #[error("the database is not a number from 0 to 2147483647")]
    Database,
    /// No absolute path, or too long.
    #[error(
        "a unix socket needs an absolute path of at most 107 bytes, as in unix:///run/redis.sock"
    )]
    Path,
    /// Something else than `db`, `user` and `password` after `?`.
    #[error("after the ? only db=.., user=.. and password=.. are known")]
    Parameter,
    /// The same thing twice.
    #[error("the URL gives the database, the user or the password twice")]
    Twice,
}

impl FromStr for BackendUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once(':').ok_or(UrlError::Scheme)?;
        let rest = rest.strip_prefix("//");
        match (scheme.to_ascii_lowercase().as_str(), rest) {
            ("redis" | "valkey", Some(rest)) => tcp(rest),
            ("rediss" | "valkeys", Some(rest)) => tcp(rest).map(|url| Self { tls: true, ..url }),
            ("unix" | "redis+unix" | "valkey+unix", Some(rest)) => unix(rest),
            _ => Err(UrlError::Scheme),
        }
    }
}

impl Default for BackendUrl {
    fn default() -> Self {
        let runtime = crate::runtime::settings::RuntimeSettings::default();
        Self {
            address: runtime.backend,
            tls: false,
            database: runtime.database,
            credentials: runtime.credentials,
        }
    }
}

impl fmt::Display for BackendUrl {
    /// The URL with `(set)` for the password. It reads as the same URL again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.address {
            ServerAddress::Tcp { .. } if self.tls => "rediss",
            ServerAddress::Tcp { .. } => "redis",
            ServerAddress::Unix(_) => "unix",
        };
        write!(f, "{scheme}://")?;
        let BackendCredentials { user, password } = &self.credentials;
        if user.is_some() || password.is_some() {
            f.write_str(&encoded(user.as_deref().unwrap_or_default()))?;
            f.write_str(if password.is_some() { ":(set)@" } else { "@" })?;
        }
        match &self.address {
            ServerAddress::Tcp { host, port } if host.contains(':') => {
                write!(f, "[{}]:{port}", encoded(host).replace("%3A", ":"))?;
            }
            ServerAddress::Tcp { host, port } => write!(f, "{host}:{port}")?,
            ServerAddress::Unix(path) => {
                let path = path.display().to_string();
                f.write_str(&encoded(&path).replace("%2F", "/"))?;
            }
        }
        match (&self.address, self.database) {
            (ServerAddress::Unix(_), 0) => Ok(()),
            (ServerAddress::Unix(_), db) => write!(f, "?db={db}"),
            (ServerAddress::Tcp { .. }, db) => write!(f, "/{db}"),
        }
    }
}

/// Parts of a URL, still encoded: `[user[:password]@]place[/path][?query]`.
struct Parts<'a> {
    user: &'a str,
    password: &'a str,
    place: &'a str,
    path: &'a str,
    query: &'a str,
}

fn split(rest: &str) -> Result<Parts<'_>, UrlError> {
    if rest.contains('#') {
        return Err(UrlError::Unencoded);
    }
    let (body, query) = rest.split_once('?').unwrap_or((rest, ""));
    let slash = body.find('/').unwrap_or(body.len());
    let (authority, path) = body.split_at_checked(slash).ok_or(UrlError::Host)?;
    let (login, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    Ok(Parts {
        user,
        password,
        place,
        path,
        query,
    })
}

fn tcp(rest: &str) -> Result<BackendUrl, UrlError> {
    let parts = split(rest)?;
    // An @ behind the place where a host should end: the login was cut short by a raw / or ?.
    if parts.path.contains('@') || parts.query.contains('@') {
        return Err(UrlError::Unencoded);
    }
    let (host, port) = host_and_port(parts.place)?;
    let path = match parts.path.strip_prefix('/') {
        None | Some("") => None,
        Some(db) => Some(database(db)?),
    };
    with_query(&parts, path, ServerAddress::Tcp { host, port })
}

fn unix(rest: &str) -> Result<BackendUrl, UrlError> {
    let parts = split(rest)?;
    if !parts.place.is_empty() {
        return Err(UrlError::Path);
    }
    let path = decoded(parts.path)?;
    let path = socket_path(&path).map_err(|_| UrlError::Path)?;
    with_query(&parts, None, ServerAddress::Unix(path))
}

/// Adds what the query holds to what came before it; nothing may be said twice.
fn with_query(
    parts: &Parts<'_>,
    mut db: Option<u32>,
    address: ServerAddress,
) -> Result<BackendUrl, UrlError> {
    let mut user = given(parts.user)?;
    let mut password = given(parts.password)?.map(SecretString::from);
    for pair in parts.query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(UrlError::Parameter)?;
        match name {
            "db" => once(&mut db, Some(database(value)?))?,
            "user" | "username" => once(&mut user, given(value)?)?,
            "password" | "pass" => once(&mut password, given(value)?.map(SecretString::from))?,
            _ => return Err(UrlError::Parameter),
        }
    }
    Ok(BackendUrl {
        address,
        tls: false,
        database: db.unwrap_or(0),
        credentials: BackendCredentials { user, password },
    })
}

/// Fills `place` with `value`, if there is one and the place is free.
fn once<T>(place: &mut Option<T>, value: Option<T>) -> Result<(), UrlError> {
    match (place.is_some(), value) {
        (_, None) => Ok(()),
        (true, Some(_)) => Err(UrlError::Twice),
        (false, value) => {
            *place = value;
            Ok(())
        }
    }
}

fn given(encoded: &str) -> Result<Option<String>, UrlError> {
    let text = decoded(encoded)?;
    Ok((!text.is_empty()).then_some(text))
}

fn host_and_port(place: &str) -> Result<(String, u16), UrlError> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or(UrlError::Host)?;
            let host = decoded(host)?;
            // A zone (`%eth0`) is the resolver's business.
            let address = host.split('%').next().unwrap_or_default();
            address.parse::<Ipv6Addr>().map_err(|_| UrlError::Host)?;
            match after {
                "" => (host, ""),
                _ => (host, after.strip_prefix(':').ok_or(UrlError::Port)?),
            }
        }
        None => {
            let (host, port) = place.split_once(':').unwrap_or((place, ""));
            let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
            if host.is_empty() || !host.bytes().all(legal) {
                return Err(UrlError::Host);
            }
            (host.to_owned(), port)
        }
    };
    match port {
        "" => Ok((host, DEFAULT_PORT)),
        _ => match whole(port).and_then(|port| u16::try_from(port).ok()) {
            None | Some(0) => Err(UrlError::Port),
            Some(port) => Ok((host, port)),
        },
    }
}

fn database(text: &str) -> Result<u32, UrlError> {
    let number = whole(text).ok_or(UrlError::Database)?;
    i32::try_from(number).map_err(|_| UrlError::Database)?;
    Ok(number)
}

/// Digits only: `parse` alone would take a sign.
fn whole(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Percent-decoding. A `+` stays one: passwords in base64 hold it.
fn decoded(text: &str) -> Result<String, UrlError> {
    // The decoder would leave a % alone that no two digits follow.
    let is_code = |after: &str| {
        let code = after.as_bytes().first_chunk::<2>();
        code.is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(is_code) {
        return Err(UrlError::Percent);
    }
    let text = percent_decode_str(text).decode_utf8();
    text.map(Cow::into_owned).map_err(|_| UrlError::Percent)
}

/// Percent-encoding of what would end a part of a URL, of blanks and of control characters.
fn encoded(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() || letter.is_whitespace() || "%/?#@:&=[]".contains(letter) {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                shown.push_str(&format!("%{byte:02X}"));
            }
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Redis' own.
const DEFAULT_PORT: u16 = 6379;

#[cfg(test)]
mod tests;
