//! What the programs of this package share: the line that says what came of the jobs. It knows no
//! library.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// How many connections each program's pool has.
pub const CLIENTS: usize = 20;

/// What was run by name, and what came of it.
pub type Jobs = Map<String, Value>;

/// The port that the program is given.
pub fn port() -> u16 {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok());
    port.expect("usage: PROGRAM PORT")
}

/// What came of one command, its error in words.
pub fn said<T: Into<Value>, E: Display>(result: Result<T, E>) -> Value {
    result.map_or_else(|error| json!({"error": error.to_string()}), Into::into)
}

/// Polls until `probe` is true.
pub async fn eventually<P: Future<Output = bool>>(mut probe: impl FnMut() -> P) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !probe().await {
        assert!(Instant::now() < deadline, "not within 20 s");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Says what came of the jobs of a library, which is the crate of that name, and keeps all connections
/// until the input ends.
pub fn report(library: &str, name: &str, jobs: &Jobs) {
    let lock = include_str!("../Cargo.lock");
    let (_, rest) = lock
        .split_once(&format!("name = \"{name}\"\nversion = \""))
        .expect("a package of Cargo.lock");
    let version = rest.split('"').next();
    println!(
        "{}",
        json!({"library": library, "version": version, "jobs": jobs})
    );
    let _ = std::io::stdin().read_line(&mut String::new());
}
