//! A query to all workers that is under way.

use std::time::Duration;

use crate::engine::cx::Cx;
use crate::engine::effect::{Reply, WorkerQuery};
use crate::engine::key::ClientId;
use crate::resp::{Argument, Protocol, Refusal, write};
use crate::session::exec_reply;
use crate::session::filter::KillForm;
use crate::session::info::{self, ClientFigures};

/// What the answer is for.
#[derive(Debug)]
pub enum Purpose {
    /// `CLIENT LIST`.
    List,
    /// `CLIENT KILL`.
    Kill(KillForm),
    /// `CLIENT UNBLOCK`.
    Unblock,
    /// `INFO`, whose text from the server this is.
    Info {
        /// The server's text.
        text: Box<[u8]>,
        /// Whether narrows' own section was asked for.
        section: bool,
    },
    /// `EXEC`, for those places of its reply that all workers are asked for.
    Exec(Box<Filling>),
}

impl Purpose {
    /// The reply for the client, in its protocol, that follows from what all workers have answered.
    pub fn reply(self, answer: Reply, protocol: Protocol, cx: &Cx) -> Vec<u8> {
        let mut reply = Vec::new();
        match (self, answer) {
            (Self::List, Reply::List(mut lines)) => {
                lines.sort_by_key(|(id, _)| *id);
                let lines: Vec<u8> = lines.into_iter().flat_map(|(_, line)| line).collect();
                write::verbatim(&mut reply, &lines, protocol);
            }
            (Self::Kill(form), Reply::Killed(count)) => kill_reply(form, count, &mut reply),
            (Self::Info { text, section }, Reply::Figures(figures)) => {
                let text = info_text(&text, section, *figures, cx);
                write::verbatim(&mut reply, &text, protocol);
            }
            (Self::Unblock, Reply::Killed(count)) => {
                write::integer(&mut reply, i64::from(count > 0));
            }
            (Self::Exec(filling), Reply::Each(answers)) => {
                return filling.filled(answers, protocol, cx);
            }
            (Self::List | Self::Kill(_) | Self::Unblock | Self::Info { .. } | Self::Exec(_), _) => {
            }
        }
        reply
    }

    pub fn held_bytes(&self) -> usize {
        match self {
            Self::Info { text, .. } => text.len(),
            Self::Exec(filling) => filling.held_bytes(),
            Self::List | Self::Kill(_) | Self::Unblock => 0,
        }
    }
}

/// A query under way.
#[derive(Debug)]
pub struct PendingFanOut {
    pub client: ClientId,
    pub purpose: Purpose,
    pub answer: Reply,
    pub missing: usize,
    pub deadline: Duration,
    pub bytes: usize,
}

impl PendingFanOut {
    /// Bytes that it holds for its client.
    pub fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// Another worker has answered. How many bytes more it holds.
    pub fn answered(&mut self, answer: Reply) -> usize {
        let more = answer.held_bytes();
        self.answer.merge(answer);
        self.bytes += more;
        more
    }

    /// For whom it is asked.
    pub fn client(&self) -> ClientId {
        self.client
    }

    /// When it is answered with what there is.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }
}

/// A reply to `CLIENT KILL` in its old form, or in its new one.
fn kill_reply(form: KillForm, killed: u64, out: &mut Vec<u8>) {
    match form {
        KillForm::Filters => write::integer(out, i64::try_from(killed).unwrap_or(i64::MAX)),
        KillForm::Old if killed > 0 => write::status(out, "OK"),
        KillForm::Old => Refusal::Argument(Argument::NoSuchClient).write(out),
    }
}

/// `INFO` as a client is to see it.
fn info_text(text: &[u8], section: bool, mut figures: ClientFigures, cx: &Cx) -> Vec<u8> {
    figures.max_clients = cx.rules.settings.clients.max_clients as u64;
    figures.backends = u64::from(cx.shared.budget.held());
    figures.backends_max = u64::from(cx.shared.budget.total());
    let rejected = cx.shared.reject_counts.counts();
    figures.turned_away = rejected.map(|(reason, count)| (reason.label(), count));
    figures.server = cx.shared.budget.server_clients();
    info::rewrite(text, &figures, section)
}

/// `EXEC`'s reply and what belongs in its places, until all of that is here.
#[derive(Debug)]
pub struct Filling {
    pub reply: Box<[u8]>,
    pub elements: u32,
    /// What belongs in which place, in order.
    pub texts: Vec<(u32, Vec<u8>)>,
    /// What all workers are asked for which place.
    pub asked: Vec<(u32, WorkerQuery, Purpose)>,
    /// What this worker has to say to each of those, from when its turn had come.
    pub own: Vec<Reply>,
    /// Its client has asked for silence: all is done, and nothing is told.
    pub silent: bool,
}

impl Filling {
    /// Bytes of the text in it.
    pub fn held_bytes(&self) -> usize {
        let texts: usize = self.texts.iter().map(|(_, text)| text.len()).sum();
        let own: usize = self.own.iter().map(Reply::held_bytes).sum();
        self.reply.len() + texts + own
    }

    /// What this worker has to say, which is taken once.
    pub fn take_own(&mut self) -> Reply {
        Reply::Each(std::mem::take(&mut self.own))
    }

    /// How many elements the reply has.
    pub fn elements(&self) -> u32 {
        self.elements
    }

    /// Whether all is here.
    pub fn is_whole(&self) -> bool {
        self.asked.is_empty()
    }

    /// The reply with its places filled.
    pub fn text(&self) -> Vec<u8> {
        let mut texts = self.texts.iter().peekable();
        let filled = exec_reply::filled(&self.reply, |at| {
            if self.asked.iter().any(|(place, ..)| *place == at) {
                // Nobody has been asked: the reply is not what it should be.
                let mut error = Vec::new();
                Refusal::BackendProtocol.write(&mut error);
                return Some(error);
            }
            let (_, text) = texts.next_if(|(place, _)| *place == at)?;
            Some(text.clone())
        });
        filled.unwrap_or_default()
    }

    /// The reply when all workers have answered what was asked for its places.
    pub fn filled(mut self, answers: Vec<Reply>, protocol: Protocol, cx: &Cx) -> Vec<u8> {
        for ((at, _, purpose), answer) in self.asked.drain(..).zip(answers) {
            self.texts.push((at, purpose.reply(answer, protocol, cx)));
        }
        self.texts.sort_by_key(|(at, _)| *at);
        self.text()
    }
}
