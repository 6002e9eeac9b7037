//! A wait in line that is being tried.

use crate::engine::slot::AccessKind;
use crate::session::waiting::Takes;

/// What is asked.
#[derive(Debug)]
pub enum What {
    /// Whether a transaction may be begun.
    Block,
    /// Where streams end, by their places in the request, and what has been answered.
    Ends(Vec<usize>, Vec<(usize, Vec<u8>)>),
    /// The command itself. One that only reads may be asked again.
    Command { reads: bool },
}

impl What {
    /// Whether a server that has paused writes would hold it up.
    pub fn access(&self) -> AccessKind {
        match self {
            Self::Command { reads: false } => AccessKind::Write,
            _ => AccessKind::Read,
        }
    }
}

/// A try under way. It outlives its client.
#[derive(Debug)]
pub struct Try {
    pub takes: Takes,
    pub what: What,
    /// The server has refused `MULTI`, with these words: what followed ran alone.
    pub refused: Option<Vec<u8>>,
    /// It has not queued the command, and said this.
    pub said: Option<Vec<u8>>,
}
