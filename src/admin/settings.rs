//! What an operator may set of the admin endpoints.

use std::net::{Ipv4Addr, SocketAddr};

/// The port unless told otherwise: 6380 as the exporters number theirs. Not 9121, which is
/// redis_exporter's and may well be taken on a machine where narrows runs.
const PORT: u16 = 9380;

/// Settings of the admin endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where they are served; `None`: nowhere. Port 0 takes a free one.
    pub listen: Option<SocketAddr>,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))),
        }
    }
}
