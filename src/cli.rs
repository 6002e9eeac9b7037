//! The command line: what may be typed, and what it asks for. Parses and nothing more; the
//! composition root executes. Everything comes in as arguments, so tests need no process.

mod arguments;
mod check;
mod stop;

use std::ffi::OsString;

use clap::Parser;

pub use check::Check;
pub use stop::Stop;

use self::arguments::{Arguments, Command};
use crate::config::{self, BackendUse, Config, Environment, Sources};
use crate::demo::DemoOptions;

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
    Demo(DemoOptions),
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
        Some(Command::Demo(options)) => Ok(Invocation::Demo(options)),
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

#[cfg(test)]
mod tests;
