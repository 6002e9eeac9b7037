//! EXEC's reply and what belongs in its places.

use crate::engine::cx::Cx;
use crate::engine::effect::{Question, Reply};
use crate::resp::{Protocol, Refusal};
use crate::session::exec_reply;

use super::gather::Purpose;

/// `EXEC`'s reply and what belongs in its places, until all of that is here.
#[derive(Debug)]
pub struct Filling {
    pub reply: Box<[u8]>,
    pub elements: u32,
    /// What belongs in which place, in order.
    pub texts: Vec<(u32, Vec<u8>)>,
    /// What all workers are asked for which place.
    pub asked: Vec<(u32, Question, Purpose)>,
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
