//! No two files of a layer import each other: what both need stands in a third, so that each can be
//! read and changed without the other. The table in `mod.rs` holds the layers apart; this holds
//! inside each of them. A name counts as imported from the file that defines it, whoever passes it on
//! (`pub use`), so a parent that declares its parts and passes on what is theirs imports nothing.

use std::collections::BTreeMap;

use super::signatures::parts;
use super::source::{Source, find_words, is_identifier, leading_identifier, line_of};

/// Files by their modules: `[engine, pool]` for `src/engine/pool/mod.rs`.
type Modules<'a> = BTreeMap<Vec<&'a str>, &'a Source>;

/// How often a name may be passed on.
const PASSED_ON_MAX: usize = 4;

/// Adds an offence for each two files of a layer of which each imports the other.
pub(crate) fn check(sources: &[Source], offences: &mut Vec<String>) {
    let modules: Modules = sources
        .iter()
        .filter_map(|source| Some((module_of(&source.path)?, source)))
        .collect();
    let mut imports = BTreeMap::new();
    for (module, source) in &modules {
        for (at, path) in imported(&source.shipped) {
            let path = below_crate(module, &path, &modules);
            let other = path.and_then(|path| defined_in(path, &modules, PASSED_ON_MAX));
            if let Some(other) = other {
                let line = line_of(&source.shipped, at);
                imports.entry((module.clone(), other)).or_insert(line);
            }
        }
    }
    for ((module, other), line) in &imports {
        let is_inside = module.first() == other.first();
        let is_mutual = imports.contains_key(&(other.clone(), module.clone()));
        if module < other && is_inside && is_mutual {
            let (path, other) = (&modules[module].path, &modules[other].path);
            offences.push(format!(
                "{path}:{line}: imports from {other}, which imports from it: what both need \
                 belongs into one of them, or into a third file"
            ));
        }
    }
}

fn module_of(path: &str) -> Option<Vec<&str>> {
    let below = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let mut module: Vec<&str> = below.split('/').collect();
    if module.last() == Some(&"mod") {
        module.pop();
    }
    Some(module)
}

/// What a file needs of others, by its imports and in its code, each with its place. What it passes
/// on it needs if it stands below another file, or if it uses it too.
fn imported(code: &str) -> Vec<(usize, Vec<&str>)> {
    let uses = uses(code);
    let inside = |at: usize| {
        uses.iter()
            .any(|(start, tree)| (*start..start + tree.len()).contains(&at))
    };
    let is_used = |name: &str| {
        let is_type = name.starts_with(char::is_uppercase);
        let is_called = |at: usize| {
            let is_method = [".", "fn "]
                .iter()
                .any(|before| code[..at].ends_with(before));
            code[at + name.len()..].starts_with('(') && !is_method
        };
        let mut places = find_words(code, name).into_iter();
        places.any(|at| !inside(at) && (is_type || is_called(at)))
    };
    let mut found = named(code);
    found.retain(|(at, _)| !inside(*at));
    for (at, tree) in &uses {
        let is_needed = |path: &Vec<&str>| {
            let is_of_others = matches!(path.first(), Some(&("crate" | "super")));
            let name = path.last().map_or("", |name| name_and_alias(name).1);
            !is_passed_on(code, *at) || is_of_others || is_used(name)
        };
        let needed = branches(tree).into_iter().filter(is_needed);
        found.extend(needed.map(|path| (*at, path)));
    }
    found
}

/// The trees of all `use` items, each with its place.
fn uses(code: &str) -> Vec<(usize, &str)> {
    let trees = find_words(code, "use ").into_iter().map(|at| {
        let start = at + "use ".len();
        (start, code[start..].split(';').next().unwrap_or_default())
    });
    trees.collect()
}

/// Whether the `use` at this place is public.
fn is_passed_on(code: &str, at: usize) -> bool {
    let line = code[..at].rsplit('\n').next().unwrap_or_default();
    line.trim_start().starts_with("pub")
}

/// Each path of a tree: `a::b` and `a::c as d` of `a::{b, c as d}`.
fn branches(tree: &str) -> Vec<Vec<&str>> {
    let tree = tree.trim();
    let Some((stem, group)) = tree.split_once('{') else {
        let names = tree.split("::").map(str::trim);
        return vec![names.filter(|name| !name.is_empty()).collect()];
    };
    let stem: Vec<&str> = stem.split("::").map(str::trim).collect();
    let inside = group.trim_end().strip_suffix('}').unwrap_or(group);
    let tails = parts(inside).into_iter().flat_map(branches);
    tails
        .map(|tail| {
            let names = stem.iter().filter(|name| !name.is_empty()).copied();
            names.chain(tail).collect()
        })
        .collect()
}

/// The paths of more than one name in this code.
fn named(code: &str) -> Vec<(usize, Vec<&str>)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("::") {
        let start = code[..at].trim_end_matches(is_identifier).len();
        let before = &code[..start];
        if start == at || before.ends_with("::") || before.ends_with('.') {
            continue;
        }
        let mut names = vec![&code[start..at]];
        let mut rest = &code[at..];
        while let Some(after) = rest.strip_prefix("::") {
            let name = leading_identifier(after);
            if name.is_empty() {
                break;
            }
            names.push(name);
            rest = &after[name.len()..];
        }
        found.push((start, names));
    }
    found
}

/// The path from the root of the crate, of one that a file has; `None` where it leads elsewhere.
fn below_crate<'a>(
    module: &[&'a str],
    path: &[&'a str],
    modules: &Modules,
) -> Option<Vec<&'a str>> {
    let climbs = path.iter().take_while(|name| **name == "super").count();
    let (base, rest) = match path.first()? {
        &"crate" => (&[][..], &path[1..]),
        &"self" => (module, &path[1..]),
        &"super" => (
            module.get(..module.len().checked_sub(climbs)?)?,
            &path[climbs..],
        ),
        child => {
            let is_child = modules.contains_key([module, &[*child]].concat().as_slice());
            (is_child.then_some(module)?, path)
        }
    };
    let names = base.iter().chain(rest);
    Some(names.map(|name| name_and_alias(name).0).collect())
}

/// What a name of a tree means, and what it is called from here on.
fn name_and_alias(name: &str) -> (&str, &str) {
    name.split_once(" as ").unwrap_or((name, name))
}

/// The module whose file defines what this path leads to.
fn defined_in<'a>(path: Vec<&'a str>, modules: &Modules<'a>, most: usize) -> Option<Vec<&'a str>> {
    let lengths = (1..=path.len()).rev();
    let mut known = lengths.filter(|length| modules.contains_key(&path[..*length]));
    let module = &path[..known.next()?];
    let code = &modules[module].shipped;
    if let Some(name) = path.get(module.len()).filter(|_| most > 0) {
        let passed_on = uses(code)
            .into_iter()
            .filter(|(at, _)| is_passed_on(code, *at));
        let mut paths = passed_on.flat_map(|(_, tree)| branches(tree));
        let from = paths.find(|from| {
            from.last()
                .is_some_and(|last| name_and_alias(last).1 == *name)
        });
        let from = from.and_then(|from| below_crate(module, &from, modules));
        if let Some(from) = from {
            return defined_in(from, modules, most - 1);
        }
    }
    Some(module.to_vec())
}

#[test]
fn two_files_that_import_each_other_are_caught() {
    let offences = |files: &[(&str, &str)]| {
        let sources = files.iter().map(|(path, raw)| Source::new(path, raw));
        let sources: Vec<Source> = sources.collect();
        let mut offences = Vec::new();
        check(&sources, &mut offences);
        offences
    };
    let parent = (
        "src/x/mod.rs",
        "mod a;\nmod b;\npub use a::A;\npub use b::{B, b as c};\n",
    );
    for (a, b) in [
        ("use super::b::B;", "use crate::x::a::A;"),
        ("use super::{b::{self, B}, d::D};", "use super::a;"),
        ("use super::B as Other;", "use crate::{x::A, y::Y};"),
        ("fn f() { super::c(); }", "fn g(a: &super::a::A) {}"),
        ("pub use super::b::B;", "use super::a;"),
    ] {
        let found = offences(&[parent, ("src/x/a.rs", a), ("src/x/b.rs", b)]);
        let is_told =
            found.len() == 1 && found[0].starts_with("src/x/a.rs:1: imports from src/x/b.rs");
        assert!(is_told, "{a} {b}: {found:?}");
    }
    let child = ("src/x/a.rs", "use super::X;");
    let found = offences(&[
        ("src/x.rs", "mod a;\nstruct X;\nfn f() { a::run(); }"),
        child,
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn files_that_import_one_way_or_pass_on_are_left_alone() {
    let files = [
        (
            "src/x/mod.rs",
            "mod a;\nmod b;\npub use a::A;\npub struct X;\n",
        ),
        (
            "src/x/a.rs",
            "use super::X;\nuse super::b::B;\nuse crate::y::a;\n",
        ),
        (
            "src/x/b.rs",
            "// super::a::A\n#[cfg(test)]\nmod tests {\n    use super::super::a::A;\n}\n",
        ),
        (
            "src/x/c.rs",
            "use std::{a, x::b};\nuse super::A;\nfn f() { self.a::<u8>(); b::go() }",
        ),
        ("src/y/a.rs", "use crate::x::a::A;\n"),
    ];
    let sources = files.map(|(path, raw)| Source::new(path, raw));
    let mut offences = Vec::new();
    check(&sources, &mut offences);
    assert_eq!(offences, [""; 0]);
}
