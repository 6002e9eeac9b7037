//! Starting narrows with a configuration file of a few lines, and what the server itself says of
//! narrows' connections. Shared by the tests of faults, budgets, hostile clients and lifecycle.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use crate::support::{Conn, Narrows};

/// Deadlines short enough to be waited for in a test.
pub(crate) const SHORT_DEADLINES: &str = r#"
    [backend]
    connect_timeout = "500ms"
    handshake_timeout = "500ms"
    health_interval = "200ms"
    stall_timeout = "1s"
    stall_timeout_answering = "2s"
    backoff_max = "200ms"
    [pool]
    queue_timeout = "1s"
"#;

/// No connection is kept ready for leases: those that there are can be counted.
pub(crate) const NONE_READY: &str = "[pool]\nmin_idle_leases = 0\n";

/// Clients need not log in, and what narrows answers by itself the server is not asked about: a list
/// of clients is to be had while it does not answer.
pub(crate) const NOBODY_ASKS: &str = "[auth]\nmode = \"none\"\n";

/// narrows on a free port in front of the server at `url`, with the configuration `toml`.
#[track_caller]
pub(crate) fn narrows(url: &str, toml: &str, flags: &[&str]) -> Narrows {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("narrows.toml");
    std::fs::write(&file, toml).unwrap();
    let file = file.to_str().unwrap();
    let mut all = vec![
        "--config",
        file,
        "--listen",
        "127.0.0.1:0",
        "--backend",
        url,
    ];
    all.extend(flags);
    // It listens by then, so the file has been read.
    Narrows::start(&all)
}

/// The lines of the server's `CLIENT LIST` except that of `conn`, which asks.
#[track_caller]
pub(crate) fn other_clients(conn: &mut Conn) -> Vec<String> {
    let list = conn.call(&["CLIENT", "LIST"]).text();
    let own = " cmd=client|list ";
    let others = list.lines().filter(|line| !line.contains(own));
    others.map(str::to_owned).collect()
}

/// The `id` of each connection of narrows that carries clients, as the server knows them.
#[track_caller]
pub(crate) fn pipe_ids(conn: &mut Conn) -> Vec<String> {
    let lines = other_clients(conn);
    let pipes = lines
        .iter()
        .filter(|line| line.contains("name=narrows:") && !line.contains(":control "));
    let mut ids: Vec<String> = pipes.filter_map(|line| field(line, "id")).collect();
    ids.sort();
    ids
}

/// The value of `name=` in a line of `CLIENT LIST`.
pub(crate) fn field(line: &str, name: &str) -> Option<String> {
    line.split(' ')
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        .map(str::to_owned)
}
