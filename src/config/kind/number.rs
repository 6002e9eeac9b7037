//! Whole numbers and what is made of them: counts, sizes in bytes, durations. Each with its
//! range; zero may be allowed beside it with a meaning of its own.

use std::fmt::Display;
use std::marker::PhantomData;
use std::time::Duration;

use toml::de::DeValue;

use super::{Kind, Raw, Wrong, quoted};

/// A whole number from `min` to `max`.
pub(in crate::config) fn count<T>(min: u64, max: u64) -> Number<T, Count> {
    Number::new(min, max)
}

/// A size from `min` to `max` bytes.
pub(in crate::config) fn bytes<T>(min: u64, max: u64) -> Number<T, Bytes> {
    Number::new(min, max)
}

/// A duration from `min` to `max` milliseconds.
pub(in crate::config) fn duration(min_ms: u64, max_ms: u64) -> Number<Duration, Milliseconds> {
    Number::new(min_ms, max_ms)
}

/// How the raw number is written.
pub(in crate::config) trait Unit {
    fn read(raw: &Raw<'_>) -> Result<u64, Wrong>;
    fn show(value: u64) -> String;
    fn in_file(value: u64) -> String;
    const FORM: &'static str;
}

/// What the raw number is stored as.
pub(in crate::config) trait Stored: PartialEq + Clone {
    fn from_number(number: u64) -> Option<Self>;
    fn to_number(&self) -> u64;
}

/// A number in a range.
pub(in crate::config) struct Number<T, U> {
    min: u64,
    max: u64,
    zero: Option<&'static str>,
    kind: PhantomData<(T, U)>,
}

impl<T, U> Number<T, U> {
    fn new(min: u64, max: u64) -> Self {
        Self {
            min,
            max,
            zero: None,
            kind: PhantomData,
        }
    }

    /// Zero is allowed beside the range, and means `meaning`.
    pub(in crate::config) fn or_zero(self, meaning: &'static str) -> Self {
        Self {
            zero: Some(meaning),
            ..self
        }
    }
}

impl<T: Stored + 'static, U: Unit> Kind for Number<T, U> {
    type Value = T;

    fn read(&self, raw: Raw<'_>) -> Result<T, Vec<Wrong>> {
        let number = U::read(&raw).map_err(|wrong| vec![wrong])?;
        let inside = (self.min..=self.max).contains(&number) || number == 0 && self.zero.is_some();
        inside
            .then(|| T::from_number(number))
            .flatten()
            .ok_or_else(|| vec![Wrong::new(format!("{} is out of range", U::show(number)))])
    }

    fn form(&self) -> &'static str {
        U::FORM
    }

    fn allowed(&self) -> String {
        let range = format!("{} to {}", U::show(self.min), U::show(self.max));
        match self.zero {
            Some(meaning) => format!("{range}, or 0: {meaning}"),
            None => range,
        }
    }

    fn show(&self, value: &T) -> String {
        U::in_file(value.to_number())
    }
}

/// Unit of a plain count.
pub(in crate::config) struct Count;

impl Unit for Count {
    fn read(raw: &Raw<'_>) -> Result<u64, Wrong> {
        whole(raw)?.ok_or_else(|| Wrong::new(format!("{} is not a whole number", said(raw))))
    }

    fn show(value: u64) -> String {
        value.to_string()
    }

    fn in_file(value: u64) -> String {
        value.to_string()
    }

    const FORM: &'static str = "a whole number";
}

/// Unit of a size.
pub(in crate::config) struct Bytes;

const BYTE_UNITS: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl Unit for Bytes {
    fn read(raw: &Raw<'_>) -> Result<u64, Wrong> {
        if let Some(number) = whole(raw)? {
            return Ok(number);
        }
        with_unit(raw, &BYTE_UNITS)
            .ok_or_else(|| Wrong::new(format!("{} is not a size", said(raw))))
    }

    fn show(value: u64) -> String {
        show_bytes(value)
    }

    fn in_file(value: u64) -> String {
        format!("\"{}\"", show_bytes(value))
    }

    const FORM: &'static str =
        "a size such as \"64KiB\" or \"1MiB\" (B, KiB, MiB, GiB, TiB) or a number of bytes";
}

/// `value` bytes in the largest unit that divides it.
pub(in crate::config) fn show_bytes(value: u64) -> String {
    in_largest_unit(value, &BYTE_UNITS)
}

/// Unit of a duration.
pub(in crate::config) struct Milliseconds;

const TIME_UNITS: [(&str, u64); 5] = [
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

impl Unit for Milliseconds {
    fn read(raw: &Raw<'_>) -> Result<u64, Wrong> {
        match whole(raw)? {
            Some(0) => return Ok(0),
            Some(number) => {
                let text = format!("{number} has no unit");
                return Err(Wrong::new(text));
            }
            None => {}
        }
        with_unit(raw, &TIME_UNITS)
            .ok_or_else(|| Wrong::new(format!("{} is not a duration", said(raw))))
    }

    fn show(value: u64) -> String {
        in_largest_unit(value, &TIME_UNITS)
    }

    fn in_file(value: u64) -> String {
        match value {
            0 => "0".to_owned(),
            _ => format!("\"{}\"", Self::show(value)),
        }
    }

    const FORM: &'static str = "a duration such as \"20ms\", \"3s\" or \"1h\" (ms, s, m, h, d)";
}

/// `value` in the largest unit that divides it.
pub(in crate::config) fn show_duration(value: Duration) -> String {
    Milliseconds::show(value.to_number())
}

impl Stored for Duration {
    fn from_number(number: u64) -> Option<Self> {
        Some(Self::from_millis(number))
    }

    fn to_number(&self) -> u64 {
        u64::try_from(self.as_millis()).unwrap_or(u64::MAX)
    }
}

macro_rules! stored_as {
    ($($whole:ty),*) => {$(
        impl Stored for $whole {
            fn from_number(number: u64) -> Option<Self> {
                Self::try_from(number).ok()
            }

            fn to_number(&self) -> u64 {
                u64::try_from(*self).unwrap_or(u64::MAX)
            }
        }
    )*};
}

stored_as!(u32, u64, usize);

/// The whole number that stands there bare, `None` for a string that is more than digits.
fn whole(raw: &Raw<'_>) -> Result<Option<u64>, Wrong> {
    match raw {
        Raw::Toml(DeValue::Integer(number)) => u64::from_str_radix(number.as_str(), number.radix())
            .map(Some)
            .map_err(|_| Wrong::new(format!("{number} is out of range"))),
        Raw::Toml(DeValue::String(text)) => Ok(text.parse().ok()),
        Raw::Text(text) => Ok(text.parse().ok()),
        Raw::Toml(_) => Ok(None),
    }
}

/// The number in front of one of `units`, times the unit.
fn with_unit(raw: &Raw<'_>, units: &[(&str, u64)]) -> Option<u64> {
    let text = raw.text().ok()?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn in_largest_unit(value: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, factor): &&(&str, u64)| value >= *factor && value.is_multiple_of(*factor);
    match units.iter().find(fits) {
        Some((name, factor)) => format!("{}{name}", value / factor),
        None => value.to_string(),
    }
}

/// The value for a message: numbers as they stand, strings quoted, the rest by type.
pub(super) fn said(raw: &Raw<'_>) -> String {
    let shown: &dyn Display = match raw {
        Raw::Toml(DeValue::Integer(number)) => number,
        Raw::Toml(DeValue::Float(number)) => number,
        _ => match raw.text() {
            Ok(text) => return quoted(text),
            Err(_) => raw,
        },
    };
    shown.to_string()
}

#[cfg(test)]
mod tests;
