//! How connections come about: at the plan's pace before the load begins, trickling, in waves, and
//! again after a loss, with backoff and jitter.

use std::collections::VecDeque;

use rustix::event::epoll::{self, EventData, EventFlags};

use super::{Audit, Shard, Stage, nanos};
use crate::gauge::Phase;
use crate::history::What;
use crate::link::Link;
use crate::persona::Opens;
use crate::plan::Plan;

/// The connections that are to be made.
pub(super) struct Doorway {
    /// Clients that want a connection, at the plan's pace.
    paced: VecDeque<u32>,
    /// Those of a wave: all at once.
    wave: VecDeque<u32>,
    /// Sockets that have not connected yet.
    connecting: usize,
    /// When the pace allows the next one.
    next: u64,
    gap: u64,
    next_wave: u64,
    next_leak: u64,
    /// Clients that open one after the other, from the last to the first.
    leaks: Vec<u32>,
    storms: Vec<u32>,
    /// This thread has said that its connections are open.
    pub(super) is_ready: bool,
}

impl Doorway {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            paced: VecDeque::new(),
            wave: VecDeque::new(),
            connecting: 0,
            next: 0,
            gap: (1e9 * plan.threads as f64 / plan.connects_per_s) as u64,
            next_wave: 0,
            next_leak: 0,
            leaks: Vec::new(),
            storms: Vec::new(),
            is_ready: false,
        }
    }
}

impl Shard {
    /// Every client goes where its persona begins.
    pub(super) fn take_places(&mut self) {
        for (place, seat) in self.seats.iter_mut().enumerate() {
            let place = place as u32;
            match seat.client.persona.opens() {
                Opens::AtStart => {
                    seat.stage = Stage::Opening;
                    self.opening.paced.push_back(place);
                    self.scheduled.push(place);
                }
                Opens::Trickling => self.opening.leaks.push(place),
                Opens::InWaves => self.opening.storms.push(place),
            }
        }
        self.opening.leaks.reverse();
    }

    /// Puts a client without connection into the queue.
    pub(super) fn queue(&mut self, seat: u32) {
        self.set_stage(seat, Stage::Opening);
        self.opening.paced.push_back(seat);
    }

    /// When the queue can go on.
    pub(super) fn opening_due(&self, now: u64) -> u64 {
        let door = &self.opening;
        let mut due = u64::MAX;
        if !door.paced.is_empty() && door.connecting < CONNECTING_MAX {
            due = door.next.max(now);
        }
        if self.phase == Phase::Running {
            if !door.leaks.is_empty() {
                due = due.min(door.next_leak);
            }
            if !door.storms.is_empty() {
                due = due.min(door.next_wave);
            }
        }
        due
    }

    /// Begins as many connections as may begin now.
    pub(super) fn open_some(&mut self, now: u64) {
        if self.phase == Phase::Running {
            self.begin_leak(now);
            self.begin_wave(now);
        }
        while self.opening.connecting < CONNECTING_MAX {
            let Some(seat) = self.opening.wave.pop_front() else {
                break;
            };
            self.connect(seat, now);
        }
        while self.opening.connecting < CONNECTING_MAX && self.opening.next <= now {
            let Some(seat) = self.opening.paced.pop_front() else {
                break;
            };
            // What the pace has allowed in the last moment is made up for, no more.
            let earliest = now.saturating_sub(BURST_NS);
            self.opening.next = self.opening.next.max(earliest) + self.opening.gap;
            self.connect(seat, now);
        }
    }

    fn begin_leak(&mut self, now: u64) {
        if self.opening.next_leak > now {
            return;
        }
        self.opening.next_leak = now + nanos(self.rules.plan.leak_interval);
        if let Some(seat) = self.opening.leaks.pop() {
            self.queue(seat);
        }
    }

    fn begin_wave(&mut self, now: u64) {
        if self.opening.next_wave > now {
            return;
        }
        self.opening.next_wave = now + nanos(self.rules.plan.storm_interval);
        for place in &self.opening.storms {
            if let Some(seat) = self.seats.get_mut(*place as usize)
                && seat.stage == Stage::Away
            {
                seat.stage = Stage::Opening;
                self.opening.wave.push_back(*place);
            }
        }
    }

    fn connect(&mut self, place: u32, now: u64) {
        let plan = &self.rules.plan;
        let Some(seat) = self.seats.get_mut(place as usize) else {
            return;
        };
        if seat.stage != Stage::Opening || seat.link.is_some() {
            return;
        }
        let number = seat.client.names.client as usize;
        let source = plan.sources.get(number % plan.sources.len().max(1));
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let token = EventData::new_u64(u64::from(place));
        let opened = plan.target.connect(source.copied()).and_then(|socket| {
            epoll::add(&self.epoll, &socket, token, flags)?;
            Ok(socket)
        });
        match opened {
            Ok(socket) => {
                seat.link = Some(Link::new(socket, now));
                self.opening.connecting += 1;
            }
            Err(error) => self.refused(place, &error.to_string(), now),
        }
    }

    /// The socket of a connecting client has become writable or failed.
    pub(super) fn connected(&mut self, place: u32, now: u64) {
        let Some(seat) = self.seats.get_mut(place as usize) else {
            return;
        };
        let Some(link) = seat.link.as_mut().filter(|link| !link.is_connected) else {
            return;
        };
        match link.socket.take_error() {
            Ok(None) if link.socket.peer_addr().is_ok() => {}
            // An event of the socket that this place had before.
            Ok(None) => return,
            Ok(Some(error)) | Err(error) => {
                return self.refused(place, &error.kind().to_string(), now);
            }
        }
        link.is_connected = true;
        let words = format!("connected from {}", link.source());
        seat.client.history.note(now, What::Link(words.into()));
        seat.stage = Stage::Greeting;
        self.opening.connecting -= 1;
        self.counts.connected += 1;
        self.counts.open += 1;
        self.greet(place, now);
    }

    /// No connection came about.
    pub(super) fn refused(&mut self, place: u32, why: &str, now: u64) {
        self.counts.refused += 1;
        if let Some(seat) = self.seats.get_mut(place as usize) {
            if seat.link.take().is_some() {
                self.opening.connecting = self.opening.connecting.saturating_sub(1);
            }
            seat.failures += 1;
            let client = seat.client.names.client;
            self.shared
                .trouble(now, client, format!("cannot connect: {why}"));
        }
        self.come_again(place, now);
    }

    /// A client without connection tries again, later each time; one of a wave waits for the next.
    pub(super) fn come_again(&mut self, place: u32, now: u64) {
        let Some(seat) = self.seats.get_mut(place as usize) else {
            return;
        };
        seat.stage = Stage::Away;
        let in_waves = seat.client.persona.opens() == Opens::InWaves;
        match self.phase {
            Phase::Ended => return,
            Phase::Auditing if seat.audit == Audit::Done => {
                seat.stage = Stage::Gone;
                return;
            }
            Phase::Draining => return,
            Phase::Running if in_waves => return,
            _ => {}
        }
        let longest = BACKOFF_NS << seat.failures.min(BACKOFF_DOUBLINGS);
        let pause = seat.client.chance().u64(longest / 2..=longest);
        self.set_timer(place, now + pause);
    }
}

/// Connections on their way at the same time: below the usual queue of a listening socket.
const CONNECTING_MAX: usize = 256;
const BURST_NS: u64 = 5_000_000;
const BACKOFF_NS: u64 = 10_000_000;
/// The longest pause is 1.28 s.
const BACKOFF_DOUBLINGS: u32 = 7;
