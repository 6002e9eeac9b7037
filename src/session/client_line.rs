//! One line of `CLIENT LIST`, in the format of Redis 7.2 (`catClientInfoString`,
//! networking.c), so that what an operator's scripts pick out of it stays where it was.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::Arc;

use crate::resp::Protocol;

use super::Session;
use super::client_names::NameOf;
use super::push_stream::Subscriptions;

/// Where a client comes from and where it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientAddress {
    /// A TCP connection over IPv4.
    Tcp4 {
        /// The client's end.
        peer: SocketAddrV4,
        /// Our end.
        local: Arc<SocketAddr>,
    },
    /// A TCP connection over IPv6.
    Tcp6(Box<Tcp6Ends>),
    /// A unix socket, by its path.
    Unix(Arc<Box<str>>),
}

/// The ends of a connection over IPv6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tcp6Ends {
    peer: SocketAddrV6,
    local: Arc<SocketAddr>,
}

impl ClientAddress {
    /// A TCP connection, from its client's end to ours.
    pub fn tcp(peer: SocketAddr, local: Arc<SocketAddr>) -> Self {
        match peer {
            SocketAddr::V4(peer) => Self::Tcp4 { peer, local },
            SocketAddr::V6(peer) => Self::Tcp6(Box::new(Tcp6Ends { peer, local })),
        }
    }

    /// The address that it comes from; `None`: this machine, by a unix socket.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp4 { peer, .. } => Some((*peer.ip()).into()),
            Self::Tcp6(ends) => Some((*ends.peer.ip()).into()),
            Self::Unix(_) => None,
        }
    }

    /// `addr=`: as Redis prints it, `ip:port`, `[ip6]:port` or `path:0`.
    pub fn peer(&self) -> String {
        match self {
            Self::Tcp4 { peer, .. } => peer.to_string(),
            Self::Tcp6(ends) => ends.peer.to_string(),
            Self::Unix(path) => format!("{path}:0"),
        }
    }

    /// `laddr=`.
    pub fn local(&self) -> String {
        match self {
            Self::Tcp4 { local, .. } => local.to_string(),
            Self::Tcp6(ends) => ends.local.to_string(),
            Self::Unix(path) => format!("{path}:0"),
        }
    }
}

/// A client as seen by whoever lists clients.
#[derive(Debug)]
pub struct ClientView<'a> {
    /// Its virtual state.
    pub session: &'a Session,
    /// Its addresses.
    pub address: &'a ClientAddress,
    /// Seconds since it connected.
    pub age_seconds: u64,
    /// Seconds since its last command.
    pub idle_seconds: u64,
    /// Name of its last command, lower case; `NULL` before the first.
    pub last_command: &'a str,
    /// Bytes received and not yet forwarded.
    pub query_bytes: usize,
    /// Reply bytes not yet sent.
    pub output_bytes: usize,
    /// Whether a command of it waits on the server.
    pub blocked: bool,
    /// What it is subscribed to.
    pub subscriptions: Subscriptions,
    /// Whether it is sent what `MONITOR` shows.
    pub monitoring: bool,
    /// Whether the keys that it reads are tracked.
    pub tracking: bool,
    /// Commands queued since `MULTI`; `None` outside of one.
    pub queued: Option<u32>,
    /// Whether it will be closed once its replies are out.
    pub closing: bool,
}

impl ClientView<'_> {
    /// Appends the line, without a line end.
    pub fn write(&self, out: &mut Vec<u8>) {
        let s = self.session;
        let mut flags = String::new();
        for (flag, holds) in [
            ('O', self.monitoring),
            ('P', self.subscriptions.any()),
            ('x', self.queued.is_some()),
            ('b', self.blocked),
            ('t', self.tracking),
            ('c', self.closing),
        ] {
            if holds {
                flags.push(flag);
            }
        }
        if s.no_evict {
            flags.push('e');
        }
        if matches!(self.address, ClientAddress::Unix(_)) {
            flags.push('U');
        }
        if flags.is_empty() {
            flags.push('N');
        }
        // Writing to a Vec cannot fail.
        let _ = write!(
            out,
            "id={} addr={} laddr={} fd={} name=",
            s.id,
            self.address.peer(),
            self.address.local(),
            s.id
        );
        out.extend_from_slice(s.name(NameOf::Client));
        let memory = self.query_bytes + self.output_bytes + size_of::<Session>();
        let _ = write!(
            out,
            " age={} idle={} flags={flags} db={} sub={} psub={} ssub={} multi={} qbuf={} qbuf-free=0 \
             argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll={} omem={} tot-mem={memory} events=r \
             cmd={} user=",
            self.age_seconds,
            self.idle_seconds,
            s.db,
            self.subscriptions.channels,
            self.subscriptions.patterns,
            self.subscriptions.shards,
            self.queued.map_or(-1, i64::from),
            self.query_bytes,
            u8::from(self.output_bytes > 0),
            self.output_bytes,
            self.last_command,
        );
        out.extend_from_slice(s.user());
        let resp = match s.protocol {
            Protocol::Resp2 => 2,
            Protocol::Resp3 => 3,
        };
        let redirect = if self.tracking { 0 } else { -1 };
        let _ = write!(out, " redir={redirect} resp={resp}");
        out.extend_from_slice(b" lib-name=");
        out.extend_from_slice(s.name(NameOf::Library));
        out.extend_from_slice(b" lib-ver=");
        out.extend_from_slice(s.name(NameOf::LibraryVersion));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_the_fields_of_redis_in_their_order() {
        let mut session = Session::new(12, 3);
        session.set_name(NameOf::Client, b"web");
        session.set_name(NameOf::Library, b"redis-py");
        let view = ClientView {
            session: &session,
            address: &ClientAddress::tcp(
                ([10, 0, 0, 1], 5000).into(),
                Arc::new(([10, 0, 0, 2], 6380).into()),
            ),
            age_seconds: 9,
            idle_seconds: 4,
            last_command: "get",
            query_bytes: 0,
            output_bytes: 7,
            blocked: false,
            subscriptions: Subscriptions::default(),
            monitoring: false,
            tracking: false,
            queued: None,
            closing: false,
        };
        let mut out = Vec::new();
        view.write(&mut out);
        let line = String::from_utf8(out).unwrap();
        assert!(line.starts_with(
            "id=12 addr=10.0.0.1:5000 laddr=10.0.0.2:6380 fd=12 name=web age=9 idle=4 flags=N db=3 "
        ));
        assert!(line.contains(" omem=7 "));
        assert!(line.ends_with(" cmd=get user=default redir=-1 resp=2 lib-name=redis-py lib-ver="));
    }
}
