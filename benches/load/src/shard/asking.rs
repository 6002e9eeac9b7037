//! What clients send: introductions, the requests of the mix when it is their turn, the reads of the
//! audit.

use std::sync::Arc;

use super::{Audit, Seat, Shard, Stage};
use crate::client::Batch;
use crate::gauge::Phase;
use crate::history::What;
use crate::link::Flight;
use crate::persona::{Opens, Stay};

impl Shard {
    /// A connection begins.
    pub(super) fn greet(&mut self, place: u32, now: u64) {
        self.send(place, now, |seat, batch| {
            seat.client.at_rest();
            seat.client.introduce(batch);
        });
    }

    /// A client with a connection does what comes next, if nothing holds it up.
    pub(super) fn proceed(&mut self, place: u32, now: u64) {
        let Some(seat) = self.seats.get_mut(place as usize) else {
            return;
        };
        let in_flight = match &seat.link {
            Some(link) if link.is_connected => link.flights.len(),
            _ => return,
        };
        if in_flight == 0 && seat.stage == Stage::Greeting {
            seat.stage = Stage::Serving;
            seat.failures = 0;
            let stay = self.conducts.get(seat.conduct).map(|conduct| conduct.stay);
            seat.settle_down(stay.unwrap_or(Stay::Throughout));
        }
        if seat.stage == Stage::Greeting {
            return;
        }
        match self.phase {
            Phase::Running if seat.stage == Stage::Serving => {
                let scheduled = seat.client.persona.opens() == Opens::AtStart;
                if scheduled && self.schedule.is_some() {
                    self.ask_scheduled(place, now);
                } else if in_flight == 0 {
                    self.ask_or_pause(place, now);
                }
            }
            Phase::Auditing if in_flight == 0 => self.audit(place, now),
            _ => {}
        }
    }

    /// Closed loop: all replies are in.
    fn ask_or_pause(&mut self, place: u32, now: u64) {
        let mean_s = self.rules.plan.think.as_secs_f64();
        let Some(seat) = self.seats.get_mut(place as usize) else {
            return;
        };
        if seat.left == 0 {
            return self.leave(place, now);
        }
        if mean_s > 0.0 {
            seat.stage = Stage::Thinking;
            let pause = (seat.client.pause_s(mean_s) * 1e9) as u64;
            return self.set_timer(place, now + pause);
        }
        self.ask(place, now);
    }

    /// Closed loop: as many requests as go in one go.
    pub(super) fn ask(&mut self, place: u32, now: u64) {
        if self.phase != Phase::Running {
            return;
        }
        let conducts = Arc::clone(&self.conducts);
        self.send(place, now, |seat, batch| {
            let Some(conduct) = conducts.get(seat.conduct) else {
                return;
            };
            seat.client.at_rest();
            let count = (conduct.depth as u32).min(seat.left);
            for _ in 0..count {
                seat.client.ask(conduct, batch);
            }
            if seat.left != u32::MAX {
                seat.left -= count;
            }
        });
    }

    /// Open loop: what is due, as far as the pipeline has room.
    fn ask_scheduled(&mut self, place: u32, now: u64) {
        let Some(seat) = self.seats.get(place as usize) else {
            return;
        };
        let conducts = Arc::clone(&self.conducts);
        let Some(conduct) = conducts.get(seat.conduct) else {
            return;
        };
        let in_flight = seat.link.as_ref().map_or(0, |link| link.flights.len());
        let room = conduct.depth.saturating_sub(in_flight);
        if room == 0 || seat.backlog.is_empty() {
            return;
        }
        self.send(place, now, |seat, batch| {
            if in_flight == 0 {
                seat.client.at_rest();
            }
            for due in seat.backlog.drain(..room.min(seat.backlog.len())) {
                batch.due = due;
                seat.client.ask(conduct, batch);
            }
        });
    }

    /// A client of those that do not stay has made its requests.
    fn leave(&mut self, place: u32, now: u64) {
        let Some(seat) = self.seats.get_mut(place as usize) else {
            return;
        };
        let leaves = self
            .conducts
            .get(seat.conduct)
            .is_some_and(|conduct| matches!(conduct.stay, Stay::Leaves(_)));
        if !leaves {
            seat.stage = Stage::Idle;
            return;
        }
        if let Some(link) = seat.link.take() {
            self.counts.open -= 1;
            seat.client.history.note(now, What::Link("left".into()));
            // Half of them vanish with a reset.
            if seat.client.chance().bool() {
                let _ = link.socket.set_linger(Some(std::time::Duration::ZERO));
            }
        }
        seat.stage = Stage::Away;
    }

    /// All that has been asked is answered or given up: everybody reads what it knows about.
    pub(super) fn begin_audit(&mut self, now: u64) {
        for place in 0..self.seats.len() as u32 {
            let Some(seat) = self.seats.get_mut(place as usize) else {
                return;
            };
            if !seat.client.has_written() {
                seat.audit = Audit::Done;
                self.counts.audited += 1;
                continue;
            }
            match &seat.link {
                Some(_) => self.proceed(place, now),
                None if seat.stage != Stage::Opening => self.queue(place),
                None => {}
            }
        }
    }

    fn audit(&mut self, place: u32, now: u64) {
        let clean_up = self.rules.plan.clean_up;
        let Some(seat) = self.seats.get_mut(place as usize) else {
            return;
        };
        match seat.audit {
            Audit::Due => {
                seat.audit = Audit::Reading;
                self.send(place, now, |seat, batch| {
                    seat.client.at_rest();
                    seat.client.audit(batch);
                });
            }
            Audit::Reading => {
                self.counts.audited += 1;
                self.counts.counters_audited += u64::from(seat.client.has_counter());
                seat.audit = if clean_up {
                    Audit::CleaningUp
                } else {
                    Audit::Done
                };
                if clean_up {
                    self.send(place, now, |seat, batch| seat.client.clean_up(batch));
                }
            }
            Audit::CleaningUp => seat.audit = Audit::Done,
            Audit::Done => {}
        }
    }

    /// Sends what `write` writes, as one.
    fn send(&mut self, place: u32, now: u64, write: impl FnOnce(&mut Seat, &mut Batch)) {
        let Some(seat) = self.seats.get_mut(place as usize) else {
            return;
        };
        let mut batch = Batch {
            out: &mut self.out,
            asks: &mut self.asks,
            due: now,
        };
        write(seat, &mut batch);
        let Some(link) = &mut seat.link else {
            self.out.clear();
            return self.asks.clear();
        };
        let sent = now;
        for (ask, due) in self.asks.drain(..) {
            seat.client.history.note(now, What::Sent(ask));
            link.flights.push_back(Flight { ask, due, sent });
            self.counts.sent += 1;
        }
        self.counts.bytes_out += self.out.len() as u64;
        if let Err(ending) = link.send(&mut self.out) {
            self.out.clear();
            self.lose(place, &ending.to_string(), now);
        }
        if self.out.capacity() > OUT_BYTES_KEPT {
            self.out = Vec::new();
        }
    }
}

const OUT_BYTES_KEPT: usize = 4 * 1024 * 1024;
