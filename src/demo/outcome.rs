//! What the rounds of one way came to, added up, and what that way is. It measures nothing itself.

use std::time::Duration;

use super::options::DemoOptions;
use super::tally::Tally;

/// What one round, or all rounds of one way added up, came to.
#[derive(Debug)]
pub(super) struct RoundOutcome {
    pub(super) clients: u32,
    /// The most that Redis ever counted.
    pub(super) connections: u64,
    pub(super) tally: Tally,
    /// Wall time under load.
    pub(super) elapsed: Duration,
    /// Processor time of Redis under load.
    pub(super) redis_time: Duration,
    /// Processor time of narrows under load; none where it was not in the way.
    pub(super) narrows_time: Option<Duration>,
}

impl RoundOutcome {
    pub(super) fn none(
        options: &DemoOptions,
        narrows_time: Option<Duration>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            clients: options.clients,
            connections: 0,
            tally: Tally::new()?,
            elapsed: Duration::ZERO,
            redis_time: Duration::ZERO,
            narrows_time,
        })
    }

    pub(super) fn add(&mut self, round: Self) {
        self.connections = self.connections.max(round.connections);
        self.tally.add(round.tally);
        self.elapsed += round.elapsed;
        self.redis_time += round.redis_time;
        self.narrows_time = self
            .narrows_time
            .zip(round.narrows_time)
            .map(|(sum, time)| sum + time);
    }
}

/// Where a round's clients connect to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RoundTarget {
    Direct,
    Through,
}

impl RoundTarget {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Through => "through narrows",
        }
    }
}
