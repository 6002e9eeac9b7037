//! Ending a wait on the server before its time, without losing what may be on its way.
//!
//! Never a bare `CLIENT UNBLOCK`: a server before mid-2025 dies of it if it holds the waiting
//! connection up by a pause (redis#14164), and with `ERROR` it answers one command twice. Instead
//!
//! ```text
//! MULTI, PUBLISH (which writes nothing, and which a pause of writes holds up), CLIENT UNBLOCK id, EXEC
//! ```
//!
//! in one write on another connection. A pause holds up the whole `EXEC`. `:1` says that the nil of
//! a timeout follows on the connection that waits, `:0` that its own reply is on its way, or that its
//! command has not arrived. That connection is used for nothing else until both replies are here.
//! What was taken for a client that is gone by then is put back where it came from.

use std::time::Duration;

use crate::admission::Paused;
use crate::session::put_back::{is_nil, put_back};
use crate::session::waiting::Takes;
use crate::telemetry::{ClientCloseReason, Undelivered};

use crate::engine::clients::Client;
use crate::engine::effect::Reply;
use crate::engine::fault_injection::{self, Bug};
use crate::engine::key::{BackendId, ClientId};
use crate::engine::pool::backend::{AcquireRequest, Backend, Phase};
use crate::engine::pool::close_reason::CloseReason;
use crate::engine::reach::Blocking;
use crate::engine::waits::cancels::{AGAIN, Came, Cancel, CancelState, PATIENCE, Why};

impl Blocking<'_> {
    /// Whether the wait on a backend can be ended without losing anything, and has to be for that.
    pub fn may_end_wait(&self, id: BackendId) -> bool {
        let under_way = self.waits.cancels().is_under_way(id);
        let unsent = self.pool.backend(id).is_some_and(|backend| {
            let wait = backend.in_flight.back().map_or(0, |slot| slot.bytes());
            wait > 0 && backend.out.unsent_len() >= wait
        });
        // What has not begun to leave is ended by closing the connection, and nothing is lost.
        self.can_be_asked_to_end(id) && (under_way || !unsent)
    }

    /// Whether the server can be asked to end the wait on a backend, as soon as it has it.
    fn can_be_asked_to_end(&self, id: BackendId) -> bool {
        if fault_injection::has(Bug::WaitBroken) {
            return false;
        }
        let known = |backend: &Backend| backend.server_id.is_some();
        // A part of its reply has gone to its client: the server is done with it.
        self.pool.backend(id).is_some_and(|backend| {
            !backend.begun && (self.waits.cancels().is_under_way(id) || known(backend))
        })
    }

    /// Ends the wait of a client that is here.
    pub fn end_wait(&mut self, id: ClientId, why: Why) {
        let Some(lease) = self
            .clients
            .get(id)
            .and_then(|client| client.lease.as_ref())
        else {
            // It stands in line. What it is being tried for decides first.
            return match self.waits.is_tried(id) {
                true => {}
                false => self
                    .clients
                    .close_for(self.cx, id, ClientCloseReason::Drained),
            };
        };
        let backend = lease.backend();
        let begun = self.pool.backend(backend).is_some_and(|b| b.begun);
        match (why, self.waits.cancels().is_under_way(backend)) {
            // It is served, or somebody else ends it.
            (Why::Unblocked { asker, .. }, under_way) if under_way || begun => {
                self.cx.reply_to(asker, Reply::Killed(0));
            }
            // Its client is closed with whatever it hears then: `close_if_done`.
            (Why::Drained | Why::Left, under_way) if under_way || begun => {}
            // The server may have an answer to it all the same, which is its client's then.
            (Why::Left, _) if !self.can_be_asked_to_end(backend) => {
                self.lending().end_by_closing(id, why)
            }
            (Why::Unblocked { .. } | Why::Drained, _) if !self.may_end_wait(backend) => {
                self.lending().end_by_closing(id, why);
            }
            _ => {
                let wait = self
                    .clients
                    .lease_state(id)
                    .and_then(|lease_state| lease_state.wait.as_ref());
                let (takes, short) =
                    wait.map_or((Takes::Nothing, false), |w| (w.takes, w.is_short()));
                self.begin_cancel(backend, Some((id, why)), takes, short);
            }
        }
    }

    pub fn begin_cancel(
        &mut self,
        id: BackendId,
        owner: Option<(ClientId, Why)>,
        takes: Takes,
        short: bool,
    ) {
        let now = self.cx.now;
        let Some(backend) = self.pool.backend_mut(id) else {
            return;
        };
        if let Some(slot) = backend.in_flight.back_mut() {
            slot.await_whole();
        }
        let of = backend.credential();
        let credential = self.pool.canceller_for(self.cx, of);
        let asked = match credential {
            Some(_) => CancelState::At(now),
            None => CancelState::RunsOut,
        };
        let cancel = Cancel {
            credential: credential.unwrap_or(of),
            takes,
            short,
            owner,
            asked,
            came: None,
            may_have_ended: false,
            since: now,
        };
        self.waits.cancels_mut().begin(id, cancel);
        match credential {
            Some(credential) => self.pool.request(AcquireRequest::Cancel(credential)),
            None => self.let_run_out(id),
        }
        self.cx.wake_at(now);
    }

    /// The reply to an `EXEC` that was to end a wait.
    pub fn cancel_answered(&mut self, on: BackendId, reply: &[u8]) {
        let Some(id) = self.waits.cancels_mut().oldest_asked(on) else {
            return;
        };
        let asked_here =
            |cancel: &&mut Cancel| matches!(cancel.asked, CancelState::On(id) if id == on);
        let Some(cancel) = self.waits.cancels_mut().get_mut(&id).filter(asked_here) else {
            return;
        };
        match reply.strip_prefix(b"*2\r\n:").and_then(last_integer) {
            Some(1) => cancel.asked = CancelState::Answered(true),
            Some(_) if cancel.came.is_some() => cancel.asked = cancel.is_over(),
            Some(_) => {
                cancel.asked = CancelState::At(self.cx.now + AGAIN);
                let credential = cancel.credential;
                self.cx.wake_at(self.cx.now + AGAIN);
                return self.pool.request(AcquireRequest::Cancel(credential));
            }
            None => return self.cancel_refused(id, reply),
        }
        self.finish_if_both(id);
    }

    /// The server does not let this user end waits. Another may, or nobody.
    fn cancel_refused(&mut self, id: BackendId, reply: &[u8]) {
        let Some(cancel) = self.waits.cancels_mut().get_mut(&id) else {
            return;
        };
        let refused = cancel.credential;
        // Also where it is MULTI that is denied: then the others have run by themselves.
        let words: [&[u8]; 3] = [b"-EXECABORT", b"-NOPERM", b"-ERR"];
        let aborted = words.iter().any(|word| reply.starts_with(word));
        if let Some(came) = &cancel.came {
            cancel.asked = CancelState::Answered(is_nil(&came.reply));
        }
        if aborted && let Some(credential) = self.pool.credential_mut(refused) {
            let known = std::mem::replace(&mut credential.may_not_cancel, true);
            if !known {
                tracing::warn!(
                    "the server does not let narrows end waits (MULTI, PUBLISH, CLIENT UNBLOCK): \
                     they run in slices"
                );
            }
        }
        if (self.waits.cancels().get(&id)).is_some_and(|cancel| cancel.came.is_some()) {
            return self.finish_if_both(id);
        }
        let of = self.pool.backend(id).map(|backend| backend.credential());
        let other = of.and_then(|of| self.pool.canceller_for(self.cx, of));
        let Some(cancel) = self.waits.cancels_mut().get_mut(&id) else {
            return;
        };
        match other {
            Some(other) => {
                let pause = if aborted { Duration::ZERO } else { AGAIN * 10 };
                cancel.credential = other;
                cancel.asked = CancelState::At(self.cx.now + pause);
                self.cx.wake_at(self.cx.now + pause);
                self.pool.request(AcquireRequest::Cancel(other));
            }
            None => self.let_run_out(id),
        }
    }

    /// Nobody may end the wait: a short one runs out, the connection of another is closed.
    fn let_run_out(&mut self, id: BackendId) {
        let Some(cancel) = self.waits.cancels_mut().get_mut(&id) else {
            return;
        };
        cancel.asked = CancelState::RunsOut;
        if cancel.short || cancel.came.is_some() {
            return self.finish_if_both(id);
        }
        self.give_up(id);
    }

    /// Ends a wait by closing its connection after all.
    fn give_up(&mut self, id: BackendId) {
        let Some(cancel) = self.waits.cancels().get(&id) else {
            return;
        };
        match (cancel.owner, &cancel.came) {
            (Some((owner, why)), None) => {
                self.waits.cancels_mut().take(id);
                self.lending().end_by_closing(owner, why);
            }
            // Its client hears what has come.
            _ => self
                .pool
                .close_backend(self.cx, id, CloseReason::ClientGone),
        }
    }

    /// The reply of a wait that is being ended.
    pub fn answered_while_ending(
        &mut self,
        id: BackendId,
        reply: Vec<u8>,
        first: u32,
        silent: bool,
    ) {
        if let Some(cancel) = self.waits.cancels_mut().get_mut(&id) {
            cancel.came = Some(Came {
                reply,
                first,
                silent,
            });
            if let CancelState::At(_) = cancel.asked {
                // There is nothing left to end.
                cancel.asked = cancel.is_over();
            }
        }
        self.finish_if_both(id);
    }

    pub fn finish_if_both(&mut self, id: BackendId) {
        let Some(cancel) = self.waits.cancels().get(&id) else {
            return;
        };
        let Some(came) = &cancel.came else {
            return;
        };
        let ended = match cancel.asked {
            CancelState::Answered(ended) => ended,
            CancelState::RunsOut => is_nil(&came.reply),
            CancelState::At(_) | CancelState::On(_) => return,
        };
        let owner = cancel.owner.and_then(|(owner, _)| self.clients.get(owner));
        let wait = owner.and_then(Client::waits_with);
        // Where the server was told to wait for less than its client does, that has ended it.
        let ended = ended || wait.is_some_and(|wait| wait.is_cut_short(&came.reply, self.cx.now));
        if let Some((owner, Why::Left)) = cancel.owner
            && (ended || put_back(cancel.takes, &came.reply).is_some())
        {
            // As in Redis that is its end. What was taken for it goes back, once it has left: most that
            // send no more are not there to hear anything either.
            return self.clients.close_now(self.cx, owner);
        }
        let Some(Cancel {
            takes, owner, came, ..
        }) = self.waits.cancels_mut().take(id)
        else {
            return;
        };
        let Some(came) = came else {
            return;
        };
        self.cx.wake_at(self.cx.now);
        match owner {
            Some((owner, why)) => self.deliver_after_cancel(id, owner, why, &came, ended),
            None => self.lending().undelivered(id, takes, &came.reply),
        }
    }

    /// Both replies are here, and so is the client.
    fn deliver_after_cancel(
        &mut self,
        id: BackendId,
        owner: ClientId,
        why: Why,
        came: &Came,
        ended: bool,
    ) {
        let (heard, first) = (came.heard(), came.first);
        match why {
            Why::Unblocked { with_error, asker } => {
                self.clients
                    .hears_after_cancel(self.cx, owner, first, heard, ended && with_error);
                self.cx.reply_to(asker, Reply::Killed(u64::from(ended)));
            }
            Why::Drained if ended => {
                self.wait_over(id, owner);
                return self
                    .clients
                    .close_for(self.cx, owner, ClientCloseReason::Drained);
            }
            Why::Drained | Why::Left => self
                .clients
                .hears_after_cancel(self.cx, owner, first, heard, false),
        }
        self.wait_over(id, owner);
        self.lending().end_lease_if_done(owner);
    }

    /// The backend of a wait that was being ended is lost.
    pub fn cancel_lost(&mut self, id: BackendId) {
        let Some(cancel) = self.waits.cancels_mut().take(id) else {
            return;
        };
        let taken = cancel
            .came
            .as_ref()
            .filter(|came| put_back(cancel.takes, &came.reply).is_some());
        let (owner, ended) = (cancel.owner, cancel.is_taken_for_ended());
        match owner.filter(|(owner, _)| self.clients.contains_key(*owner)) {
            Some((owner, Why::Drained)) if ended => {
                self.clients
                    .close_for(self.cx, owner, ClientCloseReason::Drained);
            }
            Some((owner, Why::Left)) if ended => self.clients.close_now(self.cx, owner),
            Some((owner, why)) => {
                if let Some(came) = &cancel.came {
                    let (first, heard) = (came.first, came.heard());
                    let with_error = ended && why.is_with_error();
                    self.clients
                        .hears_after_cancel(self.cx, owner, first, heard, with_error);
                }
            }
            None if taken.is_some() => self.lending().taken_is_lost(),
            None if cancel.came.is_none() && cancel.takes != Takes::Nothing => {
                self.cx.counters.undelivered(Undelivered::Unknown);
            }
            None => {}
        }
        if let Some((_, Why::Unblocked { asker, .. })) = owner {
            self.cx.reply_to(asker, Reply::Killed(u64::from(ended)));
        }
    }

    /// Waits that are to be ended, and are not by then.
    pub fn expire_cancels(&mut self) {
        if !self.waits.cancels_mut().take_over() && self.waits.cancels().is_empty() {
            return;
        }
        let now = self.cx.now;
        let pause = &self.cx.shared.pause;
        let mut late = Vec::new();
        let mut due = Vec::new();
        let mut next = None;
        for (id, cancel) in self.waits.cancels().iter() {
            let at = pause.counts_from(cancel.since, Paused::Writes) + PATIENCE;
            if at <= now {
                late.push(*id);
                continue;
            }
            let asked_at = match cancel.asked {
                CancelState::At(at) if at <= now => {
                    due.push(cancel.credential);
                    at.max(now + AGAIN)
                }
                CancelState::At(at) => at,
                CancelState::On(_) | CancelState::Answered(_) | CancelState::RunsOut => at,
            };
            let earliest = at.min(asked_at);
            next = Some(next.map_or(earliest, |n: Duration| n.min(earliest)));
        }
        for id in late {
            match self.waits.cancels().get(&id).map(|cancel| cancel.asked) {
                // Then it is asked again on another, or what has come counts.
                Some(CancelState::On(on)) => {
                    self.pool.close_backend(self.cx, on, CloseReason::Stalled)
                }
                _ => self.give_up(id),
            }
        }
        for credential in due {
            self.pool.request(AcquireRequest::Cancel(credential));
        }
        if let Some(at) = next {
            self.cx.wake_at(at);
        }
        let cancelling = |b: &Backend| matches!(b.phase, Phase::Cancelling);
        let idle: Vec<BackendId> = (self.pool.backends_by_id())
            .filter(|(_, backend)| cancelling(backend))
            .map(|(id, _)| id)
            .collect();
        for id in idle {
            self.release_canceller(id);
        }
    }
}

/// The second of two integers, of which the first has begun.
fn last_integer(rest: &[u8]) -> Option<i64> {
    let second = rest.strip_suffix(b"\r\n")?;
    let at = second.iter().rposition(|byte| *byte == b':')?;
    crate::resp::integer(second.get(at + 1..)?)
}
