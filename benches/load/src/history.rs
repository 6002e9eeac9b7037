//! The last events of one client, kept for the dump of an offence.

use std::collections::VecDeque;
use std::time::Duration;

use crate::ask::{Ask, Names};

/// A ring of the last events.
#[derive(Debug, Default)]
pub(crate) struct History {
    events: VecDeque<Event>,
}

#[derive(Debug)]
struct Event {
    /// Nanoseconds since the run began.
    at: u64,
    what: What,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum What {
    Sent(Ask),
    /// The right reply; the sequence or number that it held.
    Heard(Ask, u64),
    /// An error reply, in its own words.
    Refused(Ask, Box<str>),
    /// A word on the connection.
    Link(Box<str>),
}

impl History {
    pub(crate) fn note(&mut self, at: u64, what: What) {
        if self.events.len() >= EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(Event { at, what });
    }

    /// A line for each event, the oldest first.
    pub(crate) fn lines(&self, names: &Names) -> Vec<String> {
        let line = |event: &Event| {
            let at = Duration::from_nanos(event.at).as_secs_f64();
            let what = match &event.what {
                What::Sent(ask) => format!("sent   {}", ask.describe(names)),
                What::Heard(ask, 0) => format!("heard  {}", ask.describe(names)),
                What::Heard(ask, n) => format!("heard  {} -> {n:#x}", ask.describe(names)),
                What::Refused(ask, text) => format!("heard  {} -> -{text}", ask.describe(names)),
                What::Link(text) => format!("link   {text}"),
            };
            format!("{at:12.6}s  {what}")
        };
        self.events.iter().map(line).collect()
    }
}

/// Enough to see a pipeline and what led to it.
const EVENTS_MAX: usize = 64;
