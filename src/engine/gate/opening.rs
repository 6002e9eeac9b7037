//! From a dialled socket to a backend in its context: results of dials, the steps of a
//! handshake or switch, and what follows when one fails.

use std::time::Duration;

use crate::engine::event::EngineEvent;
use crate::engine::fault_injection::{self, Bug};
use crate::engine::key::{BackendId, ContextId, CredentialId, LoginId};
use crate::engine::pool::backend::{AcquireRequest, Phase};
use crate::engine::pool::close_reason::CloseReason;
use crate::engine::pool::handshake::{self, Failure, Handshake, HandshakeStep};
use crate::engine::reach::{Blocking, Gate, Traffic};
use crate::engine::slot::Receiver;

/// How soon a server that is busy with a script is asked for another db again.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

impl Gate<'_> {
    /// One reply of a handshake has come, whole.
    pub fn handshake_reply(&mut self, id: BackendId, step: HandshakeStep, reply: &[u8]) {
        if self.pool.handshake_reply(self.cx, id, step, reply) {
            self.handshake_over(id);
        }
    }

    pub fn handshake_over(&mut self, id: BackendId) {
        let now = self.cx.now;
        let Some(backend) = self.pool.backend_mut(id) else {
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
            self.pool.set_context(id, target);
            if let Some(check) = checked {
                return self.login_checked(id, check);
            }
            self.pool.accepted(target);
            self.pool.endpoint_mut().has_taken_us();
            self.pool.make_idle(self.cx, id);
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
            Failure::AnotherUser(user) => self.is_another_user(id, checked, &user),
            Failure::Cluster => self.is_a_cluster(id),
            Failure::Login(reply) => self.login_not_taken(id, checked, &reply),
            Failure::Credentials(text) if checked.is_some() || !self.pool.is_own(id) => {
                self.credentials_refused(id, checked, &text);
            }
            Failure::Credentials(text) => {
                if self.pool.endpoint_mut().refuses_credentials() {
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
        self.pool.make_idle(self.cx, id);
    }

    /// The server refuses a user that is not narrows' own.
    fn credentials_refused(&mut self, id: BackendId, checked: Option<LoginId>, text: &str) {
        let Some(check) = checked else {
            return self.traffic().user_refused(id, text);
        };
        self.login_refused(check, format!("-{text}\r\n").as_bytes());
        self.pool
            .close_backend(self.cx, id, CloseReason::LoginRefused);
    }

    /// The server takes the connection for another user than the one that it is for.
    fn is_another_user(&mut self, id: BackendId, checked: Option<LoginId>, user: &str) {
        let of_backend = self.pool.backend(id).map(|backend| backend.credential());
        if of_backend != Some(CredentialId::ANONYMOUS) {
            if self.pool.is_own(id) {
                tracing::warn!(
                    user,
                    "narrows is another user of the server than before: its connections are made anew"
                );
                self.cx.events.push_back(EngineEvent::OwnIsAnother);
            }
            let text = format!("narrows is another user of the server than before: {user}");
            self.pool.dial_ended_badly(self.cx, text);
            return self.pool.close_backend(self.cx, id, CloseReason::Handshake);
        }
        tracing::error!(
            user,
            "the server takes narrows' certificate for this user, and clients that have not logged in \
             would be that: they are refused"
        );
        let text = format!("NOAUTH narrows is the user {user} here by its certificate");
        self.credentials_refused(id, checked, &text);
    }

    fn is_a_cluster(&mut self, id: BackendId) {
        tracing::error!("the backend is a Redis Cluster node, which is not supported");
        self.pool.endpoint_mut().is_cluster();
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
        let Some(backend) = self.pool.backend(id) else {
            return;
        };
        let from = self.pool.context(backend.context());
        let to = self.pool.context(context);
        let (Some(from), Some(to)) = (from, to) else {
            return self.pool.close_backend(self.cx, id, CloseReason::Retired);
        };
        self.pool.make_for(id, request);
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
        self.pool.assert_own(id, target);
        let Some(backend) = self.pool.backend_mut(id) else {
            return;
        };
        assert!(
            backend.is_quiet(),
            "one context while anything is in flight"
        );
        backend.phase = Phase::Handshake(Handshake {
            target,
            deadline,
            steps_left: steps.len(),
            failure: None,
            fresh,
            was_reset: false,
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
        let at = self.cx.now + BUSY_PAUSE;
        self.pool.endpoint_mut().no_switch_before(at);
        self.stays_where_it_was(id, target);
        self.wake_all(target);
    }

    /// The server has not set the connection to `target`'s db. It is as good as before: a new one
    /// is in db 0, another one where it was.
    fn stays_where_it_was(&mut self, id: BackendId, target: ContextId) {
        let Some(backend) = self.pool.backend(id) else {
            return;
        };
        let fresh = matches!(&backend.phase, Phase::Handshake(h) if h.fresh);
        let previous = self.pool.context(backend.context());
        let aimed_at = self.pool.context(target);
        let (Some(previous), Some(aimed_at)) = (previous, aimed_at) else {
            return self.pool.close_backend(self.cx, id, CloseReason::Retired);
        };
        let reached = crate::engine::context::Context {
            credential: aimed_at.credential,
            protocol: aimed_at.protocol,
            db: if fresh { 0 } else { previous.db },
        };
        let reached = self.pool.context_key(reached);
        self.pool.accepted(reached);
        self.pool.set_context(id, reached);
        self.pool.endpoint_mut().was_reached();
        self.pool.make_idle(self.cx, id);
    }

    pub fn wake_everyone(&mut self) {
        let ids: Vec<ContextId> = self.pool.waited_for();
        for id in ids {
            self.wake_all(id);
        }
    }
}
