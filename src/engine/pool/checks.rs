//! Checks of a backend: a `PING` with a token that no other reply holds.

use std::time::Duration;

use crate::admission::fault_injection::{self, Bug};
use crate::engine::cx::Cx;
use crate::engine::key::BackendId;
use crate::engine::slot::Receiver;
use crate::resp::write;

use super::Pool;
use super::backend::{Backend, Phase, PipeState};
use super::check::{Check, is_answer, text};
use super::idle::is_idle;

impl Pool {
    /// Asks a backend for a sign of life, with a new token.
    pub fn ping(&mut self, cx: &mut Cx, id: BackendId) {
        let now = cx.now;
        if self
            .backends
            .get(id)
            .is_none_or(|b| b.check.token.is_some())
        {
            return;
        }
        let request = self.check_request(cx, id);
        if let Some(backend) = self.backends.get_mut(id) {
            backend.send_own(Receiver::Ping, &request, now);
            self.mark_backend(id);
        }
    }

    /// Connections kept ready of which nothing has been heard for so long are asked for a sign of life,
    /// and are nobody's until it is here: one connection is found to say nothing, and they may be as
    /// dead. A write that went to one of them would be taken for one that is paused.
    pub fn ask_unheard(&mut self, cx: &mut Cx, length: Duration) {
        let unheard = |(_, backend): &(BackendId, &Backend)| {
            let silent = cx.now.saturating_sub(backend.heard_at) >= length;
            silent && is_idle(backend) && backend.is_quiet()
        };
        let unheard: Vec<BackendId> = (self.backends.iter().filter(unheard))
            .map(|(id, _)| id)
            .collect();
        for id in unheard {
            self.ping(cx, id);
        }
    }

    /// A request with a new token, which the backend is to give back.
    pub fn check_request(&mut self, cx: &mut Cx, id: BackendId) -> Vec<u8> {
        let token = cx.jitter.bits();
        if let Some(backend) = self.backends.get_mut(id) {
            backend.check = Check {
                at: cx.now,
                token: Some(token),
            };
        }
        let mut request = Vec::with_capacity(48);
        write::request(&mut request, &[b"PING", text(token).as_bytes()]);
        request
    }

    /// Whether `reply` is the answer to the last check.
    pub fn is_in_step(&mut self, id: BackendId, reply: &[u8]) -> bool {
        let token = self.backends.get_mut(id).and_then(|b| b.check.token.take());
        token.is_some_and(|token| is_answer(reply, token))
            || fault_injection::has(Bug::TokenIgnored)
    }
}

impl Backend {
    /// When a backend that is never idle is due for one; `None` while one is under way or
    /// must not be sent.
    pub fn check_due(&self, interval: Duration) -> Option<Duration> {
        let shared = matches!(
            self.phase,
            Phase::Pipe {
                state: PipeState::Open,
                ..
            }
        );
        (shared && self.check.token.is_none() && !interval.is_zero())
            .then(|| self.check.at + interval)
    }
}
