//! One request to the server and its whole reply, on a connection that nobody else uses.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::resp::{Element, Limits, ReplyScanner, element};

use super::transport::Transport;

/// What is told of a connection that ended at a request's or reply's edge or within.
pub const CLOSED: &str = "the server closed the connection";

/// Largest reply read here, in bytes: `COMMAND` of a server with many modules.
const REPLY_BYTES_MAX: usize = 16 << 20;

/// Sends `request` and reads its reply. The error is a sentence for people.
pub async fn exchange(
    transport: &mut Transport,
    request: &[u8],
    limits: &Limits,
) -> Result<Vec<u8>, String> {
    transport.write_all(request).await.map_err(lost)?;
    let mut scanner = ReplyScanner::default();
    let mut reply = Vec::new();
    let mut chunk = vec![0u8; 64 << 10];
    loop {
        let n = transport.read(&mut chunk).await.map_err(lost)?;
        let part = chunk.get(..n).unwrap_or_default();
        if part.is_empty() {
            return Err(CLOSED.to_owned());
        }
        let advance = scanner
            .advance(part, limits)
            .map_err(|e| format!("malformed reply: {}", e.label()))?;
        reply.extend_from_slice(part);
        if advance.complete {
            return match advance.consumed == n {
                true => Ok(reply),
                false => Err("unsolicited reply".to_owned()),
            };
        }
        if reply.len() > REPLY_BYTES_MAX {
            return Err("reply too large".to_owned());
        }
    }
}

/// Whether a reply is an error that begins so.
pub fn is_error(reply: &[u8], beginning: &[u8]) -> bool {
    matches!(element(reply), Some(Element::Error(text)) if text.starts_with(beginning))
}

/// What an error says, or any other reply that was not expected.
pub fn words(reply: &[u8]) -> String {
    let text = match element(reply) {
        Some(Element::Error(text)) => text,
        _ => reply,
    };
    String::from_utf8_lossy(text).trim_end().to_owned()
}

/// A reset and a closed connection are one thing: which of them is seen is a matter of timing.
fn lost(error: std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => CLOSED.to_owned(),
        _ => error.to_string(),
    }
}
