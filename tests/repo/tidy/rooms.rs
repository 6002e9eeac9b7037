//! The engine's parts: each owns its state, and none names another or the engine that holds them all.
//! What one has to tell another passes through the engine's own files.

use super::source::{Source, find_words, line_of};

/// The parts, each a folder of `src/engine/`.
const PARTS: &[&str] = &["clients", "pool", "auth", "leases", "waits", "fanout"];

/// Folders of plain values that every part may name, and that name no part.
const VALUES: &[&str] = &["lease"];

/// Methods of the engine itself.
const ENGINE_METHODS_MAX: usize = 60;

/// Parts whose own fields others may not see.
const CLOSED: &[(&str, &str)] = &[
    ("src/engine/clients/mod.rs", "Clients"),
    ("src/engine/pool/mod.rs", "Pool"),
    ("src/engine/auth/login_checks.rs", "Auth"),
    ("src/engine/leases/mod.rs", "Leases"),
    ("src/engine/waits/mod.rs", "Waits"),
    ("src/engine/fanout/queries.rs", "Fanout"),
];

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

/// Where the engine's own methods stand: each a file, or a folder of them.
const ENGINE_FILES: [&str; 5] = ["mod", "request", "reply", "lifecycle", "mail"];

/// Adds a method of the engine itself that stands elsewhere than where they are looked for.
pub(crate) fn check_engine_files(source: &Source, offences: &mut Vec<String>) {
    let below = source.path.strip_prefix("src/engine/").unwrap_or_default();
    let first = below.split(['/', '.']).next().unwrap_or_default();
    if engine_methods(&source.shipped) > 0 && !ENGINE_FILES.contains(&first) {
        offences.push(format!(
            "{}:1: methods of the engine stand in {ENGINE_FILES:?}: give this work no more in reach \
             than it needs (src/engine/reach.rs)",
            source.path
        ));
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

/// Adds each part that lets others at its fields, or that is not where it is looked for.
pub(crate) fn check_fields(sources: &[Source], offences: &mut Vec<String>) {
    for (path, part) in CLOSED {
        let source = sources.iter().find(|source| source.path == *path);
        let fields = source.and_then(|source| fields_of(&source.shipped, part));
        match fields {
            None => offences.push(format!("{path}:1: there is no `{part}`")),
            Some(fields) if fields.contains("pub") => offences.push(format!(
                "{path}:1: a field of `{part}` is seen by others: give it a method"
            )),
            Some(_) => {}
        }
    }
}

/// What stands between the braces of this struct.
fn fields_of<'a>(code: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = code.split_once(&format!("pub struct {name} {{\n"))?;
    rest.split("\n}\n").next()
}

/// `clients` for `src/engine/clients/x.rs`.
fn folder_of(path: &str) -> Option<&str> {
    let below = path.strip_prefix("src/engine/")?;
    below.split_once('/').map(|(folder, _)| folder)
}

/// How many methods stand in blocks of `impl Engine`, and how many ways there are to what is in reach.
fn engine_methods(code: &str) -> usize {
    let reach = code.split("reach! { Engine:\n").nth(1);
    let reach = reach.and_then(|block| block.split("\n}\n").next());
    let ways = reach.map_or(0, |block| block.matches("->").count());
    let blocks = code.split("\nimpl Engine {\n").skip(1);
    let bodies = blocks.map(|block| block.split("\n}\n").next().unwrap_or_default());
    bodies
        .map(|body| find_words(body, "fn").len())
        .sum::<usize>()
        + ways
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
            "use crate::engine::lease::state::LeaseState;\n",
            false,
        ),
        (
            "src/engine/pool/x.rs",
            "use crate::engine::pool::acquire_queue::AcquireQueue;\n",
            false,
        ),
        (
            "src/engine/reply/mod.rs",
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
fn a_method_of_the_engine_that_stands_elsewhere_is_caught() {
    for (path, caught) in [
        ("src/engine/request/route.rs", false),
        ("src/engine/mail.rs", false),
        ("src/engine/gate/login.rs", true),
        ("src/runtime/worker.rs", true),
    ] {
        let mut offences = Vec::new();
        let code = "use x;\n\nimpl Engine {\n    fn a() {}\n}\n";
        check_engine_files(&Source::new(path, code), &mut offences);
        assert_eq!(!offences.is_empty(), caught, "{path}: {offences:?}");
    }
}

#[test]
fn methods_of_the_engine_are_counted() {
    let code =
        "\nimpl Engine {\n    fn a() {}\n    pub fn b() {}\n}\n\nimpl Pool {\n    fn c() {}\n}\n";
    assert_eq!(engine_methods(code), 2);
    let code = "\nreach! { Engine:\n    a -> A { x }\n    b -> B { x y }\n}\n";
    assert_eq!(engine_methods(code), 2);
}

#[test]
fn a_field_of_a_part_that_others_see_is_caught() {
    for (fields, caught) in [("    a: u32,", false), ("    pub a: u32,", true)] {
        let code = format!("pub struct Auth {{\n{fields}\n}}\n");
        let seen = fields_of(&code, "Auth").is_some_and(|fields| fields.contains("pub"));
        assert_eq!(seen, caught, "{fields}");
    }
}
