//! Where a configuration is read from: the file, the environment, the flags, and which of them names
//! the server.

use std::path::PathBuf;

use super::env::Environment;

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
    /// Names of flags as in [`BINDINGS`](super::BINDINGS), with their values.
    pub flags: Vec<(&'static str, String)>,
    /// See [`BackendUse`].
    pub backend: BackendUse,
}
