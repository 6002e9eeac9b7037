//! One thread of the load: many clients over one epoll instance, in turns. `opening.rs` makes the
//! connections, `asking.rs` sends, `hearing.rs` reads and judges; here is what drives them.

mod asking;
mod hearing;
mod opening;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::ask::{Ask, COMMANDS};
use crate::client::{Client, Rules};
use crate::gauge::{Counts, Phase, Shared, coarse_histogram, histogram};
use crate::link::Link;
use crate::offence::Party;
use crate::persona::{Conduct, Opens, Persona, Stay};
use crate::schedule::Schedule;

/// A thread's clients and all that they need.
pub(crate) struct Shard {
    index: usize,
    rules: Arc<Rules>,
    shared: Arc<Shared>,
    epoll: OwnedFd,
    alarm: OwnedFd,
    seats: Vec<Seat>,
    conducts: Arc<[Conduct]>,
    timers: BinaryHeap<Reverse<(u64, u32)>>,
    opening: opening::Doorway,
    schedule: Option<Schedule>,
    /// The clients that keep the schedule.
    scheduled: Vec<u32>,
    phase: Phase,
    /// When the phase ends at the latest.
    phase_ends: u64,
    /// Latencies of what was due before are not recorded.
    warm_until: u64,
    /// When hangs are looked for next.
    patrol: u64,
    scratch: Vec<u8>,
    out: Vec<u8>,
    asks: Vec<(Ask, u64)>,
    /// A right reply has come in this turn.
    heard_right: bool,
    counts: Counts,
    window: Histogram<u64>,
    tally: Tally,
}

/// What a thread has measured.
pub(crate) struct Tally {
    /// From the instant that a request was due to its reply.
    pub(crate) latency: Histogram<u64>,
    /// From its sending to its reply.
    pub(crate) service: Histogram<u64>,
    /// From the instant that it was due to its sending.
    pub(crate) lag: Histogram<u64>,
    pub(crate) commands: [u64; COMMANDS.len()],
    /// Nanoseconds spent waiting for something to do, while running.
    pub(crate) waited: u64,
    /// Nanoseconds that requests were made.
    pub(crate) ran: u64,
    /// Replies verified in that time.
    pub(crate) verified: u64,
}

/// How a thread ended.
pub(crate) struct ShardEnd {
    pub(crate) tally: Tally,
    pub(crate) counts: Counts,
    /// The client whose tag an offending reply carries, if it was one of this thread's.
    pub(crate) party: Option<Party>,
    /// Clients whose keys were not read at the end.
    pub(crate) unaudited: u64,
}

/// A client's place in its thread.
struct Seat {
    client: Client,
    conduct: usize,
    link: Option<Link>,
    stage: Stage,
    /// Requests left on this connection, for those that do not stay.
    left: u32,
    /// Instants at which requests were due that have not been sent.
    backlog: VecDeque<u64>,
    /// Connections in a row that did not serve.
    failures: u32,
    audit: Audit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No connection; a timer or a wave brings the next.
    Away,
    /// In the queue, or connecting.
    Opening,
    /// Introducing itself.
    Greeting,
    Serving,
    /// Pausing between requests.
    Thinking,
    /// Connected for nothing.
    Idle,
    /// Has ended.
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audit {
    Due,
    Reading,
    CleaningUp,
    Done,
}

impl Shard {
    /// The shard of `index` with its share of the clients: numbers `index`, `index + threads`, ….
    pub(crate) fn new(
        index: usize,
        personas: &[Persona],
        shared: &Arc<Shared>,
    ) -> std::io::Result<Self> {
        let rules = Arc::clone(&shared.rules);
        let plan = &rules.plan;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let alarm = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, &alarm, EventData::new_u64(ALARM), flags)?;
        let conducts = Arc::from(Persona::ALL.map(|persona| persona.conduct(plan)));
        let mut seats = Vec::new();
        for (number, persona) in personas.iter().enumerate() {
            if number % plan.threads == index {
                seats.push(Seat::new(Client::new(number as u32, *persona, &rules)));
            }
        }
        let mut shard = Self {
            index,
            shared: Arc::clone(shared),
            epoll,
            alarm,
            seats,
            conducts,
            timers: BinaryHeap::new(),
            opening: opening::Doorway::new(plan),
            schedule: Schedule::of(plan, index),
            scheduled: Vec::new(),
            phase: Phase::Opening,
            phase_ends: shared.now() + nanos(OPENING_PATIENCE),
            warm_until: u64::MAX,
            patrol: 0,
            scratch: vec![0; SCRATCH_BYTES],
            out: Vec::new(),
            asks: Vec::new(),
            heard_right: false,
            counts: Counts::default(),
            window: coarse_histogram(),
            tally: Tally::new(),
            rules,
        };
        shard.take_places();
        Ok(shard)
    }

    /// Runs to the end of the plan, or of the run.
    pub(crate) fn run(mut self) -> ShardEnd {
        let mut last = self.shared.now();
        loop {
            let now = self.shared.now();
            self.step(now);
            if self.phase == Phase::Ended {
                break;
            }
            self.fire_timers(now);
            self.open_some(now);
            self.arrive(now);
            self.look_around(now);
            let before = self.shared.now();
            let woken = self.wait(before);
            let after = self.shared.now();
            if self.phase == Phase::Running {
                self.tally.waited += after - before;
                self.tally.ran += after - last;
            }
            last = after;
            for (seat, flags) in woken {
                self.serve(seat, flags, after);
            }
            if std::mem::take(&mut self.heard_right) {
                self.shared.verified(after);
            }
            self.shared.publish(self.index, self.phase, &self.counts);
        }
        self.end()
    }

    fn end(mut self) -> ShardEnd {
        self.counts.open = 0;
        self.shared.publish(self.index, Phase::Ended, &self.counts);
        self.shared.publish_window(&mut self.window);
        // Thousands of ports that linger for a minute make the next run's search for ports slow.
        if !self.rules.plan.sources.is_empty() {
            for link in self.seats.iter().filter_map(|seat| seat.link.as_ref()) {
                let _ = link.socket.set_linger(Some(Duration::ZERO));
            }
        }
        let accused = self.shared.offence.lock().as_ref().and_then(|o| o.tagged);
        let theirs = |seat: &&Seat| Some(seat.client.names.client) == accused;
        let unaudited = self.seats.iter().filter(|seat| seat.audit != Audit::Done);
        ShardEnd {
            unaudited: unaudited.count() as u64,
            party: self.seats.iter().find(theirs).map(Seat::party),
            tally: self.tally,
            counts: self.counts,
        }
    }

    /// Goes on to the next phase when the present one has ended.
    fn step(&mut self, now: u64) {
        if self.shared.is_accused() {
            self.phase = Phase::Ended;
            return;
        }
        let stopped = self.shared.is_stopped() || now >= self.phase_ends;
        match self.phase {
            Phase::Opening => {
                if !self.opening.is_ready && (stopped || self.all_open()) {
                    self.opening.is_ready = true;
                    self.phase_ends = u64::MAX;
                    self.shared.is_ready(now);
                }
                if let Some(begins) = self.shared.begins() {
                    self.begin(begins, now);
                }
            }
            Phase::Running if stopped => {
                self.phase = Phase::Draining;
                self.phase_ends = now + nanos(self.rules.plan.request_deadline);
                self.drop_backlogs();
            }
            Phase::Draining if now >= self.phase_ends || self.is_quiet() => {
                self.phase = Phase::Auditing;
                self.phase_ends = now + nanos(self.rules.plan.audit_patience);
                self.begin_audit(now);
            }
            Phase::Auditing if now >= self.phase_ends || self.is_audited() => {
                self.phase = Phase::Ended;
            }
            _ => {}
        }
    }

    fn begin(&mut self, begins: u64, now: u64) {
        let plan = &self.rules.plan;
        self.phase = Phase::Running;
        self.phase_ends = begins + nanos(plan.duration);
        self.warm_until = begins + nanos(plan.warm_up);
        if let Some(schedule) = &mut self.schedule {
            schedule.begin(begins);
        }
        for seat in 0..self.seats.len() as u32 {
            self.proceed(seat, now);
        }
    }

    fn all_open(&self) -> bool {
        let waits = |seat: &Seat| {
            seat.client.persona.opens() == Opens::AtStart && seat.stage != Stage::Serving
        };
        !self.seats.iter().any(waits)
    }

    fn is_quiet(&self) -> bool {
        let is_busy = |seat: &Seat| seat.link.as_ref().is_some_and(|l| !l.flights.is_empty());
        !self.seats.iter().any(is_busy)
    }

    fn is_audited(&self) -> bool {
        self.seats.iter().all(|seat| seat.audit == Audit::Done)
    }

    fn drop_backlogs(&mut self) {
        for seat in &mut self.seats {
            self.counts.given_up += seat.backlog.len() as u64;
            seat.backlog = VecDeque::new();
        }
    }

    fn fire_timers(&mut self, now: u64) {
        while let Some(Reverse((at, seat))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            match self.seats.get(seat as usize).map(|seat| seat.stage) {
                Some(Stage::Away) => self.queue(seat),
                Some(Stage::Thinking) => {
                    self.set_stage(seat, Stage::Serving);
                    self.ask(seat, now);
                }
                _ => {}
            }
        }
    }

    fn set_timer(&mut self, seat: u32, at: u64) {
        self.timers.push(Reverse((at, seat)));
    }

    fn set_stage(&mut self, seat: u32, stage: Stage) {
        if let Some(seat) = self.seats.get_mut(seat as usize) {
            seat.stage = stage;
        }
    }

    /// Gives the scheduled requests that are due to their clients.
    fn arrive(&mut self, now: u64) {
        if self.phase != Phase::Running {
            return;
        }
        for _ in 0..ARRIVALS_PER_TURN {
            let Some(schedule) = &mut self.schedule else {
                return;
            };
            let Some(due) = schedule.due(now) else { return };
            let Some(seat) = schedule.pick(&self.scheduled) else {
                return;
            };
            let Some(place) = self.seats.get_mut(seat as usize) else {
                return;
            };
            if place.backlog.len() >= BACKLOG_MAX {
                self.counts.given_up += 1;
            } else {
                place.backlog.push_back(due);
                self.proceed(seat, now);
            }
        }
    }

    /// Waits until a socket is ready, a timer or an arrival is due, at most a little while: other
    /// threads may have ended the run.
    fn wait(&mut self, now: u64) -> Vec<(u32, EventFlags)> {
        let mut until = now + nanos(TURN_MAX);
        if let Some(Reverse((at, _))) = self.timers.peek() {
            until = until.min(*at);
        }
        if let (Phase::Running, Some(schedule)) = (self.phase, &self.schedule) {
            until = until.min(schedule.next());
        }
        until = until.min(self.opening_due(now));
        let nap = until.saturating_sub(now);
        // The timeout of epoll has milliseconds; what is shorter is left to the alarm.
        let fine = nap > 0 && nap < nanos(Duration::from_millis(5));
        if fine {
            let it_value = timespec(nap);
            let it_interval = timespec(0);
            let alarm = Itimerspec {
                it_interval,
                it_value,
            };
            let _ = timerfd_settime(&self.alarm, TimerfdTimerFlags::empty(), &alarm);
        }
        let timeout = timespec(if fine { nanos(TURN_MAX) } else { nap });
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let buffer = rustix::buffer::spare_capacity(&mut events);
        // An interrupted wait is a short one.
        let _ = epoll::wait(&self.epoll, buffer, Some(&timeout));
        let events = events
            .iter()
            .map(|event: &epoll::Event| (event.data.u64(), event.flags));
        events
            .filter(|(token, _)| *token != ALARM)
            .map(|(token, flags)| (token as u32, flags))
            .collect()
    }

    /// Now and then: hangs, connections that do not come about, the window of percentiles.
    fn look_around(&mut self, now: u64) {
        if now < self.patrol {
            return;
        }
        self.patrol = now + nanos(PATROL);
        self.shared.publish_window(&mut self.window);
        for seat in 0..self.seats.len() as u32 {
            self.check_deadlines(seat, now);
        }
    }
}

impl Seat {
    fn new(client: Client) -> Self {
        let persona = client.persona;
        Self {
            client,
            conduct: Persona::ALL
                .iter()
                .position(|one| *one == persona)
                .unwrap_or(0),
            link: None,
            stage: Stage::Away,
            left: 0,
            backlog: VecDeque::new(),
            failures: 0,
            audit: Audit::Due,
        }
    }

    fn party(&self) -> Party {
        let names = &self.client.names;
        let flights = self.link.iter().flat_map(|link| &link.flights);
        Party {
            client: names.client,
            persona: self.client.persona.to_string(),
            protocol: self.client.protocol.number(),
            db: names.db,
            source: self
                .link
                .as_ref()
                .map_or("nowhere".to_owned(), Link::source),
            waiting: flights.map(|flight| flight.ask.describe(names)).collect(),
            history: self.client.history.lines(names),
        }
    }

    /// Sets how many requests it makes on the connection that it now has.
    fn settle_down(&mut self, stay: Stay) {
        self.left = match stay {
            Stay::Throughout => u32::MAX,
            Stay::Idle(requests) => requests,
            Stay::Leaves(most) => self.client.chance().u32(1..=most.max(1)),
        };
    }
}

impl Tally {
    fn new() -> Self {
        Self {
            latency: histogram(),
            service: histogram(),
            lag: histogram(),
            commands: [0; COMMANDS.len()],
            waited: 0,
            ran: 0,
            verified: 0,
        }
    }
}

fn timespec(nanos: u64) -> Timespec {
    Timespec {
        tv_sec: (nanos / 1_000_000_000) as i64,
        tv_nsec: (nanos % 1_000_000_000) as i64,
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4)
}

/// The token of the alarm; seats have theirs from 0 on.
const ALARM: u64 = u64::MAX;
/// For opening all connections before the load begins.
const OPENING_PATIENCE: Duration = Duration::from_secs(60);
const TURN_MAX: Duration = Duration::from_millis(20);
const PATROL: Duration = Duration::from_millis(100);
const SCRATCH_BYTES: usize = 256 * 1024;
const EVENTS_MAX: usize = 1024;
/// Beyond, replies would wait for requests that are late anyway.
const ARRIVALS_PER_TURN: usize = 1024;
/// Scheduled requests that wait for one client.
const BACKLOG_MAX: usize = 4096;
