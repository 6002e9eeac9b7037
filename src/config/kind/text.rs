//! Values that are words: checked strings, choices, yes or no, paths.

use std::path::PathBuf;

use toml::de::DeValue;

use super::number::said;
use super::{Kind, Raw, Wrong, quoted, toml_string};

/// A string that `check` accepts; it says what is wrong with another. `allowed` is that in
/// the operator's words.
pub(in crate::config) fn text(
    allowed: &'static str,
    check: fn(&str) -> Result<(), String>,
) -> Text {
    Text {
        allowed,
        check,
        shown: str::to_owned,
    }
}

/// The same for what holds a secret: `shown` is all of it that may be told.
pub(in crate::config) fn secret_text(
    allowed: &'static str,
    check: fn(&str) -> Result<(), String>,
    shown: fn(&str) -> String,
) -> Text {
    Text {
        allowed,
        check,
        shown,
    }
}

/// One of `names`, each standing for a value.
pub(in crate::config) fn choice<T>(names: &'static [(&'static str, T)]) -> Choice<T> {
    Choice { names }
}

/// `true` or `false`.
pub(in crate::config) fn boolean() -> Boolean {
    Boolean
}

/// A path of the file system; the empty string is none.
pub(in crate::config) fn path() -> OptionalPath {
    OptionalPath
}

/// See [`text`].
pub(in crate::config) struct Text {
    allowed: &'static str,
    check: fn(&str) -> Result<(), String>,
    shown: fn(&str) -> String,
}

impl Kind for Text {
    type Value = String;

    fn read(&self, raw: Raw<'_>) -> Result<String, Vec<Wrong>> {
        let text = raw.text().map_err(|wrong| vec![wrong])?;
        match (self.check)(text) {
            Ok(()) => Ok(text.to_owned()),
            Err(why) => {
                let text = quoted(&(self.shown)(text));
                Err(vec![Wrong::new(format!("{text} {why}"))])
            }
        }
    }

    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }

    fn show(&self, value: &String) -> String {
        toml_string(&(self.shown)(value))
    }
}

/// See [`choice`].
pub(in crate::config) struct Choice<T: 'static> {
    names: &'static [(&'static str, T)],
}

impl<T: PartialEq + Clone + 'static> Kind for Choice<T> {
    type Value = T;

    fn read(&self, raw: Raw<'_>) -> Result<T, Vec<Wrong>> {
        let text = raw.text().map_err(|wrong| vec![wrong])?;
        let found = self.names.iter().find(|(name, _)| *name == text);
        found.map(|(_, value)| value.clone()).ok_or_else(|| {
            let text = format!("{} is not one of the choices", quoted(text));
            vec![Wrong::new(text)]
        })
    }

    fn allowed(&self) -> String {
        let names: Vec<_> = self.names.iter().map(|(name, _)| quoted(name)).collect();
        names.join(" or ")
    }

    fn show(&self, value: &T) -> String {
        let found = self.names.iter().find(|(_, known)| known == value);
        toml_string(found.map_or("", |(name, _)| name))
    }
}

/// See [`boolean`].
pub(in crate::config) struct Boolean;

impl Kind for Boolean {
    type Value = bool;

    fn read(&self, raw: Raw<'_>) -> Result<bool, Vec<Wrong>> {
        match &raw {
            Raw::Toml(DeValue::Boolean(value)) => Ok(*value),
            Raw::Text("true") => Ok(true),
            Raw::Text("false") => Ok(false),
            _ => {
                let text = format!("{} is neither true nor false", said(&raw));
                Err(vec![Wrong::new(text)])
            }
        }
    }

    fn allowed(&self) -> String {
        "true or false".to_owned()
    }

    fn show(&self, value: &bool) -> String {
        value.to_string()
    }
}

/// See [`path`].
pub(in crate::config) struct OptionalPath;

impl Kind for OptionalPath {
    type Value = Option<PathBuf>;

    fn read(&self, raw: Raw<'_>) -> Result<Option<PathBuf>, Vec<Wrong>> {
        let text = raw.text().map_err(|wrong| vec![wrong])?;
        if text.contains('\0') {
            return Err(vec![Wrong::new("a path cannot hold a NUL byte")]);
        }
        Ok((!text.is_empty()).then(|| PathBuf::from(text)))
    }

    fn allowed(&self) -> String {
        "a path, or \"\" for none".to_owned()
    }

    fn show(&self, value: &Option<PathBuf>) -> String {
        let shown = value.as_ref().map(|path| path.display().to_string());
        toml_string(&shown.unwrap_or_default())
    }
}
