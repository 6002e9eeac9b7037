//! Conversations, written the way one types them. They are data: who has them with whom, and what
//! comes of it, is the fixture's matter.
//!
//! One request a line, with quotes as in `redis-cli`: `'raw'`, `"a\r\n\x00"`. In front of it may stand
//!
//! ```text
//! 2>       the second client says it (connected before the first word)
//! ~        it has no reply
//! !        it may have replies, and the connection ends with it
//! inline:  the rest of the line goes as it is, with an end of line
//! raw:     the rest of the line, a quoted word, goes as it is
//! ```
//!
//! and `{id2}`, `{addr2}`, `{laddr2}` in it become the second client's.

use crate::support::command;

/// A conversation of one or more clients with one endpoint.
#[derive(Clone, Debug)]
pub struct Conversation {
    pub name: String,
    pub steps: Vec<Step>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Step {
    /// Counted from 0.
    pub client: usize,
    /// As it was written, for messages and for naming away.
    pub request: String,
    pub ending: Ending,
    form: Form,
}

/// What a request leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    Reply,
    Silence,
    Close,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Array,
    Inline,
    Raw,
}

/// Conversations by their names.
pub fn conversations(scripts: &[(&str, &str)]) -> Vec<Conversation> {
    let conversation = |(name, script): &(&str, &str)| Conversation::new(name, script);
    scripts.iter().map(conversation).collect()
}

impl Conversation {
    pub fn new(name: &str, script: &str) -> Self {
        let steps = script
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(Step::new)
            .collect();
        Self {
            name: name.to_owned(),
            steps,
        }
    }

    /// The same, begun by every client with `HELLO 3`.
    pub fn in_resp3(&self) -> Self {
        let hellos = (0..self.clients()).map(|client| Step {
            client,
            ..Step::new("HELLO 3")
        });
        Self {
            name: format!("{} (RESP3)", self.name),
            steps: hellos.chain(self.steps.iter().cloned()).collect(),
        }
    }

    pub fn clients(&self) -> usize {
        self.steps
            .iter()
            .map(|step| step.client + 1)
            .max()
            .unwrap_or(1)
    }

    /// Whether the requests speak of ids or addresses that are known only after connecting.
    pub fn has_places(&self) -> bool {
        self.steps.iter().any(|step| step.request.contains('{'))
    }
}

impl Step {
    fn new(line: &str) -> Self {
        let (client, line) = match line.split_once('>') {
            Some((number, rest)) if number.len() == 1 && number < "9" => {
                (number.parse::<usize>().unwrap() - 1, rest.trim())
            }
            _ => (0, line),
        };
        let (ending, line) = match line.as_bytes() {
            [b'~', ..] => (Ending::Silence, line[1..].trim()),
            [b'!', ..] => (Ending::Close, line[1..].trim()),
            _ => (Ending::Reply, line),
        };
        let (form, request) = if let Some(rest) = line.strip_prefix("inline:") {
            (Form::Inline, rest.trim())
        } else if let Some(rest) = line.strip_prefix("raw:") {
            (Form::Raw, rest.trim())
        } else {
            (Form::Array, line)
        };
        Self {
            client,
            request: request.to_owned(),
            ending,
            form,
        }
    }

    /// What goes over the wire, once `{...}` has been replaced by `fill`.
    pub fn bytes(&self, fill: impl Fn(&str) -> String) -> Vec<u8> {
        let request = fill(&self.request);
        match self.form {
            Form::Inline => format!("{request}\r\n").into_bytes(),
            Form::Raw => words(&request).concat(),
            Form::Array => command(&words(&request)),
        }
    }
}

/// Splits a line into arguments. Its own reader on purpose: narrows' is under test.
pub fn words(line: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut bytes = line.bytes().peekable();
    while let Some(first) = bytes.next() {
        let mut word = Vec::new();
        match first {
            b' ' => continue,
            b'\'' => word.extend(bytes.by_ref().take_while(|byte| *byte != b'\'')),
            b'"' => loop {
                match bytes.next().expect("a closing quote") {
                    b'"' => break,
                    b'\\' => word.push(match bytes.next().expect("an escape") {
                        b'r' => b'\r',
                        b'n' => b'\n',
                        b'x' => {
                            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                            u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                        }
                        other => other,
                    }),
                    other => word.push(other),
                }
            },
            other => {
                word.push(other);
                while let Some(byte) = bytes.next_if(|byte| *byte != b' ') {
                    word.push(byte);
                }
            }
        }
        words.push(word);
    }
    words
}
