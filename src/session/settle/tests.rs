//! Every mark in every state with every kind of reply: what changes, as a table, `settled.txt`. A cell
//! that changes shows.

use super::*;
use crate::session::tests::{compare, every};
use crate::session::transaction::Filled;

fn every_change() -> Vec<StateChange> {
    let pins = every!(Pin: Monitor Tracking Caching NoTouch ImportSource Himport ReadOnly ReadWrite
        Asking UnknownClientSubcommand UnknownConnectionCommand UnknownPubsubCommand
        UnknownTransactionCommand UnreviewedCommand UnknownCommand);
    let mut changes = vec![
        StateChange::Watch,
        StateChange::Unwatch,
        StateChange::Multi,
        StateChange::Exec,
        StateChange::ExecFilled,
        StateChange::Discard,
        StateChange::Abort,
        StateChange::AbortUnwatched,
        StateChange::Switch,
        StateChange::Subscribe,
        StateChange::Monitor,
        StateChange::TrackingOn,
        StateChange::TrackingOff,
        StateChange::Wait,
        StateChange::WaitAof,
        StateChange::Pause,
        StateChange::HimportsNoMore,
        StateChange::TouchesAgain,
        StateChange::ImportsNoMore,
    ];
    for change in &changes {
        match change {
            StateChange::Watch
            | StateChange::Unwatch
            | StateChange::Multi
            | StateChange::Exec
            | StateChange::ExecFilled => {}
            StateChange::Discard
            | StateChange::Abort
            | StateChange::AbortUnwatched
            | StateChange::Switch => {}
            StateChange::Subscribe
            | StateChange::Monitor
            | StateChange::TrackingOn
            | StateChange::TrackingOff => {}
            StateChange::Wait | StateChange::WaitAof | StateChange::Pause | StateChange::Pin(_) => {
            }
            StateChange::HimportsNoMore
            | StateChange::TouchesAgain
            | StateChange::ImportsNoMore => {}
        }
    }
    changes.extend(pins.map(StateChange::Pin));
    changes
}

/// What a client has, and what it has lost.
#[derive(Default)]
struct Has {
    transaction: Transaction,
    pins: Pins,
    lost: LostTransaction,
}

impl Has {
    fn settling(&mut self) -> Settling<'_> {
        Settling {
            transaction: &mut self.transaction,
            pins: &mut self.pins,
            lost: &mut self.lost,
            protocol: Protocol::Resp2,
        }
    }

    /// The reply to request number `sequence` is `+OK`.
    fn ok(mut self, change: StateChange, sequence: u32) -> Self {
        self.settling().settle(MarkedReply {
            change,
            sequence,
            text: b"+OK\r\n",
        });
        self
    }

    /// In words, each for itself.
    fn words(&self) -> Vec<String> {
        let words = [
            ("watching", self.transaction.is_watching()),
            ("queueing", self.transaction.is_queueing()),
            ("places", self.transaction.is_to_be_filled()),
            ("in doubt", self.transaction.is_in_doubt()),
            ("refused to open", self.transaction.was_refused()),
            (
                "doomed",
                self.transaction
                    .abort_reason(LostTransaction::default())
                    .is_some(),
            ),
            ("lost watch", self.lost.watch()),
            ("lost transaction", self.lost.multi()),
        ];
        let words = words.iter().filter_map(|(word, is)| is.then_some(*word));
        let pins = self.pins.iter().map(|pin| format!("{pin:?}"));
        words.map(str::to_owned).chain(pins).collect()
    }
}

/// What it is called, and how it comes about.
type TransactionCase = (&'static str, fn() -> Has);

/// The states, each made anew for each cell, and the number of the next request in them.
fn states() -> [TransactionCase; 9] {
    [
        ("nothing is open", Has::default),
        ("watching", || Has::default().ok(StateChange::Watch, 1)),
        ("in MULTI", || Has::default().ok(StateChange::Multi, 1)),
        ("watching, in MULTI", || {
            Has::default()
                .ok(StateChange::Watch, 0)
                .ok(StateChange::Multi, 1)
        }),
        ("in MULTI, something refused", || {
            let mut has = Has::default().ok(StateChange::Multi, 1);
            has.transaction.refused();
            has
        }),
        ("in MULTI, with places", || {
            let mut has = Has::default().ok(StateChange::Multi, 1);
            has.transaction.fill(2, Filled::Local(Box::default()));
            has.transaction.fill(4, Filled::Select(3));
            has
        }),
        ("a watch was lost", || {
            let mut has = Has::default();
            let watching = Has::default().ok(StateChange::Watch, 1);
            watching.transaction.is_lost_to(&mut has.lost);
            has
        }),
        ("a watch was lost, in MULTI", || {
            let mut has = Has::default();
            let watching = Has::default().ok(StateChange::Watch, 0);
            watching.transaction.is_lost_to(&mut has.lost);
            has.ok(StateChange::Multi, 1)
        }),
        ("pinned", || {
            let pins = [Pin::ReadOnly, Pin::NoTouch, Pin::ImportSource, Pin::Himport];
            let pinned = |has: Has, pin| has.ok(StateChange::Pin(pin), 1);
            pins.into_iter().fold(Has::default(), pinned)
        }),
    ]
}

/// Number of the request whose reply comes: four are queued where it stands in a transaction.
const SEQUENCE: u32 = 6;

const REPLIES: [&str; 9] = [
    "+OK",
    "+QUEUED",
    ":1",
    "*2",
    "*-1",
    "-ERR odd",
    "-NOPERM no",
    "-ERR EXEC without MULTI",
    "-EXECABORT Transaction discarded",
];

fn differences(before: &[String], after: &[String]) -> Vec<String> {
    let gone = before.iter().filter(|word| !after.contains(word));
    let come = after.iter().filter(|word| !before.contains(word));
    let gone = gone.map(|word| format!("-{word}"));
    gone.chain(come.map(|word| format!("+{word}"))).collect()
}

fn line(text: &[u8]) -> String {
    String::from_utf8_lossy(text).trim_end().to_owned()
}

/// What one reply changes.
fn settled(mut has: Has, change: StateChange, text: &str) -> String {
    let before = has.words();
    let text = format!("{text}\r\n");
    let effect = has.settling().settle(MarkedReply {
        change,
        sequence: SEQUENCE,
        text: text.as_bytes(),
    });
    let mut changes = differences(&before, &has.words());
    if let Some(pin) = effect.pinned {
        let is_new = format!("+{pin:?}");
        assert!(changes.contains(&is_new), "{pin:?} is told as new");
    }
    if let Some(change) = effect.stream {
        changes.push(format!("stream: {change:?}"));
    }
    if effect.switches {
        changes.push("switches".to_owned());
    }
    if let Some(Fills { places, queued }) = effect.fills {
        let places: Vec<u32> = places.iter().map(|place| place.at).collect();
        changes.push(format!("fills {places:?} of {queued:?}"));
    }
    if let ReplyOverride::Instead(text) = effect.reply_override {
        changes.push(format!("hears {}", line(&text)));
    }
    told(&changes)
}

/// What it means that there will be no reply.
fn unanswered(mut has: Has, change: StateChange) -> String {
    let before = has.words();
    let told_client = match has.settling().unanswered(change) {
        Unanswered::Known(text) => format!("known: {}", line(&text)),
        Unanswered::Unknown => "unknown".to_owned(),
        Unanswered::Unclear => "unclear".to_owned(),
    };
    let mut changes = differences(&before, &has.words());
    changes.push(told_client);
    told(&changes)
}

fn told(changes: &[String]) -> String {
    match changes {
        [] => "nothing".to_owned(),
        changes => changes.join(", "),
    }
}

#[test]
fn what_every_reply_changes_in_every_state_is_as_the_table_says() {
    let changes = every_change();
    let names: Vec<String> = changes.iter().map(|change| format!("{change:?}")).collect();
    let mut columns = Vec::new();
    for (state, has) in states() {
        for text in REPLIES {
            let cells = changes.iter().map(|change| settled(has(), *change, text));
            columns.push((format!("{state}: {text}"), cells.collect()));
        }
        let cells = changes.iter().map(|change| unanswered(has(), *change));
        columns.push((format!("{state}: no reply"), cells.collect()));
    }
    let rows: Vec<&str> = names.iter().map(String::as_str).collect();
    compare(include_str!("settled.txt"), &rows, columns);
}

/// A reply that goes on as it comes is settled by its beginning.
#[test]
fn a_reply_that_goes_on_as_it_comes_ends_its_transaction_by_its_beginning() {
    for change in every_change() {
        let has = || {
            Has::default()
                .ok(StateChange::Watch, 0)
                .ok(StateChange::Multi, 1)
        };
        let kinds = [crate::resp::ReplyKind::Array, crate::resp::ReplyKind::Null];
        for kind in kinds {
            if change.goes_on_as_it_comes(kind) {
                assert_eq!(
                    settled(has(), change, "*"),
                    settled(has(), change, "*2"),
                    "{change:?}"
                );
            }
        }
    }
}
