//! The detectors: each takes a file and adds its offences to a list, one line each, in the form
//! that editors jump to. What is allowed stands in the tables of `mod.rs`, not here.

use super::source::{Source, find_words, functions, is_identifier, leading_identifier, line_of};
use super::{BANNED, ENDS, FILE_LINES_MAX, FUNCTION_LINES_MAX, IMPURE, LAYERS, PURE, VAGUE};

/// Ways to walk a hash table, whose order differs from run to run.
const WALKS: &[&str] = &[
    ".iter()",
    ".iter_mut()",
    ".into_iter()",
    ".keys()",
    ".into_keys()",
    ".values()",
    ".values_mut()",
    ".into_values()",
    ".drain(",
    ".retain(",
    ".extract_if(",
];

pub(crate) fn check(source: &Source, offences: &mut Vec<String>) {
    check_shape(source, offences);
    check_words(source, offences);
    check_imports(source, offences);
    if source.layer().is_some_and(|layer| PURE.contains(&layer)) {
        check_purity(source, offences);
        check_hash_order(source, offences);
    }
}

fn check_shape(source: &Source, offences: &mut Vec<String>) {
    let path = &source.path;
    let lines = source.raw.lines().count();
    if lines > FILE_LINES_MAX {
        offences.push(format!(
            "{path}:1: {lines} lines, the limit is {FILE_LINES_MAX}"
        ));
    }
    if !source.raw.starts_with("//!") {
        offences.push(format!(
            "{path}:1: begins without a `//!` paragraph about its subject"
        ));
    }
    for part in path.trim_end_matches(".rs").split('/') {
        if VAGUE.contains(&part) {
            offences.push(format!("{path}:1: `{part}` does not say what is inside"));
        }
    }
    for function in functions(&source.code) {
        if function.lines > FUNCTION_LINES_MAX {
            let (line, name, lines) = (function.line, function.name, function.lines);
            offences.push(format!(
                "{path}:{line}: fn {name} has {lines} lines, the limit is {FUNCTION_LINES_MAX}"
            ));
        }
    }
}

fn check_words(source: &Source, offences: &mut Vec<String>) {
    for (word, reason) in BANNED {
        report(source, &source.shipped, word, reason, offences);
    }
    report(
        source,
        &source.code,
        "#[ignore",
        "a test runs or does not exist",
        offences,
    );
    check_examples(source, offences);
}

/// Code in a comment would be a test that rustdoc alone runs, and nobody runs it here.
fn check_examples(source: &Source, offences: &mut Vec<String>) {
    let mut inside = false;
    for (index, line) in source.raw.lines().enumerate() {
        let line = line.trim_start();
        let comment = line.strip_prefix("///").or(line.strip_prefix("//!"));
        let Some(fence) = comment.and_then(|text| text.trim_start().strip_prefix("```")) else {
            continue;
        };
        inside = !inside;
        if inside && fence != "text" {
            let (path, line) = (&source.path, index + 1);
            offences.push(format!(
                "{path}:{line}: a comment holds what rustdoc would run: ```text"
            ));
        }
    }
}

fn check_purity(source: &Source, offences: &mut Vec<String>) {
    for (word, reason) in IMPURE {
        report(source, &source.shipped, word, reason, offences);
    }
}

fn report(source: &Source, text: &str, word: &str, reason: &str, offences: &mut Vec<String>) {
    for at in find_words(text, word) {
        if word == ".unwrap()" && is_constant(&text[..at]) {
            continue;
        }
        offences.push(format!(
            "{}:{}: `{word}`: {reason}",
            source.path,
            line_of(text, at)
        ));
    }
}

/// Whether `before` ends inside the value of a constant: the compiler has settled what it unwraps.
fn is_constant(before: &str) -> bool {
    let start = before.rfind([';', '{', '}']).unwrap_or(0);
    let statement = &before[start..];
    let is_block = statement.starts_with('{') && before[..start].trim_end().ends_with("const");
    let is_item = |word| !find_words(statement, word).is_empty();
    is_block || is_item("const") || is_item("static")
}

fn check_imports(source: &Source, offences: &mut Vec<String>) {
    let Some(layer) = source.layer() else { return };
    if ENDS.contains(&layer) {
        return;
    }
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        offences.push(format!(
            "{}:1: `{layer}` has no row in the table of layers",
            source.path
        ));
        return;
    };
    for (at, import) in crate_imports(&source.shipped, source.depth()) {
        if import != layer && !allowed.contains(&import) {
            let line = line_of(&source.shipped, at);
            offences.push(format!(
                "{}:{line}: layer `{layer}` must not import `{import}`",
                source.path
            ));
        }
    }
}

/// What is named directly below the root of the crate: by `crate::x`, by each branch of
/// `crate::{x, y}`, and by as many `super::` as lead up to the root.
fn crate_imports(code: &str, depth: usize) -> Vec<(usize, &str)> {
    let climb = "super::".repeat(depth);
    let mut imports = Vec::new();
    for root in ["crate::", climb.as_str()] {
        for at in find_words(code, root) {
            let below = at + root.len();
            match code[below..].strip_prefix('{') {
                Some(group) => imports.extend(branches(group).map(|name| (at, name))),
                None => imports.push((at, leading_identifier(&code[below..]))),
            }
        }
    }
    imports.retain(|(_, name)| !name.is_empty() && *name != "super");
    imports
}

/// The first identifier of each branch of a `use` group, given what follows its `{`.
fn branches(group: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let mut starts = vec![0];
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => break,
            b'}' => depth -= 1,
            b',' if depth == 0 => starts.push(at + 1),
            _ => {}
        }
    }
    starts
        .into_iter()
        .map(|at| leading_identifier(group[at..].trim_start()))
}

/// Walking a `HashMap` or `HashSet` declared in the same file.
fn check_hash_order(source: &Source, offences: &mut Vec<String>) {
    let code = &source.shipped;
    for name in hash_table_names(code) {
        for at in find_words(code, name) {
            let after = code[at + name.len()..].trim_start();
            let called = WALKS.iter().any(|walk| after.starts_with(walk));
            let looped = after.starts_with('{') && is_looped_over(&code[..at]);
            if called || looped {
                let line = line_of(code, at);
                offences.push(format!(
                    "{}:{line}: the order of `{name}` differs from run to run",
                    source.path
                ));
            }
        }
    }
}

/// Names of the fields, arguments and variables whose type or first value is a hash table.
fn hash_table_names(code: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for kind in ["HashMap", "HashSet"] {
        for (at, _) in code.match_indices(kind) {
            names.extend(declared_name(&code[..at]));
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// The name that is declared, where `before` is what precedes the type or the first value:
/// `name: std::collections::`, `name: &mut Box<`, `name = `.
fn declared_name(before: &str) -> Option<&str> {
    let mut rest = before;
    loop {
        let shorter = rest
            .trim_end_matches(is_identifier)
            .trim_end_matches("::")
            .trim_end_matches(['<', '&', ' ', '\n']);
        if shorter.len() == rest.len() {
            break;
        }
        rest = shorter;
    }
    let rest = rest.strip_suffix([':', '='])?.trim_end();
    let name = rest.rsplit(|letter| !is_identifier(letter)).next()?;
    (!name.is_empty()).then_some(name)
}

/// Whether `before`, the text that leads up to a name, ends like the head of a `for` loop.
fn is_looped_over(before: &str) -> bool {
    let head = before.trim_end_matches(|letter| is_identifier(letter) || letter == '.');
    let head = head.trim_end().trim_end_matches("mut").trim_end();
    head.trim_end_matches('&').trim_end().ends_with(" in")
}

/// Every key, given or commented out, has a comment directly above it.
pub(crate) fn check_keys(path: &str, text: &str, offences: &mut Vec<String>) {
    let mut above = "";
    for (number, line) in text.lines().enumerate() {
        if let Some(key) = key_of(line) {
            let explained = above.starts_with('#') && key_of(above).is_none();
            if !explained {
                offences.push(format!(
                    "{path}:{}: the key `{key}` has no comment above it",
                    number + 1
                ));
            }
        }
        above = line.trim();
    }
}

/// The key of `key = value`, also where it is commented out (`#key = value`, no space: prose has one).
fn key_of(line: &str) -> Option<&str> {
    let line = line.trim();
    let line = line.strip_prefix('#').unwrap_or(line);
    let (key, _) = line.split_once('=')?;
    let key = key.strip_suffix(' ').unwrap_or(key);
    let is_key = !key.is_empty()
        && key
            .chars()
            .all(|letter| is_identifier(letter) || "-.\"".contains(letter));
    is_key.then_some(key)
}

fn offences_in(path: &str, raw: &str) -> Vec<String> {
    let mut offences = Vec::new();
    check(&Source::new(path, &format!("//! x\n{raw}")), &mut offences);
    offences
}

#[track_caller]
fn assert_caught(path: &str, raw: &str, expected: &str) {
    let offences = offences_in(path, raw);
    assert!(
        offences.len() == 1 && offences[0].contains(expected),
        "expected one offence with `{expected}` in {raw:?}, found {offences:?}"
    );
}

#[track_caller]
fn assert_clean(path: &str, raw: &str) {
    assert_eq!(offences_in(path, raw), [""; 0], "in {raw:?}");
}

#[test]
fn imports_against_the_direction_are_caught() {
    assert_caught(
        "src/resp/scan.rs",
        "use crate::session::X;",
        ":2: layer `resp` must not import `session`",
    );
    assert_caught(
        "src/command/x.rs",
        "use crate::{resp::A, engine::{B, C}};",
        "`engine`",
    );
    assert_caught(
        "src/command/x.rs",
        "fn f() { crate::runtime::go() }",
        "`runtime`",
    );
    assert_caught(
        "src/command/x.rs",
        "use super::super::session;",
        "`session`",
    );
    assert_caught("src/session/mod.rs", "use super::config::Z;", "`config`");
    assert_caught("src/engine/a.rs", "use crate::cli::Z;", "`cli`");
    assert_caught("src/extra/mod.rs", "", "`extra` has no row");
}

#[test]
fn imports_in_the_direction_pass() {
    assert_clean(
        "src/engine/a/b.rs",
        "use crate::{resp::A, engine::{session, B}};",
    );
    assert_clean("src/engine/a.rs", "use super::slot::Slot; // crate::cli");
    assert_clean(
        "src/resp/a.rs",
        "pub(crate) fn f() {}\n#[cfg(test)]\nmod tests {\n use crate::engine;\n}",
    );
    assert_clean("src/app.rs", "use crate::{cli, engine};");
}

#[test]
fn impure_words_are_caught_in_pure_layers_only() {
    for impure in [
        "tokio::spawn(x)",
        "Instant::now()",
        "started.elapsed()",
        "std::fs::read(x)",
        "rand::random()",
    ] {
        let raw = format!("fn f() {{ {impure}; }}");
        assert_eq!(offences_in("src/engine/a.rs", &raw).len(), 1, "{raw}");
        assert_clean("src/runtime/a.rs", &raw);
    }
    assert_clean(
        "src/engine/a.rs",
        "use std::net::SocketAddr;\nfn f(now: Instant, operand: u8) {}",
    );
    assert_clean(
        "src/engine/a.rs",
        "#[cfg(test)]\nfn f() { Instant::now(); }",
    );
}

#[test]
fn hash_order_is_caught() {
    let declared = "struct S { map: std::collections::HashMap<u8, u8>, list: Vec<u8> }\n";
    for walk in [
        "self.map.iter()",
        "self.map\n  .values()",
        "for x in &mut self.map {}",
        "for x in self.map {}",
    ] {
        assert_caught(
            "src/engine/a.rs",
            &format!("{declared}fn f() {{ {walk} }}"),
            "the order of `map`",
        );
    }
    assert_caught(
        "src/engine/a.rs",
        "fn f() { let seen = HashSet::new(); seen.drain(); }",
        "`seen`",
    );
    assert_clean(
        "src/engine/a.rs",
        &format!("{declared}fn f() {{ self.map.get(1); self.list.iter() }}"),
    );
}

#[test]
fn unfinished_work_is_caught() {
    assert_caught("src/cli.rs", "fn f() { todo!() }", "`todo!`");
    assert_caught(
        "src/cli.rs",
        "fn f() { unimplemented!() }",
        "`unimplemented!`",
    );
    assert_caught(
        "src/cli.rs",
        "fn f() {\n x.unwrap() }",
        "src/cli.rs:3: `.unwrap()`",
    );
    assert_caught(
        "tests/x.rs",
        "#[ignore = \"slow\"]\nfn f() {}",
        "`#[ignore`",
    );
    assert_clean(
        "src/cli.rs",
        "/// x.unwrap()\nfn f() { x.unwrap_or(1); \"todo!\" }",
    );
    assert_clean(
        "src/cli.rs",
        "const X: N = N::new(3).unwrap();\nfn f() { const { x.unwrap() } }",
    );
    assert_clean("src/cli/tests.rs", "fn f() { x.unwrap() }");
    assert_caught("src/cli.rs", "/// ```\n/// f();\n/// ```\nfn f() {}", ":2:");
    assert_clean("src/cli.rs", "/// ```text\n/// f\n/// ```\nfn f() {}");
}

#[test]
fn shapeless_files_are_caught() {
    assert_caught("src/demo/utils.rs", "", "`utils`");
    assert_caught("tests/x.rs", &"// x\n".repeat(500), "501 lines");
    assert_caught(
        "src/cli.rs",
        &format!("fn f() {{\n{}}}", "x;\n".repeat(69)),
        ":2: fn f has 71 lines",
    );
    let mut offences = Vec::new();
    check(&Source::new("src/cli.rs", "fn f() {}"), &mut offences);
    assert_eq!(
        offences,
        ["src/cli.rs:1: begins without a `//!` paragraph about its subject"]
    );
}

#[test]
fn keys_without_a_comment_are_caught() {
    let text = "# Whole sentences = prose.\n[a]\nb = 1\n# Why.\nc = 2\n\n# Why.\n#d = 3\n#e = 4\n";
    let mut offences = Vec::new();
    check_keys("c.toml", text, &mut offences);
    let expected = [
        "c.toml:3: the key `b` has no comment above it",
        "c.toml:9: the key `e` has no comment above it",
    ];
    assert_eq!(offences, expected);
}
