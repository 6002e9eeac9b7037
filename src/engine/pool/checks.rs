//! Checks of a backend: a `PING` with a word that no other reply holds.

use std::time::Duration;

use crate::engine::cx::Cx;
use crate::engine::key::BackendId;
use crate::engine::planted::{self, Bug};
use crate::engine::slot::Receiver;
use crate::resp::write;

use super::Pool;
use super::backend::{Backend, Phase, Rotation};
use super::check::{Check, is_answer, text};

impl Pool {
    /// Asks a backend for a sign of life, with a new word.
    pub fn ping(&mut self, cx: &mut Cx, id: BackendId) {
        let now = cx.now;
        if self.backends.get(id).is_none_or(|b| b.check.word.is_some()) {
            return;
        }
        let request = self.check_request(cx, id);
        if let Some(backend) = self.backends.get_mut(id) {
            backend.send_own(Receiver::Ping, &request, now);
            self.mark_backend(id);
        }
    }

    /// A request with a new word, which the backend is to give back.
    pub fn check_request(&mut self, cx: &mut Cx, id: BackendId) -> Vec<u8> {
        let word = cx.jitter.bits();
        if let Some(backend) = self.backends.get_mut(id) {
            backend.check = Check {
                at: cx.now,
                word: Some(word),
            };
        }
        let mut request = Vec::with_capacity(48);
        write::request(&mut request, &[b"PING", text(word).as_bytes()]);
        request
    }

    /// Whether `reply` is the answer to the last check.
    pub fn is_in_step(&mut self, id: BackendId, reply: &[u8]) -> bool {
        let word = self.backends.get_mut(id).and_then(|b| b.check.word.take());
        word.is_some_and(|word| is_answer(reply, word)) || planted::has(Bug::WordIgnored)
    }
}

impl Backend {
    /// When a backend that is never idle is due for one; `None` while one is under way or
    /// must not be sent.
    pub fn check_due(&self, interval: Duration) -> Option<Duration> {
        let shared = matches!(
            self.phase,
            Phase::Pipe {
                rotation: Rotation::Open,
                ..
            }
        );
        (shared && self.check.word.is_none() && !interval.is_zero())
            .then(|| self.check.at + interval)
    }
}
