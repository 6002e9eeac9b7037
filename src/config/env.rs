//! The keys that variables of the environment and flags can set: the common ones. Both arrive
//! as text. Nothing here reads the process' environment: it is handed in.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::mistake::{Mistake, Origin};

/// Looks a variable of the environment up. An empty one counts as not set.
pub type Environment<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// A key that can be set from outside of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// Path of the key.
    pub key: &'static str,
    /// The variable that sets it.
    pub variable: &'static str,
    /// The flag that sets it, with its dashes.
    pub flag: &'static str,
}

/// All bindings.
pub const BINDINGS: [Binding; 9] = [
    bind("listen.addresses", "NARROWS_LISTEN", "--listen"),
    bind("listen.allow_open", "NARROWS_ALLOW_OPEN", "--allow-open"),
    bind("backend.url", "NARROWS_BACKEND", "--backend"),
    bind(
        "backend.password_file",
        "NARROWS_BACKEND_PASSWORD_FILE",
        "--backend-password-file",
    ),
    bind(
        "backend.max_connections",
        "NARROWS_MAX_BACKEND_CONNECTIONS",
        "--max-backend-connections",
    ),
    bind("runtime.workers", "NARROWS_WORKERS", "--workers"),
    bind("admin.listen", "NARROWS_ADMIN_LISTEN", "--admin-listen"),
    bind("log.level", "NARROWS_LOG_LEVEL", "--log-level"),
    bind("log.format", "NARROWS_LOG_FORMAT", "--log-format"),
];

/// Names the configuration file.
pub const CONFIG_VARIABLE: &str = "NARROWS_CONFIG";

/// Holds the password for the server. There is no such flag: everybody on the machine can
/// read the arguments of a process.
pub const PASSWORD_VARIABLE: &str = "NARROWS_BACKEND_PASSWORD";

const fn bind(key: &'static str, variable: &'static str, flag: &'static str) -> Binding {
    Binding {
        key,
        variable,
        flag,
    }
}

/// Values as text, by the path of their key.
#[derive(Default)]
pub(super) struct Texts(BTreeMap<&'static str, (String, Origin)>);

impl Texts {
    /// What the environment sets.
    pub(super) fn of_variables(environment: &Environment<'_>, mistakes: &mut Vec<Mistake>) -> Self {
        let mut texts = Self::default();
        for binding in BINDINGS {
            if let Some(text) = variable(environment, binding.variable, mistakes) {
                let origin = Origin::Variable(binding.variable);
                texts.0.insert(binding.key, (text, origin));
            }
        }
        texts
    }

    /// What flags set, given as pairs of a flag's name with dashes and its value. Names that
    /// have no binding are not taken.
    pub(super) fn of_flags(flags: &[(&'static str, String)]) -> Self {
        let mut texts = Self::default();
        for binding in BINDINGS {
            if let Some((_, text)) = flags.iter().find(|(name, _)| *name == binding.flag) {
                let origin = Origin::Flag(binding.flag);
                texts.0.insert(binding.key, (text.clone(), origin));
            }
        }
        texts
    }

    /// The value for `path` and where it comes from.
    pub(super) fn value(&self, path: &str) -> Option<(&str, Origin)> {
        let (text, origin) = self.0.get(path)?;
        Some((text, origin.clone()))
    }
}

/// The value of one variable, if it is set and not empty.
pub(super) fn variable(
    environment: &Environment<'_>,
    name: &'static str,
    mistakes: &mut Vec<Mistake>,
) -> Option<String> {
    let value = environment(name).filter(|value| !value.is_empty())?;
    let text = value.into_string();
    if text.is_err() {
        mistakes.push(Mistake::at(Origin::Variable(name), "is not UTF-8 text"));
    }
    text.ok()
}
