//! A type has a name of its own in the whole crate, tests included: whoever reads it need not look at
//! the imports to know which one it is, and a search finds that one. Associated types are no names of
//! their own: the trait gives them.

use std::collections::BTreeMap;

use super::source::{Source, find_words, is_identifier, leading_identifier, line_of};

/// Adds each type whose name another one has too.
pub(crate) fn check(sources: &[Source], offences: &mut Vec<String>) {
    let mut known = BTreeMap::new();
    let inside = |source: &&Source| source.path.starts_with("src/");
    for source in sources.iter().filter(inside) {
        for (at, name) in types(&source.code) {
            let place = format!("{}:{}", source.path, line_of(&source.code, at));
            match known.get(name) {
                Some(other) => offences.push(format!(
                    "{place}: `{name}` is the name of a type of {other} too: say which one it is"
                )),
                None => _ = known.insert(name, place),
            }
        }
    }
}

/// The names of all types that this code declares, each with its place.
fn types(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for keyword in ["struct", "enum", "union", "trait", "type"] {
        for at in find_words(code, keyword) {
            let name = code[at + keyword.len()..].strip_prefix(' ').unwrap_or("");
            let name = leading_identifier(name);
            let is_associated = keyword == "type" && is_in_impl(&code[..at]);
            if name.starts_with(char::is_uppercase) && !is_associated {
                found.push((at, name));
            }
        }
    }
    found.sort_unstable();
    found
}

/// Whether what follows `before` stands directly in an `impl` or a trait.
fn is_in_impl(before: &str) -> bool {
    let mut depth = 0i32;
    for (at, byte) in before.bytes().enumerate().rev() {
        depth += match byte {
            b'}' => 1,
            b'{' => -1,
            _ => 0,
        };
        if depth < 0 {
            let head = before[..at].rsplit([';', '{', '}']).next();
            let words = head
                .unwrap_or_default()
                .split(|letter| !is_identifier(letter));
            return words
                .into_iter()
                .any(|word| matches!(word, "impl" | "trait"));
        }
    }
    false
}

#[test]
fn a_name_that_two_types_have_is_caught() {
    let first = ("src/a.rs", "pub struct Verdict<'a>(&'a str);\n");
    for (raw, caught) in [
        ("enum Verdict {}", true),
        ("fn f() {\n    type Verdict = u8;\n}", true),
        ("#[cfg(test)]\nmod tests {\n    trait Verdict {}\n}", true),
        (
            "impl X for Y {\n    fn f() {}\n    type Verdict = u8;\n}",
            false,
        ),
        ("pub trait T<A> {\n    type Verdict;\n}", false),
        (
            "/// The struct Verdict.\nstruct Verdicts;\nuse crate::a::Verdict;",
            false,
        ),
    ] {
        let sources = [first, ("src/b.rs", raw)].map(|(path, raw)| Source::new(path, raw));
        let mut offences = Vec::new();
        check(&sources, &mut offences);
        let told = offences.iter().any(|told| told.starts_with("src/b.rs:"));
        assert_eq!(
            (told, offences.len()),
            (caught, usize::from(caught)),
            "{raw}"
        );
    }
}
