//! Random sessions of several clients, directly and through narrows: data of all types, transactions
//! whole and piece by piece, watched keys that others write, waits that others end, changes of db and
//! protocol, scripts, streams, wrong words. A seed decides all of a session; one that goes differently
//! is made as small as it can be and shown.
//!
//! `NARROWS_SESSION_SEEDS=100000` plays more of them, `NARROWS_SESSION_SEED=17` that one alone.

mod runner;
mod session;

use runner::{Seen, run};
use session::{Session, Step};

use crate::conversations::fixture::Fixture;
use crate::conversations::neighbours;
use crate::support::Flavor;

/// Sessions in each of the settings below with each server, which all have their own.
const SEEDS: u64 = 10;

/// As many smaller sessions are tried, at most.
const ATTEMPTS_MAX: usize = 400;

/// With plenty of connections, with as few as three clients can wait over, with two workers.
const SETTINGS: &[&[&str]] = &[
    &[],
    &["--max-backend-connections", "7"],
    &["--workers", "2"],
];

#[test]
fn sessions_of_several_clients_are_answered_as_directly() {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|text: String| text.parse().unwrap())
    };
    let (first, count) = match number("NARROWS_SESSION_SEED") {
        Some(seed) => (seed, 1),
        None => (1, number("NARROWS_SESSION_SEEDS").unwrap_or(SEEDS)),
    };
    std::thread::scope(|scope| {
        for (server, flavor) in Flavor::matrix().into_iter().enumerate() {
            scope.spawn(move || {
                let settings = SETTINGS.iter().enumerate();
                for (at, flags) in settings.map(|(at, flags)| (server * SETTINGS.len() + at, flags))
                {
                    let fixture = Fixture::with(flavor, flags);
                    // Others take turns with the session on what connections there are.
                    let others = neighbours(&fixture);
                    let first = first + if count == 1 { 0 } else { at as u64 * count };
                    for seed in first..first + count {
                        compare(&fixture, seed, flags);
                    }
                    drop(others);
                }
            });
        }
    });
}

fn compare(fixture: &Fixture, seed: u64, flags: &[&str]) {
    let session = Session::new(seed);
    let Some(first) = difference(fixture, &session) else {
        return;
    };
    let session = smaller(fixture, session);
    let what = difference(fixture, &session).unwrap_or_else(|| {
        format!("not every time; at first, in the session as it was drawn:\n{first}")
    });
    panic!(
        "seed {seed} on {:?} {flags:?} goes differently:\n{}{what}",
        fixture.flavor(),
        session.lines()
    );
}

/// How the session goes differently, if it does.
fn difference(fixture: &Fixture, session: &Session) -> Option<String> {
    fixture.empty();
    let direct = run(session, &fixture.server, &|| fixture.server.connect(), None);
    let data = fixture.digest();
    fixture.empty();
    let connect = || fixture.narrows.connect();
    let through = run(session, &fixture.server, &connect, Some(&direct));
    if direct != through {
        return Some(first_difference(&direct, &through));
    }
    (data != fixture.digest()).then(|| "the data differs".to_owned())
}

fn first_difference(direct: &Seen, through: &Seen) -> String {
    let at = direct.iter().zip(through).position(|(d, t)| d != t);
    let at = at.unwrap_or(0);
    let shown = |seen: &Seen| {
        let mut text = String::new();
        for (client, reply) in &seen[at] {
            let reply: String = reply.chars().take(600).collect();
            text.push_str(&format!("\n    {}< {reply}", client + 1));
        }
        text
    };
    format!(
        "step {} (one more than there are: the end)\n  direct:{}\n  through:{}",
        at + 1,
        shown(direct),
        shown(through)
    )
}

/// `session` without what is not needed for it to go differently.
fn smaller(fixture: &Fixture, mut session: Session) -> Session {
    let mut attempts = 0;
    let mut size = session.steps.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < session.steps.len() && attempts < ATTEMPTS_MAX {
            let mut less = session.clone();
            less.steps.drain(at..(at + size).min(session.steps.len()));
            attempts += 1;
            if less.is_sound() && difference(fixture, &less).is_some() {
                session = less;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    single_requests(fixture, session)
}

/// The same within the steps of several requests.
fn single_requests(fixture: &Fixture, mut session: Session) -> Session {
    for step in 0..session.steps.len() {
        let mut at = 0;
        while at < session.steps[step].requests.len() && session.steps[step].requests.len() > 1 {
            let mut less = session.clone();
            let Step { requests, .. } = &mut less.steps[step];
            requests.remove(at);
            if less.is_sound() && difference(fixture, &less).is_some() {
                session = less;
            } else {
                at += 1;
            }
        }
    }
    session
}
