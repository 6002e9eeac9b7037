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
    /// Clients that wait for a backend.
    pub waiting: u64,
}

/// Whether an `INFO` with these arguments gets the `# Narrows` section.
pub fn asks_for_narrows<'a>(mut sections: impl Iterator<Item = &'a [u8]>) -> bool {
    sections.any(|s| s.eq_ignore_ascii_case(b"narrows") || s.eq_ignore_ascii_case(b"everything"))
}

/// The text of `INFO` as the client is to see it.
pub fn rewrite(text: &[u8], figures: &ClientFigures, with_section: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 512);
    let mut raw_connected: &[u8] = b"";
    let mut raw_maxclients: &[u8] = b"";
    for line in text.split_inclusive(|b| *b == b'\n') {
        let (name, value) = match line.iter().position(|b| *b == b':') {
            Some(colon) => line.split_at(colon),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii_end();
        let own = match name {
            b"connected_clients" => {
                raw_connected = value;
                figures.connected
            }
            b"maxclients" => {
                raw_maxclients = value;
                figures.max_clients
            }
            // Nothing blocks, subscribes, watches or tracks through narrows yet; the
            // server's own figures speak of connections that are not ours.
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
        let _ = write!(
            out,
            "# Narrows\r\nnarrows_version:{}\r\nnarrows_clients:{}\r\nnarrows_max_clients:{}\r\n\
             narrows_backends:{}\r\nnarrows_max_backends:{}\r\nnarrows_in_flight:{}\r\n\
             narrows_waiting:{}\r\n",
            env!("CARGO_PKG_VERSION"),
            figures.connected,
            figures.max_clients,
            figures.backends,
            figures.backends_max,
            figures.in_flight,
            figures.waiting
        );
        for (name, value) in [
            (&b"server_connected_clients"[..], raw_connected),
            (b"server_maxclients", raw_maxclients),
        ] {
            if !value.is_empty() {
                out.extend_from_slice(name);
                out.push(b':');
                out.extend_from_slice(value);
                out.extend_from_slice(b"\r\n");
            }
        }
    }
    out
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
        waiting: 0,
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
        assert!(out.ends_with("server_connected_clients:4\r\nserver_maxclients:100\r\n"));
    }

    #[test]
    fn the_section_is_shown_to_those_who_ask() {
        assert!(asks_for_narrows([&b"NARROWS"[..]].into_iter()));
        assert!(asks_for_narrows([&b"cpu"[..], b"everything"].into_iter()));
        assert!(!asks_for_narrows([&b"all"[..]].into_iter()));
    }
}
