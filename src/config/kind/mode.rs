//! Permission bits of a file.

use toml::de::DeValue;

use super::number::said;
use super::{Kind, Raw, Wrong};

/// Permission bits.
pub(in crate::config) fn mode() -> Mode {
    Mode
}

/// Permission bits, in octal only: `700` written without a sign of octal is a trap.
pub(in crate::config) struct Mode;

impl Kind for Mode {
    type Value = u32;

    fn read(&self, raw: Raw<'_>) -> Result<u32, Vec<Wrong>> {
        let digits = match &raw {
            Raw::Toml(DeValue::Integer(number)) if number.radix() == 8 => Some(number.as_str()),
            Raw::Toml(DeValue::Integer(_)) => None,
            other => Some(other.text().map_err(|wrong| vec![wrong])?),
        };
        digits
            .and_then(|digits| u32::from_str_radix(digits.trim_start_matches("0o"), 8).ok())
            .filter(|mode| *mode <= 0o777)
            .ok_or_else(|| {
                let text = format!("{} is not an octal permission mode", said(&raw));
                vec![Wrong::new(text)]
            })
    }

    fn form(&self) -> &'static str {
        "a string such as \"0770\" or a number such as 0o770"
    }

    fn allowed(&self) -> String {
        "0000 to 0777, octal".to_owned()
    }

    fn show(&self, value: &u32) -> String {
        format!("\"{value:04o}\"")
    }
}
