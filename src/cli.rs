//! The command line: what may be typed, and what it asks for. Parses and nothing more; the
//! composition root executes. Everything comes in as arguments, so tests need no process.

mod arguments;
mod check;
mod stop;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;

pub use check::CheckCommand;
pub use stop::Stop;

use self::arguments::{Arguments, Command};
use crate::config::{self, BackendUse, Config, Environment, Loaded, Mistakes, Sources};
use crate::demo::DemoOptions;

/// Where the configuration of a running narrows comes from, but for the environment: what it was
/// told at the start.
#[derive(Clone)]
pub struct Given {
    file: Option<PathBuf>,
    flags: Vec<(&'static str, String)>,
    backend: BackendUse,
}

impl Given {
    /// Reads the configuration, at the start or again.
    ///
    /// # Errors
    /// All mistakes of all sources.
    pub fn load(&self, environment: &Environment<'_>) -> Result<Loaded, Mistakes> {
        config::load(&Sources {
            file: self.file.clone(),
            environment,
            flags: self.flags.clone(),
            backend: self.backend,
        })
    }
}

impl std::fmt::Debug for Given {
    /// A flag may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut given = f.debug_struct("Given");
        given.field("file", &self.file).finish_non_exhaustive()
    }
}

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
        /// Where the settings came from, to be read again.
        given: Given,
    },
    /// Check a configuration file, see [`CheckCommand::run`].
    Check(CheckCommand),
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
        Some(Command::Check { config }) => Ok(Invocation::Check(CheckCommand::of(config))),
        Some(Command::Demo(options)) => Ok(Invocation::Demo(options)),
        None => {
            let mut flags = parsed.common.flags();
            flags.extend(parsed.backend.flags());
            let backend = match parsed.embedded {
                true => BackendUse::Embedded,
                false => BackendUse::Configured,
            };
            let given = Given {
                file: parsed.common.config,
                flags,
                backend,
            };
            let loaded = given.load(environment)?;
            Ok(Invocation::Run {
                config: Box::new(loaded.config),
                warnings: loaded.warnings,
                embedded: parsed.embedded,
                given,
            })
        }
    }
}

#[cfg(test)]
mod tests;
