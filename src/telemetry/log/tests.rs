//! What a log line looks like, and that nothing an event holds can break it.

use std::sync::Arc;

use parking_lot::Mutex;

use super::*;

#[derive(Clone, Default)]
struct LogBuffer(Arc<Mutex<Vec<u8>>>);

impl Write for LogBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for LogBuffer {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// What `events` write under `level` and `format`.
fn logged(level: &str, format: LogFormat, colours: bool, events: impl FnOnce()) -> String {
    let memory = LogBuffer::default();
    let settings = LogSettings {
        level: level.to_owned(),
        format,
    };
    let (subscriber, _) = subscriber(&settings, colours, memory.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, events);
    let bytes = memory.0.lock().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn text_and_json_carry_message_and_fields() {
    let event = || tracing::info!(clients = 3, "ready");
    let text = logged("info", LogFormat::Text, false, event);
    assert!(
        text.contains("INFO") && text.contains("ready clients=3"),
        "{text}"
    );
    let json = logged("info", LogFormat::Json, true, event);
    assert!(json.starts_with('{') && json.ends_with("}\n"), "{json}");
    assert!(
        json.contains("\"message\":\"ready\"") && json.contains("\"clients\":3"),
        "{json}"
    );
}

#[test]
fn less_severe_events_are_not_written_and_directives_are_obeyed() {
    let events = || {
        tracing::debug!("small");
        tracing::debug!(target: "chosen", "wanted");
        tracing::warn!("large");
    };
    let text = logged("warn,chosen=debug", LogFormat::Text, false, events);
    assert!(
        text.contains("wanted") && text.contains("large") && !text.contains("small"),
        "{text}"
    );
    assert_eq!(logged("off", LogFormat::Text, false, events), "");
}

#[test]
fn an_event_stays_on_one_line_whatever_it_holds() {
    let hostile = "a\r\nINFO forged\x1b[2Jb\0c\x07\u{9b}2J\x7f\x1b";
    for format in [LogFormat::Text, LogFormat::Json] {
        let event = || tracing::warn!(name = %hostile, "told {hostile}");
        let text = logged("info", format, false, event);
        let body = text.strip_suffix('\n').unwrap();
        assert!(!body.chars().any(char::is_control), "{body:?}");
        assert!(body.contains("forged"));
    }
}

#[test]
fn on_a_terminal_a_value_can_do_no_more_than_change_colours() {
    let hostile = "x\x1b[2J\x1b]0;title\x07\x1b[\x1b[1;3\nend";
    let event = || tracing::warn!(name = %hostile, "told");
    let text = logged("info", LogFormat::Text, true, event);
    let body = text.strip_suffix('\n').unwrap();
    for part in body.split('\x1b').skip(1) {
        let code = part.strip_prefix('[').and_then(|code| code.split_once('m'));
        let (digits, _) = code.unwrap_or_else(|| panic!("{body:?}"));
        assert!(
            digits.bytes().all(|b| b.is_ascii_digit() || b == b';'),
            "{body:?}"
        );
    }
    assert!(!body.contains(['\n', '\x07']), "{body:?}");
    assert!(
        body.contains("\\u001b[2J") && body.contains("\\nend"),
        "{body:?}"
    );
}

#[test]
fn text_of_any_script_is_written_as_it_is() {
    let event = || tracing::warn!(name = "für Ünï 日本 ©", "a\tb");
    let text = logged("info", LogFormat::Text, false, event);
    assert!(
        text.contains("für Ünï 日本 ©") && text.contains("a\tb"),
        "{text}"
    );
}

#[test]
fn colours_are_written_only_when_asked_for() {
    let event = || tracing::warn!("x");
    assert!(logged("info", LogFormat::Text, true, event).contains('\x1b'));
    assert!(!logged("info", LogFormat::Text, false, event).contains('\x1b'));
    assert!(!logged("info", LogFormat::Json, true, event).contains('\x1b'));
}

#[test]
fn a_mistyped_level_is_refused() {
    for level in [
        "info",
        "off",
        "warn,narrows::engine=debug",
        "narrows=trace, info",
    ] {
        assert_eq!(check_level(level), Ok(()), "{level}");
    }
    for level in [
        "inof",
        "",
        " ",
        "info,",
        "narrows=loud",
        "INFO!",
        "info debug",
    ] {
        assert!(check_level(level).is_err(), "{level}");
    }
    let settings = LogSettings {
        level: "inof".to_owned(),
        format: LogFormat::Text,
    };
    assert!(matches!(
        subscriber(&settings, false, io::sink),
        Err(LogError::Level(_))
    ));
}

#[test]
fn blanks_around_directives_change_nothing() {
    let plain = filter("narrows=trace,info").unwrap().to_string();
    for level in [
        " narrows=trace,info",
        "narrows=trace, info ",
        "narrows=trace\t,\x0cinfo",
    ] {
        assert_eq!(filter(level).unwrap().to_string(), plain, "{level:?}");
    }
    // Where a letter of two bytes stands as far in as there were blanks before it.
    assert!(filter(" \u{da}\u{da}a=b").is_err());
    assert!(filter("\x0c\x0c\x0c\u{da}\u{da}\u{da}level=log").is_err());
}

#[test]
fn the_level_can_be_changed_while_the_log_is_written() {
    for format in [LogFormat::Text, LogFormat::Json] {
        let memory = LogBuffer::default();
        let settings = LogSettings {
            format,
            ..LogSettings::default()
        };
        let (subscriber, level) = subscriber(&settings, false, memory.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let event = |name| tracing::debug!(name, "small");
            event("first");
            level.set("debug").unwrap();
            event("second");
            assert!(level.set("debgu").is_err());
            event("third");
            level.set("off").unwrap();
            tracing::error!("fourth");
        });
        let text = String::from_utf8(memory.0.lock().clone()).unwrap();
        let names: Vec<_> = ["first", "second", "third", "fourth"]
            .into_iter()
            .filter(|name| text.contains(name))
            .collect();
        assert_eq!(names, ["second", "third"], "{text}");
    }
}
