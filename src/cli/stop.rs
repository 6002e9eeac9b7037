//! Why nothing is started: help was asked for, or a mistake was made.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use crate::config::Mistakes;

/// A text to print before leaving, and the code to leave with. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// What to print, with its newline at the end.
    pub text: String,
    /// 0 after help or the version, which go to stdout; 2 after wrong usage or a wrong
    /// configuration, which go to stderr.
    pub code: u8,
}

impl Stop {
    /// Prints the text where it belongs. A closed stdout or stderr is nobody's fault.
    pub fn print(&self) -> ExitCode {
        let _ = match self.code {
            0 => io::stdout().write_all(self.text.as_bytes()),
            _ => io::stderr().write_all(self.text.as_bytes()),
        };
        ExitCode::from(self.code)
    }

    /// What clap says about `words`. It quotes words that it does not understand: one that may
    /// be a URL with a password is not repeated.
    pub(super) fn of_clap(why: &clap::Error, words: &[OsString]) -> Self {
        let styled = why.render();
        let terminal = match why.use_stderr() {
            true => io::stderr().is_terminal(),
            false => io::stdout().is_terminal(),
        };
        let mut text = match terminal && std::env::var_os("NO_COLOR").is_none() {
            true => styled.ansi().to_string(),
            false => styled.to_string(),
        };
        for word in words {
            let word = word.to_string_lossy();
            let value = word.split_once('=').map_or(&*word, |(_, value)| value);
            for secret in [&*word, value] {
                if secret.contains('@') || secret.contains("://") {
                    text = text.replace(secret, "(not shown)");
                }
            }
        }
        let code = if why.use_stderr() { USAGE } else { 0 };
        Self { text, code }
    }
}

impl From<Mistakes> for Stop {
    fn from(mistakes: Mistakes) -> Self {
        let count = mistakes.list().len();
        let word = if count == 1 { "mistake" } else { "mistakes" };
        Self {
            text: format!(
                "narrows: {count} {word} in the configuration, nothing is started\n{mistakes}\n"
            ),
            code: USAGE,
        }
    }
}

/// Wrong usage or configuration, as clap and most programs have it.
const USAGE: u8 = 2;
