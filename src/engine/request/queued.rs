//! Commands inside `MULTI` that narrows answers itself, or whose answers it makes true for its own
//! clients. Each takes its place in the queue, as what does no harm where it is narrows' own, and is
//! answered when the transaction has run: its element of `EXEC`'s reply is replaced.

use crate::command::{Lookup, Spec};
use crate::resp::{Args, Argument, Refusal, write};
use crate::session::settle::Fills;
use crate::session::step::QueueAs;
use crate::session::transaction::ExecPlace;
use crate::session::{AuthMode, Filled, LocalAnswer, answer, exec_reply, info};

use crate::engine::clients::hold::{Hold, RequestOutcome};
use crate::engine::context::Setting;
use crate::engine::effect::WorkerQuery;
use crate::engine::fanout::pending::Filling;
use crate::engine::fanout::pending::Purpose;
use crate::engine::key::{BackendId, ClientId};
use crate::engine::reach::Traffic;
use crate::engine::slot::Receiver;
use crate::engine::{Engine, Rules};

/// What comes of a queued command whose turn has come.
enum Queued {
    Text(Vec<u8>),
    Ask(WorkerQuery, Purpose),
}

impl Engine {
    /// Fills the places of `EXEC`'s reply, in their order, as far as this worker can. `None` when
    /// the reply is no array.
    pub fn fill(
        &mut self,
        backend: BackendId,
        id: ClientId,
        reply: &[u8],
        Fills { places, queued }: Fills,
    ) -> Option<Filling> {
        let mut wanted = places.into_iter().peekable();
        let mut found: Vec<(ExecPlace, Vec<u8>)> = Vec::new();
        let elements = exec_reply::seen(reply, |at, element| {
            if let Some(place) = wanted.next_if(|place| place.at == at) {
                found.push((place, element.to_vec()));
            }
        })?;
        let mut filling = Filling {
            reply: reply.into(),
            elements,
            texts: Vec::new(),
            asked: Vec::new(),
            own: Vec::new(),
            silent: false,
        };
        self.clients.executes(id, queued);
        for (ExecPlace { at, what }, element) in found {
            let queued = match what {
                Filled::Local(request) | Filled::Asked(request) => {
                    self.traffic().answer_queued(id, &request)
                }
                Filled::Info { section } => self.traffic().info_queued(&element, section),
                Filled::Select(db) => {
                    self.traffic().select_queued(backend, id, db, &element);
                    continue;
                }
            };
            match queued {
                Queued::Text(text) => filling.texts.push((at, text)),
                Queued::Ask(query, purpose) => {
                    // Here at once: what stands behind it may change what it is about.
                    filling.own.push(self.answer(&query, self.cx.now));
                    filling.asked.push((at, query, purpose));
                }
            }
        }
        self.clients.executes(id, None);
        Some(filling)
    }

    /// The reply to an `EXEC` has been dealt with, but for the places that all workers have to be
    /// asked for; `filling` is to go to the client, unless it is `silent`.
    pub fn fill_the_rest(&mut self, id: ClientId, filling: Option<Filling>, silent: bool) {
        let Some(mut filling) = filling else {
            return self.clients.end_hold(id, Hold::FanOut(0));
        };
        filling.silent = silent;
        let queries = filling.asked.iter().map(|(_, query, _)| query.clone());
        let query = WorkerQuery::Each(queries.collect());
        self.fan_out(id, query, Purpose::Exec(Box::new(filling)));
    }
}

impl Traffic<'_> {
    /// A request inside a transaction whose answer narrows makes, or makes true. Sends what takes its
    /// place in the queue, which is counted by replies: all that were due are here.
    pub fn queue(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        spec: &Spec,
        queue_as: QueueAs,
    ) -> RequestOutcome {
        let Some(client) = self.clients.get(id) else {
            return RequestOutcome::Ended;
        };
        let sequence = client.sequence_next;
        let mut place = Vec::new();
        if let QueueAs::Local(local) | QueueAs::Asked(local) = queue_as {
            // Where rights are the server's to judge it judges this one as it queues it.
            let judges = rules.access.mode == AuthMode::Passthrough;
            let harmless = local.harmless().filter(|_| judges);
            write::request(&mut place, harmless.unwrap_or(&[b"PING"]));
        }
        let sent = match place.is_empty() {
            true => bytes,
            false => &place,
        };
        let outcome = self.send_on_lease(id, rules, sent, spec, Receiver::Client);
        if outcome == RequestOutcome::Taken
            && let Some(filled) = filled_by(queue_as, bytes)
            && let Some(lease_state) = self.clients.lease_state(id)
        {
            lease_state.transaction.fill(sequence, filled);
        }
        outcome
    }

    fn select_queued(&mut self, backend: BackendId, id: ClientId, db: u32, element: &[u8]) {
        if let Some(client) = self.clients.get(id)
            && element == b"+OK\r\n"
        {
            let protocol = client.session.protocol;
            self.move_leased(backend, id, Setting { protocol, db });
        }
    }

    fn info_queued(&self, element: &[u8], section: bool) -> Queued {
        match info::text_of(element) {
            Some(text) => {
                let text = text.into();
                Queued::Ask(WorkerQuery::Figures, Purpose::Info { text, section })
            }
            // The server's own refusal.
            None => Queued::Text(element.to_vec()),
        }
    }

    /// The answer of narrows' own to a command that was queued, when its turn has come.
    fn answer_queued(&mut self, id: ClientId, request: &[u8]) -> Queued {
        let mut reply = Vec::new();
        let rules = std::sync::Arc::clone(&self.cx.rules);
        let mut args = Args::new(request);
        let name = args.clone().next().unwrap_or_default();
        let Lookup::Known(spec) = rules.commands.lookup(request, name, args.remaining()) else {
            return Queued::Text(reply);
        };
        let Some(local) = spec.local() else {
            return Queued::Text(reply);
        };
        args.next();
        if spec.container().is_some() {
            args.next();
        }
        let line = self.clients.client_line(self.cx, id);
        let Some(client) = self.clients.get_mut(id) else {
            return Queued::Text(reply);
        };
        let names_bytes = client.session.names_bytes();
        match answer(local, &mut client.session, args, &mut reply) {
            Ok(LocalAnswer::Info) => {
                let text = [&line[..], b"\n"].concat();
                write::verbatim(&mut reply, &text, client.session.protocol);
            }
            Ok(LocalAnswer::List(filter)) => {
                return Queued::Ask(WorkerQuery::List(filter), Purpose::List);
            }
            Ok(LocalAnswer::Kill(filter, form)) => match &filter.user {
                Some(user) if !rules.access.knows(user) => {
                    Refusal::Argument(Argument::NoSuchUser { user }).write(&mut reply);
                }
                _ => return Queued::Ask(WorkerQuery::Kill(filter), Purpose::Kill(form)),
            },
            Ok(LocalAnswer::Unblock { id, with_error }) => {
                return Queued::Ask(WorkerQuery::Unblock(id, with_error), Purpose::Unblock);
            }
            Ok(_) => {}
            Err(refusal) => refusal.write(&mut reply),
        }
        self.clients.renamed(self.cx, id, names_bytes);
        Queued::Text(reply)
    }
}

/// What belongs in the place of `request`, which is queued so; `None`: the server's own answer.
fn filled_by(queue_as: QueueAs, request: &[u8]) -> Option<Filled> {
    match queue_as {
        QueueAs::AsIs => None,
        QueueAs::Info { section } => Some(Filled::Info { section }),
        QueueAs::Select(db) => Some(Filled::Select(db)),
        QueueAs::Local(_) => Some(Filled::Local(request.into())),
        QueueAs::Asked(_) => Some(Filled::Asked(request.into())),
    }
}
