//! By which way one whole request goes: the one match over the routes for a client that holds no
//! backend of its own. `lent.rs` has the other one.

use crate::command::{Bracket as Verb, Local, Lookup, Pin, Route, Spec, Subcommands, Verdict};
use crate::resp::{Args, Frame, Refusal};
use crate::session::{feed, info};

use super::clients::Client;
use super::clients::hold::Outcome;
use super::key::ClientId;
use super::lease::lent::LeaseFor;
use super::request::name_of;
use super::slot::Receiver;
use super::{Engine, Rules};

impl Engine {
    /// One whole canonical request.
    pub(super) fn request(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        frame: &Frame,
    ) -> Outcome {
        let name = name_of(bytes, frame);
        match rules.commands.lookup(bytes, name, frame.argc) {
            Lookup::Known(spec) => self.known(id, rules, bytes, frame, spec),
            Lookup::UnknownSubcommand(container) => {
                let subcommand = Args::new(bytes).nth(1).unwrap_or_default();
                let command = &container.name;
                let policy = self.clients.policy(id, rules);
                match policy.verdict_of_unknown(name, Some(subcommand)) {
                    Verdict::Allowed => {}
                    Verdict::Evades => return self.refuse_queued(id, &Refusal::Scripts),
                    Verdict::Denied => {
                        return self.refuse_queued(id, &Refusal::Forbidden { command });
                    }
                }
                if container.subcommands != Subcommands::All {
                    return self.known(id, rules, bytes, frame, container);
                }
                let refusal = Refusal::UnknownSubcommand {
                    command,
                    subcommand,
                };
                self.refuse_queued(id, &refusal)
            }
            Lookup::Withheld(container) => {
                let subcommand = Args::new(bytes).nth(1).unwrap_or_default();
                let command = &container.name;
                let refusal = Refusal::UnknownSubcommand {
                    command,
                    subcommand,
                };
                self.refuse_queued(id, &refusal)
            }
            // To clients that is no command, and the server is not asked for it.
            Lookup::Unknown if self.clients.policy(id, rules).renames().hides(name) => {
                self.refuse_queued(id, &Refusal::UnknownCommand { frame: bytes })
            }
            Lookup::Unknown if !self.clients.get(id).is_none_or(Client::is_in) => {
                self.unknown_to_strangers(id, rules, bytes, frame)
            }
            Lookup::Unknown => self.unknown(id, rules, bytes, frame),
        }
    }

    pub(super) fn known(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        frame: &Frame,
        spec: &Spec,
    ) -> Outcome {
        if self.clients.is_plain(&self.cx, id, rules, spec) {
            return self.forward(id, rules, bytes, spec, Receiver::Client);
        }
        let outcome = self.judged(id, rules, bytes, frame, spec);
        // Redis remembers what it has looked up, whatever has become of it.
        if matches!(outcome, Outcome::Taken | Outcome::TakenAlone)
            && let Some(client) = self.clients.get_mut(id)
        {
            let known = spec.on_server != Some(false);
            client
                .last_command
                .set(if known { &spec.name } else { "NULL" });
        }
        outcome
    }

    /// What becomes of a request that does not just go down a pipe.
    fn judged(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        frame: &Frame,
        spec: &Spec,
    ) -> Outcome {
        if !self.clients.get(id).is_none_or(Client::is_in)
            && let Some(outcome) = self.at_the_door(id, bytes, frame, spec)
        {
            return outcome;
        }
        if let Some(refusal) = self.clients.forbidden(id, rules, spec) {
            if let Some(outcome) = self.refused_by_server(id, rules, bytes, spec) {
                return outcome;
            }
            return self.refuse_queued(id, &refusal);
        }
        if let Some(outcome) = self.clients.held_up(&mut self.cx, id, spec, frame.argc) {
            return outcome;
        }
        let client = self.clients.get(id);
        if client.is_some_and(Client::has_session_lease) {
            return self.on_lease(id, (rules, bytes, frame), spec);
        }
        if client.is_some_and(|client| client.session.lost.multi())
            && let Some(outcome) = self.after_lost_multi(id, spec)
        {
            return outcome;
        }
        self.by_route(id, (rules, bytes, frame), spec)
    }

    /// A request that may be carried, by a client without a backend of its own.
    fn by_route(
        &mut self,
        id: ClientId,
        (rules, bytes, frame): (&Rules, &[u8], &Frame),
        spec: &Spec,
    ) -> Outcome {
        let command = &*spec.name;
        match spec.route_of(bytes) {
            Route::Shared if rules.policy.is_dedicated(spec) => {
                self.needs_lease(id, bytes, frame, spec, LeaseFor::Blocking)
            }
            Route::Restricted => {
                let receiver = Receiver::of_plain(Route::Restricted, spec, bytes);
                self.forward(id, rules, bytes, spec, receiver)
            }
            Route::Shared | Route::Unpins(_) => {
                self.forward(id, rules, bytes, spec, Receiver::Client)
            }
            Route::Info => self.forward_info(id, rules, bytes, spec),
            // The server's own text: it knows its own version best.
            Route::Local(Local::ClientHelp) => {
                self.forward(id, rules, bytes, spec, Receiver::Client)
            }
            Route::Local(local) => self.local(id, bytes, frame, spec, local),
            Route::NotForwarded => {
                let refusal = Refusal::NotForwarded { command };
                self.not_carried(id, bytes, frame, spec, &refusal)
            }
            Route::Bracket(Verb::Multi) if spec.accepts(frame.argc) => Outcome::Block,
            Route::Bracket(Verb::Watch | Verb::Multi) => {
                self.needs_lease(id, bytes, frame, spec, LeaseFor::Bracket)
            }
            // Nothing is open: the server says so, on any connection.
            Route::Bracket(Verb::Exec) => self.forward(id, rules, bytes, spec, Receiver::Client),
            // What it does to a watch that was lost its reply tells.
            Route::Bracket(Verb::Unwatch) if self.clients.has_lost_watch(id) => {
                self.needs_lease(id, bytes, frame, spec, LeaseFor::Bracket)
            }
            Route::Bracket(Verb::Discard | Verb::Unwatch) => {
                self.forward(id, rules, bytes, spec, Receiver::Client)
            }
            Route::Blocking => self.needs_lease(id, bytes, frame, spec, LeaseFor::Blocking),
            Route::Subscriber | Route::Pinned(Pin::Monitor) => {
                self.needs_lease(id, bytes, frame, spec, LeaseFor::Feed)
            }
            Route::Pinned(Pin::Tracking) if feed::is_redirected(Args::new(bytes)) => {
                self.not_carried(id, bytes, frame, spec, &Refusal::TrackingRedirect)
            }
            Route::OwnConnection => self.errand(id, rules, bytes, frame, spec),
            Route::Pinned(_) => self.needs_lease(id, bytes, frame, spec, LeaseFor::Pin),
        }
    }

    /// `INFO`: its reply comes round by the other workers.
    fn forward_info(&mut self, id: ClientId, rules: &Rules, bytes: &[u8], spec: &Spec) -> Outcome {
        let section = info::asks_for_narrows(Args::new(bytes).skip(1));
        let receiver = Receiver::ClientInfo { section };
        let outcome = self.forward(id, rules, bytes, spec, receiver);
        self.clients.alone_if_held(id, outcome)
    }
}
