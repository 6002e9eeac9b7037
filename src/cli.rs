//! The command line: what may be typed, and what it asks for. Parses and nothing more; the
//! composition root executes. Everything comes in as arguments, so tests need no process.

mod arguments;
mod check;
mod stop;

use std::ffi::OsString;

use clap::Parser;

pub use check::Check;
pub use stop::Stop;

use self::arguments::{Arguments, Command, DemoArguments};
use crate::config::{self, BackendUse, Config, Environment, Sources};

/// What narrows was asked to do.
#[derive(Debug, Clone)]
pub enum Invocation {
    /// Serve clients.
    Run {
        /// The settings.
        config: Box<Config>,
        /// To be logged once the log is set up.
        warnings: Vec<String>,
        /// Start a private server and use that one, whatever `config` says of the server.
        embedded: bool,
    },
    /// Check a configuration file, see [`Check::run`].
    Check(Check),
    /// Serve over a private server, with a bounded load of verifying clients.
    Demo(Demo),
}

/// A demonstration: always over a private server.
#[derive(Debug, Clone)]
pub struct Demo {
    /// The settings. Their bound on clients leaves room for `clients` and some more.
    pub config: Box<Config>,
    /// To be logged once the log is set up.
    pub warnings: Vec<String>,
    /// Connections of the load. 1 to 100,000.
    pub clients: u32,
    /// How long the load lasts, in seconds. 1 to 86,400.
    pub seconds: u32,
}

/// Parses `arguments`, the first of which is the name of the program.
///
/// # Errors
/// There is nothing to do but to print [`Stop`]: help was asked for, or a mistake was made.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment<'_>,
) -> Result<Invocation, Stop> {
    let words: Vec<OsString> = arguments.into_iter().collect();
    let parsed = Arguments::try_parse_from(&words).map_err(|why| Stop::of_clap(&why, &words))?;
    match parsed.command {
        Some(Command::Check { config }) => Ok(Invocation::Check(Check::of(config))),
        Some(Command::Demo(demo)) => parse_demo(&demo, environment),
        None => {
            let mut flags = parsed.common.flags();
            flags.extend(parsed.backend.flags());
            let backend = match parsed.embedded {
                true => BackendUse::Embedded,
                false => BackendUse::Configured,
            };
            let loaded = config::load(&Sources {
                file: parsed.common.config,
                environment,
                flags,
                backend,
            })?;
            Ok(Invocation::Run {
                config: Box::new(loaded.config),
                warnings: loaded.warnings,
                embedded: parsed.embedded,
            })
        }
    }
}

fn parse_demo(demo: &DemoArguments, environment: &Environment<'_>) -> Result<Invocation, Stop> {
    let loaded = config::load(&Sources {
        file: demo.common.config.clone(),
        environment,
        flags: demo.common.flags(),
        backend: BackendUse::Embedded,
    })?;
    let mut config = Box::new(loaded.config);
    let places = usize::try_from(demo.clients).unwrap_or(usize::MAX);
    let bound = &mut config.engine.clients.max_clients;
    *bound = (*bound).max(places.saturating_add(DEMO_PLACES_MORE));
    Ok(Invocation::Demo(Demo {
        config,
        warnings: loaded.warnings,
        clients: demo.clients,
        seconds: demo.seconds,
    }))
}

/// Places for whoever looks on while a demonstration runs.
const DEMO_PLACES_MORE: usize = 100;

#[cfg(test)]
mod tests;
