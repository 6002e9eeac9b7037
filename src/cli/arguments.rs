//! The words of the command line, as clap reads them, with their help. Values that are
//! settings stay text here: `config` reads them as it reads the same values of a file, so
//! that all mistakes are told together. No `Debug`: a flag may hold a password.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::demo::DemoOptions;

/// narrows, a connection multiplexer for Redis.
///
/// Any number of clients share a small, bounded number of connections to Redis. Clients speak
/// to narrows as they speak to Redis. Without a command, narrows serves clients until it is
/// told to end (SIGTERM or Ctrl-C: requests in flight are finished).
#[derive(Parser)]
#[command(
    name = "narrows",
    version,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Try `narrows --help` for all of it, `narrows --embedded` to see it work.",
    after_long_help = LONG
)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) common: CommonFlags,

    #[command(flatten)]
    pub(super) backend: BackendFlags,

    /// Start a private Redis for a look around, and end it with narrows
    ///
    /// A redis-server (or valkey-server) found on the PATH, on a unix socket in a temporary
    /// directory, without persistence. What a file or the environment say of the server is
    /// not used.
    #[arg(long, conflicts_with_all = ["backend", "backend_password_file"])]
    pub(super) embedded: bool,

    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// The commands.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Check a configuration file: print what it comes to, or all of its mistakes
    ///
    /// Reads the file, the environment and the password file as a start does, and leaves
    /// with 0 when there is no mistake, else with 1.
    Check {
        /// The file
        config: PathBuf,
    },
    /// Show it at work: a private Redis, and many clients that verify every reply
    Demo(DemoOptions),
}

/// Flags that concern narrows itself.
#[derive(Args)]
#[command(next_help_heading = "Settings")]
pub(super) struct CommonFlags {
    /// Configuration file (TOML) [env: NARROWS_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Address for clients, several with commas or by repeating [env: NARROWS_LISTEN]
    /// [default: 127.0.0.1:6380]
    ///
    /// As in 127.0.0.1:6380, [::1]:6380 or unix:/run/narrows.sock. Port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,

    /// Serve clients of other machines although nobody has to log in [env: NARROWS_ALLOW_OPEN]
    /// [default: false]
    ///
    /// Whoever reaches an address for clients acts as narrows' own user on Redis. Without this,
    /// those who come from other machines are told so and turned away, as by Redis.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    allow_open: Option<String>,

    /// Most connections to Redis, of any kind, ever [env: NARROWS_MAX_BACKEND_CONNECTIONS]
    /// [default: 16]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    max_backend_connections: Option<String>,

    /// Worker threads, 0: 1 up to 4 cores, else 2 [env: NARROWS_WORKERS] [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    workers: Option<String>,

    /// Address for /metrics, /healthz and /readyz, "" for none [env: NARROWS_ADMIN_LISTEN]
    /// [default: 127.0.0.1:9380]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,

    /// error, warn, info, debug, trace, off or directives [env: NARROWS_LOG_LEVEL]
    /// [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,

    /// text or json [env: NARROWS_LOG_FORMAT] [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

/// Flags that concern the server.
#[derive(Args)]
#[command(next_help_heading = "Server")]
pub(super) struct BackendFlags {
    /// URL of the server [env: NARROWS_BACKEND] [default: redis://127.0.0.1:6379/0]
    ///
    /// redis://[user:password@]host[:port][/db], the same with rediss:// for TLS, or
    /// unix:///path[?db=n]. Special characters in
    /// user and password are percent-encoded. A password given here can be seen in the list
    /// of processes; a file or the variable NARROWS_BACKEND_PASSWORD keeps it private.
    #[arg(long, value_name = "URL")]
    backend: Option<String>,

    /// File that holds the password for the server [env: NARROWS_BACKEND_PASSWORD_FILE]
    #[arg(long, value_name = "FILE")]
    backend_password_file: Option<String>,
}

impl CommonFlags {
    /// The settings among them, as pairs of name and value.
    pub(super) fn flags(&self) -> Vec<(&'static str, String)> {
        let listen = (!self.listen.is_empty()).then(|| self.listen.join(","));
        let flags = [
            ("--listen", listen),
            ("--allow-open", self.allow_open.clone()),
            (
                "--max-backend-connections",
                self.max_backend_connections.clone(),
            ),
            ("--workers", self.workers.clone()),
            ("--admin-listen", self.admin_listen.clone()),
            ("--log-level", self.log_level.clone()),
            ("--log-format", self.log_format.clone()),
        ];
        given(flags)
    }
}

impl BackendFlags {
    /// The same as [`CommonFlags::flags`].
    pub(super) fn flags(&self) -> Vec<(&'static str, String)> {
        given([
            ("--backend", self.backend.clone()),
            (
                "--backend-password-file",
                self.backend_password_file.clone(),
            ),
        ])
    }
}

fn given<const N: usize>(
    flags: [(&'static str, Option<String>); N],
) -> Vec<(&'static str, String)> {
    let set = flags.into_iter();
    set.filter_map(|(name, value)| value.map(|value| (name, value)))
        .collect()
}

const LONG: &str = "\
Examples:
  narrows --embedded
      a private Redis behind narrows; then: redis-cli -p 6380
  narrows demo --clients 1000 --seconds 10
      a thousand clients over a few connections, every reply verified
  narrows --backend redis://cache:6379/0 --max-backend-connections 16
      in front of the Redis on host cache
  NARROWS_BACKEND_PASSWORD=... narrows --backend redis://app@cache --listen 10.0.0.5:6380 --allow-open
      with a user and a password, for all machines of a network that can be trusted
  narrows check narrows.toml && narrows --config narrows.toml
      with a file; config/narrows.toml lists every key with its default

Sources, weakest first: defaults, the file, the environment, flags.

Exit codes: 0 ended as asked, 1 failed at work (check: mistakes found), 2 wrong usage or
configuration, nothing was started.";
