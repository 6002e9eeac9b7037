//! An observer over workers that are played by hand.

use std::task::{Poll, Waker};

use super::*;
use crate::admission::DialRate;
use crate::command::{CommandTable, Policy};
use crate::engine::Rules;
use crate::engine::settings::EngineSettings;
use crate::runtime::message::Message;
use crate::runtime::settings::RuntimeSettings;
use crate::session::Access;
use crate::telemetry::Snapshot;

/// What a worker has of its observer.
type WorkerEnd = (Arc<Cell>, Arc<Inbox>);

/// An observer of `count` workers, and their ends.
fn observer(count: usize) -> (Observer, Vec<WorkerEnd>) {
    let inboxes: Vec<_> = (0..count).map(|_| Inbox::new(&Arc::default())).collect();
    // A clock that has run for a while.
    let epoch = Instant::now() - Duration::from_secs(60);
    let shared = WorkerShared::new(Budget::new(9, count), DialRate::new(1));
    let rules = Rules {
        settings: EngineSettings::default(),
        commands: CommandTable::builtin(),
        policy: Policy::default(),
        access: Access::default(),
    };
    let current = Arc::new(Current::new(RuntimeSettings::default(), rules));
    let observer = Observer::new(&inboxes, &current, &shared, epoch);
    let ends = inboxes.into_iter().enumerate();
    let ends = ends
        .map(|(worker, end)| (observer.cell(worker), end))
        .collect();
    (observer, ends)
}

#[tokio::test]
async fn a_worker_that_hangs_is_named_and_holds_the_figures_up_for_a_bounded_time() {
    let (mut observer, mut ends) = observer(2);
    observer.patience = Duration::from_millis(100);
    let (cell, inbox) = ends.remove(0);
    tokio::spawn(std::future::poll_fn(move |cx| {
        if published(&inbox, cx.waker()) {
            let mut snapshot = Snapshot::default();
            snapshot.gauges.clients = 5;
            cell.publish(snapshot);
        }
        Poll::<()>::Pending
    }));
    for _ in 0..3 {
        let picture = observer.picture();
        let picture = tokio::time::timeout(PATIENCE, picture).await.unwrap();
        let up: Vec<bool> = picture.workers.iter().map(|worker| worker.is_up).collect();
        assert_eq!(up, [true, false]);
        assert_eq!(picture.workers[0].snapshot.gauges.clients, 5);
    }
    let (_, silent) = &ends[0];
    assert!(published(silent, Waker::noop()));
    assert!(
        !published(silent, Waker::noop()),
        "it is asked once until it answers"
    );
}

/// Whether a worker that looks now is asked how things stand.
fn published(inbox: &Inbox, worker: &Waker) -> bool {
    let mut messages = Vec::new();
    inbox.take(&mut messages, worker);
    matches!(messages[..], [Message::Publish])
}

#[test]
fn a_worker_without_an_answer_for_ten_seconds_is_stuck_unless_it_has_ended() {
    let (mut observer, mut ends) = observer(2);
    observer.ask();
    observer.server.answers();
    assert_eq!(
        (observer.liveness(), observer.readiness()),
        (Ok(()), Ok(()))
    );
    ends[0].0.publish(Snapshot::default());
    observer.epoch -= Duration::from_secs(11);
    let error = observer.liveness().unwrap_err();
    assert!(
        error.starts_with("worker 1 has not answered for 11 s"),
        "{error}"
    );
    assert_eq!(observer.readiness(), Ok(()), "the other one serves");
    ends.remove(1).1.close();
    assert_eq!(observer.liveness(), Ok(()));
    ends.remove(0).1.close();
    assert_eq!(observer.readiness(), Err("no worker answers".to_owned()));
}

#[test]
fn what_is_not_ready_says_why() {
    let (observer, _ends) = observer(1);
    let why = |observer: &Observer| observer.readiness().unwrap_err();
    assert!(why(&observer).contains("not answered a health check yet"));
    observer.server.is_silent("connection refused");
    assert!(why(&observer).ends_with("the health check: connection refused"));
    observer.server.answers();
    assert_eq!(observer.readiness(), Ok(()));
    observer.ending.cancel();
    assert!(why(&observer).contains("draining"));
}
