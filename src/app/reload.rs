//! SIGHUP: the configuration is read again from the same sources, and what may change while
//! narrows runs is put into force, all of it or nothing. What was learned of the server stays. Between two
//! such signals the files of certificates and keys are watched.

use std::convert::Infallible;

use crate::cli::Given;
use crate::config::{Change, Config, Mistake, changes};
use crate::embedded::Embedded;
use crate::engine::Rules;
use crate::runtime::Narrows;
use crate::runtime::systemd::Systemd;
use crate::runtime::tls_in_use::TlsInUse;
use crate::telemetry::log::Level;
use crate::tls::expiry::UnixSeconds;

use super::certificates::Certificates;
use super::effective::{admission_of, effective};

/// What a reload begins from.
pub(super) struct Reload {
    /// Where the configuration comes from.
    pub(super) given: Given,
    /// Changes what is logged.
    pub(super) level: Level,
    /// The state of things in one line, for the service manager.
    pub(super) status: String,
    /// As it was read, but for what needs a restart.
    pub(super) in_force: Config,
    /// Those that it names.
    pub(super) certificates: Certificates,
}

impl Reload {
    /// Reads the configuration again. With a mistake in it nothing changes.
    pub(super) fn run(&mut self, narrows: &Narrows, server: Option<&Embedded>, systemd: &Systemd) {
        systemd.reloading();
        let outcome = self.load(narrows, server);
        self.certificates.reloaded(&self.tls_in_use());
        systemd.ready(&format!("{}; {outcome}", self.status));
    }

    /// Watches the files of certificates and keys until it is dropped.
    pub(super) async fn watch(&mut self, narrows: &Narrows) -> Infallible {
        let settings = &mut self.in_force.runtime;
        self.certificates.watch(settings, narrows).await
    }

    fn tls_in_use(&self) -> TlsInUse {
        TlsInUse::of(&self.in_force.runtime)
    }

    /// What has come of it, in a few words.
    fn load(&mut self, narrows: &Narrows, server: Option<&Embedded>) -> String {
        let environment = |name: &str| std::env::var_os(name);
        let loaded = match self.given.load(&environment) {
            Ok(loaded) => loaded,
            Err(mistakes) => {
                for mistake in mistakes.list() {
                    tracing::error!("{mistake}");
                }
                if mistakes.list().iter().any(Mistake::is_of_tls_files) {
                    self.certificates.refused(&self.tls_in_use(), narrows);
                }
                let count = mistakes.list().len();
                tracing::error!(
                    mistakes = count,
                    "configuration not reloaded: the old one stays in force"
                );
                return format!("configuration not reloaded: {count} mistakes");
            }
        };
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let mut config = loaded.config;
        let found = changes(&self.in_force, &mut config);
        let tls = TlsInUse::of(&config.runtime);
        if let Err(error) = tls.check(&self.tls_in_use(), UnixSeconds::now()) {
            self.certificates.refused(&self.tls_in_use(), narrows);
            let key = error.key;
            tracing::error!(key, %error, "configuration not reloaded: the old one stays in force");
            return "configuration not reloaded".to_owned();
        }
        if let Err(error) = self.put_into_force(&config, narrows, server) {
            tracing::error!(%error, "configuration not reloaded: the old one stays in force");
            return "configuration not reloaded".to_owned();
        }
        self.in_force = config;
        say(&found)
    }

    fn put_into_force(
        &self,
        config: &Config,
        narrows: &Narrows,
        server: Option<&Embedded>,
    ) -> anyhow::Result<()> {
        let effective = effective(config.clone(), server);
        let (policy, access) = admission_of(&effective)?;
        let level = self.level.set(&config.log.level);
        level.map_err(anyhow::Error::msg)?;
        let asked = effective.runtime.backend_connections_max;
        let bound = narrows.reload(effective.runtime, |rules| Rules {
            settings: effective.engine,
            commands: rules.commands.clone(),
            policy,
            access,
        });
        if bound != asked {
            let workers = narrows.workers;
            tracing::warn!(
                key = "backend.max_connections",
                asked,
                bound,
                workers,
                "each worker needs a connection, and one is for health checks: \
                 fewer need a restart with fewer workers"
            );
        }
        Ok(())
    }
}

/// Logs what has changed, and what has not although it was to.
fn say(found: &[Change]) -> String {
    let (waiting, done): (Vec<&Change>, Vec<&Change>) =
        found.iter().partition(|change| change.needs_restart);
    for Change { key, from, to, .. } in waiting {
        tracing::warn!(
            key,
            old = from,
            new = to,
            "needs a restart: the old value stays in force"
        );
    }
    for Change { key, from, to, .. } in &done {
        tracing::debug!(key, old = from, new = to, "changed");
    }
    let (count, word) = match done.len() {
        1 => (1, "key"),
        n => (n, "keys"),
    };
    let keys: Vec<&str> = done.iter().map(|change| change.key).collect();
    let words = match keys.as_slice() {
        [] => "configuration reloaded: nothing has changed".to_owned(),
        keys => format!(
            "configuration reloaded: {count} {word} changed: {}",
            keys.join(", ")
        ),
    };
    tracing::info!("{words}");
    words
}
