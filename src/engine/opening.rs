//! From a dialled socket to a backend in its context: results of dials, the steps of a
//! handshake or switch, and what follows when one fails.

use std::time::Duration;

use super::event::EngineEvent;
use super::fault_injection::{self, Bug};
use super::key::{BackendId, ContextId, LoginId};
use super::pool::backend::{AcquireRequest, Phase};
use super::pool::close_reason::CloseReason;
use super::pool::handshake::{self, Failure, Handshake, HandshakeStep, HandshakeVerdict};
use super::reach::{Blocking, Gate, Traffic};
use super::server_role::Role;
use super::slot::Receiver;

/// How soon a server that is busy with a script is asked for another db again.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

impl Gate<'_> {
    /// One reply of a handshake has come, whole.
    pub fn handshake_reply(&mut self, id: BackendId, step: HandshakeStep, reply: &[u8]) {
        if step == HandshakeStep::Check && !self.pool.is_in_step(id, reply) {
            return self.pool.close_backend(self.cx, id, CloseReason::OutOfStep);
        }
        let Some(backend) = self.pool.backends.get_mut(id) else {
            return;
        };
        let endpoint = backend.endpoint();
        let Phase::Handshake(handshake) = &mut backend.phase else {
            return self
                .pool
                .close_backend(self.cx, id, CloseReason::Unsolicited);
        };
        let Some(target) = self.pool.contexts.get(handshake.target) else {
            return self.pool.close_backend(self.cx, id, CloseReason::Retired);
        };
        handshake.steps_left = handshake.steps_left.saturating_sub(1);
        let verdict = match step {
            HandshakeStep::Check => HandshakeVerdict::Fine,
            _ => handshake::judge(step, reply, target),
        };
        match verdict {
            HandshakeVerdict::Failed(failure) => {
                handshake.failure.get_or_insert(failure);
            }
            // An old server's refusal of HELLO is what its clients get as well.
            HandshakeVerdict::Fine if step == HandshakeStep::Hello => {
                backend.server_id = handshake::id_of(reply).or(backend.server_id);
                let timeout = self.cx.rules.settings.backend.handshake_timeout;
                let asked = handshake.deadline.saturating_sub(timeout);
                if let Some(role) = Role::in_hello(reply) {
                    let shared = &self.cx.shared.role;
                    shared.heard(endpoint, role, asked, self.cx.now);
                }
                self.pool
                    .endpoint
                    .hello
                    .set(target.protocol, reply.to_vec());
            }
            HandshakeVerdict::Fine => {}
        }
        // Only a refused db leaves the connection of any use; and a server that refuses the
        // connection says so once and closes it.
        let hopeless = |failure: &Failure| {
            !matches!(
                failure,
                Failure::Db(_) | Failure::Busy(_) | Failure::Login(_)
            )
        };
        if handshake.steps_left == 0 || handshake.failure.as_ref().is_some_and(hopeless) {
            self.handshake_over(id);
        }
    }

    pub fn handshake_over(&mut self, id: BackendId) {
        let now = self.cx.now;
        let Some(backend) = self.pool.backends.get_mut(id) else {
            return;
        };
        let Phase::Handshake(handshake) = &mut backend.phase else {
            return;
        };
        let (target, failure) = (handshake.target, handshake.failure.take());
        let checked = match backend.made_for {
            Some(AcquireRequest::Login(check)) => Some(check),
            _ => None,
        };
        let Some(failure) = failure else {
            backend.enter(&mut self.pool.contexts, target);
            if let Some(check) = checked {
                return self.login_checked(id, check);
            }
            self.pool.accepted(target);
            self.pool.endpoint.backoff.succeeded();
            self.pool.endpoint.credentials_refused = false;
            self.pool.endpoint.cluster = false;
            self.pool.make_spare(self.cx, id);
            return;
        };
        match failure {
            Failure::Db(reply) => {
                if !self.pool.has_no_right_to_select(self.cx, id, &reply) {
                    self.pool.context_refused(target, reply, now);
                    self.traffic().wake_all(target);
                }
                self.traffic().stays_where_it_was(id, target);
            }
            Failure::Busy(reply) => self.traffic().too_busy(id, target, &reply),
            Failure::Protocol(reply) | Failure::DbBefore(reply) => {
                self.pool.context_refused(target, reply, now);
                self.traffic().wake_all(target);
                self.pool.close_backend(self.cx, id, CloseReason::Handshake);
            }
            Failure::Cluster => self.is_a_cluster(id),
            Failure::Login(reply) => self.login_not_taken(id, checked, &reply),
            Failure::Credentials(text) if checked.is_some() => {
                if let Some(check) = checked {
                    self.login_refused(check, format!("-{text}\r\n").as_bytes());
                }
                self.pool
                    .close_backend(self.cx, id, CloseReason::LoginRefused);
            }
            Failure::Credentials(text) if !self.pool.is_own(id) => {
                self.traffic().user_refused(id, &text)
            }
            Failure::Credentials(text) => {
                if !std::mem::replace(&mut self.pool.endpoint.credentials_refused, true) {
                    tracing::error!(error = text, "the server refuses narrows' credentials");
                }
                self.pool.dial_ended_badly(self.cx, text);
                self.pool.close_backend(self.cx, id, CloseReason::Handshake);
            }
            Failure::Refused(text) => {
                tracing::warn!(error = text, "the server refuses the connection");
                self.pool.dial_ended_badly(self.cx, text);
                self.pool.close_backend(self.cx, id, CloseReason::Handshake);
            }
        }
        self.cx.wake_at(now);
    }

    /// The server does not take a login, and leaves the connection as it was.
    fn login_not_taken(&mut self, id: BackendId, checked: Option<LoginId>, reply: &[u8]) {
        if let Some(check) = checked {
            self.login_refused(check, reply);
        }
        self.pool.make_spare(self.cx, id);
    }

    fn is_a_cluster(&mut self, id: BackendId) {
        tracing::error!("the backend is a Redis Cluster node, which is not supported");
        self.pool.endpoint.cluster = true;
        self.pool
            .dial_ended_badly(self.cx, "the backend is a Redis Cluster node".to_owned());
        self.pool.close_backend(self.cx, id, CloseReason::Handshake);
        self.traffic().wake_everyone();
        let checks: Vec<LoginId> = self.auth.ids().collect();
        for check in checks {
            self.login_over(check);
        }
    }
}

impl Blocking<'_> {
    /// Sets a quiet backend to `context` for `request`.
    pub fn switch(&mut self, id: BackendId, request: AcquireRequest, context: ContextId) {
        let Some(backend) = self.pool.backends.get_mut(id) else {
            return;
        };
        backend.made_for = Some(request);
        let from = self.pool.contexts.get(backend.context());
        let to = self.pool.contexts.get(context);
        let (Some(from), Some(to)) = (from, to) else {
            return self.pool.close_backend(self.cx, id, CloseReason::Retired);
        };
        let mut steps = handshake::switch(from, to);
        if !steps.is_empty() {
            steps.push((HandshakeStep::Check, self.pool.check_request(self.cx, id)));
        }
        if fault_injection::has(Bug::SwitchNotAwaited) {
            return self.switch_without_waiting(id, request, context, steps);
        }
        self.traffic().begin_handshake(id, context, steps, false);
    }
}

impl Traffic<'_> {
    pub fn begin_handshake(
        &mut self,
        id: BackendId,
        target: ContextId,
        steps: Vec<(HandshakeStep, Vec<u8>)>,
        fresh: bool,
    ) {
        let now = self.cx.now;
        let deadline = now + self.cx.rules.settings.backend.handshake_timeout;
        let Some(backend) = self.pool.backends.get_mut(id) else {
            return;
        };
        assert!(
            backend.is_quiet(),
            "one context while anything is in flight"
        );
        backend.assert_own(&self.pool.contexts, target);
        backend.phase = Phase::Handshake(Handshake {
            target,
            deadline,
            steps_left: steps.len(),
            failure: None,
            fresh,
        });
        let empty = steps.is_empty();
        for (step, request) in steps {
            backend.send_own(Receiver::Handshake(step), &request, now);
        }
        self.pool.mark_backend(id);
        self.cx.wake_at(deadline);
        if empty {
            self.cx.events.push_back(EngineEvent::HandshakeOver(id));
        }
    }

    /// The server says that it is busy: that is the reply to whoever waits, and nothing about the db.
    fn too_busy(&mut self, id: BackendId, target: ContextId, reply: &[u8]) {
        self.heard_busy(reply);
        self.pool.endpoint.switch_at = self.cx.now + BUSY_PAUSE;
        self.stays_where_it_was(id, target);
        self.wake_all(target);
    }

    /// The server has not set the connection to `target`'s db. It is as good as before: a new one
    /// is in db 0, another one where it was.
    fn stays_where_it_was(&mut self, id: BackendId, target: ContextId) {
        let Some(backend) = self.pool.backends.get_mut(id) else {
            return;
        };
        let fresh = matches!(&backend.phase, Phase::Handshake(h) if h.fresh);
        let previous = self.pool.contexts.get(backend.context());
        let aimed_at = self.pool.contexts.get(target);
        let (Some(previous), Some(aimed_at)) = (previous, aimed_at) else {
            return self.pool.close_backend(self.cx, id, CloseReason::Retired);
        };
        let reached = super::context::Context {
            credential: aimed_at.credential,
            protocol: aimed_at.protocol,
            db: if fresh { 0 } else { previous.db },
        };
        let reached = self.pool.contexts.key(reached);
        self.pool.accepted(reached);
        if let Some(backend) = self.pool.backends.get_mut(id) {
            backend.enter(&mut self.pool.contexts, reached);
        }
        self.pool.endpoint.backoff.succeeded();
        self.pool.make_spare(self.cx, id);
    }

    pub fn wake_everyone(&mut self) {
        let ids: Vec<ContextId> = self.pool.endpoint.pools.waited_for().collect();
        for id in ids {
            self.wake_all(id);
        }
    }
}
