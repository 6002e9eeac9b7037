//! The engine's parts: each owns its state, and none names another or the engine that holds them all.
//! What one has to tell another passes through the engine's own files.

use super::source::{Source, find_words, line_of};

/// The parts, each a folder of `src/engine/`.
const PARTS: &[&str] = &["clients", "pool", "auth", "leases", "waits", "fanout"];

/// Folders of plain values that every part may name, and that name no part.
const VALUES: &[&str] = &["lease"];

/// Methods of the engine itself. To be lowered with each one that a part takes over, never raised.
const ENGINE_METHODS_MAX: usize = 335;

/// Adds what a part's file says of another part, or of the engine.
pub(crate) fn check(source: &Source, offences: &mut Vec<String>) {
    let Some(folder) = folder_of(&source.path) else {
        return;
    };
    if !PARTS.contains(&folder) && !VALUES.contains(&folder) {
        return;
    }
    for at in find_words(&source.shipped, "Engine") {
        let line = line_of(&source.shipped, at);
        offences.push(format!(
            "{}:{line}: a part of the engine names the engine",
            source.path
        ));
    }
    for part in PARTS.iter().filter(|part| **part != folder) {
        for path in ["engine::", "super::super::"] {
            for (at, _) in source.shipped.match_indices(&format!("{path}{part}::")) {
                let line = line_of(&source.shipped, at);
                offences.push(format!(
                    "{}:{line}: `{folder}` names `{part}`: both are parts, tell the engine",
                    source.path
                ));
            }
        }
    }
}

/// Adds an offence when the engine has more methods of its own than it had.
pub(crate) fn check_engine(sources: &[Source], offences: &mut Vec<String>) {
    let engine = sources
        .iter()
        .filter(|source| source.path.starts_with("src/engine/"));
    let methods: usize = engine.map(|source| engine_methods(&source.shipped)).sum();
    if methods > ENGINE_METHODS_MAX {
        offences.push(format!(
            "src/engine/mod.rs:1: the engine has {methods} methods of its own, the limit is \
             {ENGINE_METHODS_MAX}: a part should own what they do"
        ));
    }
}

/// `clients` for `src/engine/clients/x.rs`.
fn folder_of(path: &str) -> Option<&str> {
    let below = path.strip_prefix("src/engine/")?;
    below.split_once('/').map(|(folder, _)| folder)
}

/// How many methods stand in blocks of `impl Engine`.
fn engine_methods(code: &str) -> usize {
    let blocks = code.split("\nimpl Engine {\n").skip(1);
    let bodies = blocks.map(|block| block.split("\n}\n").next().unwrap_or_default());
    bodies.map(|body| find_words(body, "fn").len()).sum()
}

#[test]
fn a_part_that_names_another_or_the_engine_is_caught() {
    for (path, raw, caught) in [
        (
            "src/engine/pool/x.rs",
            "use crate::engine::clients::Client;\n",
            true,
        ),
        ("src/engine/pool/x.rs", "use crate::engine::Engine;\n", true),
        (
            "src/engine/lease/x.rs",
            "fn x(pool: &crate::engine::pool::Pool) {}\n",
            true,
        ),
        (
            "src/engine/pool/x.rs",
            "use crate::engine::lease::lent::Lent;\n",
            false,
        ),
        (
            "src/engine/pool/x.rs",
            "use crate::engine::pool::wants::Wants;\n",
            false,
        ),
        (
            "src/engine/reply.rs",
            "use super::clients::Client;\n",
            false,
        ),
    ] {
        let mut offences = Vec::new();
        check(&Source::new(path, raw), &mut offences);
        assert_eq!(!offences.is_empty(), caught, "{path}: {raw}{offences:?}");
    }
}

#[test]
fn methods_of_the_engine_are_counted() {
    let code =
        "\nimpl Engine {\n    fn a() {}\n    pub fn b() {}\n}\n\nimpl Pool {\n    fn c() {}\n}\n";
    assert_eq!(engine_methods(code), 2);
}
