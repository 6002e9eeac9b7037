//! `[auth]` and `[users.<name>]`.

use narrows::session::AuthMode;
use narrows::session::access::PasswordHash;

use crate::setup::{Setup, of_file};

const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

#[test]
fn a_user_has_its_passwords_its_backend_and_its_rules() {
    let setup = Setup::new();
    let alice = setup.write("alice", "secret\n", 0o600);
    let app = setup.write("app", "apppass", 0o600);
    let setup = setup.file(&format!(
        "[auth]\nmode = \"local\"\n[users.alice]\npassword_file = {alice:?}\n\
         password_sha256 = [\"{HELLO}\"]\nadmin = true\nbackend_user = \"app\"\n\
         backend_password_file = {app:?}\nmax_clients = 7\ndeny = [\"KEYS\"]\nallow = [\"debug\"]\n\
         [users.default]\nnopass = true\n"
    ));
    let auth = setup.config().auth;
    assert_eq!(auth.mode, AuthMode::Local);
    let [alice, default] = &auth.users[..] else {
        panic!("two users: {auth:?}");
    };
    let passwords = [PasswordHash::of(b"hello"), PasswordHash::of(b"secret")];
    assert_eq!(
        (&*alice.name, &alice.passwords[..]),
        ("alice", &passwords[..])
    );
    assert!(alice.admin && !alice.nopass && default.nopass && !default.admin);
    let login = alice.runs_as.clone().unwrap();
    assert_eq!(login.user.as_deref(), Some(&b"app"[..]));
    assert_eq!(login.password.as_deref(), Some(&b"apppass"[..]));
    assert_eq!((alice.max_clients, default.max_clients), (7, 0));
    assert_eq!(alice.commands.deny, ["KEYS"]);
    assert_eq!(alice.commands.allow, ["debug"]);
}

#[test]
fn what_is_wrong_with_a_user_is_told_with_its_line() {
    let mistakes = of_file(
        "[auth]\nmode = \"local\"\n[users.a]\npasword_file = \"x\"\npassword = \"s3cret\"\n\
         [users.b]\nadmin = 7\nnopass = true\nmax_clients = -1\n\
         [users.\"c d\"]\npassword_sha256 = [\"12\"]\n\
         [users.e]\npassword_file = \"/nonexistent/file\"\nbackend_user = \"x\"\n\
         [users]\nf = 3\n",
    )
    .mistakes();
    let all = mistakes.join("\n");
    assert!(!all.contains("s3cret"), "{all}");
    for (line, said) in [
        (
            4,
            "users.a.pasword_file: unknown key; did you mean password_file?",
        ),
        (
            5,
            "users.a.password: unknown key; a password stands in a file",
        ),
        (3, "users.a: the user has no password"),
        (7, "users.b.admin: 7 is neither true nor false"),
        (9, "users.b.max_clients:"),
        (6, "users.b: nopass is for the user default only"),
        (10, "users.c d: is no name for a user"),
        (11, "users.c d.password_sha256: \"12\" is no SHA-256"),
        (
            13,
            "users.e.password_file: /nonexistent/file cannot be read",
        ),
        (12, "users.e: backend_user needs backend_password_file"),
    ] {
        let found = mistakes
            .iter()
            .any(|text| text.contains(&format!(":{line}")) && text.contains(said));
        assert!(found, "line {line}: {said}\n{all}");
    }
}

#[test]
fn users_need_a_mode_and_the_server_has_its_own() {
    let nothing = of_file("[users.a]\nmax_clients = 3\n")
        .mistakes()
        .join("\n");
    assert!(
        nothing.contains("users mean nothing without auth.mode"),
        "{nothing}"
    );
    let theirs = "[auth]\nmode = \"passthrough\"\n[users.a]\nmax_clients = 3\nadmin = true\n";
    let theirs = of_file(theirs).mistakes().join("\n");
    assert!(
        theirs.contains("users.a.admin: means nothing with auth.mode"),
        "{theirs}"
    );
    let fine = "[auth]\nmode = \"passthrough\"\n[users.a]\nmax_clients = 3\ndeny = [\"KEYS\"]\n";
    assert_eq!(of_file(fine).config().auth.users.len(), 1);
}

#[test]
fn no_password_of_a_user_can_be_printed() {
    let setup = Setup::new();
    let file = setup.write("p", "s3cretword", 0o600);
    let setup = setup.file(&format!(
        "[auth]\nmode = \"local\"\n[users.a]\npassword_file = {file:?}\nbackend_user = \"x\"\n\
         backend_password_file = {file:?}\n"
    ));
    let loaded = setup.load().unwrap();
    let shown = format!("{loaded:?}{}", loaded.summary);
    assert!(!shown.contains("s3cretword"), "{shown}");
    // Nor its hash: a weak password is found by it.
    let first = format!("{:?}", PasswordHash::of(b"s3cretword"));
    assert_eq!(first, "PasswordHash(..)");
    assert!(
        loaded.summary.contains("users        a\n"),
        "{}",
        loaded.summary
    );
}
