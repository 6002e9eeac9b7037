//! The servers of these tests have no TLS: the load generator speaks none.

use std::path::{Path, PathBuf};

use super::Flavor;

/// Whether a server speaks TLS too.
pub fn is_for(_: Flavor) -> bool {
    false
}

/// The options with which it does.
pub fn options_of_server(_: &Path, _: u16) -> Vec<String> {
    Vec::new()
}

/// Where whoever signs for them would stand.
pub fn authority_in(folder: &Path) -> PathBuf {
    folder.to_owned()
}
