//! What has to be right of a certificate.

use super::{Kind, Raw, Wrong, quoted, toml_string};
use crate::tls::verify::Verify;

/// Of the server's certificate.
pub(in crate::config) fn verify() -> VerifyKind {
    VerifyKind
}

/// See [`verify`].
pub(in crate::config) struct VerifyKind;

impl Kind for VerifyKind {
    type Value = Verify;

    fn read(&self, raw: Raw<'_>) -> Result<Verify, Vec<Wrong>> {
        let text = raw.text().map_err(|wrong| vec![wrong])?;
        let wrong = |why| vec![Wrong::new(format!("{} {why}", quoted(text)))];
        text.parse().map_err(wrong)
    }

    fn allowed(&self) -> String {
        "\"full\", \"ca\" or \"pin:\" with the certificate's SHA-256 in 64 digits".to_owned()
    }

    fn show(&self, value: &Verify) -> String {
        toml_string(&value.to_string())
    }
}
