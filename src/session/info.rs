//! `INFO` for a client of narrows: the server's own reply, with the fields that count
//! connections made true for whoever asks through narrows.

use std::io::Write;

/// What narrows knows better than the server, for one `INFO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientFigures {
    /// Clients connected to narrows.
    pub connected: u64,
    /// The bound on them.
    pub max_clients: u64,
    /// Backend connections held now, of every kind.
    pub backends: u64,
    /// The bound on them.
    pub backends_max: u64,
    /// Requests forwarded and not yet answered.
    pub in_flight: u64,
    /// Clients whose command waits on the server.
    pub blocked: u64,
    /// Clients that watch keys.
    pub watching: u64,
    /// Clients that are subscribed to something.
    pub subscribed: u64,
    /// Clients whose keys are tracked.
    pub tracking: u64,
    /// Clients that wait for a backend.
    pub waiting: u64,
    /// Connections to the server that were begun, and those of them that failed.
    pub dials: u64,
    /// See `dials`.
    pub dials_failed: u64,
    /// Backends closed for what they did. 0 on a healthy server.
    pub poisoned: u64,
    /// Requests dealt with again after their backend was lost.
    pub replays: u64,
    /// Backends taken from one context for another.
    pub context_switches: u64,
    /// Errors that narrows itself has answered.
    pub refusals: u64,
    /// Clients closed because they did not read, or because memory was short.
    pub closed_for_limits: u64,
    /// Clients closed by a limit, by reason.
    pub closed: ClosedClients,
    /// Connections that were closed before they became clients, by reason.
    pub turned_away: [(&'static str, u64); 7],
    /// What the server last said of itself: clients connected to it, and its `maxclients`.
    pub server: Option<(u64, u64)>,
}

/// Clients that were closed by a limit, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClosedClients {
    /// They did not read their replies.
    pub output: u64,
    /// All buffers together were too large, and theirs the largest.
    pub memory: u64,
    /// They sat in a transaction.
    pub in_transaction: u64,
    /// They said nothing.
    pub idle: u64,
    /// They did not log in.
    pub login: u64,
}

impl ClientFigures {
    /// Adds what another worker has counted.
    pub fn add(&mut self, more: &Self) {
        self.connected += more.connected;
        self.in_flight += more.in_flight;
        self.blocked += more.blocked;
        self.watching += more.watching;
        self.subscribed += more.subscribed;
        self.tracking += more.tracking;
        self.waiting += more.waiting;
        self.dials += more.dials;
        self.dials_failed += more.dials_failed;
        self.poisoned += more.poisoned;
        self.replays += more.replays;
        self.context_switches += more.context_switches;
        self.refusals += more.refusals;
        self.closed_for_limits += more.closed_for_limits;
        self.closed.output += more.closed.output;
        self.closed.memory += more.closed.memory;
        self.closed.in_transaction += more.closed.in_transaction;
        self.closed.idle += more.closed.idle;
        self.closed.login += more.closed.login;
    }
}

/// Whether an `INFO` with these arguments gets the `# Narrows` section.
pub fn asks_for_narrows<'a>(mut sections: impl Iterator<Item = &'a [u8]>) -> bool {
    sections.any(|s| s.eq_ignore_ascii_case(b"narrows") || s.eq_ignore_ascii_case(b"everything"))
}

/// The text of the server's reply to `INFO`; `None` when that is an error.
pub fn text_of(reply: &[u8]) -> Option<&[u8]> {
    let end = reply.iter().position(|b| *b == b'\n')?;
    let text = reply.get(end + 1..reply.len().checked_sub(2)?)?;
    match reply.first()? {
        b'$' => Some(text),
        b'=' => Some(text.strip_prefix(b"txt:").unwrap_or(text)),
        _ => None,
    }
}

/// The text of `INFO` as the client is to see it.
pub fn rewrite(text: &[u8], figures: &ClientFigures, with_section: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 512);
    for line in text.split_inclusive(|b| *b == b'\n') {
        let name = match line.iter().position(|b| *b == b':') {
            Some(colon) => line.get(..colon).unwrap_or_default(),
            None => line,
        };
        let own = match name {
            b"connected_clients" => figures.connected,
            b"maxclients" => figures.max_clients,
            b"blocked_clients" => figures.blocked,
            b"watching_clients" => figures.watching,
            b"pubsub_clients" => figures.subscribed,
            b"tracking_clients" => figures.tracking,
            _ => {
                out.extend_from_slice(line);
                continue;
            }
        };
        out.extend_from_slice(name);
        // Writing to a Vec cannot fail.
        let _ = write!(out, ":{own}\r\n");
    }
    if with_section {
        if !out.is_empty() {
            out.extend_from_slice(b"\r\n");
        }
        write_section(&mut out, figures);
    }
    out
}

fn write_section(out: &mut Vec<u8>, figures: &ClientFigures) {
    out.extend_from_slice(b"# Narrows\r\n");
    let version = env!("CARGO_PKG_VERSION");
    // Writing to a Vec cannot fail.
    let _ = write!(out, "narrows_version:{version}\r\n");
    for (name, value) in [
        ("clients", figures.connected),
        ("max_clients", figures.max_clients),
        ("backends", figures.backends),
        ("max_backends", figures.backends_max),
        ("in_flight", figures.in_flight),
        ("waiting", figures.waiting),
        ("dials_total", figures.dials),
        ("dials_failed_total", figures.dials_failed),
        ("backends_poisoned_total", figures.poisoned),
        ("replays_total", figures.replays),
        ("context_switches_total", figures.context_switches),
        ("refusals_total", figures.refusals),
        ("clients_closed_for_limits_total", figures.closed_for_limits),
        ("clients_closed_output_total", figures.closed.output),
        ("clients_closed_memory_total", figures.closed.memory),
        (
            "clients_closed_in_transaction_total",
            figures.closed.in_transaction,
        ),
        ("clients_closed_idle_total", figures.closed.idle),
        ("clients_closed_login_total", figures.closed.login),
    ] {
        let _ = write!(out, "narrows_{name}:{value}\r\n");
    }
    for (reason, count) in figures.turned_away {
        let _ = write!(out, "narrows_turned_away_{reason}_total:{count}\r\n");
    }
    if let Some((connected, max)) = figures.server {
        let _ = write!(
            out,
            "server_connected_clients:{connected}\r\nserver_maxclients:{max}\r\n"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIGURES: ClientFigures = ClientFigures {
        connected: 1200,
        max_clients: 10_000,
        backends: 4,
        backends_max: 16,
        in_flight: 3,
        server: Some((4, 100)),
        waiting: 0,
        dials: 0,
        dials_failed: 0,
        blocked: 0,
        watching: 0,
        subscribed: 0,
        tracking: 0,
        poisoned: 0,
        replays: 0,
        context_switches: 0,
        refusals: 0,
        closed_for_limits: 0,
        closed: ClosedClients {
            output: 0,
            memory: 0,
            in_transaction: 0,
            idle: 4,
            login: 0,
        },
        turned_away: [
            ("a", 0),
            ("b", 1),
            ("c", 2),
            ("d", 3),
            ("e", 4),
            ("f", 5),
            ("g", 6),
        ],
    };

    #[test]
    fn connection_counts_are_those_of_narrows_and_nothing_else_changes() {
        let text =
            b"# Clients\r\nconnected_clients:4\r\ncluster_connections:0\r\nmaxclients:100\r\n";
        assert_eq!(
            rewrite(text, &FIGURES, false),
            b"# Clients\r\nconnected_clients:1200\r\ncluster_connections:0\r\nmaxclients:10000\r\n"
        );
        let other = b"# Server\r\nredis_version:7.0.15\r\n\r\n# Memory\r\nused_memory:1\r\n";
        assert_eq!(rewrite(other, &FIGURES, false), other);
    }

    #[test]
    fn the_section_of_narrows_holds_the_servers_raw_figures() {
        let text = b"# Clients\r\nconnected_clients:4\r\nmaxclients:100\r\n";
        let out = String::from_utf8(rewrite(text, &FIGURES, true)).unwrap();
        assert!(out.contains("\r\n\r\n# Narrows\r\n"));
        assert!(out.contains("narrows_clients:1200\r\n"));
        assert!(out.contains("narrows_clients_closed_idle_total:4\r\n"));
        assert!(out.contains("narrows_turned_away_c_total:2\r\n"));
        assert!(out.ends_with("server_connected_clients:4\r\nserver_maxclients:100\r\n"));
    }

    #[test]
    fn the_section_is_shown_to_those_who_ask() {
        assert!(asks_for_narrows([&b"NARROWS"[..]].into_iter()));
        assert!(asks_for_narrows([&b"cpu"[..], b"everything"].into_iter()));
        assert!(!asks_for_narrows([&b"all"[..]].into_iter()));
    }
}
