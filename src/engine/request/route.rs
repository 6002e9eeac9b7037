//! By which way one whole request goes: what is plain goes down a pipe, of everything else the session
//! decides what it means now, and that is executed here.

use crate::command::{Lookup, PolicyVerdict, Spec, Subcommands};
use crate::resp::{Args, Frame, Refusal};
use crate::session::step::{Incoming, Step, Until, decide};

use crate::engine::clients::hold::{Hold, RequestOutcome};
use crate::engine::key::ClientId;
use crate::engine::request::name_of;
use crate::engine::slot::Receiver;
use crate::engine::{Engine, Rules};

impl Engine {
    /// One whole canonical request.
    pub fn request(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        frame: &Frame,
    ) -> RequestOutcome {
        let name = name_of(bytes, frame);
        match rules.commands.lookup(bytes, name, frame.argc) {
            Lookup::Known(spec) => self.known(id, rules, bytes, frame, spec),
            Lookup::UnknownSubcommand(container) => {
                let subcommand = Args::new(bytes).nth(1).unwrap_or_default();
                let command = &container.name;
                let policy = self.clients.policy(id, rules);
                match policy.verdict_of_unknown(name, Some(subcommand)) {
                    PolicyVerdict::Allowed => {}
                    PolicyVerdict::Evades => {
                        return self
                            .clients
                            .refuse_queued(&mut self.cx, id, &Refusal::Scripts);
                    }
                    PolicyVerdict::Denied => {
                        return self.clients.refuse_queued(
                            &mut self.cx,
                            id,
                            &Refusal::Forbidden { command },
                        );
                    }
                }
                if container.subcommands != Subcommands::All {
                    return self.known(id, rules, bytes, frame, container);
                }
                let refusal = Refusal::UnknownSubcommand {
                    command,
                    subcommand,
                };
                self.clients.refuse_queued(&mut self.cx, id, &refusal)
            }
            Lookup::Withheld(container) => {
                let subcommand = Args::new(bytes).nth(1).unwrap_or_default();
                let command = &container.name;
                let refusal = Refusal::UnknownSubcommand {
                    command,
                    subcommand,
                };
                self.clients.refuse_queued(&mut self.cx, id, &refusal)
            }
            // To clients that is no command, and the server is not asked for it.
            Lookup::Unknown if self.clients.policy(id, rules).renames().hides(name) => self
                .clients
                .refuse_queued(&mut self.cx, id, &Refusal::UnknownCommand { frame: bytes }),
            Lookup::Unknown => match self.gate().unknown_unauthenticated(id, rules, bytes) {
                Some(outcome) => outcome,
                None => self.unknown(id, rules, bytes, frame),
            },
        }
    }

    /// A request of a known command, or of one that is taken for such.
    pub(super) fn known(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        frame: &Frame,
        spec: &Spec,
    ) -> RequestOutcome {
        if self.clients.is_plain(&self.cx, id, rules, spec) {
            return self
                .traffic()
                .forward(id, rules, bytes, spec, Receiver::Client);
        }
        let outcome = self.judged(id, rules, bytes, frame, spec);
        // Redis remembers what it has looked up, whatever has become of it.
        if matches!(outcome, RequestOutcome::Taken | RequestOutcome::TakenAlone)
            && let Some(client) = self.clients.get_mut(id)
        {
            let known = spec.on_server != Some(false);
            client
                .last_command
                .set(if known { &spec.name } else { "NULL" });
        }
        outcome
    }

    /// What becomes of a request that does not just go down a pipe. It is decided once, or twice where
    /// what it depends on has become known by that: that its client need not log in, or that it has
    /// given up what it had lost.
    fn judged(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        frame: &Frame,
        spec: &Spec,
    ) -> RequestOutcome {
        loop {
            let Some(view) = self.clients.view_of(&self.cx, id) else {
                return RequestOutcome::Ended;
            };
            let forbidden = self.clients.forbidden(id, rules, spec);
            let step = decide(&view, rules.incoming(bytes, frame, spec, forbidden));
            if let Some(outcome) = self.execute(id, rules, bytes, spec, step) {
                return outcome;
            }
        }
    }

    /// `None`: it is to be decided anew.
    fn execute(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        spec: &Spec,
        step: Step<'_>,
    ) -> Option<RequestOutcome> {
        Some(match step {
            Step::Hold(Until::Replies) => self.clients.hold(id, Hold::Replies),
            Step::Hold(Until::PauseEnds) => self.clients.hold_for_pause(&mut self.cx, id),
            Step::Refuse(refusal) => self.clients.refuse_queued(&mut self.cx, id, &refusal),
            Step::AskWhoMay { refusal, matters } => {
                return self
                    .gate()
                    .ask_for_unauthenticated(id, &refusal, matters)
                    .err();
            }
            Step::Forward(reply) => {
                let receiver = Receiver::of(reply, bytes);
                let outcome = self.traffic().forward(id, rules, bytes, spec, receiver);
                self.clients.alone_if_held(id, outcome)
            }
            Step::SendOnLease(reply) => {
                let receiver = Receiver::of(reply, bytes);
                let outcome = self
                    .traffic()
                    .send_on_lease(id, rules, bytes, spec, receiver);
                self.clients.alone_if_held(id, outcome)
            }
            Step::Lease(need) => self.blocking().wait_for_lease(id, need.into()),
            Step::StandInLine(waiting) => self.blocking().stand_in_line(id, bytes, spec, waiting),
            Step::WaitOnLease => self.lending().wait_on_lease(id, rules, bytes, spec),
            Step::OwnConnection { refusal } => self.own_connection(id, rules, bytes, spec, refusal),
            Step::WholeTransaction => RequestOutcome::WholeTransaction,
            Step::Transact(change) => self.traffic().transact(id, rules, bytes, spec, change),
            Step::Queue(queue_as) => self.traffic().queue(id, rules, bytes, spec, queue_as),
            Step::Local(local) => self.local(id, bytes, spec, local),
            // It is answered from the session when what its client holds is left behind.
            Step::Leave(local) => match self.lending().leave_lease(id) {
                RequestOutcome::Held => RequestOutcome::Held,
                _ => self.local(id, bytes, spec, local),
            },
            Step::Switch(local) => self.switch_leased(id, rules, bytes, spec, local),
            Step::Subscribe(verb) => self.lending().subscribe(id, rules, bytes, spec, verb),
            Step::PushStream(change) => self.lending().begin(id, rules, bytes, spec, change),
            Step::Pin(change) => self.lending().pin(id, rules, bytes, spec, change),
            Step::EndLost(end) => return self.traffic().end_lost(id, spec, end),
        })
    }
}

impl Rules {
    /// What there is to know of a request, whose client may not use the command if it is `forbidden`.
    pub fn incoming<'r>(
        &self,
        bytes: &'r [u8],
        frame: &Frame,
        spec: &'r Spec,
        forbidden: Option<Refusal<'r>>,
    ) -> Incoming<'r> {
        Incoming {
            spec,
            bytes,
            argc: frame.argc,
            forbidden,
            is_dedicated: self.policy.is_dedicated(spec),
            is_never_in_multi: self.commands.is_never_in_multi(spec),
        }
    }
}
