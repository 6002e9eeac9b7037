//! What was wrong with the configuration, and where each value came from. Mistakes are
//! collected, not returned at the first one: an operator repairs a file once. Texts never
//! hold a secret: whoever makes a mistake must not quote a URL or a password.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Where a value came from. The order is that of precedence, weakest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Origin {
    /// Nobody set it.
    #[default]
    Default,
    /// The configuration file.
    File {
        /// The file as it was named to narrows.
        path: PathBuf,
        /// Counted from 1; 0 is the file as a whole.
        line: usize,
    },
    /// A variable of the environment, by its name.
    Variable(&'static str),
    /// A flag of the command line, by its name with the dashes.
    Flag(&'static str),
}

impl Origin {
    /// Place in the order of precedence, without the line.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File { .. } => 1,
            Self::Variable(_) => 2,
            Self::Flag(_) => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: 0 } => write!(f, "{}", path.display()),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// The origin of every key that somebody set, by its path (`pool.queue_timeout`).
#[derive(Debug, Clone, Default)]
pub(super) struct Origins(BTreeMap<&'static str, Origin>);

impl Origins {
    pub(super) fn set(&mut self, path: &'static str, origin: Origin) {
        self.0.insert(path, origin);
    }

    pub(super) fn of(&self, path: &str) -> Origin {
        self.0.get(path).cloned().unwrap_or_default()
    }
}

/// One mistake: where, which key, what is wrong and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Where it is to be repaired.
    pub origin: Origin,
    /// Path of the key, where there is one and the origin does not name it.
    pub key: Option<String>,
    /// What is wrong and what is allowed.
    pub text: String,
}

impl Mistake {
    /// A mistake about the value of `key`.
    pub(super) fn about(origin: Origin, key: &str, text: impl Into<String>) -> Self {
        Self {
            origin,
            key: Some(key.to_owned()),
            text: text.into(),
        }
    }

    /// Whether it is about a file that TLS needs.
    pub fn is_of_tls_files(&self) -> bool {
        let key = self.key.as_deref().unwrap_or_default();
        key.contains("tls.") && key.contains("_file")
    }

    /// A mistake that is not about one key.
    pub(super) fn at(origin: Origin, text: impl Into<String>) -> Self {
        Self {
            origin,
            key: None,
            text: text.into(),
        }
    }
}

impl fmt::Display for Mistake {
    /// One line, whatever the names and values hold that are quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = match (&self.key, &self.origin) {
            (Some(key), Origin::File { .. } | Origin::Default) => format!("{key}: "),
            _ => String::new(),
        };
        let text = format!("{}: {key}{}", self.origin, self.text);
        f.write_str(&one_line(&text))
    }
}

/// `text` with its control characters escaped: what a file names or says must not forge a line or
/// steer a terminal.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_control() {
            true => line.extend(letter.escape_default()),
            false => line.push(letter),
        }
    }
    line
}

/// All mistakes of one reading, at least one: those of the file by line, then those of the
/// environment, then those of the command line. Displayed one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// `Ok` when `list` is empty.
    pub(super) fn none_in(mut list: Vec<Mistake>) -> Result<(), Self> {
        list.sort();
        list.dedup();
        if list.is_empty() {
            Ok(())
        } else {
            Err(Self(list))
        }
    }

    /// The mistakes, in the order described above.
    pub fn list(&self) -> &[Mistake] {
        &self.0
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mistake) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
