//! What replies change, and what they do not.

use super::*;

fn settled(changes: &[(StateChange, &str)]) -> Transaction {
    let mut transaction = Transaction::default();
    for (change, reply) in changes {
        settle(&mut transaction, *change, reply);
    }
    transaction
}

fn settle(transaction: &mut Transaction, change: StateChange, reply: &str) -> ReplyOverride {
    let mut lost = LostTransaction::default();
    transaction.settle(&mut lost, change, reply.as_bytes(), Protocol::Resp2)
}

#[test]
fn a_transaction_is_over_with_any_reply_to_its_exec_that_redis_has() {
    for reply in ["*1\r\n", "*-1\r\n", "_\r\n", "-EXECABORT Transaction\r\n"] {
        let transaction = settled(&[
            (StateChange::Watch, "+OK\r\n"),
            (StateChange::Multi, "+OK\r\n"),
            (StateChange::Exec, reply),
        ]);
        assert!(
            !transaction.is_open() && !transaction.is_in_doubt(),
            "{reply}"
        );
    }
}

#[test]
fn an_odd_reply_leaves_the_connection_in_doubt() {
    let open = [(StateChange::Multi, "+OK\r\n")];
    for odd in [
        (StateChange::Exec, "-ERR odd\r\n"),
        (StateChange::Discard, "-LOADING x\r\n"),
    ] {
        assert!(settled(&[open[0], odd]).is_in_doubt(), "{odd:?}");
    }
}

#[test]
fn a_watch_outlives_a_command_that_failed_and_ends_with_unwatch() {
    let transaction = settled(&[
        (StateChange::Watch, "+OK\r\n"),
        (StateChange::Exec, "-ERR EXEC without MULTI\r\n"),
    ]);
    assert!(transaction.is_watching());
    let transaction = settled(&[
        (StateChange::Watch, "+OK\r\n"),
        (StateChange::Unwatch, "+OK\r\n"),
    ]);
    assert!(!transaction.is_open());
    // Queued, not run.
    let transaction = settled(&[
        (StateChange::Watch, "+OK\r\n"),
        (StateChange::Multi, "+OK\r\n"),
        (StateChange::Unwatch, "+QUEUED\r\n"),
    ]);
    assert!(transaction.is_watching() && transaction.is_queueing());
}

/// What a client has lost that was watching on a connection that is gone.
fn lost_watch() -> LostTransaction {
    let mut lost = LostTransaction::default();
    settled(&[(StateChange::Watch, "+OK\r\n")]).is_lost_to(&mut lost);
    lost
}

#[test]
fn what_is_doomed_never_hears_that_it_ran() {
    let mut lost = lost_watch();
    let mut transaction = Transaction::default();
    transaction.settle(&mut lost, StateChange::Multi, b"+OK\r\n", Protocol::Resp2);
    let abort_reason = transaction.abort_reason(lost).expect("it must not run");
    let abort = abort_reason.change();
    let reply_override = transaction.settle(&mut lost, abort, b"+OK\r\n", Protocol::Resp2);
    assert_eq!(reply_override, ReplyOverride::Instead(b"*-1\r\n".to_vec()));
    assert!(!transaction.is_open() && !lost.watch());

    // An error at queue time is told before a conflict.
    let (mut lost, mut transaction) = (lost_watch(), settled(&[(StateChange::Multi, "+OK\r\n")]));
    transaction.refused();
    let abort = transaction
        .abort_reason(lost)
        .expect("it must not run")
        .change();
    let reply_override = transaction.settle(&mut lost, abort, b"-ERR odd\r\n", Protocol::Resp3);
    assert!(
        matches!(reply_override, ReplyOverride::Instead(text) if text.starts_with(b"-EXECABORT "))
    );
    assert!(transaction.is_in_doubt());
}

#[test]
fn a_watch_that_is_lost_ends_with_what_ends_a_watch_and_with_nothing_else() {
    let open = (StateChange::Multi, "+OK\r\n");
    for (steps, ends) in [
        (&[(StateChange::Unwatch, "+OK\r\n")][..], true),
        (&[(StateChange::Unwatch, "-NOPERM no\r\n")], false),
        (&[open, (StateChange::Unwatch, "+QUEUED\r\n")], false),
        (
            &[(StateChange::Discard, "-ERR DISCARD without MULTI\r\n")],
            false,
        ),
        (&[(StateChange::Exec, "-ERR EXEC without MULTI\r\n")], false),
        (&[(StateChange::Watch, "+OK\r\n")], false),
        (&[(StateChange::Pause, "+OK\r\n")], false),
        (
            &[open, (StateChange::Discard, "-ERR wrong number\r\n")],
            false,
        ),
        (&[open, (StateChange::Discard, "+OK\r\n")], true),
        (&[open, (StateChange::Exec, "-EXECABORT x\r\n")], true),
        (&[open, (StateChange::AbortUnwatched, "+OK\r\n")], true),
    ] {
        let (mut lost, mut transaction) = (lost_watch(), Transaction::default());
        for (change, reply) in steps {
            transaction.settle(&mut lost, *change, reply.as_bytes(), Protocol::Resp2);
        }
        assert_eq!(!lost.watch(), ends, "{steps:?}");
    }
}

#[test]
fn what_ends_a_transaction_and_is_not_answered_ends_no_watch_but_that_of_an_exec() {
    let open = [
        (StateChange::Watch, "+OK\r\n"),
        (StateChange::Multi, "+OK\r\n"),
    ];
    for (steps, change, watch) in [
        (&open[..], StateChange::Exec, false),
        (&open[..], StateChange::Discard, true),
        // There was nothing to execute.
        (&open[..1], StateChange::Exec, true),
        (&open[..1], StateChange::Discard, true),
    ] {
        let (mut lost, mut transaction) = (LostTransaction::default(), settled(steps));
        let told = transaction.unanswered(&mut lost, change, Protocol::Resp2);
        transaction.is_lost_to(&mut lost);
        assert_eq!((lost.watch(), lost.multi()), (watch, false), "{change:?}");
        assert_eq!(told, None, "{change:?}");
    }
}

#[test]
fn what_was_sent_in_place_of_an_exec_and_is_not_answered_is_known_not_to_have_run() {
    let open = [
        (StateChange::Watch, "+OK\r\n"),
        (StateChange::Multi, "+OK\r\n"),
    ];
    for (change, told) in [
        (
            StateChange::Abort,
            "-EXECABORT Transaction discarded because of previous errors.\r\n",
        ),
        (StateChange::AbortUnwatched, "*-1\r\n"),
    ] {
        let (mut lost, mut transaction) = (lost_watch(), settled(&open));
        let heard = transaction.unanswered(&mut lost, change, Protocol::Resp2);
        assert_eq!(heard.as_deref(), Some(told.as_bytes()));
        transaction.is_lost_to(&mut lost);
        assert_eq!((lost.watch(), lost.multi()), (false, false));
    }
}

#[test]
fn what_is_judged_by_a_reply_that_is_due_waits_for_it() {
    let mut transaction = settled(&[(StateChange::Multi, "+OK\r\n")]);
    assert!(transaction.is_settled());
    transaction.refused();
    transaction.sent(StateChange::Abort);
    transaction.sent(StateChange::Watch);
    transaction.sent(StateChange::Multi);
    assert!(!transaction.is_settled() && transaction.judges_exec(LostTransaction::default()));
    settle(&mut transaction, StateChange::Abort, "+OK\r\n");
    assert!(!transaction.is_settled() && !transaction.judges_exec(LostTransaction::default()));
    settle(&mut transaction, StateChange::Watch, "+OK\r\n");
    settle(&mut transaction, StateChange::Multi, "+OK\r\n");
    assert!(transaction.is_settled() && transaction.is_queueing());
    assert_eq!(transaction.abort_reason(LostTransaction::default()), None);
}

#[test]
fn a_place_is_counted_from_its_multi() {
    let mut transaction = Transaction::default();
    transaction.count(StateChange::Multi, u32::MAX);
    transaction.fill(1, Filled::Select(3));
    assert_eq!(transaction.take_places()[0].at, 1);
}

#[test]
fn what_the_server_refuses_to_queue_takes_no_place() {
    let mut transaction = Transaction::default();
    transaction.count(StateChange::Multi, 10);
    settle(&mut transaction, StateChange::Multi, "+OK\r\n");
    transaction.fill(11, Filled::Select(3));
    for (change, sequence) in [(StateChange::Watch, 12), (StateChange::Multi, 13)] {
        transaction.count(change, sequence);
        settle(&mut transaction, change, "-ERR not inside MULTI\r\n");
    }
    transaction.fill(15, Filled::Select(4));
    let places: Vec<u32> = transaction
        .take_places()
        .iter()
        .map(|place| place.at)
        .collect();
    // The one at 14 is between them.
    assert_eq!(places, [0, 2]);
    assert_eq!(transaction.queued(16), Some(3));
}
