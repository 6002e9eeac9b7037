//! What replies change for a client on a backend of its own: its transaction opens and closes, the
//! connection changes its db together with its client, places of `EXEC` are filled. Those are counted by
//! what the server has queued; an `EXEC` of another length ends both lease and client.

use crate::session::settle::{MarkedReply, ReplyEffect};
use crate::session::{ReplyOverride, StateChange};

use crate::engine::clients::hold::Ending;
use crate::engine::context::{Context, Setting};
use crate::engine::fanout::pending::Filling;
use crate::engine::key::{BackendId, ClientId};
use crate::engine::pool::handshake::hello_for_client;
use crate::engine::pool::reply_batch::ReplyBatch;
use crate::engine::reach::{Lending, Traffic};
use crate::engine::{Engine, fault_injection};

impl Engine {
    /// A whole reply to a marked request.
    pub fn marked_reply(
        &mut self,
        backend: BackendId,
        batch: &ReplyBatch,
        change: StateChange,
        reply: &[u8],
        silent: bool,
    ) {
        let id = batch.client;
        let marked = MarkedReply {
            change,
            sequence: batch.first,
            text: reply,
        };
        let Some(effect) = self.lending().settle(id, marked) else {
            return;
        };
        let (mut reply_override, mut filling, mut misplaced) = (effect.reply_override, None, false);
        if let Some(fills) = effect.fills {
            let queued = fills.queued;
            filling = self.fill(backend, id, reply, fills);
            let fits = |filling: &Filling| Some(filling.elements()) == queued;
            misplaced = !filling.as_ref().is_some_and(fits);
        }
        if let Some(filled) = filling.take_if(|filling| misplaced || filling.is_whole()) {
            reply_override = ReplyOverride::Instead(filled.text());
        }
        if misplaced && let Some(lease_state) = self.clients.lease_state(id) {
            lease_state.transaction.doubt();
        }
        if let Some(void) = self.clients.wait_is_void(id, change) {
            reply_override = ReplyOverride::Instead(void);
        } else if self.clients.would_wait_for_writes(id, change, reply) {
            return self.blocking().waits_in_vain(backend, batch);
        }
        let lease_state = self.clients.lease_state(id);
        if let Some(order) = lease_state.and_then(|state| state.pause.take()) {
            self.cx.pause_answered(order, reply);
        }
        let lease_state = self.clients.lease_state(id);
        if change == StateChange::Switch
            && let Some(to) = lease_state.and_then(|state| state.switch.take())
            && effect.switches
        {
            reply_override = self.traffic().switched(backend, id, to, reply);
        }
        // The places that are still empty are filled when all workers have answered.
        if !silent && filling.is_none() {
            let text = match &reply_override {
                ReplyOverride::AsIs => reply,
                ReplyOverride::Instead(text) => text,
            };
            self.clients
                .reply_with(id, |out| out.extend_from_slice(text));
        }
        if silent && self.clients.may_hear_inside(id) {
            self.clients.hears_what_is_inside(id, reply);
        }
        self.clients
            .settled(&mut self.cx, batch.client, batch.first, batch.ended);
        if change == StateChange::ExecFilled {
            self.fill_the_rest(id, filling, silent);
        }
        if misplaced {
            // `EXEC` has run more or less than was queued: nobody knows which db the connection is in,
            // nor its client. Neither is used any further.
            self.clients.end(&mut self.cx, id, Ending::AfterOutput);
        }
    }
}

impl Lending<'_> {
    /// A reply that goes on as it comes has come to its end: `EXEC` has run, or a watched key had
    /// changed, or something was done that may stay.
    pub fn stream_came(&mut self, batch: &ReplyBatch, change: StateChange) {
        if batch.ended > 0 {
            let (sequence, text) = (batch.first, &b"*"[..]);
            self.settle(
                batch.client,
                MarkedReply {
                    change,
                    sequence,
                    text,
                },
            );
        }
    }

    /// What a reply changes for its client and for the connection that it has been lent: the one
    /// place where it does. What else comes of it; `None`: there is no such connection.
    fn settle(&mut self, id: ClientId, reply: MarkedReply<'_>) -> Option<ReplyEffect> {
        let effect = self.clients.settling(id)?.settle(reply);
        if let Some(change) = effect.stream
            && let Some(push_stream) = self.clients.push_stream(id)
        {
            push_stream.settle(change);
        }
        if let Some(pin) = effect.pinned
            && let Some(client) = self.clients.get(id)
        {
            let (client_id, addr) = (client.session.id, client.address.peer());
            let reason = pin.label();
            tracing::info!(client_id, addr, reason, "a client keeps a connection");
        }
        self.lease_lasts_no_more(id);
        Some(effect)
    }
}

impl Traffic<'_> {
    /// `SELECT` or `HELLO` outside of `MULTI` was not refused.
    fn switched(
        &mut self,
        backend: BackendId,
        id: ClientId,
        to: Setting,
        reply: &[u8],
    ) -> ReplyOverride {
        let Some(client) = self.clients.get(id) else {
            return ReplyOverride::AsIs;
        };
        let (number, protocol) = (client.session.id, client.session.protocol);
        self.move_leased(backend, id, to);
        if protocol == to.protocol {
            return ReplyOverride::AsIs;
        }
        self.pool
            .endpoint_mut()
            .says_hello(to.protocol, reply.to_vec());
        ReplyOverride::Instead(hello_for_client(reply, number))
    }

    /// The server has set a client's own backend to `to`: both are there now.
    pub fn move_leased(&mut self, backend: BackendId, id: ClientId, to: Setting) {
        let Some(leased) = self.pool.backend(backend) else {
            return;
        };
        // A reload may have made its client another user meanwhile, never the connection.
        let credential = fault_injection::credential_of(leased, self.clients.get(id));
        let context = self.pool.context_key(Context {
            credential,
            protocol: to.protocol,
            db: to.db,
        });
        self.pool.set_context(backend, context);
        self.pool.accepted(context);
        if let Some(client) = self.clients.get_mut(id) {
            client.session.protocol = to.protocol;
            client.session.db = to.db;
            self.pool.move_on(&mut client.within, context);
        }
    }
}
