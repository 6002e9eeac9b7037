//! Where things are: the server's URL and the addresses for clients.

use std::net::SocketAddr;

use super::{Kind, Raw, Wrong, toml_string};
use crate::config::listen;
use crate::config::url::BackendUrl;
use crate::runtime::settings::Listen;

/// The URL of the server.
pub(in crate::config) fn url() -> Url {
    Url
}

/// One address for clients.
pub(in crate::config) fn address() -> ListenAddress {
    ListenAddress
}

/// A TCP address; the empty string is none.
pub(in crate::config) fn tcp_address() -> OptionalTcpAddress {
    OptionalTcpAddress
}

/// See [`url`].
pub(in crate::config) struct Url;

impl Kind for Url {
    type Value = BackendUrl;

    fn read(&self, raw: Raw<'_>) -> Result<BackendUrl, Vec<Wrong>> {
        let text = raw.text().map_err(|wrong| vec![wrong])?;
        text.parse()
            .map_err(|why| vec![Wrong::new(format!("{why}"))])
    }

    fn allowed(&self) -> String {
        "redis:// or rediss://[user:password@]host[:port][/db], or unix:///path[?db=n]".to_owned()
    }

    fn show(&self, value: &BackendUrl) -> String {
        toml_string(&value.to_string())
    }
}

/// See [`address`].
pub(in crate::config) struct ListenAddress;

impl Kind for ListenAddress {
    type Value = Listen;

    fn read(&self, raw: Raw<'_>) -> Result<Listen, Vec<Wrong>> {
        let text = raw.text().map_err(|wrong| vec![wrong])?;
        listen::parse(text).map_err(|why| vec![Wrong::new(why)])
    }

    fn allowed(&self) -> String {
        "address:port, [address]:port, tls:address:port or unix:/path".to_owned()
    }

    fn show(&self, value: &Listen) -> String {
        toml_string(&listen::show(value))
    }
}

/// See [`tcp_address`].
pub(in crate::config) struct OptionalTcpAddress;

impl Kind for OptionalTcpAddress {
    type Value = Option<SocketAddr>;

    fn read(&self, raw: Raw<'_>) -> Result<Option<SocketAddr>, Vec<Wrong>> {
        let text = raw.text().map_err(|wrong| vec![wrong])?;
        if text.is_empty() {
            return Ok(None);
        }
        match listen::parse(text) {
            Ok(Listen::Tcp(address)) => Ok(Some(address)),
            Ok(Listen::Tls(_)) => Err(vec![Wrong::new("TLS cannot be spoken here")]),
            Ok(Listen::Unix(_)) => Err(vec![Wrong::new("a unix socket cannot be used here")]),
            Err(why) => Err(vec![Wrong::new(why)]),
        }
    }

    fn allowed(&self) -> String {
        "address:port or [address]:port, or \"\" for none".to_owned()
    }

    fn show(&self, value: &Option<SocketAddr>) -> String {
        let shown = value.map(|address| address.to_string());
        toml_string(&shown.unwrap_or_default())
    }
}
