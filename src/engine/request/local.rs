//! Commands that are answered here, each at its turn: when all earlier replies of the
//! client are in, and not before.

use std::sync::Arc;

use crate::command::{Local, PolicyVerdict, Spec};
use crate::resp::{Args, Argument, Frame, Protocol, Refusal, write};
use crate::session::access::BackendLogin;
use crate::session::{self, LocalAnswer, ReplyMode};
use crate::telemetry::{ClientCloseReason, Way};

use crate::engine::Engine;
use crate::engine::clients::Client;
use crate::engine::clients::hold::{Ending, Hold, RequestOutcome};
use crate::engine::context::Context;
use crate::engine::effect::WorkerQuery;
use crate::engine::fanout::pending::Purpose;
use crate::engine::fault_injection::{self, Bug};
use crate::engine::key::ClientId;
use crate::engine::pool::handshake::hello_for_client;
use crate::engine::pool::waiting::REFUSED_DB;
use crate::engine::reach::{Gate, Traffic};

impl Engine {
    /// Answers `command`, a request of its own client's session.
    pub fn local(
        &mut self,
        id: ClientId,
        bytes: &[u8],
        spec: &Spec,
        command: Local,
    ) -> RequestOutcome {
        let Some(client) = self.clients.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        if let Some(hold) = client.not_its_turn(self.cx.rules.settings.clients.output_pause_bytes) {
            return client.hold(hold);
        }
        // Redis remembers what it has looked up, whatever becomes of it.
        client.last_command.set(&spec.name);
        let rules = Arc::clone(&self.cx.rules);
        if let Some(outcome) = self.traffic().ask_permission(id, &rules, spec, command) {
            return outcome;
        }
        let Some(client) = self.clients.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        let mut args = Args::new(bytes);
        args.next();
        if spec.container().is_some() {
            args.next();
        }
        let mut reply = Vec::new();
        // `CLIENT REPLY` decides itself whether it is answered.
        let mode = client.session.reply_mode;
        let names_bytes = client.session.names_bytes();
        let answer = match session::answer(command, &mut client.session, args, &mut reply) {
            Ok(answer) => answer,
            Err(refusal) => return self.clients.refuse(&mut self.cx, id, &refusal),
        };
        self.clients.renamed(&mut self.cx, id, names_bytes);
        let Some(client) = self.clients.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        let silent = match &answer {
            LocalAnswer::Done if command == Local::ClientReply => false,
            LocalAnswer::Done => client.session.reply_mode.begin_command(),
            // It ends `OFF` before it answers, but `SKIP` outlives it.
            LocalAnswer::Reset => mode == ReplyMode::SkipNext,
            LocalAnswer::Close => mode != ReplyMode::On,
            _ => return self.carry_out(id, spec, answer),
        };
        if matches!(answer, LocalAnswer::Reset) {
            self.traffic().begin_unauthenticated(id);
        }
        let cx = &mut self.cx;
        let outcome = self.clients.finish_local(cx, id, spec, &reply, silent);
        if !matches!(answer, LocalAnswer::Close) {
            return outcome;
        }
        self.clients.closes_for(id, ClientCloseReason::Quit);
        self.clients.end(&mut self.cx, id, Ending::AfterOutput);
        RequestOutcome::Ended
    }

    /// What remains to be done for a local command.
    fn carry_out(&mut self, id: ClientId, spec: &Spec, answer: LocalAnswer) -> RequestOutcome {
        match answer {
            // Dealt with by the caller.
            LocalAnswer::Done | LocalAnswer::Reset | LocalAnswer::Close => RequestOutcome::Taken,
            LocalAnswer::Hello {
                protocol,
                name,
                login,
            } => self.gate().hello(id, spec, protocol, name, login),
            LocalAnswer::LogIn(login) => match self.gate().log_in(id, login) {
                Ok(()) => self
                    .clients
                    .finish_fan_out(&mut self.cx, id, spec, |_, out| write::status(out, "OK")),
                Err(outcome) => outcome,
            },
            LocalAnswer::Select { db } => self.traffic().select(id, spec, db),
            LocalAnswer::Info => self.clients.own_line(&mut self.cx, id, spec),
            LocalAnswer::List(filter) => self.fan_out(id, WorkerQuery::List(filter), Purpose::List),
            LocalAnswer::Unblock { id: of, with_error } => {
                self.fan_out(id, WorkerQuery::Unblock(of, with_error), Purpose::Unblock)
            }
            LocalAnswer::Kill(filter, form) => {
                if let Some(user) = &filter.user
                    && !self.cx.rules.access.knows(user)
                {
                    return self.clients.refuse(
                        &mut self.cx,
                        id,
                        &Refusal::Argument(Argument::NoSuchUser { user }),
                    );
                }
                let query = WorkerQuery::Kill(filter);
                self.fan_out(id, query, Purpose::Kill(form))
            }
        }
    }

    /// A name that the table does not have. The backend's `COMMAND` is asked at most once
    /// a second; a name that it does not know either is unknown to the server.
    pub fn unknown(
        &mut self,
        id: ClientId,
        rules: &crate::engine::Rules,
        bytes: &[u8],
        frame: &Frame,
    ) -> RequestOutcome {
        let name = Args::new(bytes).next().unwrap_or_default();
        match self
            .clients
            .policy(id, rules)
            .verdict_of_unknown(name, None)
        {
            PolicyVerdict::Allowed => {}
            PolicyVerdict::Evades => {
                return self
                    .clients
                    .refuse_queued(&mut self.cx, id, &Refusal::Scripts);
            }
            PolicyVerdict::Denied => {
                let command = &*String::from_utf8_lossy(name).to_ascii_lowercase();
                return self.clients.refuse_queued(
                    &mut self.cx,
                    id,
                    &Refusal::Forbidden { command },
                );
            }
        }
        let Some(client) = self.clients.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        if client.in_flight > 0 {
            return client.hold(Hold::Replies);
        }
        let waited = client.head.since().is_some();
        if !waited && self.clients.commands_may_be_asked(&self.cx) {
            return self.clients.ask_control(&mut self.cx, id);
        }
        if rules.commands.is_learned() {
            return self.clients.refuse_queued(
                &mut self.cx,
                id,
                &Refusal::UnknownCommand { frame: bytes },
            );
        }
        // Nobody can say what it does to its connection.
        let spec = Spec::unknown(&String::from_utf8_lossy(name).to_ascii_lowercase());
        self.known(id, rules, bytes, frame, &spec)
    }
}

impl Gate<'_> {
    /// `HELLO`: the server's own reply, which needs a backend of that protocol once.
    fn hello(
        &mut self,
        id: ClientId,
        spec: &Spec,
        protocol: Protocol,
        name: Option<Box<[u8]>>,
        login: Option<BackendLogin>,
    ) -> RequestOutcome {
        let logged_in = match login {
            Some(login) => self.log_in(id, login).err(),
            None => self.unauthenticated(id, &Refusal::HelloNoAuth, true),
        };
        if let Some(outcome) = logged_in {
            return outcome;
        }
        let Some(client) = self.clients.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        let context = Context {
            credential: client.credential,
            protocol,
            db: client.session.db,
        };
        let Some(reply) = self.pool.endpoint().hello(protocol) else {
            return self.traffic().ask_server(id, spec, context);
        };
        let mut reply = hello_for_client(reply, client.session.id);
        if let Some(role) = self.pool.endpoint().role(self.cx) {
            role.put_into(&mut reply);
        }
        client.session.protocol = protocol;
        let names_bytes = client.session.names_bytes();
        if let Some(name) = name {
            client
                .session
                .set_name(session::client_names::NameOf::Client, &name);
        }
        self.clients.renamed(self.cx, id, names_bytes);
        let Some(client) = self.clients.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        let silent = client.session.reply_mode.begin_command();
        self.traffic().enter_context(id);
        self.clients.finish_local(self.cx, id, spec, &reply, silent)
    }
}

impl Traffic<'_> {
    /// `SELECT`: a db that the server has accepted before needs no question.
    fn select(&mut self, id: ClientId, spec: &Spec, db: u32) -> RequestOutcome {
        let Some(client) = self.clients.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        if !self.pool.is_db_known(db) {
            let context = Context {
                credential: client.credential,
                protocol: client.session.protocol,
                db,
            };
            return self.ask_server(id, spec, context);
        }
        client.session.db = db;
        let silent = client.session.reply_mode.begin_command();
        self.enter_context(id);
        self.clients
            .finish_local(self.cx, id, spec, b"+OK\r\n", silent)
    }

    /// Only a backend set to `context` can tell: its refusal is the answer, or else the
    /// request is judged again once there is one.
    fn ask_server(&mut self, id: ClientId, spec: &Spec, context: Context) -> RequestOutcome {
        let now = self.cx.now;
        let key = self.pool.context_key(context);
        if let Some(pool) = self.pool.context_pool(key)
            && let Some((error, at)) = &pool.refusal
            && now.saturating_sub(*at) < REFUSED_DB
        {
            let error = error.clone();
            let Some(client) = self.clients.get_mut(id) else {
                return RequestOutcome::Ended;
            };
            client.active_at = now;
            self.cx.counters.went(Way::Local);
            if !client.session.reply_mode.begin_command() {
                self.clients
                    .reply_with(id, |out| out.extend_from_slice(&error));
            }
            return RequestOutcome::Taken;
        }
        // A server that is busy takes HELLO, and before Valkey 9 no SELECT.
        if spec.local() == Some(Local::Select)
            && let Some(outcome) = self.clients.answer_busy(self.cx, id, spec)
        {
            return outcome;
        }
        let outcome = self.wait_in(id, key);
        if outcome == RequestOutcome::Taken {
            // It was told that no backend could be had. What it has sent behind was meant for
            // another db or protocol and must not run in this one.
            self.clients.closes_for(id, ClientCloseReason::Refused);
            self.clients.end(self.cx, id, Ending::AfterOutput);
            return RequestOutcome::Ended;
        }
        outcome
    }
}

impl Client {
    /// Why a request that is answered here has to wait, if it has to.
    fn not_its_turn(&self, output_pause_bytes: usize) -> Option<Hold> {
        if self.in_flight > 0 && !fault_injection::has(Bug::LocalTooEarly) {
            Some(Hold::Replies)
        } else if self.out.len() > output_pause_bytes {
            // A short request can have an answer of megabytes.
            Some(Hold::Output)
        } else {
            None
        }
    }

    /// Whether it neither owes a reply nor is owed one.
    pub fn is_quiet(&self) -> bool {
        self.in_flight == 0
            && self.stream.is_none()
            && self.head.hold.is_none()
            && self.out.is_empty()
    }
}
