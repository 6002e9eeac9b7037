//! What the server says of itself, as the control connection last heard it. Written by that alone;
//! always the server's raw figures, and nothing where nothing is known.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// Whether the server answers narrows' own health check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Health {
    /// It has not been asked yet.
    #[default]
    Unknown,
    /// It does.
    Answering,
    /// It does not, for this reason.
    Silent(String),
}

/// Figures of the server's `INFO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerFigures {
    /// `connected_clients`
    pub connected_clients: Option<u64>,
    /// `maxclients`
    pub maxclients: Option<u64>,
    /// `blocked_clients`
    pub blocked_clients: Option<u64>,
    /// `used_memory`, in bytes
    pub used_memory: Option<u64>,
    /// `maxmemory`, in bytes; 0 is none
    pub maxmemory: Option<u64>,
    /// `evicted_keys`
    pub evicted_keys: Option<u64>,
}

impl ServerFigures {
    /// Takes what one section of `INFO` says. Lines that are no figure known here are passed over.
    pub fn read(&mut self, section: &str) {
        for line in section.lines() {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let figure = match name {
                "connected_clients" => &mut self.connected_clients,
                "maxclients" => &mut self.maxclients,
                "blocked_clients" => &mut self.blocked_clients,
                "used_memory" => &mut self.used_memory,
                "maxmemory" => &mut self.maxmemory,
                "evicted_keys" => &mut self.evicted_keys,
                _ => continue,
            };
            *figure = value.trim().parse().ok();
        }
    }
}

/// What is known of the server now.
#[derive(Debug, Default)]
pub struct Server(Mutex<(Health, ServerFigures)>, AtomicBool);

impl Server {
    /// It has answered the health check.
    pub fn answers(&self) {
        self.0.lock().0 = Health::Answering;
    }

    /// It does not answer the health check: nothing is known of it any more.
    pub fn is_silent(&self, why: &str) {
        *self.0.lock() = (Health::Silent(why.to_owned()), ServerFigures::default());
    }

    /// It has said this of itself.
    pub fn said(&self, figures: ServerFigures) {
        self.0.lock().1 = figures;
    }

    /// Whether what it would say of itself it says to nobody who has not logged in.
    pub fn needs_login(&self, needs: bool) {
        self.1.store(needs, Ordering::Relaxed);
    }

    /// See [`Server::needs_login`].
    pub fn is_login_needed(&self) -> bool {
        self.1.load(Ordering::Relaxed)
    }

    /// Whether it answers, and what it said last.
    pub fn state(&self) -> (Health, ServerFigures) {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_any_section_and_what_is_missing_is_not_a_zero() {
        let server = Server::default();
        let mut figures = ServerFigures::default();
        figures
            .read("# Clients\r\nconnected_clients:12\r\nmaxclients:100\r\nblocked_clients:x\r\n");
        figures.read("# Memory\r\nused_memory:1024\r\nused_memory_human:1K\r\nmaxmemory:0\r\n");
        assert_eq!(figures.connected_clients, Some(12));
        assert_eq!(
            (figures.maxmemory, figures.used_memory),
            (Some(0), Some(1024))
        );
        assert_eq!(
            (figures.blocked_clients, figures.evicted_keys),
            (None, None)
        );
        server.said(figures);
        server.answers();
        assert_eq!(server.state(), (Health::Answering, figures));
        server.is_silent("gone");
        let silent = Health::Silent("gone".to_owned());
        assert_eq!(server.state(), (silent, ServerFigures::default()));
    }
}
