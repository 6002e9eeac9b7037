//! What a client has done on the backend that it holds.

use crate::admission::fault_injection::{self, Bug};
use crate::engine::cx::Cx;
use crate::engine::key::ClientId;
use crate::engine::lease::holding::Lease;
use crate::engine::lease::push_stream::PushStream;
use crate::engine::lease::state::LeaseState;
use crate::engine::lease::wait::UNBLOCKED;
use crate::engine::slot::Receiver;
use crate::resp::{Protocol, Refusal, write};
use crate::session::settle::{Settling, Unanswered};
use crate::session::{StateChange, exec_reply};
use crate::telemetry::ClientCloseReason;

use super::hold::Ending;
use super::{Client, Clients};

impl Clients {
    pub fn lease_state(&mut self, id: ClientId) -> Option<&mut LeaseState> {
        Some(&mut self.get_mut(id)?.lease.as_mut()?.state)
    }

    /// What the replies to a client change that holds a backend.
    pub fn settling(&mut self, id: ClientId) -> Option<Settling<'_>> {
        let client = self.get_mut(id)?;
        let lease_state = &mut client.lease.as_mut()?.state;
        Some(Settling {
            transaction: &mut lease_state.transaction,
            pins: &mut lease_state.pins,
            lost: &mut client.session.lost,
            protocol: client.session.protocol,
        })
    }

    /// The push stream of the client that holds a backend, if it has one.
    pub fn push_stream(&mut self, owner: ClientId) -> Option<&mut PushStream> {
        self.lease_state(owner)?.push_stream.as_deref_mut()
    }

    /// Whether the client has, or has had, one on the backend that it holds.
    pub fn has_push_stream(&self, owner: ClientId) -> bool {
        let lease = self.get(owner).and_then(|c| c.lease.as_ref());
        lease.is_some_and(|lease| lease.state.push_stream.is_some())
    }

    /// Whether things are pushed to the client: losing its backend loses some of them.
    pub fn has_live_push_stream(&self, owner: ClientId) -> bool {
        let lease = self.get(owner).and_then(|c| c.lease.as_ref());
        lease.is_some_and(|l| {
            l.state
                .push_stream
                .as_ref()
                .is_some_and(|push_stream| push_stream.is_live())
        })
    }

    /// Whether something may be pushed to the client in the middle of a reply.
    pub fn may_hear_inside(&self, owner: ClientId) -> bool {
        let client = self.get(owner);
        let resp3 = client.is_some_and(|client| client.session.protocol == Protocol::Resp3);
        resp3 && self.has_push_stream(owner)
    }

    /// While its places are filled its client is in the transaction still, as in Redis.
    pub fn executes(&mut self, id: ClientId, queued: Option<u32>) {
        if let Some(lease_state) = self.lease_state(id) {
            lease_state.executing = queued;
        }
    }

    /// What a request on a lost lease leaves open.
    pub fn transaction_unanswered(&mut self, id: ClientId, receiver: Receiver) -> Unanswered {
        let (Receiver::OnLease(change) | Receiver::OnLeaseSilent(change)) = receiver else {
            return Unanswered::Unknown;
        };
        match self.settling(id) {
            Some(settling) => settling.unanswered(change),
            None => Unanswered::of(change),
        }
    }

    /// What a wait's client hears in place of its reply, if that means nothing: the connection has
    /// not been moved behind its writes.
    pub fn wait_is_void(&mut self, id: ClientId, change: StateChange) -> Option<Vec<u8>> {
        if !change.acknowledges() {
            return None;
        }
        let void = std::mem::take(&mut self.lease_state(id)?.offset_unmoved);
        void.then(|| {
            let mut reply = Vec::new();
            Refusal::OffsetUnmoved.write(&mut reply);
            reply
        })
    }

    /// Whether a client that has left would have to wait for what it has written to arrive.
    pub fn would_wait_for_writes(
        &mut self,
        id: ClientId,
        change: StateChange,
        reply: &[u8],
    ) -> bool {
        let wait = self
            .lease_state(id)
            .and_then(|lease_state| lease_state.wait.as_ref());
        change.acknowledges() && wait.is_some_and(|wait| wait.was_in_vain(reply))
    }

    /// What the client hears whose wait was being ended, where the server has answered so; `None`: it
    /// has asked for silence.
    pub fn hears_after_cancel(
        &mut self,
        cx: &mut Cx,
        id: ClientId,
        first: u32,
        heard: Option<&[u8]>,
        error: bool,
    ) {
        let void = self.wait_is_void(id, StateChange::Wait);
        if let Some(reply) = heard {
            self.reply_with(id, |out| match (error, void) {
                (true, _) => write::error(out, UNBLOCKED),
                (false, Some(void)) => out.extend_from_slice(&void),
                (false, None) => out.extend_from_slice(reply),
            });
        }
        self.replies_in(cx, id, first, 1);
    }

    /// What a client is pushed in the middle of a reply is not silenced with that
    /// (CLIENT_PUSHING, networking.c).
    pub fn hears_what_is_inside(&mut self, id: ClientId, reply: &[u8]) {
        if let Some(told) = exec_reply::pushes(reply) {
            self.reply_with(id, |out| out.extend_from_slice(&told));
        }
    }

    pub fn too_far_behind(&mut self, cx: &mut Cx, owner: ClientId, limit_bytes: usize) {
        let client_id = self.get(owner).map(|client| client.session.id);
        let key = "clients.output_subscriber_bytes_max";
        tracing::warn!(
            client_id,
            key,
            limit_bytes,
            "client closed: it does not read what it has subscribed to"
        );
        self.close_for(cx, owner, ClientCloseReason::OutputLimit);
    }

    /// The backend of a client's push stream is lost: some of it may have been missed, so the client is
    /// disconnected, as Redis itself would have done. Nothing is said to it any more.
    pub fn push_stream_lost(&mut self, cx: &mut Cx, owner: ClientId) {
        if self.has_live_push_stream(owner) {
            self.closes_for(owner, ClientCloseReason::BackendLost);
            self.end(cx, owner, Ending::AfterReplies(Box::default()));
        }
    }
}

impl Client {
    /// Takes its lease from a client. What is still open on it is lost to the client, who is not
    /// to forget that with it.
    pub fn part_with_lease(&mut self) -> Option<Lease> {
        self.lease.part(&mut self.session.lost)
    }

    /// Whether it holds a backend for whatever it asks for, and not just for one request.
    pub fn has_session_lease(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| {
            let lease_state = &lease.state;
            !lease_state.purpose.is_one_request()
                || (fault_injection::has(Bug::OwnConnectionShared) && !lease_state.own_command_due)
        })
    }
}
