//! A question to all workers that is under way.

use std::time::Duration;

use crate::engine::cx::Cx;
use crate::engine::effect::Reply;
use crate::engine::key::ClientId;
use crate::resp::{Argument, Protocol, Refusal, write};
use crate::session::filter::KillForm;
use crate::session::info::{self, ClientFigures};

use super::filling::Filling;

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

/// A question under way.
#[derive(Debug)]
pub struct Gather {
    pub client: ClientId,
    pub purpose: Purpose,
    pub answer: Reply,
    pub missing: usize,
    pub deadline: Duration,
    pub bytes: usize,
}

impl Gather {
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
    let turned_away = cx.shared.door.counts();
    figures.turned_away = turned_away.map(|(reason, count)| (reason.label(), count));
    figures.server = cx.shared.budget.server_clients();
    info::rewrite(text, &figures, section)
}
