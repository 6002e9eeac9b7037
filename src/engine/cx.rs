//! What all parts of an engine share, and nothing else: passed to whatever is done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::admission::{Jitter, Paused};
use crate::telemetry::Counters;

use super::effect::{AnswerTo, Effect, Reply};
use super::event::EngineEvent;
use super::lease::state::LeaseFor;
use super::pause::PauseOrder;
use super::rules::Setup;
use super::slot::AccessKind;
use super::traffic::busy::SCRIPT_AFTER;
use super::{Rules, WorkerShared};

/// See the module.
pub struct Cx {
    /// The time of the event that is being dealt with.
    pub now: Duration,
    /// What requests are judged by.
    pub rules: Arc<Rules>,
    /// What this worker shares with the others.
    pub shared: WorkerShared,
    /// The number of this worker.
    pub worker: usize,
    /// How many there are.
    pub workers: usize,
    /// The db that clients begin in.
    pub initial_db: u32,
    /// Whether all that is here of clients has been read: what is dealt with now is the turn's.
    pub all_is_read: bool,
    /// What the server, paused through narrows, holds up, by the last look at that.
    pub paused: Option<Paused>,
    /// Nothing new is begun.
    pub draining: bool,
    /// What the runtime is to do.
    pub effects: Vec<Effect>,
    /// What has happened in one part and concerns others.
    pub events: VecDeque<EngineEvent>,
    /// What is counted.
    pub counters: Counters,
    /// The one source of chance.
    pub jitter: Jitter,
    /// When it was last told that somebody speaks TLS where it is not spoken.
    pub told_of_tls: Option<Duration>,
    /// Steps taken of loops over what waits or merely exists.
    pub steps: u64,
    alarm: Option<Duration>,
}

impl Cx {
    /// Nothing has happened yet.
    pub fn new(setup: Setup, counters: Counters) -> Self {
        Self {
            now: Duration::ZERO,
            rules: setup.rules,
            shared: setup.shared,
            worker: setup.worker,
            workers: setup.workers,
            draining: false,
            told_of_tls: None,
            effects: Vec::new(),
            events: VecDeque::new(),
            counters,
            initial_db: setup.initial_db,
            all_is_read: false,
            paused: None,
            jitter: Jitter::new(setup.seed),
            steps: 0,
            alarm: None,
        }
    }

    /// Time is to be told at `at`, or before.
    pub fn wake_at(&mut self, at: Duration) {
        self.alarm = Some(self.alarm.map_or(at, |alarm| alarm.min(at)));
    }

    /// When time is to be told next.
    pub fn alarm(&self) -> Option<Duration> {
        self.alarm
    }

    /// Whether time was to be told by now; if so it has been.
    pub fn is_due(&mut self) -> bool {
        let due = self.alarm.is_some_and(|alarm| alarm <= self.now);
        if due {
            self.alarm = None;
        }
        due
    }

    /// A script may be the oldest request of a pipe now: it is looked at in time.
    pub fn watch_script(&mut self) {
        self.wake_at(self.now + SCRIPT_AFTER);
    }

    /// Gives a worker the answer that it waits for.
    pub fn reply_to(&mut self, to: AnswerTo, reply: Reply) {
        let ticket = to.ticket;
        match to.worker {
            usize::MAX => {}
            own if own == self.worker => {
                self.events.push_back(EngineEvent::Answered(ticket, reply))
            }
            _ => self.effects.push(Effect::Answer(to.worker, ticket, reply)),
        }
    }

    /// Whether a lease for `purpose` leaves this worker a connection for everybody else.
    pub fn has_room(&self, purpose: LeaseFor) -> bool {
        let may_lend = |term| self.shared.budget.may_lend(self.worker, term);
        purpose.term().is_none_or(may_lend)
    }

    /// Something has been asked of a backend: the clocks of silence and of slow requests run.
    pub fn watch_replies(&mut self) {
        let settings = &self.rules.settings;
        let (stall, request) = (
            settings.backend.stall_timeout,
            settings.clients.request_timeout,
        );
        let check = settings.pool.check_interval;
        let clocks = [stall, request, check];
        let first = clocks.into_iter().filter(|clock| !clock.is_zero()).min();
        self.wake_at(self.now + first.unwrap_or(stall));
    }

    /// Looks at the pause, for the requests that are judged next.
    #[inline]
    pub fn look_at_pause(&mut self) {
        self.paused = self.shared.pause.holds_up(self.now);
    }

    /// Whether the server would hold up a request that needs this access.
    pub fn pause_holds_up(&self, access: AccessKind) -> bool {
        match self.paused {
            Some(Paused::All) => true,
            Some(Paused::Writes) => access == AccessKind::Write,
            None => false,
        }
    }
}

impl Cx {
    /// From when on the clock runs of what began to wait at `since`, and waits for anything that
    /// the server does.
    pub fn counts_from(&self, since: Duration) -> Duration {
        self.shared.pause.counts_from(since, Paused::All)
    }

    /// The server has answered such an order.
    pub fn pause_answered(&mut self, order: PauseOrder, reply: &[u8]) {
        if reply != b"+OK\r\n" {
            return;
        }
        let pause = &self.shared.pause;
        match order {
            PauseOrder::Begin(length, what) => {
                tracing::info!(?length, ?what, "the server is paused by a client");
                pause.begin(self.now, length, what);
            }
            PauseOrder::End => {
                tracing::info!("the server is paused no more, by a client");
                pause.end(self.now);
            }
        }
        self.wake_at(self.now);
    }
}
