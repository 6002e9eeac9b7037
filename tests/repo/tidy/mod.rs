//! The repository's lints about itself, as an ordinary test: sizes, the one direction of imports
//! between layers, purity of the layers below the runtime, words that must not ship, documented
//! configuration keys, the length of ARCHITECTURE.md and the tests that it names. The rules are data
//! at the top; one failure lists every offence. It reads text only and knows nothing of what the code
//! does.

mod architecture;
mod dependencies;
mod names;
mod pairs;
mod rooms;
mod routes;
mod rules;
mod signatures;
mod source;

use rules::{check, check_keys};
use source::Source;
use std::path::{Path, PathBuf};

/// What each layer may import; itself is always allowed. The order is that of the layers.
pub(crate) const LAYERS: &[(&str, &[&str])] = &[
    ("telemetry", &[]),
    ("resp", &[]),
    ("command", &["resp"]),
    ("session", &["command", "resp"]),
    ("admission", &["telemetry"]),
    ("topology", &[]),
    ("tls", &[]),
    (
        "engine",
        &[
            "session",
            "command",
            "resp",
            "admission",
            "topology",
            "telemetry",
        ],
    ),
    (
        "runtime",
        &[
            "engine",
            "session",
            "command",
            "resp",
            "admission",
            "tls",
            "topology",
            "telemetry",
        ],
    ),
    (
        "admin",
        &[
            "runtime",
            "engine",
            "session",
            "command",
            "resp",
            "admission",
            "tls",
            "topology",
            "telemetry",
        ],
    ),
    (
        "config",
        &[
            "admin",
            "runtime",
            "engine",
            "session",
            "command",
            "resp",
            "admission",
            "tls",
            "topology",
            "telemetry",
        ],
    ),
];

/// The composing ends of the program: they may import anything, and no layer may import them.
pub(crate) const ENDS: &[&str] = &["lib", "main", "cli", "app", "embedded", "demo"];

/// Layers that a test must be able to drive with the same result every time.
pub(crate) const PURE: &[&str] = &[
    "resp",
    "command",
    "session",
    "admission",
    "topology",
    "engine",
];

/// What a pure layer must not name, and why. `std::net::SocketAddr`, `Duration` and `Instant` as a
/// value are plain data and fine.
pub(crate) const IMPURE: &[(&str, &str)] = &[
    ("tokio", "the runtime's"),
    ("mio", "the runtime's"),
    ("socket2", "sockets are the runtime's"),
    ("rustix", "the system is the runtime's"),
    ("Instant::now", "time is an argument"),
    ("SystemTime", "time is an argument"),
    ("UNIX_EPOCH", "time is an argument"),
    (".elapsed()", "time is an argument"),
    ("thread::sleep", "time is an argument"),
    ("thread::spawn", "threads are the runtime's"),
    ("TcpStream", "sockets are the runtime's"),
    ("TcpListener", "sockets are the runtime's"),
    ("UdpSocket", "sockets are the runtime's"),
    ("UnixStream", "sockets are the runtime's"),
    ("UnixListener", "sockets are the runtime's"),
    ("fs", "files are the configuration's"),
    ("std::env", "the environment is the configuration's"),
    ("std::process", "processes are the runtime's"),
    ("rand", "no randomness: jitter is an argument"),
    ("fastrand", "no randomness: jitter is an argument"),
    ("getrandom", "no randomness: jitter is an argument"),
    ("RandomState", "no randomness"),
];

/// What no shipped line may contain, in any layer.
pub(crate) const BANNED: &[(&str, &str)] = &[
    ("todo!", "no half-done work"),
    ("unimplemented!", "no half-done work"),
    (".unwrap()", "say what holds, or return the error"),
];

/// Names that say nothing of what is inside.
pub(crate) const VAGUE: &[&str] = &[
    "util", "utils", "helper", "helpers", "manager", "managers", "common", "misc",
];

pub(crate) const FILE_LINES_MAX: usize = 500;
pub(crate) const FUNCTION_LINES_MAX: usize = 70;

/// What an oracle finds once is found, however often it does not happen.
#[test]
fn no_test_is_tried_again() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let runner = std::fs::read_to_string(root.join(".config/nextest.toml")).unwrap();
    let retries = runner.lines().filter(|line| line.contains("retries"));
    assert_eq!(retries.collect::<Vec<_>>(), ["retries = 0"]);
}

/// A name has addresses of both families, and which one is tried first differs between machines.
#[test]
fn tests_name_addresses_and_no_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect_files(&root.join("tests"), &mut files);
    let name = ["local", "host"].concat();
    // What that library takes where it is told none.
    let python = std::fs::read_dir(root.join("tests/compat/python")).unwrap();
    for file in python.map(|file| file.unwrap().path()) {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let found = text.contains("redis.Redis(port");
        assert!(!found, "{}: name 127.0.0.1", file.display());
    }
    for file in files {
        // There it is the name that is judged.
        if file.ends_with("config/contradictions.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for before in ["\"", "//", "@"] {
            let found = text.contains(&format!("{before}{name}"));
            assert!(!found, "{}: name 127.0.0.1", file.display());
        }
    }
}

#[test]
fn the_repository_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches", "fuzz/src", "fuzz/fuzz_targets"] {
        collect_files(&root.join(folder), &mut files);
    }
    files.sort();
    assert!(
        files.len() > 10,
        "the walk over the repository found only {files:?}"
    );

    let mut offences = Vec::new();
    let mut sources = Vec::new();
    for file in &files {
        let path = file
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .replace('\\', "/");
        let raw = std::fs::read_to_string(file).unwrap();
        let source = Source::new(&path, &raw);
        check(&source, &mut offences);
        rooms::check(&source, &mut offences);
        rooms::check_engine_files(&source, &mut offences);
        routes::check(&source, &mut offences);
        sources.push(source);
    }
    rooms::check_engine(&sources, &mut offences);
    signatures::check(&sources, &mut offences);
    pairs::check(&sources, &mut offences);
    names::check(&sources, &mut offences);
    rooms::check_fields(&sources, &mut offences);
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    architecture::check(&text, &sources, &mut offences);
    if let Ok(text) = std::fs::read_to_string(root.join("config/narrows.toml")) {
        check_keys("config/narrows.toml", &text, &mut offences);
    }
    assert!(
        offences.is_empty(),
        "{} offences:\n{}",
        offences.len(),
        offences.join("\n")
    );
}

fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
