//! A command that waits on the backend that its client holds.

use std::time::Duration;

use crate::session::put_back::is_nil;
use crate::session::waiting::{Least, Takes};

/// A wait under way.
#[derive(Debug)]
pub struct Wait {
    /// What its reply takes.
    pub takes: Takes,
    pub manner: Manner,
}

impl Wait {
    /// Whether it ends by itself within a second.
    pub fn is_short(&self) -> bool {
        !matches!(self.manner, Manner::Whole | Manner::Brief(_))
    }

    /// Its client has left. Whether it may wait on: what it asks for may be here, and soon it is over.
    pub fn goes_on_without_client(&mut self) -> bool {
        if let Manner::Brief(least) = &mut self.manner {
            self.manner = Manner::Tried(std::mem::take(least));
        }
        matches!(&self.manner, Manner::Tried(least) if *least != Least::default())
    }

    /// Whether nothing has come by this reply, and its client's time is not over: the server was told to
    /// wait for less.
    pub fn is_cut_short(&self, reply: &[u8], now: Duration) -> bool {
        let slice_is_over = match &self.manner {
            Manner::Sliced(slices) => slices.until.is_none_or(|until| until > now),
            Manner::Tried(_) | Manner::Whole | Manner::Brief(_) => false,
        };
        self.was_in_vain(reply) || (slice_is_over && is_nil(reply))
    }

    /// Whether its client has left, and this is the reply of one that has waited in vain.
    pub fn was_in_vain(&self, reply: &[u8]) -> bool {
        match &self.manner {
            Manner::Tried(least) => is_nil(reply) || !least.is_reached(reply),
            Manner::Whole | Manner::Brief(_) | Manner::Sliced(_) => false,
        }
    }
}

/// How a command waits.
#[derive(Debug)]
pub enum Manner {
    /// As its client has asked.
    Whole,
    /// As its client has asked, which is not for long: for its own writes to arrive.
    Brief(Least),
    /// Hardly at all: its client has left, and as in Redis gets what is there, but waits for nothing.
    Tried(Least),
    /// Slice by slice: the server lets nobody end it.
    Sliced(Box<Slices>),
}

#[derive(Debug)]
pub struct Slices {
    /// The request for one slice.
    pub request: Vec<u8>,
    /// When the last one is over.
    pub until: Option<Duration>,
}

/// How long a wait stays on the server at a time where it cannot be ended there.
pub const SLICE: Duration = Duration::from_secs(1);

/// Redis' own words (`unblockClientOnError`).
pub const UNBLOCKED: &str = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
