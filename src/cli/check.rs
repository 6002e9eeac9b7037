//! `narrows check`: reads a configuration as a start would, and says what it comes to.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::config::{self, BackendUse, Environment, Sources};

/// A file to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckCommand {
    file: PathBuf,
}

impl CheckCommand {
    pub(super) fn of(file: PathBuf) -> Self {
        Self { file }
    }

    /// Reads the file, with the environment above it as at a start, and writes what there is
    /// to say to `out`. The result is the code to leave with: 0, or 1 if there are mistakes.
    ///
    /// # Errors
    /// `out` cannot be written to.
    pub fn run(&self, environment: &Environment<'_>, out: &mut dyn Write) -> io::Result<u8> {
        let file = self.file.display();
        let loaded = config::load(&Sources {
            file: Some(self.file.clone()),
            environment,
            flags: Vec::new(),
            backend: BackendUse::Configured,
        });
        match loaded {
            Ok(loaded) => {
                write!(out, "{file}: ok\n{}", loaded.summary)?;
                for warning in loaded.warnings {
                    writeln!(out, "  warning: {warning}")?;
                }
                Ok(0)
            }
            Err(mistakes) => {
                let count = mistakes.list().len();
                let word = if count == 1 { "mistake" } else { "mistakes" };
                writeln!(out, "{mistakes}\n{file}: {count} {word}")?;
                Ok(1)
            }
        }
    }
}
