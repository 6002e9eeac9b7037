//! What replies change for a client on a backend of its own: its transaction opens and closes, the
//! connection changes its db together with its client, places of `EXEC` are filled.

use crate::session::settle::{MarkedReply, ReplyEffect};
use crate::session::{Hears, Mark};

use super::clients::hold::Ending;
use super::context::{Context, Setting};
use super::fanout::gather::Filling;
use super::key::{BackendId, ClientId};
use super::pool::handshake::hello_for_client;
use super::pool::run::Run;
use super::reach::{Lending, Traffic};
use super::{Engine, planted};

impl Engine {
    /// A whole reply to a marked request.
    pub(super) fn marked_reply(
        &mut self,
        backend: BackendId,
        run: &Run,
        mark: Mark,
        reply: &[u8],
        silent: bool,
    ) {
        let id = run.client;
        let marked = MarkedReply {
            mark,
            sequence: run.first,
            text: reply,
        };
        let Some(effect) = self.lending().settle(id, marked) else {
            return;
        };
        let (mut hears, mut filling, mut misplaced) = (effect.hears, None, false);
        if let Some(fills) = effect.fills {
            let queued = fills.queued;
            filling = self.fill(backend, id, reply, fills);
            let fits = |filling: &Filling| Some(filling.elements()) == queued;
            misplaced = !filling.as_ref().is_some_and(fits);
        }
        if let Some(filled) = filling.take_if(|filling| misplaced || filling.is_whole()) {
            hears = Hears::Instead(filled.text());
        }
        if misplaced && let Some(lent) = self.clients.lent(id) {
            lent.bracket.doubt();
        }
        if let Some(void) = self.clients.wait_is_void(id, mark) {
            hears = Hears::Instead(void);
        } else if self.clients.would_wait_for_writes(id, mark, reply) {
            return self.blocking().waits_in_vain(backend, run);
        }
        if let Some(order) = self.clients.lent(id).and_then(|lent| lent.pause.take()) {
            self.cx.pause_answered(order, reply);
        }
        if mark == Mark::Switch
            && let Some(to) = self.clients.lent(id).and_then(|lent| lent.switch.take())
            && effect.switches
        {
            hears = self.traffic().switched(backend, id, to, reply);
        }
        // The places that are still empty are filled when all workers have answered.
        if !silent && filling.is_none() {
            let text = match &hears {
                Hears::AsIs => reply,
                Hears::Instead(text) => text,
            };
            self.clients
                .reply_with(id, |out| out.extend_from_slice(text));
        }
        if silent && self.clients.may_hear_inside(id) {
            self.clients.hears_what_is_inside(id, reply);
        }
        self.clients
            .settled(&mut self.cx, run.client, run.first, run.ended);
        if mark == Mark::ExecFilled {
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
    pub fn stream_came(&mut self, run: &Run, mark: Mark) {
        if run.ended > 0 {
            let (sequence, text) = (run.first, &b"*"[..]);
            self.settle(
                run.client,
                MarkedReply {
                    mark,
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
            && let Some(feed) = self.clients.feed(id)
        {
            feed.settle(change);
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
    fn switched(&mut self, backend: BackendId, id: ClientId, to: Setting, reply: &[u8]) -> Hears {
        let Some(client) = self.clients.get(id) else {
            return Hears::AsIs;
        };
        let (number, protocol) = (client.session.id, client.session.protocol);
        self.move_lent(backend, id, to);
        if protocol == to.protocol {
            return Hears::AsIs;
        }
        self.pool.endpoint.hello.set(to.protocol, reply.to_vec());
        Hears::Instead(hello_for_client(reply, number))
    }

    /// The server has set a client's own backend to `to`: both are there now.
    pub fn move_lent(&mut self, backend: BackendId, id: ClientId, to: Setting) {
        let Some(lent) = self.pool.backends.get_mut(backend) else {
            return;
        };
        // A reload may have made its client another user meanwhile, never the connection.
        let context = self.pool.contexts.key(Context {
            credential: planted::credential_of(lent, self.clients.get(id)),
            protocol: to.protocol,
            db: to.db,
        });
        lent.enter(&mut self.pool.contexts, context);
        self.pool.accepted(context);
        if let Some(client) = self.clients.get_mut(id) {
            client.session.protocol = to.protocol;
            client.session.db = to.db;
            self.pool.contexts.move_on(&mut client.within, context);
        }
    }
}
