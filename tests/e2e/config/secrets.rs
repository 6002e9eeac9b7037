//! Where the password may come from, which one counts, and that it never shows.

use std::fs;

use proptest::prelude::*;

use crate::config::settings::OTHER;
use crate::config::setup::{Setup, of_file};

fn credentials(setup: &Setup) -> (Option<String>, Option<String>) {
    let credentials = setup.config().runtime.credentials;
    let password = credentials.exposed_password().map(str::to_owned);
    (credentials.user, password)
}

fn login(user: Option<&str>, password: &str) -> (Option<String>, Option<String>) {
    (user.map(str::to_owned), Some(password.to_owned()))
}

#[test]
fn the_password_of_the_strongest_source_counts() {
    let url = |text: &str| of_file(&format!("[backend]\nurl = '{text}'\n"));
    assert_eq!(
        credentials(&url("redis://u:filed@h")),
        login(Some("u"), "filed")
    );
    let over = url("redis://u:filed@h").variable("NARROWS_BACKEND_PASSWORD", "varied");
    assert_eq!(credentials(&over), login(Some("u"), "varied"));
    let over = over.flag("--backend", "redis://:flagged@h");
    assert_eq!(credentials(&over), login(None, "flagged"));
    let secret = over.write("secret", "stored\n", 0o600);
    let over = over.variable("NARROWS_BACKEND", "redis://v@h");
    assert_eq!(credentials(&over), login(None, "flagged"));

    let named = Setup::new()
        .variable("NARROWS_BACKEND", "redis://v@h")
        .flag("--backend-password-file", secret.to_str().unwrap());
    assert_eq!(credentials(&named), login(Some("v"), "stored"));
    let replaced = url("redis://u:filed@h").variable("NARROWS_BACKEND", "redis://other");
    assert_eq!(
        credentials(&replaced),
        (None, None),
        "it belonged to the other URL"
    );
}

#[test]
fn two_passwords_from_one_source_contradict_each_other() {
    let setup = Setup::new();
    let path = setup.write("secret", "HUNTER2", 0o600);
    let file = format!("[backend]\nurl = 'redis://:HUNTER2@h'\npassword_file = {path:?}\n");
    let setup = setup.file(&file);
    let mistakes = setup.mistakes();
    assert!(
        mistakes[0].contains("the password is given twice"),
        "{mistakes:?}"
    );
    assert!(!mistakes.concat().contains("HUNTER2"), "{mistakes:?}");
    let setup = setup.variable("NARROWS_BACKEND_PASSWORD", "HUNTER2");
    assert_eq!(
        credentials(&setup),
        login(None, "HUNTER2"),
        "a stronger one settles it"
    );
    let setup = setup.variable("NARROWS_BACKEND_PASSWORD_FILE", path.to_str().unwrap());
    assert!(setup.mistakes()[0].contains("NARROWS_BACKEND_PASSWORD"));
}

#[test]
fn a_user_needs_a_password_from_somewhere() {
    let setup = Setup::new().variable("NARROWS_BACKEND", "redis://u@h");
    assert!(setup.mistakes()[0].contains("names a user but no password"));
    let setup = setup.variable("NARROWS_BACKEND_PASSWORD_FILE", "/nowhere/at/all");
    let mistakes = setup.mistakes();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert!(mistakes[0].contains("/nowhere/at/all cannot be read: No such file"));
}

#[test]
fn files_with_passwords_that_others_can_read_are_warned_about() {
    let setup = Setup::new();
    let secret = setup.write("secret", "word", 0o644);
    let warnings = |setup: &Setup| setup.load().unwrap().warnings;
    let named = setup.variable("NARROWS_BACKEND_PASSWORD_FILE", secret.to_str().unwrap());
    assert!(warnings(&named)[0].contains("mode 0644"));
    let mut setup = of_file("[backend]\nurl = 'redis://:word@h'\n");
    assert_eq!(warnings(&setup), Vec::<String>::new());
    let text = fs::read_to_string(setup.file.as_ref().unwrap()).unwrap();
    setup.file = Some(setup.write("open.toml", &text, 0o640));
    assert!(warnings(&setup)[0].contains("open.toml holds a password"));
}

#[test]
fn nothing_that_can_be_printed_holds_the_password() {
    let loaded = of_file("[backend]\nurl = 'redis://app:HUNTER2@h/1'\n")
        .load()
        .unwrap();
    assert_eq!(
        loaded.config.runtime.credentials.exposed_password(),
        Some("HUNTER2")
    );
    let shown = format!("{loaded:?}{loaded:#?}{}", loaded.summary);
    assert!(
        !shown.contains("HUNTER2") && shown.contains("(set)"),
        "{shown}"
    );
}

/// What the server calls a command is what keeps it from those who do not know it.
#[test]
fn what_the_server_calls_its_commands_is_never_told() {
    let users = "[auth]\nmode = 'local'\n[users.default]\nnopass = true\n[users.ops]\n\
                 password_sha256 = ['5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8']\n";
    let loaded = of_file(&format!(
        "[commands]\nrename = ['CONFIG=HUNTER2']\n{users}rename = ['KEYS=HUNTER3']\n"
    ))
    .load()
    .unwrap();
    assert_eq!(loaded.config.commands.rename, ["CONFIG=HUNTER2"]);
    let shown = format!("{loaded:?}{loaded:#?}{}", loaded.summary);
    assert!(!shown.contains("HUNTER"), "{shown}");
    assert!(
        loaded.summary.contains("CONFIG=(not shown)"),
        "{}",
        loaded.summary
    );
    let mut other = loaded.config.clone();
    other.commands.rename = vec!["CONFIG=HUNTER4".to_owned()];
    other.auth.users.clear();
    let changes = format!("{:?}", narrows::config::changes(&loaded.config, &mut other));
    assert!(
        changes.contains("commands.rename") && !changes.contains("HUNTER"),
        "{changes}"
    );

    for wrong in [
        "rename = 'HUNTER2'",
        "rename = ['HUNTER2']",
        "rename = ['CONFIG=HUNTER2 x']",
        "rename = ['SELECT=HUNTER2']",
        "rename = ['CONFIG=HUNTER2', 'KEYS=hunter2', 'KEYS=HUNTER2']",
        "rename = [7, 'CONFIG=HUNTER2|']",
    ] {
        let mut sections = vec![format!("[commands]\n{wrong}\n")];
        sections.push(format!("{users}{wrong}\n"));
        for text in sections {
            let mistakes = of_file(&text).load().unwrap_err();
            let said = format!("{mistakes} {mistakes:?}").to_lowercase();
            assert!(!said.contains("hunter"), "{text}: {said}");
        }
    }
}

proptest! {
    #[test]
    fn a_damaged_file_never_shows_the_password(
        at in 0..OTHER.len(),
        len in 0usize..20,
        put in "[\\PC\n\"'=\\[\\]#]{0,3}",
    ) {
        let text = OTHER.replace(":word@", ":HUNTER2@");
        prop_assume!(!text[..at].ends_with("redis://user:"));
        let end = (at + len).min(text.len());
        let damaged = format!("{}{put}{}", &text[..at], &text[end..]);
        let said = match of_file(&damaged).load() {
            Ok(loaded) => format!("{loaded:?}"),
            Err(mistakes) => format!("{mistakes} {mistakes:?}"),
        };
        // Damage to the colon makes the word a part of the user's name, which is no secret.
        let secret = damaged.contains("user:HUNTER2@cache");
        prop_assert!(!secret || !said.contains("HUNTER2"), "{}", said);
    }
}

/// Keys are secrets as passwords are: told of where others can read them, and shown nowhere.
#[test]
fn a_private_key_is_never_shown_and_one_that_others_can_read_is_warned_about() {
    let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = pair.signing_key.serialize_pem();
    let secret = key.lines().nth(1).unwrap();
    for (mode, warned) in [(0o600, false), (0o640, true)] {
        let setup = Setup::new();
        let cert = setup.write("shown.pem", &pair.cert.pem(), 0o644);
        let key = setup.write("shown.key", &key, mode);
        let backend = format!(
            "cert_file = {cert:?}\nkey_file = {key:?}\nverify = \"pin:{}\"\n",
            "0".repeat(64)
        );
        let file = format!(
            "[listen]\naddresses = [\"tls:127.0.0.1:0\"]\n[backend]\nurl = \"rediss://h\"\n\
             [backend.tls]\n{backend}[tls]\ncert_files = [{cert:?}]\nkey_files = [{key:?}]\n"
        );
        let loaded = setup.file(&file).load().unwrap();
        let of_keys = |warning: &&String| warning.contains("shown.key holds a private key");
        let found = loaded.warnings.iter().filter(of_keys).count();
        assert_eq!(found, if warned { 2 } else { 0 }, "{:?}", loaded.warnings);
        let shown = format!(
            "{:?} {:?} {}",
            loaded.config, loaded.warnings, loaded.summary
        );
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// What is wrong with a file of keys is said without what is in it.
#[test]
fn a_key_that_fits_no_certificate_is_named_by_its_file_alone() {
    let [one, other] =
        [1, 2].map(|_| rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap());
    let setup = Setup::new();
    let cert = setup.write("shown.pem", &one.cert.pem(), 0o644);
    let text = other.signing_key.serialize_pem();
    let key = setup.write("shown.key", &text, 0o600);
    let listen = "[listen]\naddresses = [\"tls:127.0.0.1:0\"]\n";
    let file = format!("{listen}[tls]\ncert_files = [{cert:?}]\nkey_files = [{key:?}]\n");
    let mistakes = setup.file(&file).mistakes().concat();
    assert!(
        mistakes.contains("none of the keys in tls.key_files"),
        "{mistakes}"
    );
    assert!(
        !mistakes.contains(text.lines().nth(1).unwrap()),
        "{mistakes}"
    );
    for (tls, said) in [
        (
            String::new(),
            "tls.cert_files: is needed for an address with tls:",
        ),
        ("cert_files = [KEY]\n".to_owned(), "holds no certificate"),
        (
            "cert_files = [CERT]\nkey_files = [CERT]\n".to_owned(),
            "holds no private key",
        ),
    ] {
        let setup = Setup::new();
        let cert = setup.write("shown.pem", &one.cert.pem(), 0o644);
        let key = setup.write("shown.key", &text, 0o600);
        let tls = tls
            .replace("CERT", &format!("{cert:?}"))
            .replace("KEY", &format!("{key:?}"));
        let mistakes = setup
            .file(&format!("{listen}[tls]\n{tls}"))
            .mistakes()
            .concat();
        assert!(mistakes.contains(said), "{mistakes}");
    }
}
