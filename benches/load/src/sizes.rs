//! How long the values are: one size, a range, or a weighted choice.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::tag::TAG_BYTES;

/// The distribution of value sizes, in bytes. Sizes below the head of a value are raised to it.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueSizes {
    choices: Vec<Choice>,
    total: f64,
}

#[derive(Clone, Debug, PartialEq)]
struct Choice {
    least: u32,
    most: u32,
    weight: f64,
}

impl ValueSizes {
    /// All of one size.
    pub fn fixed(bytes: u32) -> Self {
        Self::between(bytes, bytes)
    }

    /// Evenly distributed over the orders of magnitude from `least` to `most`.
    pub fn between(least: u32, most: u32) -> Self {
        let least = least.max(TAG_BYTES as u32);
        let choice = Choice {
            least,
            most: most.max(least),
            weight: 1.0,
        };
        Self {
            choices: vec![choice],
            total: 1.0,
        }
    }

    /// The size of the next value.
    pub(crate) fn pick(&self, chance: &mut fastrand::Rng) -> u32 {
        let mut place = if self.choices.len() > 1 {
            chance.f64() * self.total
        } else {
            0.0
        };
        let found = self.choices.iter().find(|choice| {
            place -= choice.weight;
            place < 0.0
        });
        match found {
            None => TAG_BYTES as u32,
            Some(choice) if choice.least == choice.most => choice.least,
            Some(Choice { least, most, .. }) => {
                let ratio = f64::from(*most) / f64::from(*least);
                let size = f64::from(*least) * ratio.powf(chance.f64());
                (size as u32).clamp(*least, *most)
            }
        }
    }
}

impl FromStr for ValueSizes {
    type Err = String;

    /// `64`, `64-4096`, `64=9,1k-1m=1`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut choices = Vec::new();
        for part in text.split(',') {
            let (range, weight) = part.split_once('=').unwrap_or((part, "1"));
            let weight: f64 = weight
                .parse()
                .map_err(|_| format!("{weight}: not a weight"))?;
            if !weight.is_finite() || weight <= 0.0 {
                return Err(format!("{part}: the weight must be above 0"));
            }
            let (least, most) = range.split_once('-').unwrap_or((range, range));
            let (least, most) = (bytes(least)?, bytes(most)?);
            if most < least || most > BYTES_MAX {
                return Err(format!("{range}: sizes rise and end at {BYTES_MAX} bytes"));
            }
            let Self { choices: more, .. } = Self::between(least, most);
            choices.extend(more.into_iter().map(|choice| Choice { weight, ..choice }));
        }
        let total = choices.iter().map(|choice| choice.weight).sum();
        Ok(Self { choices, total })
    }
}

/// A number of bytes with an optional `k` or `m` (1024s).
fn bytes(text: &str) -> Result<u32, String> {
    let lower = text.trim().to_ascii_lowercase();
    let (digits, unit) = match lower.strip_suffix('k') {
        Some(digits) => (digits, 1024),
        None => match lower.strip_suffix('m') {
            Some(digits) => (digits, 1024 * 1024),
            None => (lower.as_str(), 1),
        },
    };
    let number: u32 = digits.parse().map_err(|_| format!("{text}: not a size"))?;
    number
        .checked_mul(unit)
        .ok_or(format!("{text}: too large a size"))
}

impl fmt::Display for ValueSizes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, choice) in self.choices.iter().enumerate() {
            if place > 0 {
                formatter.write_str(",")?;
            }
            write!(formatter, "{}", choice.least)?;
            if choice.most > choice.least {
                write!(formatter, "-{}", choice.most)?;
            }
            if self.choices.len() > 1 {
                write!(formatter, "={}", choice.weight)?;
            }
        }
        Ok(())
    }
}

impl Serialize for ValueSizes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A value is built in memory; larger ones say nothing more about a proxy.
const BYTES_MAX: u32 = 256 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown_alike() {
        for text in ["64", "64-4096", "64=9,1024-1048576=1"] {
            assert_eq!(text.parse::<ValueSizes>().unwrap().to_string(), text);
        }
        assert_eq!(
            "1k-1m".parse::<ValueSizes>().unwrap().to_string(),
            "1024-1048576"
        );
        for wrong in ["", "x", "9-1", "64=0", "1g"] {
            assert!(wrong.parse::<ValueSizes>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_size_is_within_its_range_and_carries_a_head() {
        let mut chance = fastrand::Rng::with_seed(1);
        let sizes: ValueSizes = "1=1,1000-2000=1".parse().unwrap();
        let picked: Vec<u32> = (0..1000).map(|_| sizes.pick(&mut chance)).collect();
        assert!(
            picked
                .iter()
                .all(|size| *size == 48 || (1000..=2000).contains(size))
        );
        let small = picked.iter().filter(|size| **size == 48).count();
        assert!((400..600).contains(&small), "{small}");
    }
}
