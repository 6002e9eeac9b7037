//! The worst that a run can find: a reply that its request cannot have. All that helps to explain it
//! is kept with it: both clients, what they sent and heard last, and the bytes.

use std::fmt;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

/// What is wrong with a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OffenceKind {
    /// It carries the tag of another client.
    Foreign,
    /// It carries a value of this client, but of another key or db.
    Misplaced,
    /// A value, number or element that cannot be there: too old, lost, or carried out twice.
    Stale,
    /// A value that is not whole, or not all of one piece.
    Torn,
    /// It is not of the kind that the request asks for.
    Shape,
    /// An error that no weather explains.
    Error,
    /// Nobody has asked for it.
    Unsolicited,
    /// It is no RESP.
    Broken,
}

/// One of the clients of an offence.
#[derive(Clone, Debug, Serialize)]
pub struct Party {
    /// Its number in the run.
    pub client: u32,
    /// `web`, `storm` and so on.
    pub persona: String,
    /// 2 or 3.
    pub protocol: i64,
    /// The db it has selected.
    pub db: u16,
    /// The local address of its present connection.
    pub source: String,
    /// The requests that wait for their replies, the oldest first.
    pub waiting: Vec<String>,
    /// What it sent and heard last, the oldest first.
    pub history: Vec<String>,
}

/// A reply that must not be.
#[derive(Clone, Debug, Serialize, thiserror::Error)]
pub struct Offence {
    /// What is wrong with it.
    pub kind: OffenceKind,
    /// Seconds since the run began.
    pub at_s: f64,
    /// The request that it came for; empty when there was none.
    pub request: String,
    /// What would have been right.
    pub expected: String,
    /// Length of what came instead.
    pub received_bytes: usize,
    /// What came instead, escaped; the beginning of a long one.
    pub received: String,
    /// The client that heard it.
    pub hearer: Party,
    /// The client whose tag it carries, where it carries one.
    pub tagged: Option<u32>,
    /// That client.
    pub other: Option<Party>,
    /// The file that this was written to.
    pub dump: Option<PathBuf>,
}

impl fmt::Display for Offence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, at_s, .. } = self;
        writeln!(formatter, "OFFENCE ({kind:?}) after {at_s:.6} s")?;
        writeln!(formatter, "  request   {}", self.request)?;
        writeln!(formatter, "  expected  {}", self.expected)?;
        let bytes = self.received_bytes;
        writeln!(formatter, "  received  {bytes} bytes: {}", self.received)?;
        match self.tagged {
            Some(client) => writeln!(formatter, "  its tag   is client {client}'s")?,
            None => writeln!(formatter, "  its tag   cannot be told")?,
        }
        write!(formatter, "heard by {}", self.hearer)?;
        if let Some(other) = &self.other {
            write!(formatter, "its tag is that of {other}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Party {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            client,
            persona,
            protocol,
            db,
            source,
            ..
        } = self;
        writeln!(
            formatter,
            "client {client} ({persona}, RESP{protocol}, db {db}, from {source})"
        )?;
        for line in &self.history {
            writeln!(formatter, "  {line}")?;
        }
        for waiting in &self.waiting {
            writeln!(formatter, "  {:>13}  waits  {waiting}", "")?;
        }
        Ok(())
    }
}

impl Offence {
    /// Writes it to a file of its own in `folder`, and notes where.
    pub(crate) fn dump(&mut self, folder: &std::path::Path, run: u32) {
        let path = folder.join(format!("narrows-load-offence-{run:08x}.txt"));
        let mut text = self.to_string();
        if let Ok(json) = serde_json::to_string_pretty(self) {
            let _ = write!(text, "\n{json}\n");
        }
        match std::fs::write(&path, text) {
            Ok(()) => self.dump = Some(path),
            Err(error) => eprintln!("cannot write {}: {error}", path.display()),
        }
    }
}

/// Bytes for people: escaped, and cut.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let cut = bytes.get(..BYTES_SHOWN_MAX).unwrap_or(bytes);
    let more = if cut.len() < bytes.len() { " …" } else { "" };
    format!("\"{}\"{more}", cut.escape_ascii())
}

const BYTES_SHOWN_MAX: usize = 4096;
