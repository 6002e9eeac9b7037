//! What the server says of itself, as control asks it now and then: figures for whoever looks, and
//! how near it is to its own bound on clients, beyond which nothing grows.

use crate::resp::{Element, element};
use crate::telemetry::ServerFigures;

use super::control::Control;
use super::dial::BackendSocket;

impl Control {
    /// Reads what the server says of itself. Before Redis 7 `INFO` takes one section at a time.
    pub(super) async fn poll(&mut self, socket: &mut BackendSocket) -> Result<(), String> {
        let mut figures = ServerFigures::default();
        for section in [b"clients".as_slice(), b"memory", b"stats"] {
            let reply = self.ask(socket, &[b"INFO", section]).await?;
            self.asking.heard_figures(&reply);
            if let Some(Element::Text(text)) = element(&reply) {
                figures.read(&String::from_utf8_lossy(text));
            }
        }
        self.server.said(figures);
        self.watch_maxclients(&figures);
        Ok(())
    }

    /// Near the server's own `maxclients` nothing grows.
    fn watch_maxclients(&self, figures: &ServerFigures) {
        let figures = figures.connected_clients.zip(figures.maxclients);
        let figures = figures.map(|(connected, max)| (connected as f64, max as f64));
        if figures.is_none() && self.asking.is_wanting() {
            self.budget.stop_growth(false);
        } else if figures.is_none() && self.budget.growth_stopped() {
            tracing::warn!("INFO clients cannot be read: the server's maxclients is not watched");
            self.budget.stop_growth(false);
        }
        if let Some((connected, max)) = figures {
            self.budget.server_said(connected as u64, max as u64);
            let change = max * self.current.settings().maxclients_high_water;
            let others = connected - f64::from(self.budget.held());
            // A figure below zero or above all becomes the nearest there is.
            self.budget.limit_growth((change - others.max(0.0)) as u32);
            let near = connected >= change;
            if near && !self.budget.growth_stopped() {
                tracing::warn!(connected, max, "near the server's maxclients: no growth");
            }
            self.budget.stop_growth(near);
        }
    }
}
