//! Clients that log in: to users of the configuration, or to the server's own. Nobody runs as
//! anybody else, the server's ACL is the only truth where it has the users, and a login in the
//! steady state costs no new connection.

mod crowd;
mod local;
mod own_rights;
mod passthrough;
mod rights;
mod unconfigured;

use crate::support::setup;
use crate::support::{Flavor, Narrows, RedisServer};

/// A server whose default user is off, with users of its own: `admin` may everything, `alice` and
/// `bob` each have their keys and nothing of `@admin`.
fn server_with_users(flavor: Flavor) -> RedisServer {
    let server = RedisServer::start_flavor(
        flavor,
        &["--user", "default", "on", "nopass", "~*", "&*", "+@all"],
    );
    let mut admin = server.connect();
    for rules in [
        &["admin", "on", ">adminpw", "~*", "&*", "+@all"][..],
        &["alice", "on", ">alicepw", "~a:*", "&*", "+@all", "-@admin"],
        &["bob", "on", ">bobpw", "~b:*", "&*", "+@all", "-@admin"],
        &["default", "off", "resetpass"],
    ] {
        let command: Vec<&str> = ["ACL", "SETUSER"].iter().chain(rules).copied().collect();
        admin.expect(&command, "+OK\r\n");
    }
    server
}

/// narrows in front of it, with the server's users and a login of its own.
fn passthrough(server: &RedisServer, settings: &str) -> Narrows {
    let url = format!("redis://admin:adminpw@{}", server.address());
    let settings = format!("[auth]\nmode = \"passthrough\"\n{settings}");
    setup::narrows(&url, &settings, &[])
}
