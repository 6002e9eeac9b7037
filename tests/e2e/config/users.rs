//! `[auth]` and `[users.<name>]`.

use narrows::session::AuthMode;
use narrows::session::access::PasswordHash;

use crate::config::setup::{Setup, of_file};

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
    let nothing = of_file("[auth]\nmode = \"none\"\n[users.a]\nmax_clients = 3\n")
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

#[test]
fn a_rule_that_scripts_get_round_is_told_with_its_key_and_line() {
    let user = |rules: &str| {
        let head = "[auth]\nmode = \"passthrough\"\n[users.a]\n";
        of_file(&format!("{head}{rules}")).load().unwrap().warnings
    };
    let told = user("deny = [\"KEYS\"]\n").join("\n");
    assert!(
        told.contains("narrows.toml:4: users.a.deny denies"),
        "{told}"
    );
    assert!(told.contains("refused to the clients of a"), "{told}");
    let told = user("deny = [\"KEYS\"]\nscripts = \"allow\"\n").join("\n");
    assert!(told.contains(":4: users.a.deny does not hold"), "{told}");
    assert!(user("deny = [\"CONFIG\", \"MONITOR\"]\n").is_empty());
    let all = |rules: &str| {
        of_file(&format!("[commands]\n{rules}"))
            .load()
            .unwrap()
            .warnings
    };
    let told = all("deny = [\"FLUSH*\"]\n").join("\n");
    assert!(
        told.contains("narrows.toml:2: commands.deny denies"),
        "{told}"
    );
    assert!(told.contains("refused to everybody"), "{told}");
    assert!(all("allow = [\"DEBUG\"]\n").is_empty());
    let strict = format!(
        "[auth]\nmode = \"local\"\n[users.a]\npassword_sha256 = [\"{HELLO}\"]\nadmin = false\n"
    );
    let told = of_file(&strict).load().unwrap().warnings.join("\n");
    assert!(told.contains(":5: users.a.admin denies"), "{told}");
    let unsaid = strict.replace("admin = false\n", "");
    assert!(of_file(&unsaid).load().unwrap().warnings.is_empty());
}

#[test]
fn auto_follows_from_whether_narrows_has_credentials_and_says_so() {
    let loaded = |backend: &str| {
        let text = format!("[backend]\nurl = \"{backend}\"\n[auth]\nmode = \"auto\"\n");
        of_file(&text).load().unwrap()
    };
    for (backend, mode, why) in [
        (
            "redis://127.0.0.1",
            AuthMode::Passthrough,
            "has no credentials",
        ),
        ("redis://:pw@127.0.0.1", AuthMode::None, "has credentials"),
    ] {
        let loaded = loaded(backend);
        assert_eq!(loaded.config.auth.mode, mode);
        assert!(loaded.summary.contains(why), "{}", loaded.summary);
    }
    // What is said of the server's users is meant for the one case.
    let users = "[backend]\nurl = \"redis://:pw@127.0.0.1\"\n[auth]\nmode = \"auto\"\n\
                 [users.a]\nmax_clients = 3\n";
    let told = of_file(users).load().unwrap().warnings.join("\n");
    assert!(told.contains(":4: users mean nothing"), "{told}");
}
