//! What a function takes has names: no parameter is a tuple, whose parts the caller could only tell
//! apart by their order. Several that belong together are a type of their own.

use super::source::{Source, find_words, is_identifier, leading_identifier, line_of};

/// Adds each parameter of what is shipped that is a tuple, by its pattern, its type or an alias.
pub(crate) fn check(sources: &[Source], offences: &mut Vec<String>) {
    let shipped = || {
        let inside = |source: &&Source| source.path.starts_with("src/");
        sources.iter().filter(inside)
    };
    let aliases: Vec<&str> = shipped()
        .flat_map(|source| tuple_aliases(&source.shipped))
        .collect();
    for source in shipped() {
        for (at, parameter) in parameters(&source.shipped) {
            if is_tuple(parameter, &aliases) {
                offences.push(format!(
                    "{}:{}: `{}` is a tuple in place of named arguments",
                    source.path,
                    line_of(&source.shipped, at),
                    parameter.split_whitespace().collect::<Vec<_>>().join(" ")
                ));
            }
        }
    }
}

/// Names of types that are tuples.
fn tuple_aliases(code: &str) -> Vec<&str> {
    let aliases = find_words(code, "type").into_iter().filter_map(|at| {
        let rest = code[at + "type".len()..].trim_start();
        let name = leading_identifier(rest);
        let (before, type_) = rest[name.len()..].split_once('=')?;
        let is_plain = before.trim().is_empty() || before.trim().starts_with('<');
        (is_plain && has_parts(type_.trim_start())).then_some(name)
    });
    aliases.collect()
}

/// All parameters of all functions, each with its place.
fn parameters(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for at in find_words(code, "fn") {
        let after = &code[at + 2..];
        let name = leading_identifier(after.trim_start());
        if name.is_empty() || !after.starts_with(' ') {
            continue; // a function pointer type
        }
        let mut open = at + 2 + after.find(name).unwrap_or_default() + name.len();
        if code[open..].starts_with('<') {
            open += length_of_group(&code[open..]);
        }
        let list = &code[open..open + length_of_group(&code[open..])];
        let inside = list
            .strip_prefix('(')
            .and_then(|list| list.strip_suffix(')'));
        found.extend(
            parts(inside.unwrap_or_default())
                .into_iter()
                .map(|part| (at, part)),
        );
    }
    found
}

/// Whether a parameter is a tuple: `(a, b): T`, `a: (T, U)`, `a: &mut (T, U)`, or `a: Alias`.
fn is_tuple(parameter: &str, aliases: &[&str]) -> bool {
    let parameter = parameter.trim();
    if has_parts(parameter) {
        return true;
    }
    let Some((_, type_)) = parameter.split_once(':') else {
        return false; // `self`
    };
    let mut type_ = type_.trim();
    while let Some(referred) = type_.strip_prefix('&') {
        let referred = referred.strip_prefix('\'').map_or(referred, |lifetime| {
            lifetime.trim_start_matches(is_identifier)
        });
        let referred = referred.trim_start();
        type_ = referred
            .strip_prefix("mut ")
            .unwrap_or(referred)
            .trim_start();
    }
    let path = type_.split('<').next().unwrap_or_default();
    let name = path.rsplit("::").next().unwrap_or_default().trim();
    has_parts(type_) || aliases.contains(&name)
}

/// Whether `text` begins with parentheses around more than one thing.
fn has_parts(text: &str) -> bool {
    let group = &text[..length_of_group(text)];
    let inside = group
        .strip_prefix('(')
        .and_then(|group| group.strip_suffix(')'));
    inside.is_some_and(|inside| parts(inside).len() > 1)
}

/// The parts between the commas that stand in no brackets.
pub(crate) fn parts(list: &str) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let mut depth = 0i32;
    for (at, byte) in list.bytes().enumerate() {
        depth += step(list, at, byte);
        if byte == b',' && depth == 0 {
            parts.push(&list[start..at]);
            start = at + 1;
        }
    }
    parts.push(&list[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// The length of the brackets that `text` begins with, up to their end; 0 if it does not.
fn length_of_group(text: &str) -> usize {
    if !text.starts_with(['(', '<']) {
        return 0;
    }
    let mut depth = 0i32;
    for (at, byte) in text.bytes().enumerate() {
        depth += step(text, at, byte);
        if depth == 0 {
            return at + 1;
        }
    }
    0
}

/// By how much a byte of `text` changes how deep one is in brackets.
fn step(text: &str, at: usize, byte: u8) -> i32 {
    match byte {
        b'(' | b'[' | b'{' | b'<' => 1,
        b'>' if at > 0 && text.as_bytes()[at - 1] == b'-' => 0, // an arrow
        b')' | b']' | b'}' | b'>' => -1,
        _ => 0,
    }
}

#[test]
fn a_tuple_in_place_of_named_arguments_is_caught() {
    let caught = |raw: &str| {
        let mut offences = Vec::new();
        let sources = ["src/engine/x.rs", "tests/x.rs"].map(|path| Source::new(path, raw));
        check(&sources, &mut offences);
        offences
    };
    for raw in [
        "fn f((a, b): (u8, u8)) {}",
        "pub(super) fn f(&self, mut a: (u8, u8)) {}",
        "fn f<'a>(a: &'a mut (u8, &'a str)) {}",
        "fn f<F: Fn(u8, u8) -> u8>(\n    &self,\n    f: F,\n    (a, b): (u8, u8),\n) {}",
        "trait T {\n    fn f(&self, (a, b): Pair);\n}",
        "pub type Pair = (u8, u8);\nfn f(pair: super::x::Pair) {}",
        "type Pair<T> = (T, T);\nfn f(pair: &Pair<u8>) {}",
    ] {
        let found = caught(raw);
        assert!(
            found.len() == 1 && found[0].contains("tuple"),
            "{raw}: {found:?}"
        );
    }
    for raw in [
        "fn f(a: u8, next: impl Fn(u8, u8) -> (u8, u8)) -> (u8, u8) { (a, a) }",
        "fn f(next: &(dyn Fn(u8, u8) + Send), run: fn(u8, u8) -> u8, nothing: ()) {}",
        "fn f(pairs: &[(u8, u8)], one: Option<(u8, u8)>) { g((1, 2)) }",
        "trait T {\n    type Output = ();\n}\nfn f(a: Output) { let h = |(a, b)| a + b; }",
        "#[cfg(test)]\nmod tests {\n    fn f((a, b): (u8, u8)) {}\n}",
    ] {
        assert_eq!(caught(raw), [""; 0], "{raw}");
    }
}
