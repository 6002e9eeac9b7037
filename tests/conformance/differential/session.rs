//! A session: what several clients send, in which order and in which pieces. It knows nothing of what
//! is answered.

use crate::support::command;

/// Not a request, or one that ends its client. No HTTP: there Redis drops replies that it has not
/// written yet.
pub(crate) const NO_REQUESTS: &[&[u8]] = &[
    b"*x\r\n",
    b"PING \"\r\n",
    b"*1\r\n+PING\r\n",
    b"*1\r\n$-5\r\n",
    b"*2\r\n$3\r\nGET\r\n$536870913\r\n",
    b"*20000000000\r\n",
];

/// As many clients take part in each.
pub(crate) const CLIENTS: usize = 3;

/// A session of several clients with one endpoint.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) steps: Vec<Step>,
    /// Commands that wait a moment only. All others that wait do so until somebody ends it: what is
    /// blocked at the server can be told apart by its name.
    pub(crate) brief: Vec<&'static str>,
}

/// What one client does at a time. The next step is taken when all that comes of it has come.
#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) client: usize,
    pub(crate) requests: Vec<Request>,
    /// How the bytes are cut on their way through narrows.
    pub(crate) cut: Cut,
    pub(crate) ending: Ending,
}

/// Into how many pieces bytes are cut.
#[derive(Clone, Copy)]
pub(crate) enum Cut {
    Whole,
    /// At places that follow from this seed.
    Pieces(u64),
}

/// What becomes of the connection behind the bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Open,
    /// The client sends no more.
    HalfClose,
    /// The client is gone.
    Leave,
}

/// One request, or what is none.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) words: Vec<Vec<u8>>,
    pub(crate) form: Form,
}

/// How a request goes over the wire.
#[derive(Clone)]
pub(crate) enum Form {
    Array,
    Inline,
    /// These bytes, whatever they are.
    Raw(&'static [u8]),
}

impl Session {
    /// For people, and for the one who plays it again.
    pub(crate) fn lines(&self) -> String {
        self.steps.iter().map(Step::line).collect()
    }
}

impl Step {
    pub(crate) fn line(&self) -> String {
        let requests: Vec<String> = self.requests.iter().map(Request::shown).collect();
        let ending = match self.ending {
            Ending::Open => "",
            Ending::HalfClose => "  (sends no more)",
            Ending::Leave => "  (leaves)",
        };
        let cut = match self.cut {
            Cut::Whole => String::new(),
            Cut::Pieces(seed) => format!("  (cut {seed})"),
        };
        let (client, requests) = (self.client + 1, requests.join("  |  "));
        format!("  {client}> {requests}{ending}{cut}\n")
    }
}

impl Request {
    pub(crate) fn of(words: &[&str]) -> Self {
        Self {
            words: words.iter().map(|word| word.as_bytes().to_vec()).collect(),
            form: Form::Array,
        }
    }

    /// As it goes over the wire, with the clients' ids in it.
    pub(crate) fn bytes(&self, ids: &[String]) -> Vec<u8> {
        let fill = |word: &Vec<u8>| match word.as_slice() {
            b"{id1}" => ids[0].clone().into_bytes(),
            b"{id2}" => ids[1].clone().into_bytes(),
            b"{id3}" => ids[2].clone().into_bytes(),
            _ => word.clone(),
        };
        let words: Vec<Vec<u8>> = self.words.iter().map(fill).collect();
        match self.form {
            Form::Array => command(&words),
            Form::Inline => [words.join(&b' '), b"\r\n".to_vec()].concat(),
            Form::Raw(bytes) => bytes.to_vec(),
        }
    }

    /// The command and its first argument, in capitals.
    pub(crate) fn name(&self) -> (String, String) {
        let word = |at: usize| {
            let word = self.words.get(at).map(Vec::as_slice).unwrap_or_default();
            String::from_utf8_lossy(word).to_uppercase()
        };
        (word(0), word(1))
    }

    /// Whether it is one that ends its client, being no request.
    pub(crate) fn is_none(&self) -> bool {
        matches!(self.form, Form::Raw(bytes) if NO_REQUESTS.contains(&bytes))
    }

    /// Whether it has no words, and nothing is to be done.
    pub(crate) fn is_without_words(&self) -> bool {
        matches!(self.form, Form::Raw(_)) && !self.is_none()
    }

    /// The client that it names by its id.
    pub(crate) fn other(&self) -> Option<usize> {
        let id = self
            .words
            .iter()
            .find_map(|word| word.strip_prefix(b"{id"))?;
        Some(usize::from(id.first()?.checked_sub(b'1')?))
    }

    fn shown(&self) -> String {
        match self.form {
            Form::Raw(bytes) => format!("raw \"{}\"", bytes.escape_ascii()),
            Form::Array | Form::Inline => {
                let words: Vec<String> = self.words.iter().map(|word| quoted(word)).collect();
                let line = match self.form {
                    Form::Inline => "inline ",
                    _ => "",
                };
                format!("{line}{}", words.join(" "))
            }
        }
    }
}

fn quoted(word: &[u8]) -> String {
    let text = word.escape_ascii().to_string();
    let plain = !text.is_empty() && !text.contains([' ', '"', '\\', '|']);
    match text.char_indices().nth(100) {
        _ if plain && text.len() <= 100 => text,
        None => format!("\"{text}\""),
        Some((at, _)) => format!("\"{}...\" ({} bytes)", &text[..at], word.len()),
    }
}
