//! What a request means now: the one match over the routes. What is known of the session and what is
//! known of the request go in, and what is to be done comes out, as one [`Step`] that the engine only
//! executes. Nothing is changed here, and nothing is known of who carries what.
//!
//! What is plain, as most requests are, does not come here: it just goes down a pipe. What every request
//! means in every state stands in `step/steps.txt`, which the tests compare.

mod meaning;
mod view;

use crate::command::{Flags, Local, Pin, Route, Spec, TransactionVerb};
use crate::resp::{Args, Protocol, Refusal, integer};

use super::push_stream::{self, is_redirected};
use super::waiting::Waiting;
use super::{AuthState, StateChange, info};

pub use meaning::{LeaseNeed, LostEnd, QueueAs, ReplyUse, Step, TransactionPart, Until};
pub use view::{Incoming, OnLease, PausedFor, View};

/// What is to be done with a request.
pub fn decide<'r>(view: &View, incoming: Incoming<'r>) -> Step<'r> {
    if view.auth_state != AuthState::Authenticated
        && let Some(step) = before_login(view.auth_state, &incoming)
    {
        return step;
    }
    if let Some(refusal) = incoming.forbidden {
        return match view.lease {
            // Where the server refuses it anyway it does so in its own words.
            Some(_) if incoming.is_never_in_multi && view.replies_due => Step::Hold(Until::Replies),
            Some(lease) if incoming.is_never_in_multi && lease.queueing => {
                Step::SendOnLease(ReplyUse::AsIs)
            }
            _ => Step::Refuse(refusal),
        };
    }
    if is_held_up(view, &incoming) {
        return Step::Hold(Until::PauseEnds);
    }
    match &view.lease {
        Some(lease) => on_lease(view, lease, &incoming),
        None if view.lost.multi() => in_lost_transaction(view, &incoming),
        None => without_lease(view, &incoming),
    }
}

/// A request of a client that has not logged in. `None`: that does not matter.
fn before_login<'r>(auth_state: AuthState, incoming: &Incoming<'r>) -> Option<Step<'r>> {
    let spec = incoming.spec;
    // In the order of `processCommand`, server.c.
    let wrong = incoming.refusal();
    if spec.on_server == Some(false) {
        return wrong.map(Step::Refuse);
    }
    let (refusal, matters) = match spec.route {
        _ if wrong.is_some() => (wrong?, false),
        Route::Local(_) if spec.flags.contains(Flags::NO_AUTH) => return None,
        Route::Local(local) => (Refusal::NoAuth, local.matters_to_what_follows()),
        Route::Shared
        | Route::Unpins(_)
        | Route::Restricted
        | Route::Info
        | Route::Blocking
        | Route::OwnConnection => (Refusal::NoAuth, false),
        Route::Transaction(TransactionVerb::Exec) => (Refusal::ExecNoAuth, true),
        Route::Transaction(_) | Route::Subscriber | Route::Pinned(_) | Route::NotForwarded => {
            (Refusal::NoAuth, true)
        }
    };
    match auth_state {
        AuthState::Authenticated => None,
        AuthState::Unauthenticated => Some(Step::Refuse(refusal)),
        AuthState::Unknown => Some(Step::AskWhoMay { refusal, matters }),
    }
}

/// Whether the server, which is paused, would hold a request up. Rights and arguments are looked at
/// before, as there (`processCommand`, server.c).
fn is_held_up(view: &View, incoming: &Incoming<'_>) -> bool {
    let spec = incoming.spec;
    let writes = match spec.route {
        _ if view.paused == PausedFor::Nothing || incoming.is_wrong() => return false,
        // What ends a pause must not wait for its end; the server itself decides.
        Route::OwnConnection => return false,
        // By what it runs.
        Route::Transaction(TransactionVerb::Exec) => {
            view.lease.is_some_and(|lease| lease.queues_writes)
        }
        _ => spec.may_write(),
    };
    writes || view.paused == PausedFor::Everything
}

/// A request of a client that holds no backend, or one for just one request.
fn without_lease<'r>(view: &View, incoming: &Incoming<'r>) -> Step<'r> {
    let Incoming { spec, bytes, .. } = *incoming;
    match spec.route_of(bytes) {
        Route::Shared if incoming.is_dedicated => incoming.lease(LeaseNeed::Waiting),
        Route::Shared | Route::Unpins(_) => Step::Forward(ReplyUse::AsIs),
        Route::Restricted => Step::Forward(incoming.use_of_restricted()),
        Route::Info => Step::Forward(ReplyUse::Info {
            section: incoming.asks_for_narrows(),
        }),
        // The server's own text: it knows its own version best.
        Route::Local(Local::ClientHelp) => Step::Forward(ReplyUse::AsIs),
        Route::Local(local) => incoming.or_refused(Step::Local(local)),
        Route::NotForwarded => incoming.or_refused(incoming.not_forwarded()),
        Route::Transaction(TransactionVerb::Multi) if spec.accepts(incoming.argc) => {
            Step::WholeTransaction
        }
        Route::Transaction(TransactionVerb::Watch | TransactionVerb::Multi) => {
            incoming.lease(LeaseNeed::Transaction)
        }
        // What it does to a watch that was lost its reply tells.
        Route::Transaction(TransactionVerb::Unwatch) if view.lost.watch() => {
            incoming.lease(LeaseNeed::Transaction)
        }
        // Nothing is open: the server says so, on any connection.
        Route::Transaction(
            TransactionVerb::Exec | TransactionVerb::Discard | TransactionVerb::Unwatch,
        ) => Step::Forward(ReplyUse::AsIs),
        Route::Blocking => incoming.lease(LeaseNeed::Waiting),
        Route::Subscriber | Route::Pinned(Pin::Monitor) => incoming.lease(LeaseNeed::PushStream),
        Route::Pinned(Pin::Tracking) if is_redirected(Args::new(bytes)) => {
            incoming.or_refused(Step::Refuse(Refusal::TrackingRedirect))
        }
        Route::Pinned(_) => incoming.lease(LeaseNeed::State),
        Route::OwnConnection => Step::OwnConnection {
            refusal: incoming.refusal(),
        },
    }
}

/// A transaction whose connection was lost: nothing of it may run, and nothing that its client sends
/// inside it.
fn in_lost_transaction<'r>(view: &View, incoming: &Incoming<'r>) -> Step<'r> {
    if view.replies_due {
        return Step::Hold(Until::Replies);
    }
    match incoming.spec.route {
        Route::Transaction(TransactionVerb::Exec) => Step::EndLost(LostEnd::Executed),
        Route::Transaction(TransactionVerb::Discard) => Step::EndLost(LostEnd::Discarded),
        // Nobody nests them on purpose: this client has given the lost one up.
        Route::Transaction(TransactionVerb::Multi) => Step::EndLost(LostEnd::Replaced),
        Route::Local(Local::Reset | Local::Quit) => Step::EndLost(LostEnd::Left),
        _ => Step::Refuse(Refusal::InLostTransaction),
    }
}

/// A request of a client that holds a backend for whatever it asks for: nearly all of them travel
/// there, as they would on a direct connection.
fn on_lease<'r>(view: &View, lease: &OnLease, incoming: &Incoming<'r>) -> Step<'r> {
    let route = incoming.spec.route_of(incoming.bytes);
    if view.replies_due && is_judged_by_replies(lease, route) {
        return Step::Hold(Until::Replies);
    }
    match route {
        // The server refuses what is wrong in its own words, and aborts what it is in. An EXEC of
        // those ends its transaction.
        Route::Transaction(verb) if incoming.is_wrong() => transact(view, lease, verb, incoming),
        Route::Local(_) if incoming.is_wrong() && !lease.queueing => {
            incoming.or_refused(Step::SendOnLease(ReplyUse::AsIs))
        }
        _ if incoming.is_wrong() => Step::SendOnLease(ReplyUse::AsIs),
        Route::Transaction(verb) if lease.queueing => transact(view, lease, verb, incoming),
        _ if lease.queueing => inside_multi(view, incoming, route),
        _ => outside_multi(view, lease, incoming, route),
    }
}

/// Whether what a request means depends on the replies that are due.
fn is_judged_by_replies(lease: &OnLease, route: Route) -> bool {
    // As Redis looks at nothing behind a command that waits.
    lease.waits
        // What it means depends on what its client is subscribed to then.
        || (lease.changing && route != Route::Subscriber)
        || match route {
            // What narrows answers itself depends on all of them.
            Route::Local(_) => true,
            Route::Shared | Route::Restricted | Route::Transaction(_) => false,
            // Or on whether it is queued.
            _ => !lease.is_settled,
        }
}

/// A request that the server queues, or refuses to.
fn inside_multi<'r>(view: &View, incoming: &Incoming<'r>, route: Route) -> Step<'r> {
    let not_inside = Step::Refuse(Refusal::NotInsideTransaction);
    match route {
        Route::Shared => Step::SendOnLease(ReplyUse::AsIs),
        Route::Restricted => Step::SendOnLease(incoming.use_of_restricted()),
        Route::Unpins(pin) => Step::SendOnLease(use_of_undoing(pin)),
        // A place is counted by replies that must be here.
        Route::Info if view.replies_due => Step::Hold(Until::Replies),
        Route::Info => Step::Queue(QueueAs::Info {
            section: incoming.asks_for_narrows(),
        }),
        // There it would speak of what this connection alone has written.
        Route::Blocking if incoming.spec.waits_for_own_writes() => not_inside,
        Route::Blocking => Step::SendOnLease(ReplyUse::AsIs),
        Route::Local(local) => local_inside_multi(incoming, local),
        // It never runs there.
        Route::NotForwarded | Route::Pinned(_) if incoming.is_never_in_multi => {
            Step::SendOnLease(ReplyUse::AsIs)
        }
        Route::Pinned(_) | Route::Subscriber | Route::Transaction(_) => not_inside,
        Route::NotForwarded => incoming.not_forwarded(),
        Route::OwnConnection => incoming.not_on_lease(),
    }
}

/// A command that narrows answers itself, inside a transaction: it is answered when that runs.
fn local_inside_multi<'r>(incoming: &Incoming<'r>, local: Local) -> Step<'r> {
    match local {
        Local::ClientHelp => Step::SendOnLease(ReplyUse::AsIs),
        // As in Redis: at once.
        Local::Reset | Local::Quit => Step::Leave(local),
        Local::Select => {
            let db = Args::new(incoming.bytes).nth(1).and_then(integer);
            // A db that is no number is refused by the server in its own words.
            let db = db.and_then(|db| u32::try_from(db).ok());
            Step::Queue(db.map_or(QueueAs::AsIs, QueueAs::Select))
        }
        // What is tracked is tracked on this very connection.
        Local::ClientGetredir | Local::ClientTrackinginfo => Step::Queue(QueueAs::AsIs),
        Local::ClientId
        | Local::ClientInfo
        | Local::ClientGetname
        | Local::ClientSetname
        | Local::ClientSetinfo
        | Local::ClientNoEvict
        | Local::ClientCapa => Step::Queue(QueueAs::Local(local)),
        Local::ClientList | Local::ClientKill | Local::ClientUnblock => {
            Step::Queue(QueueAs::Asked(local))
        }
        Local::ClientReply | Local::Auth | Local::Hello => {
            Step::Refuse(Refusal::NotInsideTransaction)
        }
    }
}

/// A request that the server runs at once.
fn outside_multi<'r>(
    view: &View,
    lease: &OnLease,
    incoming: &Incoming<'r>,
    route: Route,
) -> Step<'r> {
    let Incoming { spec, bytes, .. } = *incoming;
    let command = &*spec.name;
    let is_restricted = lease.subscribed && view.protocol == Protocol::Resp2;
    match route {
        Route::Subscriber => match push_stream::SubscribeVerb::named(command.as_bytes()) {
            Some(verb) => Step::Subscribe(verb),
            None => incoming.not_forwarded(),
        },
        Route::Local(local @ (Local::Reset | Local::Quit)) => Step::Leave(local),
        // It must never be asked to make the connection another user's.
        Route::Local(Local::Auth | Local::Hello) if is_restricted => {
            Step::Refuse(Refusal::Subscribed { command })
        }
        // The server says in its own words what may be asked then.
        _ if is_restricted => Step::SendOnLease(ReplyUse::AsIs),
        Route::Transaction(verb) => transact(view, lease, verb, incoming),
        Route::Shared => Step::SendOnLease(ReplyUse::AsIs),
        Route::Restricted => Step::SendOnLease(incoming.use_of_restricted()),
        Route::Unpins(pin) => Step::SendOnLease(use_of_undoing(pin)),
        Route::Info => Step::SendOnLease(ReplyUse::Info {
            section: incoming.asks_for_narrows(),
        }),
        // It is alone on its way, so that ending the wait answers it and nothing else.
        Route::Blocking if view.replies_due => Step::Hold(Until::Replies),
        Route::Blocking => Step::WaitOnLease,
        Route::Local(Local::ClientHelp) => Step::SendOnLease(ReplyUse::AsIs),
        Route::Local(Local::ClientGetredir | Local::ClientTrackinginfo) if lease.tracking => {
            Step::SendOnLease(ReplyUse::AsIs)
        }
        Route::Local(local @ (Local::Select | Local::Hello)) => Step::Switch(local),
        Route::Local(local) => Step::Local(local),
        Route::Pinned(Pin::Monitor) => Step::PushStream(StateChange::Monitor),
        Route::Pinned(Pin::Tracking) if is_redirected(Args::new(bytes)) => {
            Step::Refuse(Refusal::TrackingRedirect)
        }
        Route::Pinned(Pin::Tracking) if incoming.says_off() => {
            Step::PushStream(StateChange::TrackingOff)
        }
        Route::Pinned(Pin::Tracking) => Step::PushStream(StateChange::TrackingOn),
        // Without tracking it is an error, with it tracking holds the connection.
        Route::Pinned(Pin::Caching) => Step::SendOnLease(ReplyUse::AsIs),
        Route::Pinned(pin @ (Pin::NoTouch | Pin::ImportSource)) if incoming.says_off() => {
            Step::Pin(StateChange::undoing(pin).unwrap_or(StateChange::Pin(pin)))
        }
        Route::Pinned(pin) => Step::Pin(StateChange::Pin(pin)),
        Route::NotForwarded => incoming.not_forwarded(),
        Route::OwnConnection => incoming.not_on_lease(),
    }
}

/// What becomes of the reply to a command that undoes what has pinned its client.
fn use_of_undoing(pin: Pin) -> ReplyUse {
    StateChange::undoing(pin).map_or(ReplyUse::AsIs, ReplyUse::Marked)
}

/// A command of a transaction, on its client's own backend.
fn transact<'r>(
    view: &View,
    lease: &OnLease,
    verb: TransactionVerb,
    incoming: &Incoming<'r>,
) -> Step<'r> {
    let is_due = view.replies_due && !lease.is_settled;
    Step::Transact(match verb {
        TransactionVerb::Exec if lease.judges_exec && is_due => return Step::Hold(Until::Replies),
        TransactionVerb::Watch => StateChange::Watch,
        TransactionVerb::Unwatch => StateChange::Unwatch,
        TransactionVerb::Multi => StateChange::Multi,
        TransactionVerb::Discard => StateChange::Discard,
        TransactionVerb::Exec => match lease.abort_reason {
            // The server does not take an EXEC with arguments, says why, and discards.
            Some(abort_reason) if incoming.spec.accepts(incoming.argc) => abort_reason.change(),
            None if lease.is_to_be_filled => StateChange::ExecFilled,
            _ => StateChange::Exec,
        },
    })
}

impl<'r> Incoming<'r> {
    /// This, unless the server would not run it.
    fn or_refused(&self, step: Step<'r>) -> Step<'r> {
        self.refusal().map_or(step, Step::Refuse)
    }

    /// A backend of its client's own.
    fn lease(&self, need: LeaseNeed) -> Step<'r> {
        let waiting = match need {
            LeaseNeed::Waiting => Waiting::of(&self.spec.name, self.bytes),
            _ => None,
        };
        self.or_refused(waiting.map_or(Step::Lease(need), Step::StandInLine))
    }

    /// What becomes of the reply to a restricted command.
    fn use_of_restricted(&self) -> ReplyUse {
        match &*self.spec.name {
            "replicaof" | "slaveof" => ReplyUse::Role,
            _ => ReplyUse::AsIs,
        }
    }

    fn asks_for_narrows(&self) -> bool {
        info::asks_for_narrows(Args::new(self.bytes).skip(1))
    }

    fn not_forwarded(&self) -> Step<'r> {
        let command = &*self.spec.name;
        Step::Refuse(Refusal::NotForwarded { command })
    }

    fn not_on_lease(&self) -> Step<'r> {
        let command = &*self.spec.name;
        Step::Refuse(Refusal::NotOnLease { command })
    }
}

/// What a request is that stands in a transaction that has come in one piece, `first` of all or behind
/// others. `None`: with this one it needs a backend of its own.
pub fn part_of_transaction(incoming: &Incoming<'_>, first: bool) -> Option<TransactionPart> {
    let is_fit = !incoming.is_wrong() && incoming.forbidden.is_none();
    match incoming.spec.route_of(incoming.bytes) {
        _ if !is_fit => None,
        Route::Transaction(TransactionVerb::Multi) if first => Some(TransactionPart::Begins),
        Route::Transaction(TransactionVerb::Exec | TransactionVerb::Discard) => {
            Some(TransactionPart::Ends)
        }
        _ if incoming.spec.waits_for_own_writes() || incoming.is_dedicated => None,
        Route::Shared | Route::Unpins(_) => Some(TransactionPart::Inside),
        _ => None,
    }
}

/// Why a huge request cannot be carried that its client may send, judged by what has come of it.
/// `queueing`: it stands in a transaction, where nothing waits.
pub fn refusal_of_huge<'r>(spec: &'r Spec, begun: &[u8], queueing: bool) -> Option<Refusal<'r>> {
    let command = &*spec.name;
    match spec.route_of(begun) {
        Route::Shared | Route::Unpins(_) | Route::Restricted | Route::Info => None,
        Route::Blocking if queueing && !spec.waits_for_own_writes() => None,
        Route::NotForwarded => Some(Refusal::NotForwarded { command }),
        // Their arguments, or their replies, are looked at.
        _ => Some(Refusal::TooLarge),
    }
}

#[cfg(test)]
mod tests;
