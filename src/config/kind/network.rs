//! Blocks of addresses.

use super::{Kind, Raw, Wrong, quoted, toml_string};
use crate::runtime::network::Network as Value;

/// One block of addresses.
pub(in crate::config) fn network() -> NetworkBlock {
    NetworkBlock
}

/// See [`network`].
pub(in crate::config) struct NetworkBlock;

impl Kind for NetworkBlock {
    type Value = Value;

    fn read(&self, raw: Raw<'_>) -> Result<Value, Vec<Wrong>> {
        let text = raw.text().map_err(|wrong| vec![wrong])?;
        text.parse()
            .map_err(|why| vec![Wrong::new(format!("{} {why}", quoted(text)))])
    }

    fn allowed(&self) -> String {
        "an address, or a block such as \"10.0.0.0/8\"".to_owned()
    }

    fn show(&self, value: &Value) -> String {
        toml_string(&value.to_string())
    }
}
