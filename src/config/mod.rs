//! The configuration: composes the settings that each layer owns, and reads them from four
//! sources, weakest first: defaults, a file, the environment, flags. All mistakes of all
//! sources are found in one reading. Only the command line and the runtime may import this;
//! a layer receives its own settings and knows nothing of files. Performs no IO but reading
//! the file and the password file it is told of.

mod changes;
mod env;
mod file;
mod keys;
mod kind;
mod listen;
mod mistake;
mod reader;
mod resolve;
mod secret;
mod suggest;
mod summary;
pub mod url;
mod users;

use std::path::PathBuf;

pub use changes::{Change, changes};
pub use env::{BINDINGS, Binding, CONFIG_VARIABLE, Environment, PASSWORD_VARIABLE};
pub use mistake::{Mistake, Mistakes, Origin};

use crate::{admin, command, engine, runtime, session, telemetry};

/// Everything an operator may set. Its `Debug` hides the password.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// `[listen]`, `[runtime]` and the part of `[backend]` that concerns sockets.
    pub runtime: runtime::settings::Settings,
    /// `[pool]`, `[clients]`, `[limits]` and the rest of `[backend]`.
    pub engine: engine::settings::Settings,
    /// `[commands]`
    pub commands: command::PolicySettings,
    /// `[auth]` and `[users.<name>]`
    pub auth: session::access::AuthSettings,
    /// `[admin]`
    pub admin: admin::settings::AdminSettings,
    /// `[log]`
    pub log: telemetry::settings::LogSettings,
}

/// Which server narrows will use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BackendUse {
    /// The one that the sources name.
    #[default]
    Configured,
    /// A private one that narrows starts: the sources' server and password are not used, and
    /// the password file is not read.
    Embedded,
}

/// Where a configuration is read from. No `Debug`: a flag may hold a password.
pub struct Sources<'a> {
    /// The file; without it the one that the variable `NARROWS_CONFIG` names, if any.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: &'a Environment<'a>,
    /// Names of flags as in [`BINDINGS`], with their values.
    pub flags: Vec<(&'static str, String)>,
    /// See [`BackendUse`].
    pub backend: BackendUse,
}

/// A configuration without mistakes.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings. With [`BackendUse::Embedded`] their server is the default and their
    /// credentials are empty; both are to be replaced.
    pub config: Config,
    /// What an operator should know, to be logged once logs are set up. No secrets.
    pub warnings: Vec<String>,
    /// What it comes to, in a few indented lines for people. No secrets.
    pub summary: String,
}

/// Reads the configuration.
///
/// # Errors
/// All mistakes of all sources.
pub fn load(sources: &Sources<'_>) -> Result<Loaded, Mistakes> {
    reader::load(sources)
}
