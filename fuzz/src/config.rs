//! A configuration file. Reading it never panics; each mistake has its place in the file and is
//! said on one line; and what is accepted means the same when it is written down as `narrows check`
//! shows it, and read again.

use std::fs;
use std::path::Path;

use narrows::config::{BackendUse, Config, Loaded, Mistakes, Origin, Sources, load};

/// The target.
pub fn run(data: &[u8]) {
    let text = std::str::from_utf8(data).unwrap_or_default();
    let dir = folder();
    let path = dir.path().join("narrows.toml");
    match read(&path, data, backend_use(text)) {
        Ok(loaded) => check_shown(&path, loaded, backend_use(text)),
        Err(mistakes) => check_mistakes(&mistakes, data),
    }
}

/// A folder in memory, where there is one.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    made.expect("a folder for one file")
}

/// A password file may be any file of this machine, even one that never ends: a text that names one
/// is read as for an embedded server, which opens none.
fn backend_use(text: &str) -> BackendUse {
    let table = text.parse::<toml::Table>().unwrap_or_default();
    let file = table
        .get("backend")
        .and_then(|backend| backend.get("password_file"));
    match file {
        Some(_) => BackendUse::Embedded,
        None => BackendUse::Configured,
    }
}

fn read(path: &Path, data: &[u8], backend: BackendUse) -> Result<Loaded, Mistakes> {
    fs::write(path, data).expect("the file can be written");
    load(&Sources {
        file: Some(path.to_owned()),
        environment: &|_| None,
        flags: Vec::new(),
        backend,
    })
}

fn check_mistakes(mistakes: &Mistakes, data: &[u8]) {
    let lines = 1 + data.iter().filter(|byte| **byte == b'\n').count();
    assert!(!mistakes.list().is_empty());
    for mistake in mistakes.list() {
        let Origin::File { line, .. } = mistake.origin else {
            panic!("not of the file: {mistake}");
        };
        assert!((1..=lines).contains(&line), "no such line: {mistake}");
        assert!(!mistake.text.is_empty());
        let shown = mistake.to_string();
        assert!(!shown.contains(char::is_control), "not one line: {shown:?}");
    }
}

/// Reads again what the summary shows as other than the defaults.
fn check_shown(path: &Path, loaded: Loaded, backend: BackendUse) {
    for line in loaded
        .summary
        .lines()
        .chain(loaded.warnings.iter().map(String::as_str))
    {
        assert!(!line.contains(char::is_control), "not one line: {line:?}");
    }
    let shown = shown_keys(&loaded.summary, path);
    let again = match read(path, shown.as_bytes(), backend) {
        Ok(again) => again,
        Err(mistakes) => panic!("{mistakes}\nin what is shown:\n{shown}"),
    };
    assert_eq!(
        secretless(again.config),
        secretless(loaded.config),
        "{shown}"
    );
}

/// The lines `section.key = value  (origin)` of a summary, without their origins.
fn shown_keys(summary: &str, path: &Path) -> String {
    let (_, keys) = summary
        .split_once("  other than the defaults:\n")
        .unwrap_or_default();
    let origin = format!("  ({}:", path.display());
    let key = |line: &str| {
        line.rsplit_once(&origin)
            .map_or(line, |(key, _)| key)
            .to_owned()
    };
    let one = |line: &str| {
        assert!(line.starts_with("    "), "not one line: {line:?}");
        key(line) + "\n"
    };
    keys.lines().map(one).collect()
}

/// A password is shown as `(set)`.
fn secretless(mut config: Config) -> Config {
    let password = &mut config.runtime.credentials.password;
    *password = password.take().map(|_| String::new().into());
    config
}
