//! Finding a command by its name, which every request does: the table of `src/command/names.rs`
//! beside the same built on `hashbrown`, over the names of narrows' own rows. The figures stand at
//! the head of that file and decide whether it stays.

#![allow(
    missing_docs,
    reason = "criterion's macros write undocumented functions"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hashbrown::HashMap;
use narrows::command::CommandTable;

#[allow(
    dead_code,
    unused_imports,
    reason = "a part of it is measured, and its tests run where it belongs"
)]
#[path = "../src/command/names.rs"]
mod names;

use names::{NameTable, Scope};

/// What a busy server is asked most of the time, as clients write it.
const HOT: [&str; 16] = [
    "GET", "SET", "HGET", "HSET", "INCR", "EXPIRE", "MGET", "DEL", "LPUSH", "RPOP", "ZADD", "SADD",
    "EXISTS", "HGETALL", "PING", "SETEX",
];

fn lookups(criterion: &mut Criterion) {
    let table = CommandTable::builtin();
    let names: Vec<(u32, String)> = (0..)
        .zip(table.specs())
        .filter(|(_, spec)| !spec.name.contains('|'))
        .map(|(index, spec)| (index, spec.name.to_string()))
        .collect();
    let mut ours = NameTable::with_room(names.len());
    let (mut folded, mut as_words) = (Folded::default(), Words::default());
    for (index, name) in &names {
        ours.insert(Scope::Commands, name, *index);
        folded.0.insert(name.as_bytes().into(), *index);
        if let Some(key) = Words::key(name.as_bytes()) {
            as_words.0.insert(key, *index);
        }
    }
    let upper = |names: Vec<&str>| -> Vec<Vec<u8>> {
        let upper = names.iter().map(|name| name.to_ascii_uppercase());
        upper.map(String::into_bytes).collect()
    };
    // Each 97th, so that neighbours of the table do not follow each other.
    let all = (0..names.len()).map(|at| at * 97 % names.len());
    let all = all.filter_map(|at| names.get(at).map(|(_, name)| name.as_str()));
    let cases = [
        ("hot", upper(HOT.to_vec())),
        ("all", upper(all.collect())),
        (
            "unknown",
            upper(vec!["gett", "mod.read", "no-such-command"]),
        ),
    ];
    let mut group = criterion.benchmark_group("names");
    for (case, words) in &cases {
        for word in words {
            let found = ours.find(Scope::Commands, word);
            assert_eq!(found, folded.find(word));
            assert_eq!(found, as_words.find(word));
        }
        group.throughput(Throughput::Elements(words.len() as u64));
        group.bench_function(format!("{case}/names.rs"), |bencher| {
            bencher.iter(|| each(words, |word| ours.find(Scope::Commands, word)));
        });
        group.bench_function(format!("{case}/hashbrown, folded"), |bencher| {
            bencher.iter(|| each(words, |word| folded.find(word)));
        });
        group.bench_function(format!("{case}/hashbrown, words"), |bencher| {
            bencher.iter(|| each(words, |word| as_words.find(word)));
        });
    }
    group.finish();
}

fn each(words: &[Vec<u8>], find: impl Fn(&[u8]) -> Option<u32>) -> u32 {
    let found = words.iter().filter_map(|word| find(black_box(word)));
    found.fold(0, u32::wrapping_add)
}

/// The plain way: the name is folded on the stack, and looked up as bytes.
#[derive(Default)]
struct Folded(HashMap<Box<[u8]>, u32>);

impl Folded {
    #[inline]
    fn find(&self, name: &[u8]) -> Option<u32> {
        let mut buffer = [0; 32];
        match buffer.get_mut(..name.len()) {
            Some(lower) => {
                lower.copy_from_slice(name);
                lower.make_ascii_lowercase();
                self.0.get(&*lower).copied()
            }
            None => self.0.get(name.to_ascii_lowercase().as_slice()).copied(),
        }
    }
}

/// The way that hashes and compares least: a folded name as five words, which longer ones do not fit.
#[derive(Default)]
struct Words(HashMap<[u64; 5], u32>);

impl Words {
    #[inline]
    fn key(name: &[u8]) -> Option<[u64; 5]> {
        let mut buffer = [0; 32];
        buffer.get_mut(..name.len())?.copy_from_slice(name);
        buffer.make_ascii_lowercase();
        let mut key = [name.len() as u64; 5];
        for (word, bytes) in key.iter_mut().zip(buffer.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Some(key)
    }

    #[inline]
    fn find(&self, name: &[u8]) -> Option<u32> {
        self.0.get(&Self::key(name)?).copied()
    }
}

criterion_group!(benches, lookups);
criterion_main!(benches);
