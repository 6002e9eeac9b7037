//! Random sessions of several clients, directly and through narrows: data of all types, transactions
//! whole and piece by piece, watched keys that others write, waits that others end, changes of db and
//! protocol, scripts, streams, wrong words. A seed decides all of a session; one that goes differently
//! is made as small as it can be and shown.
//!
//! `NARROWS_SESSION_SEEDS=100000` plays more of them, `NARROWS_SESSION_SEED=17` that one alone.

mod plot;
mod stage;

use plot::{Plot, Turn};
use stage::{Seen, play};

use crate::conversations::arena::Arena;
use crate::conversations::neighbours;
use crate::support::Flavor;

/// Sessions in each of the settings below.
const SEEDS: u64 = 40;

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
        for flavor in Flavor::installed() {
            scope.spawn(move || {
                for (at, flags) in SETTINGS.iter().enumerate() {
                    let arena = Arena::with(flavor, flags);
                    // Others take turns with the session on what connections there are.
                    let others = neighbours(&arena);
                    let first = first + if count == 1 { 0 } else { at as u64 * count };
                    for seed in first..first + count {
                        compare(&arena, seed, flags);
                    }
                    drop(others);
                }
            });
        }
    });
}

fn compare(arena: &Arena, seed: u64, flags: &[&str]) {
    let plot = Plot::new(seed);
    let Some(first) = difference(arena, &plot) else {
        return;
    };
    let plot = smaller(arena, plot);
    let what = difference(arena, &plot).unwrap_or_else(|| {
        format!("not every time; at first, in the session as it was drawn:\n{first}")
    });
    panic!(
        "seed {seed} on {:?} {flags:?} goes differently:\n{}{what}",
        arena.flavor(),
        plot.lines()
    );
}

/// How the session goes differently, if it does.
fn difference(arena: &Arena, plot: &Plot) -> Option<String> {
    arena.empty();
    let direct = play(plot, &arena.server, &|| arena.server.connect(), None);
    let data = arena.digest();
    arena.empty();
    let connect = || arena.narrows.connect();
    let through = play(plot, &arena.server, &connect, Some(&direct));
    if direct != through {
        return Some(first_difference(&direct, &through));
    }
    (data != arena.digest()).then(|| "the data differs".to_owned())
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
        "turn {} (one more than there are: the end)\n  direct:{}\n  through:{}",
        at + 1,
        shown(direct),
        shown(through)
    )
}

/// `plot` without what is not needed for it to go differently.
fn smaller(arena: &Arena, mut plot: Plot) -> Plot {
    let mut attempts = 0;
    let mut size = plot.turns.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < plot.turns.len() && attempts < ATTEMPTS_MAX {
            let mut less = plot.clone();
            less.turns.drain(at..(at + size).min(plot.turns.len()));
            attempts += 1;
            if less.is_sound() && difference(arena, &less).is_some() {
                plot = less;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    single_requests(arena, plot)
}

/// The same within the turns of several requests.
fn single_requests(arena: &Arena, mut plot: Plot) -> Plot {
    for turn in 0..plot.turns.len() {
        let mut at = 0;
        while at < plot.turns[turn].requests.len() && plot.turns[turn].requests.len() > 1 {
            let mut less = plot.clone();
            let Turn { requests, .. } = &mut less.turns[turn];
            requests.remove(at);
            if less.is_sound() && difference(arena, &less).is_some() {
                plot = less;
            } else {
                at += 1;
            }
        }
    }
    plot
}
