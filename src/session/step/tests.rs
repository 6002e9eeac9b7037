//! Every route in every state: what is decided, as a table, `steps.txt`. A cell that changes shows.

mod requests;
mod states;

use requests::{RequestCase, every_route, rows};
use states::{SessionCase, Twist, states};

use super::*;
use crate::session::tests::compare;

/// A refusal by its name, and nothing of what it quotes.
fn named(refusal: &Refusal<'_>) -> String {
    let text = format!("{refusal:?}");
    let name = text.split([' ', '(']).next();
    name.unwrap_or_default().to_owned()
}

fn told(step: &Step<'_>, spec: &Spec) -> String {
    let its_own = |local: &Local| spec.local() == Some(*local);
    match step {
        Step::Refuse(refusal) => format!("Refuse({})", named(refusal)),
        Step::AskWhoMay { refusal, matters } => {
            format!("AskWhoMay({}, matters: {matters})", named(refusal))
        }
        Step::OwnConnection { refusal } => {
            let refusal = refusal.as_ref().map_or("-".to_owned(), named);
            format!("OwnConnection(or else: {refusal})")
        }
        Step::StandInLine(waiting) => format!("StandInLine({:?})", waiting.timeout),
        Step::Subscribe(verb) => format!("Subscribe({:?}, begins: {})", verb.kind, verb.begins),
        Step::Local(local) if its_own(local) => "Local".to_owned(),
        Step::Leave(local) if its_own(local) => "Leave".to_owned(),
        Step::Switch(local) if its_own(local) => "Switch".to_owned(),
        Step::Queue(QueueAs::Local(local)) if its_own(local) => "Queue(Local)".to_owned(),
        Step::Queue(QueueAs::Asked(local)) if its_own(local) => "Queue(Asked)".to_owned(),
        other => format!("{other:?}"),
    }
}

fn with<R>(row: &RequestCase, twist: Twist, judge: impl FnOnce(Incoming<'_>, &Spec) -> R) -> R {
    use Twist::{Arguments, Dedicated, Forbidden, ForbiddenAndNeverInMulti, NeverInMulti};
    let mut spec = row.spec.clone();
    if twist == Twist::NotOnServer {
        spec.on_server = Some(false);
    }
    let forbids = matches!(twist, Forbidden | ForbiddenAndNeverInMulti);
    let incoming = Incoming {
        spec: &spec,
        bytes: &row.bytes,
        argc: if twist == Arguments { 0 } else { row.argc },
        forbidden: forbids.then_some(Refusal::Forbidden { command: "it" }),
        is_dedicated: twist == Dedicated,
        is_never_in_multi: matches!(twist, NeverInMulti | ForbiddenAndNeverInMulti),
    };
    judge(incoming, &spec)
}

/// What each of `rows` means in each state, and what it is in a whole transaction, and if it is huge.
fn found(rows: &[RequestCase]) -> Vec<(String, Vec<String>)> {
    let twisted = |name: &str, twist| match twist {
        Twist::No => name.to_owned(),
        twist => format!("{name}: {twist:?}"),
    };
    let mut columns = Vec::new();
    for SessionCase { name, twist, view } in states() {
        let cell = |row| {
            with(row, twist, |incoming, spec| {
                told(&decide(&view, incoming), spec)
            })
        };
        columns.push((twisted(name, twist), rows.iter().map(cell).collect()));
    }
    for (name, first) in [
        ("begins a whole transaction", true),
        ("stands in one", false),
    ] {
        for twist in [
            Twist::No,
            Twist::Arguments,
            Twist::Forbidden,
            Twist::Dedicated,
        ] {
            let part = |incoming: Incoming<'_>, _: &Spec| {
                format!("{:?}", part_of_transaction(&incoming, first))
            };
            let cells = rows.iter().map(|row| with(row, twist, part));
            columns.push((twisted(name, twist), cells.collect()));
        }
    }
    for (name, queueing) in [("is huge", false), ("is huge, in MULTI", true)] {
        let cell = |row: &RequestCase| {
            let refusal = refusal_of_huge(&row.spec, &row.bytes, queueing);
            refusal.map_or("Upload".to_owned(), |refusal| named(&refusal))
        };
        columns.push((name.to_owned(), rows.iter().map(cell).collect()));
    }
    columns
}

#[test]
fn what_every_request_means_in_every_state_is_as_the_table_says() {
    let rows = rows();
    for route in every_route() {
        let found = rows.iter().any(|row| row.spec.route == route);
        assert!(found, "there is no request for {route:?}");
    }
    let requests: Vec<&str> = rows.iter().map(|row| row.request).collect();
    compare(include_str!("steps.txt"), &requests, found(&rows));
}
