//! The configuration: composes the settings that each layer owns, and reads them from four
//! sources, weakest first: defaults, a file, the environment, flags. All mistakes of all
//! sources are found in one reading. Only the command line and the composition root (`app`) may import this;
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
mod sources;
mod suggest;
mod summary;
pub mod url;
mod users;

pub use changes::{Change, changes};
pub use env::{BINDINGS, Binding, CONFIG_VARIABLE, Environment, PASSWORD_VARIABLE};
pub use mistake::{Mistake, Mistakes, Origin};
pub use reader::{Loaded, load};
pub use sources::{BackendUse, Sources};

use crate::{admin, command, engine, runtime, session, telemetry};

/// Everything an operator may set. Its `Debug` hides the password.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// `[listen]`, `[runtime]` and the part of `[backend]` that concerns sockets.
    pub runtime: runtime::settings::RuntimeSettings,
    /// `[pool]`, `[clients]`, `[limits]` and the rest of `[backend]`.
    pub engine: engine::settings::EngineSettings,
    /// `[commands]`
    pub commands: command::PolicySettings,
    /// `[auth]` and `[users.<name>]`
    pub auth: session::access::AuthSettings,
    /// `[admin]`
    pub admin: admin::settings::AdminSettings,
    /// `[log]`
    pub log: telemetry::settings::LogSettings,
}
