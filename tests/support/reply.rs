//! One reply: its exact bytes, and a tree of values for the tests that ask for its meaning. A plain
//! recursive reader on purpose, with nothing shared with the scanner that it is used to judge.

use std::fmt;

/// A complete RESP2 or RESP3 reply.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    raw: Vec<u8>,
}

/// What a reply means.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// `+` status
    Status(String),
    /// `-` or `!`
    Error(String),
    /// `:`
    Integer(i64),
    /// `$`, and `=` with its three letters and colon
    Bulk(Vec<u8>),
    /// `$-1`, `*-1`, `_`
    Null,
    /// `,` and `(` as they are written
    Number(String),
    /// `#`
    Boolean(bool),
    /// `*` and `~`
    Array(Vec<Value>),
    /// `%`; the attributes of `|` are skipped
    Map(Vec<(Value, Value)>),
    /// `>`
    Push(Vec<Value>),
}

impl Reply {
    pub(super) fn new(raw: Vec<u8>) -> Self {
        Self { raw }
    }

    /// The bytes as they came.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    pub fn value(&self) -> Value {
        let mut reader = Reader {
            bytes: &self.raw,
            at: 0,
        };
        reader.value().unwrap().expect("a reply is complete")
    }

    pub fn is_error(&self) -> bool {
        matches!(self.value(), Value::Error(_))
    }

    /// The text of a status, an error, a bulk string or a number.
    #[track_caller]
    pub fn text(&self) -> String {
        match self.value() {
            Value::Status(text) | Value::Error(text) | Value::Number(text) => text,
            Value::Bulk(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Value::Integer(number) => number.to_string(),
            other => panic!("not a text: {other:?}"),
        }
    }

    #[track_caller]
    pub fn integer(&self) -> i64 {
        match self.value() {
            Value::Integer(number) => number,
            other => panic!("not an integer: {other:?}"),
        }
    }

    #[track_caller]
    pub fn items(&self) -> Vec<Value> {
        match self.value() {
            Value::Array(items) | Value::Push(items) => items,
            other => panic!("not an array: {other:?}"),
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\"", self.raw.escape_ascii())
    }
}

/// How many bytes the reply at the start of `bytes` takes; `None` when it is not complete.
pub fn frame_bytes(bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut reader = Reader { bytes, at: 0 };
    Ok(reader.value()?.map(|_| reader.at))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// `None`: the bytes end before the value does.
type Partial<T> = Result<Option<T>, String>;

/// Takes the value, or leaves the function when there is none yet.
macro_rules! complete {
    ($partial:expr) => {
        match $partial? {
            Some(value) => value,
            None => return Ok(None),
        }
    };
}

impl Reader<'_> {
    fn value(&mut self) -> Partial<Value> {
        let line = complete!(self.line());
        let (kind, text) = (
            line.chars().next().unwrap_or(' '),
            line.get(1..).unwrap_or(""),
        );
        let value = match kind {
            '+' => Value::Status(text.to_owned()),
            '-' => Value::Error(text.to_owned()),
            ':' => Value::Integer(number(text)?),
            ',' | '(' => Value::Number(text.to_owned()),
            '#' => Value::Boolean(text == "t"),
            '_' => Value::Null,
            '$' | '*' if text == "-1" => Value::Null,
            '$' | '=' => Value::Bulk(complete!(self.blob(text))),
            '!' => Value::Error(String::from_utf8_lossy(&complete!(self.blob(text))).into_owned()),
            '*' | '~' => Value::Array(complete!(self.values(text, 1))),
            '>' => Value::Push(complete!(self.values(text, 1))),
            '%' => Value::Map(pairs(complete!(self.values(text, 2)))),
            '|' => {
                complete!(self.values(text, 2));
                return self.value();
            }
            _ => return Err(format!("not a reply: {line:?}")),
        };
        Ok(Some(value))
    }

    /// The line at hand without its end.
    fn line(&mut self) -> Partial<String> {
        let rest = &self.bytes[self.at..];
        let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") else {
            return Ok(None);
        };
        self.at += end + 2;
        Ok(Some(String::from_utf8_lossy(&rest[..end]).into_owned()))
    }

    fn blob(&mut self, length: &str) -> Partial<Vec<u8>> {
        if length == "?" {
            return self.streamed_blob();
        }
        let length: usize = number(length)?;
        let rest = &self.bytes[self.at..];
        if rest.len() < length + 2 {
            return Ok(None);
        }
        if &rest[length..length + 2] != b"\r\n" {
            return Err(format!(
                "a bulk string of {length} bytes does not end with CR LF"
            ));
        }
        self.at += length + 2;
        Ok(Some(rest[..length].to_vec()))
    }

    /// `;4 data` and so on up to `;0`.
    fn streamed_blob(&mut self) -> Partial<Vec<u8>> {
        let mut blob = Vec::new();
        loop {
            let line = complete!(self.line());
            let length = line
                .strip_prefix(';')
                .ok_or_else(|| format!("not a chunk: {line:?}"))?;
            if length == "0" {
                return Ok(Some(blob));
            }
            blob.extend(complete!(self.blob(length)));
        }
    }

    /// As many values as `count` says, times `factor`, or up to `.` where it is `?`.
    fn values(&mut self, count: &str, factor: usize) -> Partial<Vec<Value>> {
        let count = if count == "?" {
            None
        } else {
            Some(number::<usize>(count)? * factor)
        };
        let mut values = Vec::new();
        // Redis before 7.2 writes what a transaction publishes to its own client inside the reply
        // of EXEC, where it is one too many.
        let mut pushes = 0;
        while count.is_none_or(|count| values.len() - pushes < count) {
            if count.is_none() && self.bytes[self.at..].starts_with(b".\r\n") {
                self.at += 3;
                break;
            }
            let value = complete!(self.value());
            pushes += usize::from(matches!(value, Value::Push(_)));
            values.push(value);
        }
        Ok(Some(values))
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("not a number: {text:?}"))
}

fn pairs(values: Vec<Value>) -> Vec<(Value, Value)> {
    let mut values = values.into_iter();
    std::iter::from_fn(|| Some((values.next()?, values.next()?))).collect()
}
