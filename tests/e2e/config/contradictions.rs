//! Values that do not fit together, and what deserves a warning.

use crate::config::setup::{Setup, of_file};

#[test]
fn an_address_for_other_machines_is_warned_about() {
    let warnings = |mode: &str, address, open| {
        let setup = Setup::new().flag("--listen", address);
        let setup = setup.file(&format!("[auth]\nmode = \"{mode}\"\n"));
        setup.flag("--allow-open", open).load().unwrap().warnings
    };
    for (mode, closed, open) in [
        (
            "none",
            "only those of this machine are served",
            "whoever reaches it acts as narrows' own user",
        ),
        (
            "auto",
            "asks for no password, only clients of this machine are served",
            "asks for no password, whoever reaches it acts as the server's default user",
        ),
    ] {
        let told = &warnings(mode, "0.0.0.0:6380", "false")[0];
        assert!(told.contains(closed), "{told}");
        let told = &warnings(mode, "0.0.0.0:6380", "true")[0];
        assert!(told.contains(open), "{told}");
        for open in ["true", "false"] {
            let local = warnings(mode, "127.0.0.1:6380,unix:/x", open);
            assert_eq!(local, Vec::<String>::new());
        }
    }
    // Whoever has chosen that the server asks knows it.
    let chosen = warnings("passthrough", "0.0.0.0:6380", "false");
    assert_eq!(chosen, Vec::<String>::new());
}

#[test]
fn figures_for_other_machines_are_warned_about() {
    let warnings = |address| {
        let setup = Setup::new().flag("--admin-listen", address);
        setup.load().unwrap().warnings
    };
    assert!(warnings("0.0.0.0:9380")[0].contains("reads narrows' figures"));
    assert_eq!(warnings("[::1]:0"), Vec::<String>::new());
    assert_eq!(warnings(""), Vec::<String>::new());
}

/// A file, and what is said of it.
const CONTRADICTIONS: &[(&str, &str)] = &[
    (
        "[runtime]\nworkers = 16",
        "2: runtime.workers: 16 workers need at least 17",
    ),
    (
        "[listen]\naddresses = ['127.0.0.1:9380']",
        "2: admin.listen: 127.0.0.1:9380 is an address for clients already",
    ),
    (
        "[backend]\nmax_connections = 3\n[runtime]\nworkers = 3",
        "4: runtime.workers: 3",
    ),
    (
        "[backend]\nmax_connections = 3\n[pool]\nmin_idle = 3",
        "4: pool.min_idle: 3 warm",
    ),
    (
        "[backend]\nbackoff_min = '2s'",
        "2: backend.backoff_min: 2s (line 2) must not be above \
      backend.backoff_max, which is 1s (default)",
    ),
    (
        "[backend]\nstall_timeout = '2m'",
        "2: backend.stall_timeout: 2m",
    ),
    (
        "[backend]\nhealth_interval = '11s'",
        "2: backend.health_interval: 11s",
    ),
    (
        "[clients]\noutput_pause_bytes = '512MiB'",
        "2: clients.output_pause_bytes: 512MiB",
    ),
    (
        "[clients]\nbig_request_bytes = '2MiB'\nmemory_bytes_max = '1MiB'",
        "2: clients.big_request_bytes: 2MiB",
    ),
    (
        "[clients]\nbig_request_bytes = '9MiB'",
        "2: clients.big_request_bytes: 9MiB (line 2)",
    ),
    (
        "[commands]\nrename = ['CONFIG=a', 'KEYS=A']",
        "2: commands.rename: \"KEYS=(not shown)\" has a name that another entry has too",
    ),
    (
        "[commands]\nrename = ['CONFIG=a']\n[users.ops]\nnopass = true\nrename = ['KEYS=a']",
        "2: commands.rename: \"KEYS=(not shown)\" of users.ops has a name that another entry has too",
    ),
    (
        "[listen]\naddresses = ['127.0.0.1:6379']",
        "connect to itself",
    ),
    (
        "[listen]\naddresses = ['0.0.0.0:6379']",
        "connect to itself",
    ),
    (
        "[backend]\nurl = 'redis://localhost:6380'",
        "connect to itself",
    ),
    (
        "[listen]\naddresses = ['unix:/r']\n[backend]\nurl = 'unix:///r'",
        "connect to itself",
    ),
    (
        "[listen]\naddresses = ['127.0.0.1:1', '127.0.0.1:1']",
        "in the list twice",
    ),
    (
        "[listen]\naddresses = []",
        "the list has 0 entries; allowed: 1 to 64 entries",
    ),
];

#[test]
fn values_that_contradict_each_other_are_refused() {
    for (text, said) in CONTRADICTIONS {
        let mistakes = of_file(text).mistakes();
        assert!(
            mistakes[0].contains(said),
            "{text}\n{mistakes:?}\nshould contain {said}"
        );
    }
    let flags = Setup::new()
        .variable("NARROWS_MAX_BACKEND_CONNECTIONS", "2")
        .flag("--workers", "2");
    let mistakes = flags.mistakes();
    let said = "--workers: runtime.workers: 2 workers need at least 3";
    assert!(mistakes[0].starts_with(said), "{mistakes:?}");
    assert!(
        mistakes[0].contains("2 (NARROWS_MAX_BACKEND_CONNECTIONS)"),
        "{mistakes:?}"
    );
}

#[test]
fn what_only_looks_like_a_contradiction_is_accepted() {
    for text in [
        "[listen]\naddresses = ['127.0.0.1:0', '127.0.0.1:0']",
        "[listen]\naddresses = ['127.0.0.2:6379']",
        "[backend]\nurl = 'redis://10.0.0.1:6380'",
        "[backend]\nmax_connections = 2",
        "[pool]\nmax_lifetime = '1s'",
        "[clients]\nmemory_bytes_max = '1MiB'",
    ] {
        let mistakes = of_file(text).load().err();
        assert_eq!(mistakes, None, "{text}");
    }
}

#[test]
fn what_cannot_be_read_contradicts_nothing() {
    let setup = of_file("[backend]\nmax_connections = 'x'\n[runtime]\nworkers = 100\n");
    assert_eq!(setup.mistakes().len(), 1);
}
