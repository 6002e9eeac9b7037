//! The composition root: carries out what the command line asked for.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::admin::Admin;
use crate::cli::{self, Given, Invocation};
use crate::command::CommandTable;
use crate::config::Config;
use crate::demo;
use crate::embedded::Embedded;
use crate::engine::Rules;
use crate::runtime::settings::{Listen, RuntimeSettings};
use crate::runtime::socket_file;
use crate::runtime::systemd::Systemd;
use crate::runtime::{self, Narrows};
use crate::telemetry;

mod certificates;
mod effective;
mod reload;

use certificates::Certificates;
use effective::{admission_of, effective};
use reload::Reload;

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
            given,
        }) => run(*config, &warnings, embedded, given),
    };
    outcome.unwrap_or_else(|error| {
        // Nothing is left to be done when even this cannot be written.
        let _ = writeln!(std::io::stderr(), "narrows: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(
    config: Config,
    warnings: &[String],
    embedded: bool,
    given: Given,
) -> anyhow::Result<ExitCode> {
    let level = telemetry::log::init(&config.log).context("cannot set up the log")?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let server = match embedded {
        true => Some(Embedded::start()?),
        false => None,
    };
    let effective = effective(config.clone(), server.as_ref());
    let (policy, access) = admission_of(&effective)?;
    let rules = Rules {
        settings: effective.engine.clone(),
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
        let systemd = Arc::new(Systemd::of(|name| std::env::var_os(name)));
        let backend = backend_shown(&effective.runtime);
        let admin = open_admin(config.admin.listen)?;
        let narrows = runtime::start(effective.runtime, rules)?;
        let status = say_ready(&narrows, &config, &backend);
        if let Some(admin) = admin {
            let url = format!("http://{}/metrics", admin.address);
            let served = admin.serve(narrows.observer());
            served.context("cannot serve the admin endpoints")?;
            tracing::info!(url, "admin endpoints");
        }
        systemd.ready(&status);
        narrows.watch(&systemd);
        if let Some(server) = &server {
            greet(&narrows, server);
        }
        let listen = config.runtime.listen.clone();
        let mut reload = Reload {
            given,
            level,
            status,
            in_force: config,
            certificates: Certificates::new(),
        };
        while let Wish::Reload = next_wish(&mut signals, &mut reload, &narrows).await {
            reload.run(&narrows, server.as_ref(), &systemd);
        }
        systemd.stopping("draining: requests in flight are finished");
        let finished = end(narrows, &mut signals).await;
        remove_sockets(&listen);
        anyhow::Ok(match finished {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    })
}

/// The address of the admin endpoints, if there are to be any.
fn open_admin(listen: Option<SocketAddr>) -> anyhow::Result<Option<Admin>> {
    let open = |address| {
        Admin::open(address).with_context(|| {
            format!("cannot listen on {address} for metrics; admin.listen names another address")
        })
    };
    listen.map(open).transpose()
}

/// Where the server is, and whether it is spoken to with TLS.
fn backend_shown(runtime: &RuntimeSettings) -> String {
    let with_tls = match runtime.backend_tls {
        Some(_) => "rediss://",
        None => "",
    };
    format!("{with_tls}{}", runtime.backend)
}

/// Logs where narrows listens and in front of what; the same as one line.
fn say_ready(narrows: &Narrows, config: &Config, backend: &str) -> String {
    for addr in &narrows.addresses {
        tracing::info!(%addr, "listening");
    }
    let budget = config.runtime.backend_connections_max;
    let workers = narrows.workers;
    let logins = config.auth.shown();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        backend,
        max_backend_connections = budget,
        workers,
        logins,
        "narrows is ready"
    );
    let addresses = narrows.addresses.join(" ");
    format!("listening on {addresses}, over at most {budget} connections to {backend}")
}

/// Drains, unless a second signal says that there is no time for that.
async fn end(narrows: Narrows, signals: &mut Signals) -> bool {
    tracing::info!("draining: no new clients, requests in flight are finished");
    tokio::select! {
        finished = narrows.drain() => {
            if finished {
                tracing::info!("drained");
            }
            finished
        }
        () = signals.end() => {
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

/// A unix socket's file is of no use to anybody now.
fn remove_sockets(listen: &[Listen]) {
    for address in listen {
        if let Listen::Unix(path) = address {
            // It may be gone already, or somebody else's by now.
            let _ = socket_file::remove_stale(path);
        }
    }
}

/// What the next signal asks for. Until it comes certificates are watched.
async fn next_wish(signals: &mut Signals, reload: &mut Reload, narrows: &Narrows) -> Wish {
    tokio::select! {
        wish = signals.recv() => wish,
        never = reload.watch(narrows) => match never {},
    }
}

/// What a signal asks for.
enum Wish {
    Reload,
    End,
}

/// SIGTERM, SIGINT and SIGHUP.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn recv(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::End,
            _ = self.interrupt.recv() => Wish::End,
            _ = self.hang_up.recv() => Wish::Reload,
        }
    }

    /// The next signal to end; there is nothing to be reloaded any more.
    async fn end(&mut self) {
        while let Wish::Reload = self.recv().await {}
    }
}
