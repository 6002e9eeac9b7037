//! What is said of single mistakes, of many at once, and of files that cannot be read.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use narrows::config::Origin;
use proptest::prelude::*;

use crate::config::setup::{Setup, of_file};

#[test]
fn all_mistakes_are_told_together_with_their_lines() {
    let text = "slice = '1s'\n\
                [pool]\n\
                queue_timeuot = '1s'\n\
                slice = 5\n\
                idle_timeout = true\n\
                [listen]\n\
                addresses = [\n'127.0.0.1:1',\n'nowhere:2',\n3 ]\n\
                [pol]\n\
                [backend]\n\
                max_connections = 1\n\
                password = 'HUNTER2'\n\
                url = 'rediss://:HUNTER2@ho st'\n\
                [commands]\n\
                deny = ['FT*X']\n";
    let setup = of_file(text)
        .variable("NARROWS_WORKERS", "many")
        .flag("--log-level", "inof");
    let mistakes = setup.mistakes();
    let expected = [
        "narrows.toml:1: slice: stands outside of a section; it belongs into [pool]",
        "narrows.toml:3: pool.queue_timeuot: unknown key; did you mean queue_timeout?",
        "narrows.toml:4: pool.slice: 5 has no unit; allowed: a duration such as",
        "narrows.toml:5: pool.idle_timeout: true or false is not a duration",
        "narrows.toml:9: listen.addresses: \"nowhere:2\" is not a numeric address",
        "narrows.toml:10: listen.addresses: a string is expected, not a whole number",
        "narrows.toml:11: pol: unknown section; did you mean [pool]?",
        "narrows.toml:13: backend.max_connections: 1 is out of range; allowed: a whole number,",
        "narrows.toml:14: backend.password: unknown key; a password stands in",
        "narrows.toml:15: backend.url: the host is missing or is neither",
        "narrows.toml:17: commands.deny: \"FT*X\"",
        "NARROWS_WORKERS: \"many\" is not a whole number",
        "--log-level: \"inof\" is not a level",
    ];
    assert_eq!(mistakes.len(), expected.len(), "{mistakes:#?}");
    for (said, expected) in mistakes.iter().zip(expected) {
        assert!(
            said.starts_with(expected),
            "{said}\nshould begin with\n{expected}"
        );
        assert!(!said.contains("HUNTER2"), "{said}");
    }
}

#[test]
fn errors_of_syntax_have_their_line_and_quote_nothing() {
    let text = "[backend]\nurl = \"redis://:HUNTER2@host\nmax_connections = 4\n[pool\n";
    let mistakes = of_file(text).mistakes();
    assert!(
        mistakes[0].starts_with("narrows.toml:2: not valid TOML: "),
        "{mistakes:?}"
    );
    assert!(
        mistakes
            .iter()
            .any(|said| said.starts_with("narrows.toml:4: ")),
        "{mistakes:?}"
    );
    assert!(!mistakes.concat().contains("HUNTER2"), "{mistakes:?}");
    let twice = of_file("[pool]\nslice = '1s'\nslice = '2s'\n").mistakes();
    assert!(
        twice[0].starts_with("narrows.toml:3: not valid TOML: duplicate key"),
        "{twice:?}"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_mistake() {
    let mut setup = Setup::new();
    setup.file = Some(setup.dir.path().join("none.toml"));
    assert!(setup.mistakes()[0].starts_with("none.toml: cannot be opened: No such file"));
    setup.file = Some(setup.dir.path().to_owned());
    assert_eq!(setup.mistakes().len(), 1);
    let path = setup.dir.path().join("latin1.toml");
    fs::write(&path, b"[pool]\n# f\xfcr\n").unwrap();
    setup.file = Some(path);
    assert_eq!(setup.mistakes(), ["latin1.toml:2: is not UTF-8 text"]);
    setup.file = Some("/dev/zero".into());
    assert_eq!(setup.mistakes(), ["/dev/zero: is larger than 1 MiB"]);
}

#[test]
fn a_variable_that_is_not_text_is_a_mistake() {
    let mut setup = Setup::new();
    let raw = OsString::from_vec(vec![0xff]);
    setup
        .variables
        .insert("NARROWS_BACKEND".to_owned(), raw.clone());
    setup
        .variables
        .insert("NARROWS_BACKEND_PASSWORD".to_owned(), raw);
    let mistakes = setup.mistakes();
    let expected = [
        "NARROWS_BACKEND: is not UTF-8 text",
        "NARROWS_BACKEND_PASSWORD: is not UTF-8 text",
    ];
    assert_eq!(mistakes, expected);
}

#[test]
fn mistakes_say_where_they_come_from() {
    let setup = of_file("[pool]\nslice = 1\n").flag("--workers", "x");
    let mistakes = setup.load().expect_err("two mistakes");
    let origins: Vec<_> = mistakes
        .list()
        .iter()
        .map(|one| one.origin.clone())
        .collect();
    let path = setup.file.unwrap();
    assert_eq!(
        origins,
        [Origin::File { path, line: 2 }, Origin::Flag("--workers")]
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(\\PC|\n){0,200}") {
        let _ = of_file(&text).load();
    }
}

/// A file of somebody else's must not forge lines in a log or steer a terminal.
#[test]
fn control_characters_of_the_file_are_told_escaped() {
    let mistakes = of_file("\"a\\nb\" = 1\n[pool]\n\"x\\u001b[2J\" = 1\n").mistakes();
    assert_eq!(
        mistakes,
        [
            "narrows.toml:1: a\\nb: unknown key outside of any section",
            "narrows.toml:3: pool.x\\u{1b}[2J: unknown key",
        ]
    );
    let text = "[listen]\naddresses = ['unix:/run/a', \"unix:/run/\\u0007\"]\n\
                [backend]\nurl = 'unix:///run/b%0a%0a?user=u%0av&password=p'\n";
    let loaded = of_file(text).load().unwrap();
    let mut lines = loaded.summary.lines();
    assert!(lines.all(|line| line.starts_with("  ") && !line.contains(char::is_control)));
}

#[test]
fn a_key_that_is_gone_says_what_holds_instead() {
    let mistakes = of_file("[limits]\nreply_depth_max = 128\n").mistakes();
    assert_eq!(
        mistakes,
        [
            "narrows.toml:2: limits.reply_depth_max: this key is gone: replies may be nested however \
             deep; leave the line out"
        ]
    );
}
