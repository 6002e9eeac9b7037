//! The log: one line an event to stderr, as text for people or as JSON. What clients or
//! servers put into an event cannot forge a second line or reach a terminal's escape codes.
//! Knows nothing of what is logged; callers never log secrets.

use std::io::{self, IsTerminal, Write};

use thiserror::Error;
use tracing::Subscriber;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Registry, fmt, reload};

use super::settings::{LogFormat, LogSettings};

/// Why the log cannot be set up.
#[derive(Debug, Error)]
pub enum LogError {
    /// [`LogSettings::level`] is neither a level nor directives.
    #[error("log.level {0}")]
    Level(String),
    /// Logs are set up already.
    #[error("logs are set up already: {0}")]
    Twice(#[from] SetGlobalDefaultError),
}

/// Changes what is written to the log while the process runs.
pub struct Level(reload::Handle<Targets, Registry>);

impl Level {
    /// From now on what [`LogSettings::level`] says is written.
    ///
    /// # Errors
    /// What is wrong with `level`, in words; the old one stays.
    pub fn set(&self, level: &str) -> Result<(), String> {
        check_level(level)?;
        self.0.reload(filter(level)?).map_err(|why| why.to_string())
    }
}

/// Sends everything that is logged in this process to stderr. Called once.
///
/// # Errors
/// See [`LogError`].
pub fn init(settings: &LogSettings) -> Result<Level, LogError> {
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (subscriber, level) = subscriber(settings, colours, io::stderr)?;
    tracing::subscriber::set_global_default(subscriber)?;
    Ok(level)
}

/// Whether `level` can stand in [`LogSettings::level`].
///
/// # Errors
/// What is wrong, in words. A lone word must be a level: as a directive it would silently
/// name a module, and `inof` would log nothing.
pub fn check_level(level: &str) -> Result<(), String> {
    if level.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    for directive in level.split(',').map(str::trim) {
        let bare = !directive.contains(['=', '[']);
        if bare && !LEVELS.contains(&directive) {
            return Err("is not a level".to_owned());
        }
    }
    filter(level).map(|_| ())
}

/// Blanks around directives are taken off here: the crate takes them for parts of a name (0.3.23).
fn filter(level: &str) -> Result<Targets, String> {
    let directives: Vec<&str> = level.split(',').map(str::trim).collect();
    let filter = directives.join(",").parse::<Targets>();
    filter.map_err(|why| format!("is not a filter: {why}"))
}

/// What the log is made of, and what changes its level.
type Log = (Box<dyn Subscriber + Send + Sync>, Level);

/// The subscriber for `settings`, writing to `writer`.
fn subscriber<W>(settings: &LogSettings, colours: bool, writer: W) -> Result<Log, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    check_level(&settings.level).map_err(LogError::Level)?;
    let filter = filter(&settings.level).map_err(LogError::Level)?;
    let (filter, handle) = reload::Layer::new(filter);
    let registry = Registry::default().with(filter);
    let colours = colours && settings.format == LogFormat::Text;
    let events = fmt::layer()
        .with_ansi(colours)
        .with_writer(OneLine { writer, colours });
    let subscriber: Box<dyn Subscriber + Send + Sync> = match settings.format {
        LogFormat::Text => Box::new(registry.with(events)),
        LogFormat::Json => Box::new(registry.with(events.json().flatten_event(true))),
    };
    Ok((subscriber, Level(handle)))
}

/// The levels, least talkative first.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// A writer in front of `writer` that keeps every event on one line and to its own place on a
/// terminal. The subscriber hands over an event whole, with its newline last; it escapes
/// control characters in the message, but not in fields (0.3.23), and line breaks in neither.
struct OneLine<W> {
    writer: W,
    /// Whether the subscriber writes colours: these alone may pass.
    colours: bool,
}

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for OneLine<W> {
    type Writer = OneLine<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        OneLine {
            writer: self.writer.make_writer(),
            colours: self.colours,
        }
    }
}

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let body = event.strip_suffix(b"\n").unwrap_or(event);
        if !body.iter().any(|byte| may_control(*byte)) {
            self.writer.write_all(event)?;
            return Ok(event.len());
        }
        let mut line = escaped(&String::from_utf8_lossy(body), self.colours);
        line.push('\n');
        self.writer.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Whether `byte` is a control character or begins one of those above ASCII in UTF-8.
fn may_control(byte: u8) -> bool {
    byte < b' ' || byte == 0x7f || byte == 0xc2
}

/// `body` with its control characters as `\n` or `\u001b`, which JSON understands too. With
/// `colours` these pass.
fn escaped(body: &str, colours: bool) -> String {
    let mut line = String::with_capacity(body.len() + 16);
    let mut rest = body;
    while let Some(next) = rest.chars().next() {
        let colour = if colours { colour_at(rest) } else { None };
        let taken = match (colour, next) {
            (Some(colour), _) => {
                line.push_str(colour);
                colour.len()
            }
            (None, c) => {
                match c {
                    '\n' => line.push_str("\\n"),
                    '\r' => line.push_str("\\r"),
                    '\t' => line.push(c),
                    c if c.is_control() => line.push_str(&format!("\\u{:04x}", u32::from(c))),
                    c => line.push(c),
                }
                c.len_utf8()
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    line
}

/// The escape sequence that sets a colour or a style, if `text` begins with one.
fn colour_at(text: &str) -> Option<&str> {
    let after = text.strip_prefix("\x1b[")?;
    let end = after.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    let sequence = after.get(end..)?.starts_with('m');
    sequence.then(|| text.get(..end + 3)).flatten()
}

#[cfg(test)]
mod tests;
