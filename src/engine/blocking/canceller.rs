//! The connection on which the server is asked to end waits. It must get through while pipes are
//! stuck, and must hold nobody up while writes are paused: a backend that nobody uses, or one that is
//! dialled within the place of the budget that is kept back. Given back when no wait is left to end.

use crate::admission::Claim;
use crate::session::own_channel;

use crate::engine::context::Context;
use crate::engine::key::{BackendId, CredentialId};
use crate::engine::pool::allocation::Allocation;
use crate::engine::pool::backend::{AcquireRequest, Backend, Phase};
use crate::engine::reach::Blocking;
use crate::engine::slot::Receiver;
use crate::engine::waits::cancels::{AGAIN, CancelState};

impl Blocking<'_> {
    /// A connection for ending waits as `credential`.
    pub fn allocate_canceller(
        &mut self,
        credential: CredentialId,
        starved: &mut bool,
    ) -> Allocation {
        let request = AcquireRequest::Cancel(credential);
        if !self.waits.cancels().any_as(credential) {
            return Allocation::Done;
        }
        let cancels = |b: &Backend| matches!(b.phase, Phase::Cancelling);
        let mut there = self.pool.backends_by_id();
        let there = there.find(|(_, b)| cancels(b) && b.credential() == credential);
        if let Some((id, _)) = there {
            self.ask_to_end(id);
            return Allocation::Done;
        }
        if !self.waits.cancels().any_due_as(credential, self.cx.now) {
            // Wanted again in time: `expire_cancels`.
            return Allocation::Done;
        }
        if let Some(id) = self.pool.quiet_idle(|idle| idle.credential() == credential) {
            self.become_canceller(id);
            return Allocation::Done;
        }
        if self.pool.backends().any(|b| b.made_for == Some(request)) {
            return Allocation::Waits;
        }
        let context = self.pool.context_key(Context {
            credential,
            ..Context::default()
        });
        let key = self.pool.key_of(context);
        let dialled = [Claim::Reserve, Claim::Worker(self.cx.worker)]
            .into_iter()
            .any(|claim| self.traffic().dial_with(claim, request, key).is_some());
        if !dialled && self.pool.endpoint().may_be_dialled(self.cx.now) {
            *starved = true;
            self.pool.make_place(self.cx, request, context);
        }
        Allocation::Waits
    }

    /// A quiet backend ends waits from now on.
    pub fn become_canceller(&mut self, id: BackendId) {
        if let Some(backend) = self.pool.backend_mut(id) {
            (backend.phase, backend.made_for) = (Phase::Cancelling, None);
        }
        self.ask_to_end(id);
    }

    /// Has the server end all waits that this backend's user is to end now.
    fn ask_to_end(&mut self, on: BackendId) {
        let now = self.cx.now;
        let Some(credential) = self.pool.backend(on).map(|backend| backend.credential()) else {
            return;
        };
        let mut next = None;
        let (mut targets, mut asked) = (Vec::new(), Vec::new());
        for (id, cancel) in self.waits.cancels_mut().iter_mut() {
            let CancelState::At(at) = cancel.asked else {
                continue;
            };
            let Some(backend) = self.pool.backend(*id) else {
                continue;
            };
            if cancel.credential != credential {
                continue;
            }
            // What has not left cannot have arrived.
            let ready = at <= now && backend.out.unsent_len() == 0;
            match backend.server_id.filter(|_| ready) {
                Some(number) => {
                    cancel.asked = CancelState::On(on);
                    asked.push(*id);
                    targets.push(number);
                }
                None => next = Some(at.max(now + AGAIN)),
            }
        }
        self.waits.cancels_mut().asked_on(on, asked);
        for number in targets {
            let number = number.to_string();
            let requests: [&[&[u8]]; 4] = [
                &[b"MULTI"],
                &[b"PUBLISH", own_channel::CANCEL, b""],
                &[b"CLIENT", b"UNBLOCK", number.as_bytes()],
                &[b"EXEC"],
            ];
            for (at, request) in requests.into_iter().enumerate() {
                let last = at == 3;
                self.pool
                    .send_for_cancel(self.cx, on, Receiver::Cancel { last }, request);
            }
        }
        if let Some(at) = next {
            self.cx.wake_at(at);
        }
    }

    /// What was asked on a lost backend is asked again.
    pub fn canceller_lost(&mut self, on: BackendId) {
        let now = self.cx.now;
        let mut again = Vec::new();
        self.waits.cancels_mut().forget_asked(on);
        for (id, cancel) in self.waits.cancels_mut().iter_mut() {
            if matches!(cancel.asked, CancelState::On(asked) if asked == on) {
                (cancel.asked, cancel.may_have_ended) = (CancelState::At(now), true);
                again.push(cancel.credential);
                // What was asked may still arrive, and end a later wait there.
                if let Some(backend) = self.pool.backend_mut(*id) {
                    backend.retire_at = Some(now);
                }
            }
        }
        // Whose reply has come meanwhile has nothing left to be ended; whether it was is not known.
        let decided: Vec<BackendId> = (self.waits.cancels_mut().iter_mut())
            .filter(|(_, cancel)| {
                cancel.came.is_some() && matches!(cancel.asked, CancelState::At(_))
            })
            .map(|(id, cancel)| {
                cancel.asked = cancel.is_over();
                *id
            })
            .collect();
        for id in decided {
            self.finish_if_both(id);
        }
        for credential in again {
            self.pool.request(AcquireRequest::Cancel(credential));
        }
    }

    /// A connection that ends waits and has none left to end is anybody's again.
    pub fn release_canceller(&mut self, id: BackendId) {
        let Some(backend) = self.pool.backend(id) else {
            return;
        };
        // What is only to be asked again later keeps no connection that others could use.
        let needed = match backend.kept_back {
            true => self.waits.cancels().any_as(backend.credential()),
            false => self
                .waits
                .cancels()
                .any_due_as(backend.credential(), self.cx.now),
        };
        if backend.is_quiet() && !needed {
            self.pool.make_idle(self.cx, id);
        }
    }
}
