//! How a client's connection comes to its end, as far as the clients themselves go. What it leaves in other
//! parts is told by an event.

use crate::engine::cx::Cx;
use crate::engine::effect::Effect;
use crate::engine::event::{EngineEvent, Gone};
use crate::engine::key::ClientId;
use crate::engine::lease::holding::Lease;
use crate::telemetry::ClientCloseReason;

use super::Clients;
use super::hold::{Ending, Hold};

impl Clients {
    /// The client's connection ends this way, unless its end has begun already.
    pub fn end(&mut self, cx: &mut Cx, id: ClientId, ending: Ending) {
        if let Some(client) = self.get_mut(id)
            && matches!(client.ending, Ending::No | Ending::HalfClosed)
        {
            client.ending = ending;
            // Its next request is not dealt with, so it waits for nothing; an answer that
            // is being gathered still comes.
            let hold = client
                .head
                .hold
                .take_if(|hold| !matches!(hold, Hold::FanOut(_)));
            let number = client.session.id;
            cx.events
                .push_back(EngineEvent::ClientWaitsNoMore { id, number, hold });
            self.close_if_done(cx, id);
        }
    }

    /// Closes a client at once, for this reason.
    #[cold]
    pub fn close_for(&mut self, cx: &mut Cx, id: ClientId, why: ClientCloseReason) {
        self.closes_for(id, why);
        self.close_now(cx, id);
    }

    /// Closes a client at once. Its requests in flight run; their replies are swallowed.
    pub fn close_now(&mut self, cx: &mut Cx, id: ClientId) {
        self.forget_client(cx, id);
        cx.effects.push(Effect::CloseClient(id));
    }

    /// Forgets a client. What it held or waited for elsewhere is left when that is seen to.
    pub fn forget_client(&mut self, cx: &mut Cx, id: ClientId) {
        let Some(mut client) = self.remove(id) else {
            return;
        };
        cx.counters
            .left(client.leaving.unwrap_or(ClientCloseReason::Client));
        self.drop_idle_timer(id, &client);
        let gone = Gone {
            id,
            number: client.session.id,
            hold: client.head.hold,
            lease: client.part_with_lease(),
            within: client.within,
        };
        cx.events.push_back(EngineEvent::ClientGone(Box::new(gone)));
        if self.is_empty() {
            // Nothing is kept ready for nobody: what is idle may be due.
            cx.wake_at(cx.now);
        }
    }

    /// Goes on with a client's end as far as it has come.
    pub fn client_ending(&mut self, cx: &mut Cx, id: ClientId) {
        let Some(client) = self.get_mut(id) else {
            return;
        };
        if matches!(client.ending, Ending::No) && !cx.draining {
            return;
        }
        // What it still sends is dropped: one that writes all before it reads gets there.
        if client.unread && client.is_ending() {
            client.unread = false;
            cx.effects.push(Effect::ReadClient(id));
        }
        let answered =
            client.in_flight == 0 && client.stream.is_none() && client.head.hold.is_none();
        // Who is in a transaction may finish it.
        let open = |lease: &Lease| lease.state.transaction.is_open();
        let in_transaction = client.lease.as_ref().is_some_and(open);
        let idle = client.is_quiet() && client.input.is_empty() && !in_transaction;
        match &mut client.ending {
            Ending::No if cx.draining && idle => {
                client.leaving.get_or_insert(ClientCloseReason::Drained);
                client.ending = Ending::AfterOutput;
            }
            Ending::No => return,
            Ending::HalfClosed => {
                // What is left of an unfinished request will never be whole; neither will
                // a huge one that was passing through.
                let waits = client.head.hold.is_some()
                    || client.in_flight > 0
                    || client.input.walked() < client.input.len();
                if waits && (client.stream.is_none() || !client.input.is_empty()) {
                    return;
                }
                client.ending = Ending::AfterOutput;
            }
            Ending::AfterReplies(last_words) => {
                if !answered {
                    return;
                }
                let last_words = std::mem::take(last_words);
                client.ending = Ending::AfterOutput;
                self.drop_input(id);
                self.reply_with(id, |out| out.extend_from_slice(&last_words));
            }
            Ending::AfterOutput => {}
        }
        if let Some(client) = self.get(id)
            && client.ending == Ending::AfterOutput
            && client.out.is_empty()
        {
            self.forget_client(cx, id);
            cx.effects.push(Effect::CloseClient(id));
        }
    }

    /// A client that lets more replies pile up than it may is closed.
    #[inline]
    pub fn bound_output(&mut self, cx: &mut Cx, id: ClientId, output_bytes: usize) {
        if output_bytes > cx.rules.settings.clients.output_bytes_max {
            self.holds_too_much_output(cx, id);
        }
    }

    #[cold]
    fn holds_too_much_output(&mut self, cx: &mut Cx, id: ClientId) {
        let limit = cx.rules.settings.clients.output_bytes_max;
        let client_id = self.get(id).map(|client| client.session.id);
        let key = "clients.output_bytes_max";
        tracing::warn!(
            client_id,
            key,
            limit_bytes = limit,
            "client closed: it does not read its replies"
        );
        self.close_for(cx, id, ClientCloseReason::OutputLimit);
    }

    /// The same of what was put there apart from a reply's way: what is held in all is looked at too.
    pub fn output_grew(&mut self, cx: &mut Cx, id: ClientId, output_bytes: usize) {
        self.bound_output(cx, id, output_bytes);
        cx.events.push_back(EngineEvent::HeldGrew(id));
    }
}
