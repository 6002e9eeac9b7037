//! A part of a whole, as a number with a fraction.

use toml::de::DeValue;

use super::number::said;
use super::{Kind, Raw, Wrong};

/// A part from `min` to `max`.
pub(in crate::config) fn ratio(min: f64, max: f64) -> Ratio {
    Ratio { min, max }
}

/// A part of one.
pub(in crate::config) struct Ratio {
    min: f64,
    max: f64,
}

impl Kind for Ratio {
    type Value = f64;

    fn read(&self, raw: Raw<'_>) -> Result<f64, Vec<Wrong>> {
        let parsed = match &raw {
            Raw::Toml(DeValue::Float(number)) => number.as_str().parse().ok(),
            Raw::Toml(DeValue::Integer(number)) => number.as_str().parse().ok(),
            Raw::Toml(_) => None,
            Raw::Text(text) => text.parse().ok(),
        };
        let number: f64 =
            parsed.ok_or_else(|| vec![Wrong::new(format!("{} is not a number", said(&raw)))])?;
        if (self.min..=self.max).contains(&number) {
            Ok(number)
        } else {
            Err(vec![Wrong::new(format!("{number} is out of range"))])
        }
    }

    fn form(&self) -> &'static str {
        "a number"
    }

    fn allowed(&self) -> String {
        format!("{:?} to {:?}", self.min, self.max)
    }

    fn show(&self, value: &f64) -> String {
        format!("{value:?}")
    }
}
