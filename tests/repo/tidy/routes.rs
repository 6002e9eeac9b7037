//! One match over the routes: what a request means now is decided in one place, by a table that a
//! test holds. Whoever else looks at a route decides again, and one day otherwise.

use super::source::{Source, find_words, line_of};

/// Where commands get their routes, and where it is decided what these mean.
const WHERE: &[&str] = &["src/command/", "src/session/step.rs"];

/// Adds an offence for each other place that names a route.
pub(crate) fn check(source: &Source, offences: &mut Vec<String>) {
    let path = &source.path;
    if !path.starts_with("src/") || WHERE.iter().any(|place| path.starts_with(place)) {
        return;
    }
    for at in find_words(&source.shipped, "Route") {
        let line = line_of(&source.shipped, at);
        offences.push(format!(
            "{path}:{line}: a route is looked at outside of `session/step.rs`, which decides what it \
             means: execute its `Step`, or ask the `Spec`"
        ));
    }
}

#[test]
fn a_route_that_is_looked_at_elsewhere_is_caught() {
    let named = "use crate::command::Route;\n";
    let matched = "fn f(spec: &Spec) { matches!(spec.route, command::Route::Shared) }\n";
    for (path, raw, caught) in [
        ("src/engine/x.rs", named, true),
        ("src/engine/pool/x.rs", matched, true),
        ("src/session/local.rs", matched, true),
        ("src/session/step/view.rs", named, true),
        ("src/session/step.rs", matched, false),
        ("src/command/policy.rs", named, false),
        ("src/session/step/tests.rs", named, false),
        ("tests/conformance/command_table/mod.rs", matched, false),
        ("src/admin/x.rs", "use axum::Router; // Route\n", false),
    ] {
        let mut offences = Vec::new();
        check(&Source::new(path, raw), &mut offences);
        assert_eq!(!offences.is_empty(), caught, "{path}: {offences:?}");
    }
}
