//! Values that know how they are written: blocks of addresses, what has to be right of a certificate.

use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;

use super::{Kind, Raw, Wrong, quoted, toml_string};

/// Whatever a `T` is read from. `allowed` is that in the operator's words.
pub(in crate::config) fn parsed<T>(allowed: &'static str) -> Parsed<T> {
    Parsed {
        allowed,
        value: PhantomData,
    }
}

/// See [`parsed`].
pub(in crate::config) struct Parsed<T> {
    allowed: &'static str,
    value: PhantomData<T>,
}

impl<T> Kind for Parsed<T>
where
    T: FromStr<Err = &'static str> + Display + PartialEq + Clone + 'static,
{
    type Value = T;

    fn read(&self, raw: Raw<'_>) -> Result<T, Vec<Wrong>> {
        let text = raw.text().map_err(|wrong| vec![wrong])?;
        text.parse()
            .map_err(|why| vec![Wrong::new(format!("{} {why}", quoted(text)))])
    }

    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }

    fn show(&self, value: &T) -> String {
        toml_string(&value.to_string())
    }
}
