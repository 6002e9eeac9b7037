//! The list of keys against `config/narrows.toml` and the documentation.

use std::collections::BTreeSet;

use toml::de::DeTable;

use super::super::BINDINGS;
use super::super::kind::Raw;
use super::*;

const FILE: &str = include_str!("../../../config/narrows.toml");
const MANUAL: &str = include_str!("../../../docs/configuration.md");

/// A key as `config/narrows.toml` has it: its path and the comment above it on one line.
fn documented() -> Vec<(String, String)> {
    let (mut section, mut comment, mut keys) = ("", String::new(), Vec::new());
    for line in FILE.lines() {
        if let Some(text) = line.strip_prefix("# ") {
            comment.push_str(text);
            comment.push(' ');
        } else if let Some(name) = line.strip_prefix('[') {
            section = name.strip_suffix(']').unwrap();
        } else if let Some((key, _)) = line.split_once(" = ") {
            keys.push((format!("{section}.{key}"), std::mem::take(&mut comment)));
        } else {
            assert!(line.is_empty() || line == "#", "{line}");
            comment.clear();
        }
    }
    keys
}

#[test]
fn the_file_has_every_key_and_no_other_in_this_order() {
    let documented: Vec<_> = documented().into_iter().map(|(path, _)| path).collect();
    assert_eq!(documented, paths());
    let unique: BTreeSet<_> = paths().into_iter().collect();
    assert_eq!(unique.len(), paths().len());
}

#[test]
fn every_comment_states_the_range_that_is_enforced_and_gives_a_reason() {
    struct Ranges(Vec<(&'static str, String)>);
    impl Visitor for Ranges {
        fn key<K: Kind>(&mut self, path: &'static str, _: &mut K::Value, kind: &K) {
            self.0.push((path, kind.allowed()));
        }
    }
    let mut ranges = Ranges(Vec::new());
    visit(&mut Draft::default(), &mut ranges);
    for ((path, allowed), (_, comment)) in ranges.0.iter().zip(documented()) {
        let (words, range) = comment.split_once(" Allowed: ").expect(path);
        assert_eq!(range.trim_end(), allowed, "{path}");
        assert!(words.len() > 60, "{path} needs more words: {words}");
    }
}

#[test]
fn comments_and_manual_name_every_variable_and_flag() {
    let documented = documented();
    for binding in BINDINGS {
        let (_, comment) = documented
            .iter()
            .find(|(path, _)| path == binding.key)
            .unwrap();
        for name in [binding.variable, binding.flag] {
            assert!(comment.contains(name), "{} misses {name}", binding.key);
            assert!(
                MANUAL.contains(&format!("`{name}`")),
                "the manual misses {name}"
            );
        }
    }
}

#[test]
fn the_manual_names_every_section() {
    for path in paths() {
        let (section, _) = path.rsplit_once('.').unwrap();
        assert!(MANUAL.contains(&format!("`[{section}]`")), "{section}");
    }
}

#[test]
fn every_default_can_be_written_down_and_read_again() {
    struct RoundTrip;
    impl Visitor for RoundTrip {
        fn key<K: Kind>(&mut self, path: &'static str, value: &mut K::Value, kind: &K) {
            let text = format!("key = {}", kind.show(value));
            let table = DeTable::parse(&text).unwrap();
            let raw = table.get_ref().values().next().unwrap();
            let read = kind.read(Raw::Toml(raw.get_ref())).expect(path);
            assert!(read == *value, "{path}: {text}");
        }
    }
    visit(&mut Draft::default(), &mut RoundTrip);
}
