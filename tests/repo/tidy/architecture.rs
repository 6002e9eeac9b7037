//! ARCHITECTURE.md reads in ten minutes, each of its invariants names a test that exists, and the engine's
//! views have in reach what it says. What is to be said beyond that is said in the heads of files.

use super::source::{Source, find_words, leading_identifier};

/// Words of the whole page, as `wc -w` counts them.
const WORDS_MAX: usize = 2000;

/// Words of one invariant, without its test.
const INVARIANT_WORDS_MAX: usize = 20;

/// Where the engine's views are.
const REACH: &str = "/reach.rs";

/// Adds what is too long in `text`, the page, each of its invariants whose test is not one of those in
/// `sources`, and each view of the engine's that it leaves out or gets wrong.
pub(crate) fn check(text: &str, sources: &[Source], offences: &mut Vec<String>) {
    let words = text.split_whitespace().count();
    if words > WORDS_MAX {
        offences.push(format!(
            "ARCHITECTURE.md:1: {words} words, the limit is {WORDS_MAX}: the heads of files say more"
        ));
    }
    let (mut within, mut invariants) = (false, 0);
    for (number, line) in text.lines().enumerate() {
        if let Some(heading) = line.strip_prefix("## ") {
            within = heading == "Invariants";
        } else if within && let Some(invariant) = line.strip_prefix("- ") {
            invariants += 1;
            if let Err(what) = check_invariant(invariant, sources) {
                offences.push(format!("ARCHITECTURE.md:{}: {what}", number + 1));
            }
        }
    }
    if invariants == 0 {
        offences.push("ARCHITECTURE.md:1: it lists no invariants".to_owned());
    }
    let reach = sources.iter().find(|source| source.path.ends_with(REACH));
    let views = reach.map_or(Vec::new(), |source| views(&source.shipped));
    if views.is_empty() {
        offences.push(format!(
            "ARCHITECTURE.md:1: no views are found in a `{REACH}`"
        ));
    }
    for view in views {
        let says = |line: &str| line.split_whitespace().eq(view.split(' '));
        if !text.lines().any(says) {
            offences.push(format!("ARCHITECTURE.md:1: it does not say `{view}`"));
        }
    }
}

/// Each view that borrows parts to change them, as the page has it: `Lending clients, pool, leases may
/// ask Traffic`.
fn views(code: &str) -> Vec<String> {
    let structs = code.split("\npub struct ").skip(1);
    let view = |text: &str| {
        let (name, rest) = text.split_once("<'a> {\n")?;
        let (fields, _) = rest.split_once("\n}\n")?;
        let part = |line: &str| {
            let (name, _) = line.split_once(": &'a mut ")?;
            let name = name.rsplit(' ').next()?;
            (name != "cx").then(|| name.to_owned())
        };
        let parts: Vec<String> = fields.lines().filter_map(part).collect();
        let ways = code.split(&format!("\nreach! {{ {name}<'_>:\n")).nth(1);
        let ways = ways.and_then(|block| block.split("\n}\n").next());
        let asks = ways
            .into_iter()
            .flat_map(|block| block.split(" -> ").skip(1));
        let mut asks: Vec<&str> = asks.map(leading_identifier).collect();
        asks.sort_unstable();
        let parts = (!parts.is_empty()).then(|| parts.join(", "))?;
        match asks.is_empty() {
            true => Some(format!("{name} {parts}")),
            false => Some(format!("{name} {parts} may ask {}", asks.join(", "))),
        }
    };
    structs.filter_map(view).collect()
}

/// What is wrong with one: a rule, and behind it `` `path/of/file.rs::name_of_test` ``.
fn check_invariant(line: &str, sources: &[Source]) -> Result<(), String> {
    let named = line.rsplit_once(" `").and_then(|(rule, rest)| {
        let (path, test) = rest.strip_suffix('`')?.split_once("::")?;
        Some((rule, path, test))
    });
    let Some((rule, path, test)) = named else {
        return Err("an invariant ends with `path/of/file.rs::name_of_test`".to_owned());
    };
    let words = rule.split_whitespace().count();
    if words > INVARIANT_WORDS_MAX {
        return Err(format!(
            "an invariant of {words} words, the limit is {INVARIANT_WORDS_MAX}"
        ));
    }
    let Some(source) = sources.iter().find(|source| source.path == path) else {
        return Err(format!("there is no {path}"));
    };
    match has_test(&source.code, test) {
        true => Ok(()),
        false => Err(format!("there is no test `{test}` in {path}")),
    }
}

/// Whether `code` has a test of this name: a function with the attribute, or what a macro makes one of,
/// whose name stands at the beginning of a line, or of what is in its parentheses.
fn has_test(code: &str, name: &str) -> bool {
    find_words(code, name).into_iter().any(|at| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        if before.ends_with("fn ") {
            return is_attributed(before);
        }
        let line = before.rsplit('\n').next().unwrap_or_default();
        let begins = line.trim().is_empty() && after.starts_with(": ");
        begins || (line.trim_end().ends_with("!(") && after.starts_with(", "))
    })
}

/// Whether the function whose head begins at the end of `before` has `#[test]` above it, or another
/// attribute of that name.
fn is_attributed(before: &str) -> bool {
    let above = before.lines().rev().skip(1);
    let mut attributes = above.take_while(|line| line.trim_start().starts_with("#["));
    attributes.any(|line| line.contains("test]") || line.contains("test("))
}

/// What is wrong with a page of these two parts, where there are these tests in `tests/x.rs`.
fn offences_in(view: &str, end: &str, test: &str) -> Vec<String> {
    const VIEWS: &str = "
pub struct Lending<'a> {
    pub cx: &'a mut Cx,
    pub pool: &'a mut Pool,
    pub(super) leases: &'a mut Leases,
}

pub struct Survey<'a> {
    pub(super) cx: &'a Cx,
}

reach! { Lending<'_>:
    traffic -> Traffic { cx pool }
}
";
    let sources = [
        Source::new("tests/x.rs", test),
        Source::new("src/engine/reach.rs", VIEWS),
    ];
    let mut offences = Vec::new();
    check(&format!("{view}\n{end}"), &sources, &mut offences);
    offences
}

const VIEW: &str = "    Lending   pool, leases   may ask Traffic";

#[test]
fn a_page_that_is_too_long_is_caught() {
    let page = |words| "x ".repeat(words) + "\n## Invariants\n- A rule. `tests/x.rs::a`\n";
    let test = "#[test]\nfn a() {}\n";
    // The view, the heading and the invariant are twelve.
    assert_eq!(offences_in(VIEW, &page(WORDS_MAX - 12), test), [""; 0]);
    let offences = offences_in(VIEW, &page(WORDS_MAX - 11), test);
    assert!(offences.len() == 1 && offences[0].contains("2001 words"));
}

#[test]
fn an_invariant_without_its_test_is_caught() {
    let test = "#[test]\nfn a() {}\nfn b() {}\npart!(c, 1);\n// fn d\nmade! {\n    e: F, 1;\n}\n";
    for (line, caught) in [
        ("- A rule. `tests/x.rs::a`", ""),
        ("- A rule. `tests/x.rs::c`", ""),
        ("- A rule of `this`. `tests/x.rs::e`", ""),
        ("- A rule. `tests/x.rs::b`", "no test `b`"),
        ("- A rule. `tests/x.rs::d`", "no test `d`"),
        ("- A rule. `tests/y.rs::a`", "no tests/y.rs"),
        ("- A rule. `tests/x.rs`", "ends with"),
        ("- A rule. `a`, `tests/x.rs::a` and more", "ends with"),
        ("- A rule.", "ends with"),
        ("A rule.", "no invariants"),
    ] {
        let offences = offences_in(
            VIEW,
            &format!("## Invariants\n{line}\n## More\n- x\n"),
            test,
        );
        assert_eq!(offences.len(), usize::from(!caught.is_empty()), "{line}");
        assert!(offences.iter().all(|one| one.contains(caught)), "{line}");
    }
    let long = format!("## Invariants\n- {}`tests/x.rs::a`\n", "x ".repeat(21));
    assert!(offences_in(VIEW, &long, test)[0].contains("21 words"));
}

#[test]
fn a_view_that_has_something_else_in_reach_is_caught() {
    let end = "## Invariants\n- A rule. `tests/x.rs::a`\n";
    for (view, caught) in [
        (VIEW, 0),
        ("    Lending   pool   may ask Traffic", 1),
        ("    Lending   pool, leases", 1),
    ] {
        let offences = offences_in(view, end, "#[test]\nfn a() {}\n");
        assert_eq!(offences.len(), caught, "{view}: {offences:?}");
    }
    let (mut offences, test) = (
        Vec::new(),
        Source::new("tests/x.rs", "#[test]\nfn a() {}\n"),
    );
    check(end, &[test], &mut offences);
    assert_eq!(
        offences,
        ["ARCHITECTURE.md:1: no views are found in a `/reach.rs`"]
    );
}
