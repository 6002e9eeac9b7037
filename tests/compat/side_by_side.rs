//! Each client library does its jobs direct beside through narrows: what came of them is the same, and
//! the server counts its connections while the program holds all of its own. `make test` runs a
//! few, chosen by a seed that it prints, of the languages that are prepared; `make test-clients` runs
//! all on each server. What was found stands in docs/clients.md, and is compared with it. Those that can are run
//! over TLS too: direct, and through narrows with TLS on both sides.

use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::clients_page::{self, Row};
use crate::libraries::{LIBRARIES, Library};
use crate::support::{Child, Flavor, PATIENCE, RedisServer, wait_for};
use crate::support::{setup, tls};

/// The slowest waits for its second jobs, and for those that are tried again.
const JOBS_PATIENCE: Duration = Duration::from_secs(50);

/// How many `make test` runs.
const ROTATION: usize = 4;

/// Two at a time: programs wait more than they work.
const AT_A_TIME: usize = 2;

/// The server counts what stays: connections that only a moment of the jobs has needed are closed soon,
/// and there are as many workers on each machine.
const SETTLES_SOON: &str = "[pool]\nidle_timeout = \"200ms\"\n";

/// For so long there have been no fewer connections.
const SETTLED: Duration = Duration::from_millis(800);

/// What a program said, and how many connections the server had meanwhile.
struct Outcome {
    version: String,
    jobs: Value,
    connections: usize,
}

/// What this run is about.
struct Plan {
    libraries: Vec<&'static Library>,
    flavors: Vec<Flavor>,
}

#[test]
fn libraries_get_the_same_direct_and_through() {
    let plan = match std::env::var_os("TEST_EVERY_CLIENT") {
        Some(_) => Plan::all(),
        None => Plan::drawn(seed()),
    };
    let rows = Mutex::new(Vec::new());
    plan.run(|library, flavors| {
        let row = compare(library, flavors);
        println!("{row}");
        rows.lock().unwrap().push(row);
    });
    clients_page::compare(&rows.into_inner().unwrap());
}

/// The library's own TLS, and the server's or narrows'.
#[test]
fn libraries_get_the_same_over_tls_direct_and_through() {
    let plan = match std::env::var_os("TEST_EVERY_CLIENT") {
        Some(_) => Plan::all_over_tls(),
        None => Plan::drawn_over_tls(seed()),
    };
    plan.run(|library, flavors| {
        for flavor in flavors {
            tls::on_both_sides(|| compare_over_tls(library, *flavor));
            println!("{} over TLS on {flavor:?}: the same", library.name);
        }
    });
}

/// That of a run that is to be seen again, or the time.
fn seed() -> u64 {
    let given = std::env::var("SEED").ok();
    let given = given.and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.unwrap().as_secs()
    })
}

impl Plan {
    fn all() -> Self {
        Self {
            libraries: LIBRARIES.iter().collect(),
            flavors: Flavor::matrix(),
        }
    }

    /// Each that has TLS, with the servers that do.
    fn all_over_tls() -> Self {
        let mut plan = Self::all();
        plan.libraries.retain(|library| library.has_tls);
        plan.flavors = Flavor::chosen_or(&[Flavor::Redis, Flavor::Valkey]);
        plan.flavors.retain(|flavor| flavor.has_tls());
        plan
    }

    /// One that has TLS, of those that are prepared.
    fn drawn_over_tls(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut libraries: Vec<_> = LIBRARIES.iter().collect();
        libraries.retain(|library| library.has_tls && library.language.is_ready());
        random.shuffle(&mut libraries);
        libraries.truncate(1);
        println!("SEED={seed}: {} over TLS", names(&libraries));
        Self {
            libraries,
            flavors: vec![Flavor::Redis],
        }
    }

    /// Some of the libraries at a time.
    fn run(&self, compare: impl Fn(&'static Library, &[Flavor]) + Sync) {
        let queue = Mutex::new(self.libraries.iter());
        let next = || queue.lock().unwrap().next();
        std::thread::scope(|scope| {
            for _ in 0..AT_A_TIME {
                scope.spawn(|| {
                    while let Some(library) = next() {
                        compare(library, &self.flavors);
                    }
                });
            }
        });
    }

    /// As many libraries as a rotation has, of those that are prepared, and one server.
    fn drawn(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut ready, others): (Vec<_>, Vec<_>) = LIBRARIES
            .iter()
            .partition(|library| library.language.is_ready());
        random.shuffle(&mut ready);
        ready.truncate(ROTATION);
        let flavor = random.choice(Flavor::matrix()).unwrap();
        println!("SEED={seed}: {} on {flavor:?}", names(&ready));
        println!("Not prepared here (make test-clients): {}", names(&others));
        Self {
            libraries: ready,
            flavors: vec![flavor],
        }
    }
}

fn names(libraries: &[&Library]) -> String {
    let names: Vec<_> = libraries.iter().map(|library| library.name).collect();
    names.join(", ")
}

/// Runs it direct and through on each of these; the row says what is true of all of them.
fn compare(library: &Library, flavors: &[Flavor]) -> Row {
    let rows: Vec<Row> = flavors
        .iter()
        .map(|flavor| compare_on(library, *flavor))
        .collect();
    let mut rows = rows.into_iter();
    let mut first = rows.next().unwrap();
    for other in rows {
        first.through = first.through.max(other.through);
        first.direct = first.direct.min(other.direct);
    }
    first
}

fn compare_on(library: &Library, flavor: Flavor) -> Row {
    let server = RedisServer::start_flavor(flavor, &[]);
    let direct = run(library, &server, library.command(server.port()));
    // A server of its own: nothing of the first run is left there.
    let server = RedisServer::start_flavor(flavor, &[]);
    let narrows = setup::narrows(&server.url(), SETTLES_SOON, &["--workers", "2"]);
    let through = run(library, &server, library.command(narrows.port()));
    expect_same(library, &direct.jobs, &through.jobs);
    let jobs = direct.jobs.as_object().unwrap();
    Row {
        library: library.name.to_owned(),
        language: library.language,
        version: direct.version,
        jobs: jobs.keys().cloned().collect::<Vec<_>>().join(", "),
        direct: direct.connections,
        through: through.connections,
    }
}

fn compare_over_tls(library: &Library, flavor: Flavor) {
    let server = RedisServer::start_flavor(flavor, &[]);
    let authority = server.tls_authority();
    let direct = library.command_over_tls(server.tls_port(), &authority);
    let direct = run(library, &server, direct);
    let other = RedisServer::start_flavor(flavor, &[]);
    let narrows = setup::narrows(&other.url(), SETTLES_SOON, &["--workers", "2"]);
    let through = library.command_over_tls(narrows.tls_port(), &authority);
    let through = run(library, &other, through);
    expect_same(library, &direct.jobs, &through.jobs);
}

fn run(library: &Library, server: &RedisServer, command: Result<Command, String>) -> Outcome {
    let mut command =
        command.unwrap_or_else(|reason| panic!("{} cannot be run: {reason}", library.name));
    let mut child = Child::spawn_with_input(&mut command);
    let line = child.wait_for_line(JOBS_PATIENCE, |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        line.get("library").is_some().then_some(line)
    });
    let connections = settled(server);
    child.end_input();
    let status = child.wait(PATIENCE);
    assert!(status.success(), "{}: {status}", library.name);
    assert_eq!(line["library"], library.name);
    Outcome {
        version: line["version"].as_str().unwrap().to_owned(),
        jobs: line["jobs"].clone(),
        connections,
    }
}

/// How few connections the server has after a while: programs keep theirs.
fn settled(server: &RedisServer) -> usize {
    let mut admin = server.connect();
    let mut fewest = usize::MAX;
    let mut since = Instant::now();
    wait_for("connections that stay", PATIENCE, || {
        let now = setup::other_clients(&mut admin).len();
        if now < fewest {
            (fewest, since) = (now, Instant::now());
        }
        (since.elapsed() > SETTLED).then_some(fewest)
    })
}

#[track_caller]
fn expect_same(library: &Library, direct: &Value, through: &Value) {
    for (job, expected) in direct.as_object().unwrap() {
        let found = &through[job];
        assert!(
            found == expected,
            "{}, {job}:\n through {found}\n direct  {expected}",
            library.name
        );
    }
    assert_eq!(direct, through, "{}", library.name);
}
