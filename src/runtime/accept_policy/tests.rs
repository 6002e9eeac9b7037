//! The policy before workers that take nobody in.

use std::future::Future;
use std::task::Poll;

use super::*;
use crate::command::{CommandTable, Policy};
use crate::engine::Rules;
use crate::engine::settings::EngineSettings;
use crate::runtime::settings::RuntimeSettings;
use crate::session::Access;

fn policy(workers: usize) -> AcceptPolicy {
    let rules = Rules {
        settings: EngineSettings::default(),
        commands: CommandTable::builtin(),
        policy: Policy::default(),
        access: Access::default(),
    };
    let (room, total) = (Arc::new(Notify::new()), Arc::default());
    let worker = |_| {
        let load = ClientCount::new(&total);
        (Inbox::new(&room), load)
    };
    AcceptPolicy {
        current: Arc::new(Current::new(RuntimeSettings::default(), rules)),
        workers: (0..workers).map(worker).collect(),
        entering: ClientCount::new(&total),
        room: Arc::clone(&room),
        address_quotas: Arc::default(),
        counts: Arc::default(),
        handshakes: Arc::default(),
        told: Mutex::default(),
        told_unknown_user: Mutex::default(),
    }
}

#[tokio::test]
async fn clients_go_to_whoever_takes_them_and_wait_while_nobody_does() {
    let policy = policy(2);
    let inbox = |worker: usize| &policy.workers[worker].0;
    let load = |worker: usize| policy.workers[worker].1.of_worker();
    // The first has come to a halt.
    let mut halted: Vec<InboxPermit> = std::iter::from_fn(|| inbox(0).permit()).collect();
    let mut admitted = Vec::new();
    while inbox(1).has_room() {
        admitted.push(policy.admit(policy.enter(None, false).unwrap()).await);
    }
    assert_eq!((load(0), load(1)), (0, admitted.len()));
    let mut waits = std::pin::pin!(policy.admit(policy.enter(None, false).unwrap()));
    let now = std::future::poll_fn(|cx| Poll::Ready(waits.as_mut().poll(cx)));
    assert!(now.await.is_pending(), "the kernel's queue holds it");
    halted.pop();
    let last = waits.await;
    assert_eq!(load(0), 1);
    drop(last);
}
