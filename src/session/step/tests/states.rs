//! The states in which requests are decided.

use crate::resp::Protocol;
use crate::session::step::{OnLease, PausedFor, View};
use crate::session::{AbortReason, AuthState, LostTransaction, StateChange, Transaction};

/// What is different about the request than that it just stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twist {
    No,
    Arguments,
    NotOnServer,
    Forbidden,
    NeverInMulti,
    ForbiddenAndNeverInMulti,
    Dedicated,
}

#[derive(Debug, Clone, Copy)]
pub struct SessionCase {
    pub name: &'static str,
    pub twist: Twist,
    pub view: View,
}

fn lost(changes: &[StateChange]) -> LostTransaction {
    let (mut lost, mut transaction) = (LostTransaction::default(), Transaction::default());
    for change in changes {
        transaction.settle(&mut lost, *change, b"+OK\r\n", Protocol::Resp2);
    }
    transaction.is_lost_to(&mut lost);
    lost
}

fn nothing() -> View {
    View {
        auth_state: AuthState::Authenticated,
        protocol: Protocol::Resp2,
        replies_due: false,
        lost: LostTransaction::default(),
        paused: PausedFor::Nothing,
        lease: None,
    }
}

const LEASE: OnLease = OnLease {
    waits: false,
    is_settled: true,
    queueing: false,
    queues_writes: false,
    judges_exec: false,
    abort_reason: None,
    is_to_be_filled: false,
    changing: false,
    subscribed: false,
    tracking: false,
};

/// A state, and what may be different about requests in it.
type Group = (&'static str, View, &'static [Twist]);

pub fn states() -> Vec<SessionCase> {
    let groups = [without_lease(), on_lease(), in_multi(), at_exec()].concat();
    let states = groups.into_iter().flat_map(|(name, view, twists)| {
        let twists = twists.iter();
        twists.map(move |&twist| SessionCase { name, twist, view })
    });
    states.collect()
}

const PLAIN: &[Twist] = &[Twist::No];
const ARGUMENTS: &[Twist] = &[Twist::No, Twist::Arguments];
const ALL: &[Twist] = &[
    Twist::No,
    Twist::Arguments,
    Twist::NotOnServer,
    Twist::Forbidden,
    Twist::ForbiddenAndNeverInMulti,
    Twist::NeverInMulti,
    Twist::Dedicated,
];

fn without_lease() -> Vec<Group> {
    let but = |change: fn(&mut View)| {
        let mut view = nothing();
        change(&mut view);
        view
    };
    let due = but(|view| view.replies_due = true);
    let watch = but(|view| view.lost = lost(&[StateChange::Watch]));
    let multi = but(|view| view.lost = lost(&[StateChange::Multi]));
    let multi_due = View {
        replies_due: true,
        ..multi
    };
    let unauthenticated = but(|view| view.auth_state = AuthState::Unauthenticated);
    let unknown = but(|view| view.auth_state = AuthState::Unknown);
    let writes = but(|view| view.paused = PausedFor::Writes);
    let everything = but(|view| view.paused = PausedFor::Everything);
    vec![
        ("holds nothing", nothing(), ALL),
        ("holds nothing, replies are due", due, PLAIN),
        ("has lost a watch", watch, PLAIN),
        ("has lost a transaction", multi, ALL),
        ("has lost a transaction, replies are due", multi_due, PLAIN),
        ("has to log in", unauthenticated, ALL),
        ("may have to log in", unknown, ALL),
        ("writes are paused", writes, ALL),
        ("everything is paused", everything, ALL),
    ]
}

fn on(lease: OnLease) -> View {
    View {
        lease: Some(lease),
        ..nothing()
    }
}

fn and_due(lease: OnLease) -> View {
    View {
        replies_due: true,
        ..on(lease)
    }
}

fn on_lease() -> Vec<Group> {
    let but = |change: fn(&mut OnLease)| {
        let mut lease = LEASE;
        change(&mut lease);
        lease
    };
    let unsettled = but(|lease| lease.is_settled = false);
    let waits = but(|lease| lease.waits = true);
    let subscribed = but(|lease| lease.subscribed = true);
    let changing = but(|lease| (lease.subscribed, lease.changing) = (true, true));
    let tracking = but(|lease| lease.tracking = true);
    let resp3 = View {
        protocol: Protocol::Resp3,
        ..on(subscribed)
    };
    let changing = and_due(changing);
    vec![
        ("holds a connection", on(LEASE), ALL),
        ("holds a connection, replies are due", and_due(LEASE), ALL),
        ("a MULTI is on its way", and_due(unsettled), PLAIN),
        ("waits", and_due(waits), PLAIN),
        ("is subscribed in RESP2", on(subscribed), ARGUMENTS),
        ("is subscribed in RESP3", resp3, PLAIN),
        ("subscriptions are being changed", changing, PLAIN),
        ("keys are tracked", on(tracking), PLAIN),
    ]
}

const MULTI: OnLease = OnLease {
    queueing: true,
    ..LEASE
};

fn in_multi() -> Vec<Group> {
    let ends = OnLease {
        is_settled: false,
        ..MULTI
    };
    let subscribed = OnLease {
        subscribed: true,
        tracking: true,
        ..MULTI
    };
    let paused = |queues_writes| View {
        paused: PausedFor::Writes,
        ..on(OnLease {
            queues_writes,
            ..MULTI
        })
    };
    let (idle, writes) = (paused(false), paused(true));
    vec![
        ("in MULTI", on(MULTI), ALL),
        ("in MULTI, replies are due", and_due(MULTI), ALL),
        ("in MULTI, its end is on its way", and_due(ends), PLAIN),
        ("in MULTI while subscribed", on(subscribed), PLAIN),
        ("in MULTI, writes are paused", idle, PLAIN),
        ("in MULTI with writes, writes are paused", writes, PLAIN),
    ]
}

fn at_exec() -> Vec<Group> {
    let judged = OnLease {
        judges_exec: true,
        ..MULTI
    };
    let doomed = |abort_reason| OnLease {
        abort_reason: Some(abort_reason),
        ..judged
    };
    let refused = on(doomed(AbortReason::Refused));
    let filled = OnLease {
        is_to_be_filled: true,
        ..judged
    };
    let later = OnLease {
        is_settled: false,
        ..judged
    };
    vec![
        ("in MULTI, something was refused", refused, ARGUMENTS),
        (
            "in MULTI, a watch was lost",
            on(doomed(AbortReason::WatchLost)),
            PLAIN,
        ),
        ("in MULTI, places are to be filled", on(filled), ARGUMENTS),
        (
            "in MULTI, judged when its end is here",
            and_due(later),
            PLAIN,
        ),
    ]
}
