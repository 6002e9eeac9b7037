//! The kinds of values a key can have: how each is read from TOML, from a variable or from a
//! flag, what is allowed, and how it is written down. Knows nothing of keys and files.

mod list;
mod mode;
mod number;
mod parsed;
mod place;
mod ratio;
mod text;

use toml::de::DeValue;

pub(super) use list::list;
pub(super) use mode::mode;
pub(super) use number::{bytes, count, duration, show_bytes, show_duration};
pub(super) use parsed::parsed;
pub(super) use place::{address, tcp_address, url};
pub(super) use ratio::ratio;
pub(super) use text::{boolean, choice, path, secret_text, text};

/// A value as its source has it.
pub(super) enum Raw<'a> {
    /// From a file.
    Toml(&'a DeValue<'a>),
    /// From a variable or a flag.
    Text(&'a str),
}

/// Why a raw value cannot be taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// What is wrong; what is allowed is added by the reader.
    pub(super) text: String,
    /// The element of a list that is meant: its offset in the file in bytes, if it is in
    /// one, and what an element may be.
    pub(super) element: Option<(Option<usize>, String)>,
}

impl Wrong {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            element: None,
        }
    }
}

/// A kind of value.
pub(super) trait Kind {
    /// What it is read into.
    type Value: PartialEq + Clone + 'static;

    /// The value, or everything that is wrong with it.
    fn read(&self, raw: Raw<'_>) -> Result<Self::Value, Vec<Wrong>>;

    /// How the value is written, for somebody who wrote it wrongly: "a duration such as ..".
    /// Empty where the range says it all.
    fn form(&self) -> &'static str {
        ""
    }

    /// The range in words, as the comment in `config/narrows.toml` states it.
    fn allowed(&self) -> String;

    /// The value as it would stand in a file, secrets hidden.
    fn show(&self, value: &Self::Value) -> String;

    /// Form and range together.
    fn expected(&self) -> String {
        match self.form() {
            "" => self.allowed(),
            form => format!("{form}, {}", self.allowed()),
        }
    }
}

impl Raw<'_> {
    /// The text of a string, or of anything outside of a file.
    fn text(&self) -> Result<&str, Wrong> {
        match self {
            Raw::Text(text) => Ok(text),
            Raw::Toml(DeValue::String(text)) => Ok(text),
            Raw::Toml(_) => Err(Wrong::new(format!("a string is expected, not {self}"))),
        }
    }
}

impl std::fmt::Display for Raw<'_> {
    /// Names the type, never the value: it may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Raw::Text(_) | Raw::Toml(DeValue::String(_)) => "a string",
            Raw::Toml(DeValue::Integer(_)) => "a whole number",
            Raw::Toml(DeValue::Float(_)) => "a number with a fraction",
            Raw::Toml(DeValue::Boolean(_)) => "true or false",
            Raw::Toml(DeValue::Datetime(_)) => "a date",
            Raw::Toml(DeValue::Array(_)) => "a list",
            Raw::Toml(DeValue::Table(_)) => "a table",
        })
    }
}

/// `text` for a message: quoted, control characters escaped, cut at 60 characters. What may
/// be a URL with a password that has come to the wrong place is not shown.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    if text.contains('@') {
        return "the value (not shown)".to_owned();
    }
    if text.chars().count() <= SHOWN_MAX {
        return format!("{text:?}");
    }
    let cut: String = text.chars().take(SHOWN_MAX).collect();
    format!("{cut:?}...")
}

/// `text` as a TOML string on one line, which the `toml` crate would not keep it to.
pub(super) fn toml_string(text: &str) -> String {
    let mut shown = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => shown.extend(['\\', letter]),
            _ if letter.is_control() => {
                shown.push_str(&format!("\\u{:04X}", u32::from(letter)));
            }
            _ => shown.push(letter),
        }
    }
    shown + "\""
}
