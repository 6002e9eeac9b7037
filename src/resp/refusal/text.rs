//! How an error's text is put together around what a client wrote.

use crate::resp::write;

/// The error of `head`, `middle` and `tail`.
pub(super) fn quoted(out: &mut Vec<u8>, head: &[u8], middle: &[u8], tail: &[&[u8]]) {
    write::error_bytes(out, &joined(&[head, middle, &tail.concat()]));
}

pub(super) fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// As much of a text as C takes for it.
pub(super) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}
