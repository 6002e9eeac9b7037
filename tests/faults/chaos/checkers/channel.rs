//! A channel: who has been confirmed hears every message that is published from then on, once and in
//! order, for as long as its connection lasts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Client, Outcome, Outcomes, PACE, ended, number};
use crate::support::Value;

const CHANNEL: &str = "checkers:news";

/// Without a message for this long a subscriber looks whether it is to end.
const LULL: Duration = Duration::from_millis(500);

/// Messages heard on one connection.
struct Heard {
    /// The last that may have been published before the confirmation.
    before: u64,
    messages: Vec<u64>,
    /// All that was published before this one has been heard, if nothing was lost: the connection
    /// was still there when it had been.
    until: u64,
}

pub(super) struct Work {
    publisher: JoinHandle<Outcomes>,
    subscribers: Vec<JoinHandle<Vec<Heard>>>,
}

impl Work {
    pub(super) fn start(client: &dyn Fn(&[&[&str]]) -> Client) -> Self {
        let begun = Arc::new(AtomicU64::new(0));
        let subscribers = ["2", "3"].map(|version| {
            let (client, begun) = (client(&[&["HELLO", version]]), Arc::clone(&begun));
            std::thread::spawn(move || subscribe(client, &begun))
        });
        let publisher = client(&[]);
        Self {
            publisher: std::thread::spawn(move || publish(publisher, &begun)),
            subscribers: subscribers.into(),
        }
    }

    pub(super) fn judge(self) -> Vec<String> {
        let mut outcomes = ended(self.publisher);
        let mut offences = std::mem::take(&mut outcomes.offences);
        let (mut connections, mut messages) = (0, 0);
        for subscriber in self.subscribers {
            for heard in ended(subscriber) {
                connections += 1;
                messages += heard.messages.len();
                heard.judge(&outcomes, &mut offences);
            }
        }
        println!("  news: {messages} messages heard on {connections} connections");
        offences
    }
}

impl Heard {
    fn judge(&self, outcomes: &Outcomes, offences: &mut Vec<String>) {
        let is_done = |number: &&u64| outcomes.of.get(*number) == Some(&Outcome::Done);
        let done: Vec<u64> = self.messages.iter().filter(is_done).copied().collect();
        if let Some(pair) = done.windows(2).find(|pair| pair[0] >= pair[1]) {
            offences.push(format!("news: {} was heard before {}", pair[0], pair[1]));
        }
        if let Some(number) = self.messages.iter().find(|n| !outcomes.may_have_run(**n)) {
            offences.push(format!("news: {number} was heard and has not run"));
        }
        let until = done.last().copied().unwrap_or(0).max(self.until);
        let missing = outcomes
            .of
            .range(self.before + 1..until.max(self.before + 1))
            .filter(|(_, outcome)| **outcome == Outcome::Done)
            .find(|(number, _)| !self.messages.contains(number));
        if let Some((number, _)) = missing {
            offences.push(format!(
                "news: {number} is missing between {} and {until}",
                self.before
            ));
        }
    }
}

fn publish(mut client: Client, begun: &AtomicU64) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let mut at = 0;
    while client.goes_on() {
        std::thread::sleep(PACE);
        if !client.connected() {
            continue;
        }
        at += 1;
        begun.store(at, Ordering::SeqCst);
        let replies = client.ask(&[&["PUBLISH", CHANNEL, &at.to_string()]]);
        outcomes.of.insert(at, Outcome::of(replies.as_deref()));
    }
    outcomes.offences.extend(client.offence_of_hangs("publish"));
    outcomes
}

fn subscribe(mut client: Client, begun: &AtomicU64) -> Vec<Heard> {
    let mut all = Vec::new();
    while client.goes_on() {
        if !client.connected() {
            continue;
        }
        let confirmed = client.ask(&[&["SUBSCRIBE", CHANNEL]]);
        if confirmed.is_none_or(|replies| replies[0].is_error()) {
            client.conn = None;
            std::thread::sleep(super::REST);
            continue;
        }
        let mut heard = Heard {
            before: begun.load(Ordering::SeqCst),
            messages: Vec::new(),
            until: 0,
        };
        while client.goes_on() && client.conn.is_some() {
            heard.messages.extend(client.next(LULL).and_then(|reply| {
                let (Value::Array(items) | Value::Push(items)) = reply.value() else {
                    return None;
                };
                items.get(2).and_then(number)
            }));
        }
        all.push(heard);
        client.conn = None;
    }
    all
}
