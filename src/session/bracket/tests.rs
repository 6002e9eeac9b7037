//! What replies change, and what they do not.

use super::*;

fn settled(marks: &[(Mark, &str)]) -> Bracket {
    let mut bracket = Bracket::default();
    for (mark, reply) in marks {
        settle(&mut bracket, *mark, reply);
    }
    bracket
}

fn settle(bracket: &mut Bracket, mark: Mark, reply: &str) -> Hears {
    let mut lost = LostBracket::default();
    bracket.settle(&mut lost, mark, reply.as_bytes(), Protocol::Resp2)
}

#[test]
fn a_transaction_is_over_with_any_reply_to_its_exec_that_redis_has() {
    for reply in ["*1\r\n", "*-1\r\n", "_\r\n", "-EXECABORT Transaction\r\n"] {
        let bracket = settled(&[
            (Mark::Watch, "+OK\r\n"),
            (Mark::Multi, "+OK\r\n"),
            (Mark::Exec, reply),
        ]);
        assert!(!bracket.is_open() && !bracket.is_in_doubt(), "{reply}");
    }
}

#[test]
fn an_odd_reply_leaves_the_connection_in_doubt() {
    let open = [(Mark::Multi, "+OK\r\n")];
    for odd in [
        (Mark::Exec, "-ERR odd\r\n"),
        (Mark::Discard, "-LOADING x\r\n"),
    ] {
        assert!(settled(&[open[0], odd]).is_in_doubt(), "{odd:?}");
    }
}

#[test]
fn a_watch_outlives_a_command_that_failed_and_ends_with_unwatch() {
    let bracket = settled(&[
        (Mark::Watch, "+OK\r\n"),
        (Mark::Exec, "-ERR EXEC without MULTI\r\n"),
    ]);
    assert!(bracket.is_watching());
    let bracket = settled(&[(Mark::Watch, "+OK\r\n"), (Mark::Unwatch, "+OK\r\n")]);
    assert!(!bracket.is_open());
    // Queued, not run.
    let bracket = settled(&[
        (Mark::Watch, "+OK\r\n"),
        (Mark::Multi, "+OK\r\n"),
        (Mark::Unwatch, "+QUEUED\r\n"),
    ]);
    assert!(bracket.is_watching() && bracket.is_queueing());
}

/// What a client has lost that was watching on a connection that is gone.
fn lost_watch() -> LostBracket {
    let mut lost = LostBracket::default();
    settled(&[(Mark::Watch, "+OK\r\n")]).is_lost_to(&mut lost);
    lost
}

#[test]
fn what_is_doomed_never_hears_that_it_ran() {
    let mut lost = lost_watch();
    let mut bracket = Bracket::default();
    bracket.settle(&mut lost, Mark::Multi, b"+OK\r\n", Protocol::Resp2);
    let doom = bracket.doom(lost).expect("it must not run");
    let abort = doom.mark();
    let hears = bracket.settle(&mut lost, abort, b"+OK\r\n", Protocol::Resp2);
    assert_eq!(hears, Hears::Instead(b"*-1\r\n".to_vec()));
    assert!(!bracket.is_open() && !lost.watch());

    // An error at queue time is told before a conflict.
    let (mut lost, mut bracket) = (lost_watch(), settled(&[(Mark::Multi, "+OK\r\n")]));
    bracket.refused();
    let abort = bracket.doom(lost).expect("it must not run").mark();
    let hears = bracket.settle(&mut lost, abort, b"-ERR odd\r\n", Protocol::Resp3);
    assert!(matches!(hears, Hears::Instead(text) if text.starts_with(b"-EXECABORT ")));
    assert!(bracket.is_in_doubt());
}

#[test]
fn a_watch_that_is_lost_ends_with_what_ends_a_watch_and_with_nothing_else() {
    let open = (Mark::Multi, "+OK\r\n");
    for (steps, ends) in [
        (&[(Mark::Unwatch, "+OK\r\n")][..], true),
        (&[(Mark::Unwatch, "-NOPERM no\r\n")], false),
        (&[open, (Mark::Unwatch, "+QUEUED\r\n")], false),
        (&[(Mark::Discard, "-ERR DISCARD without MULTI\r\n")], false),
        (&[(Mark::Exec, "-ERR EXEC without MULTI\r\n")], false),
        (&[(Mark::Watch, "+OK\r\n")], false),
        (&[(Mark::Pause, "+OK\r\n")], false),
        (&[open, (Mark::Discard, "-ERR wrong number\r\n")], false),
        (&[open, (Mark::Discard, "+OK\r\n")], true),
        (&[open, (Mark::Exec, "-EXECABORT x\r\n")], true),
        (&[open, (Mark::AbortUnwatched, "+OK\r\n")], true),
    ] {
        let (mut lost, mut bracket) = (lost_watch(), Bracket::default());
        for (mark, reply) in steps {
            bracket.settle(&mut lost, *mark, reply.as_bytes(), Protocol::Resp2);
        }
        assert_eq!(!lost.watch(), ends, "{steps:?}");
    }
}

#[test]
fn what_ends_a_transaction_and_is_not_answered_ends_no_watch_but_that_of_an_exec() {
    let open = [(Mark::Watch, "+OK\r\n"), (Mark::Multi, "+OK\r\n")];
    for (steps, mark, watch) in [
        (&open[..], Mark::Exec, false),
        (&open[..], Mark::Discard, true),
        // There was nothing to execute.
        (&open[..1], Mark::Exec, true),
        (&open[..1], Mark::Discard, true),
    ] {
        let (mut lost, mut bracket) = (LostBracket::default(), settled(steps));
        let told = bracket.unanswered(&mut lost, mark, Protocol::Resp2);
        bracket.is_lost_to(&mut lost);
        assert_eq!((lost.watch(), lost.multi()), (watch, false), "{mark:?}");
        assert_eq!(told, None, "{mark:?}");
    }
}

#[test]
fn what_was_sent_in_place_of_an_exec_and_is_not_answered_is_known_not_to_have_run() {
    let open = [(Mark::Watch, "+OK\r\n"), (Mark::Multi, "+OK\r\n")];
    for (mark, told) in [
        (
            Mark::Abort,
            "-EXECABORT Transaction discarded because of previous errors.\r\n",
        ),
        (Mark::AbortUnwatched, "*-1\r\n"),
    ] {
        let (mut lost, mut bracket) = (lost_watch(), settled(&open));
        let heard = bracket.unanswered(&mut lost, mark, Protocol::Resp2);
        assert_eq!(heard.as_deref(), Some(told.as_bytes()));
        bracket.is_lost_to(&mut lost);
        assert_eq!((lost.watch(), lost.multi()), (false, false));
    }
}

#[test]
fn what_is_judged_by_a_reply_that_is_due_waits_for_it() {
    let mut bracket = settled(&[(Mark::Multi, "+OK\r\n")]);
    assert!(bracket.is_settled());
    bracket.refused();
    bracket.sent(Mark::Abort);
    bracket.sent(Mark::Watch);
    bracket.sent(Mark::Multi);
    assert!(!bracket.is_settled() && bracket.judges_exec(LostBracket::default()));
    settle(&mut bracket, Mark::Abort, "+OK\r\n");
    assert!(!bracket.is_settled() && !bracket.judges_exec(LostBracket::default()));
    settle(&mut bracket, Mark::Watch, "+OK\r\n");
    settle(&mut bracket, Mark::Multi, "+OK\r\n");
    assert!(bracket.is_settled() && bracket.is_queueing());
    assert_eq!(bracket.doom(LostBracket::default()), None);
}

#[test]
fn a_place_is_counted_from_its_multi() {
    let mut bracket = Bracket::default();
    bracket.count(Mark::Multi, u32::MAX);
    bracket.fill(1, Filled::Select(3));
    assert_eq!(bracket.take_places()[0].at, 1);
}

#[test]
fn what_the_server_refuses_to_queue_takes_no_place() {
    let mut bracket = Bracket::default();
    bracket.count(Mark::Multi, 10);
    settle(&mut bracket, Mark::Multi, "+OK\r\n");
    bracket.fill(11, Filled::Select(3));
    for (mark, sequence) in [(Mark::Watch, 12), (Mark::Multi, 13)] {
        bracket.count(mark, sequence);
        settle(&mut bracket, mark, "-ERR not inside MULTI\r\n");
    }
    bracket.fill(15, Filled::Select(4));
    let places: Vec<u32> = bracket.take_places().iter().map(|place| place.at).collect();
    // The one at 14 is between them.
    assert_eq!(places, [0, 2]);
    assert_eq!(bracket.queued(16), Some(3));
}
