//! The composition root: carries out what the command line asked for.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{self, Invocation};
use crate::command::{CommandTable, Policy};
use crate::config::Config;
use crate::demo;
use crate::embedded::Embedded;
use crate::engine::Rules;
use crate::runtime::settings::{Credentials, Endpoint, Listen};
use crate::runtime::{self, Narrows};
use crate::session::Access;
use crate::session::access::BackendLogin;
use crate::telemetry;

/// Runs the program: 0 when all went well, 1 when something failed, 2 for a wrong command
/// line or configuration.
pub fn main() -> ExitCode {
    let environment = |name: &str| std::env::var_os(name);
    let outcome = match cli::parse(std::env::args_os(), &environment) {
        Err(stop) => return stop.print(),
        Ok(Invocation::Check(check)) => check
            .run(&environment, &mut std::io::stdout().lock())
            .map(ExitCode::from)
            .context("cannot print the result"),
        Ok(Invocation::Demo(options)) => demo::run(&options).map(|()| ExitCode::SUCCESS),
        Ok(Invocation::Run {
            config,
            warnings,
            embedded,
        }) => run(*config, &warnings, embedded),
    };
    outcome.unwrap_or_else(|error| {
        // Nothing is left to be done when even this cannot be written.
        let _ = writeln!(std::io::stderr(), "narrows: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(mut config: Config, warnings: &[String], embedded: bool) -> anyhow::Result<ExitCode> {
    telemetry::log::init(&config.log).context("cannot set up the log")?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let server = match embedded {
        true => Some(Embedded::start()?),
        false => None,
    };
    if let Some(server) = &server {
        config.runtime.backend = Endpoint::Unix(server.socket().to_owned());
        config.runtime.credentials = Credentials::default();
        config.runtime.database = 0;
    }
    allow_descriptors(&mut config);
    let policy = Policy::new(&config.commands)
        .map_err(|_| anyhow::anyhow!("the command rules of the configuration are not valid"))?;
    let access = Access::new(&config.auth, own_login(&config), &config.commands)
        .map_err(|_| anyhow::anyhow!("the command rules of a user are not valid"))?;
    let mut settings = config.engine;
    settings.limits = settings.limits.authenticated();
    let rules = Rules {
        settings,
        commands: CommandTable::builtin(),
        policy,
        access,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot make an event loop")?;
    runtime.block_on(async {
        let mut signals = Signals::new().context("cannot listen for signals")?;
        let listen = config.runtime.listen.clone();
        let backend = config.runtime.backend.to_string();
        let budget = config.runtime.backend_connections_max;
        let narrows = runtime::start(config.runtime, rules)?;
        for addr in &narrows.addresses {
            tracing::info!(%addr, "listening");
        }
        let workers = narrows.workers;
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            backend,
            max_backend_connections = budget,
            workers,
            "narrows is ready"
        );
        if let Some(server) = &server {
            greet(&narrows, server);
        }
        signals.recv().await;
        let finished = end(narrows, &mut signals).await;
        remove_sockets(&listen);
        anyhow::Ok(match finished {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    })
}

/// As whom narrows itself logs in.
fn own_login(config: &Config) -> BackendLogin {
    let Credentials { user, password } = config.runtime.credentials.clone();
    BackendLogin {
        user: user.map(|user| user.into_bytes().into()),
        password: password.map(|password| password.into_bytes().into()),
    }
}

/// Drains, unless a second signal says that there is no time for that.
async fn end(narrows: Narrows, signals: &mut Signals) -> bool {
    tracing::info!("draining: no new clients, requests in flight are finished");
    tokio::select! {
        finished = narrows.drain() => {
            if finished {
                tracing::info!("drained");
            } else {
                tracing::warn!("drain timeout: clients are cut off");
            }
            finished
        }
        () = signals.recv() => {
            tracing::warn!("second signal: clients are cut off");
            false
        }
    }
}

/// How to connect, for whoever has started narrows to look around.
fn greet(narrows: &Narrows, server: &Embedded) {
    let mut out = std::io::stdout().lock();
    let program = server.program().display();
    let mut text = format!(
        "\nnarrows serves a private {program} (pid {}).\n",
        server.pid()
    );
    for address in &narrows.addresses {
        text += &match (address.strip_prefix("unix:"), address.rsplit_once(':')) {
            (Some(path), _) => format!("  connect:  redis-cli -s {path}\n"),
            (None, Some((host, port))) => format!("  connect:  redis-cli -h {host} -p {port}\n"),
            (None, None) => String::new(),
        };
    }
    text += "  look:     CLIENT LIST shows its clients, INFO narrows its figures\n";
    text += &format!(
        "  behind:   redis-cli -s {} CLIENT LIST shows the few connections to Redis\n",
        server.socket().display()
    );
    text += "  end:      Ctrl-C\n\n";
    // Nobody may be reading.
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// Raises the limit of open files as far as allowed, and lowers `max_clients` to what is
/// left beside backends and narrows' own files, as Redis does.
fn allow_descriptors(config: &mut Config) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const OWN_FILES: usize = 64;
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let Some(files) = files.and_then(|n| usize::try_from(n).ok()) else {
        return;
    };
    let backends = config.runtime.backend_connections_max as usize;
    let room = files.saturating_sub(OWN_FILES + backends).max(1);
    let clients = &mut config.engine.clients.max_clients;
    if *clients > room {
        tracing::warn!(
            max_clients = *clients,
            lowered_to = room,
            open_files_max = files,
            "max_clients is lowered to what the limit of open files allows"
        );
        *clients = room;
    }
}

/// A unix socket's file is of no use to anybody now.
fn remove_sockets(listen: &[Listen]) {
    for address in listen {
        if let Listen::Unix(path) = address {
            // It may be gone already.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
