//! Every client library that is run beside itself, and how its program is started. What a program says
//! and does is the same in each language: it runs its jobs, writes one line of JSON (`library`,
//! `version`, `jobs` with what came of each) and keeps its connections until its input ends. This file
//! knows nothing of servers.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{node, python};

/// A library and the program that uses it.
pub struct Library {
    /// As docs/clients.md names it.
    pub name: &'static str,
    pub language: Language,
    /// Whether its program speaks TLS where it is told whom to trust.
    pub has_tls: bool,
    /// The program within the folder of its language, and its arguments behind the port.
    program: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Language {
    C,
    Go,
    Node,
    Perl,
    Php,
    Python,
    Ruby,
    Rust,
}

use Language::{C, Go, Node, Perl, Php, Python, Ruby, Rust};

pub const LIBRARIES: &[Library] = &[
    library("hiredis", C, &["hiredis"]),
    with_tls(library("go-redis", Go, &["goredis"])),
    with_tls(library("redigo", Go, &["redigo"])),
    with_tls(library("ioredis", Node, &["ioredis_jobs.js"])),
    with_tls(library("node-redis", Node, &["node_redis_jobs.js"])),
    library("Bull", Node, &["bull_jobs.js"]),
    library(
        "@socket.io/redis-adapter",
        Node,
        &["socket_io.js", "@socket.io/redis-adapter"],
    ),
    library(
        "@socket.io/redis-streams-adapter",
        Node,
        &["socket_io.js", "@socket.io/redis-streams-adapter"],
    ),
    library("Redis", Perl, &["blocking.pl", "Redis"]),
    library("Redis::Fast", Perl, &["blocking.pl", "Redis::Fast"]),
    library("AnyEvent::Redis", Perl, &["anyevent.pl"]),
    with_tls(library("phpredis", Php, &["phpredis.php"])),
    with_tls(library("Predis", Php, &["predis.php"])),
    with_tls(library("redis-py", Python, &["redis_py.py"])),
    library("channels_redis", Python, &["channels_layers.py"]),
    library("huey", Python, &["huey_jobs.py"]),
    library("dramatiq", Python, &["dramatiq_jobs.py"]),
    with_tls(library("valkey-glide", Python, &["glide_client.py"])),
    with_tls(library("redis-rb", Ruby, &["redis_rb.rb"])),
    library("Sidekiq", Ruby, &["sidekiq_jobs.rb"]),
    library("redis-rs", Rust, &["redis_rs"]),
    library("fred", Rust, &["fred"]),
];

const fn library(
    name: &'static str,
    language: Language,
    program: &'static [&'static str],
) -> Library {
    Library {
        name,
        language,
        has_tls: false,
        program,
    }
}

const fn with_tls(library: Library) -> Library {
    Library {
        has_tls: true,
        ..library
    }
}

impl Library {
    /// [`Library::command`] for a port with TLS, whose certificate is signed by that of the file `authority`.
    pub fn command_over_tls(&self, port: u16, authority: &Path) -> Result<Command, String> {
        let mut command = self.command(port)?;
        command.env("TEST_TLS_AUTHORITY", authority);
        Ok(command)
    }

    /// `program PORT arguments`, or why it cannot be run here.
    pub fn command(&self, port: u16) -> Result<Command, String> {
        let (program, arguments) = self.program.split_first().unwrap();
        let mut command = self.language.command(program)?;
        command
            .arg(port.to_string())
            .args(arguments)
            .env("TEST_CLIENTS", prepared());
        Ok(command)
    }
}

impl Language {
    pub fn name(self) -> &'static str {
        match self {
            C => "C",
            Go => "Go",
            Node => "Node.js",
            Perl => "Perl",
            Php => "PHP",
            Python => "Python",
            Ruby => "Ruby",
            Rust => "Rust",
        }
    }

    /// Whether its libraries are those of the machine's distribution, in the version that it has.
    pub fn is_the_machines(self) -> bool {
        matches!(self, C | Perl | Php)
    }

    /// Whether `scripts/provision` has made it ready.
    pub fn is_ready(self) -> bool {
        prepared().join("ready").join(self.folder()).exists()
    }

    fn folder(self) -> &'static str {
        match self {
            C => "c",
            Go => "go",
            Node => "node",
            Perl => "perl",
            Php => "php",
            Python => "python",
            Ruby => "ruby",
            Rust => "rust",
        }
    }

    fn command(self, program: &str) -> Result<Command, String> {
        if !self.is_ready() {
            return Err(format!(
                "{} is not prepared: make test-clients",
                self.name()
            ));
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/compat")
            .join(self.folder())
            .join(program);
        let interpreted = |interpreter: &str| {
            let mut command = Command::new(interpreter);
            command.arg(&script);
            command
        };
        Ok(match self {
            C | Go | Rust => Command::new(prepared().join(self.folder()).join(program)),
            Node => node(program).ok_or("Node.js is too old")?,
            Python => {
                let mut command = interpreted(python().to_str().unwrap());
                // What they import lies beside them.
                command.env("PYTHONDONTWRITEBYTECODE", "1");
                command
            }
            Perl | Php | Ruby => interpreted(self.folder()),
        })
    }
}

/// Where `scripts/provision` puts what programs need.
pub fn prepared() -> PathBuf {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients");
    std::env::var_os("TEST_CLIENTS").map_or(usual, PathBuf::from)
}
