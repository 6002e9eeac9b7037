//! Where a backend's reply ends: a pure, resumable walk over every type of RESP2 and RESP3,
//! streamed strings and aggregates and attributes included. A reply streams through without being
//! collected, and every byte is walked once. Anything that is no reply is an error and never
//! resynchronised on. It knows nothing of requests, so nothing of whose reply this is.

use self::nesting::{Nesting, StreamedValue};
use super::limits::{Limits, REPLY_BYTES_MAX, REPLY_ELEMENTS_MAX};
use super::number::{Decimal, is_double_byte};
use super::violation::ReplyError;

mod kind;
mod nesting;
mod value;

pub use self::kind::ReplyKind;

/// The place in one backend's stream of replies; the default is between two of them.
#[derive(Clone, Debug, Default)]
pub struct ReplyScanner {
    state: ReplyState,
    kind: Option<ReplyKind>,
    /// The first byte of the value under way.
    first: u8,
    /// That value is the reply itself, or an attribute in front of it.
    outermost: bool,
    /// The number of the line under way.
    number: Decimal,
    /// Of data under way: bytes to come. Of a line of text: bytes that have come.
    data: u64,
    /// Bytes of the reply under way that are behind us.
    walked: u64,
    nesting: Nesting,
    /// See [`Self::let_pushes_nest`].
    pushes_nest: bool,
}

/// How far one step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyAdvance {
    /// Bytes of the chunk that were walked. All of it unless a reply ended.
    pub consumed: usize,
    /// Whether a reply ended there.
    pub complete: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum ReplyState {
    /// Where a value begins, or a stream ends.
    #[default]
    Value,
    /// Inside a line of text.
    Text,
    TextLf,
    /// Inside a number, boolean or null.
    Scalar,
    ScalarLf,
    /// Inside a length.
    Length,
    LengthLf,
    /// Behind the `?` of a streamed value.
    StreamCr,
    StreamLf,
    /// Behind the `.` that ends one.
    EndCr,
    EndLf,
    Data,
    DataCr,
    DataLf,
}

impl ReplyScanner {
    /// Walks `chunk`, the bytes that follow those already walked, up to the end of one reply.
    ///
    /// # Errors
    /// What is wrong with the reply. The error is final: the connection is to be closed.
    #[inline]
    pub fn advance(&mut self, chunk: &[u8], limits: &Limits) -> Result<ReplyAdvance, ReplyError> {
        if self.walked == 0
            && let Some((kind, rest)) = value::whole(chunk)
        {
            self.kind = Some(kind);
            return Ok(ReplyAdvance {
                consumed: chunk.len() - rest.len(),
                complete: true,
            });
        }
        self.resume(chunk, limits)
    }

    /// Whether a push may stand inside a reply from now on. Redis before 7.2 writes what a transaction
    /// publishes to its own client between the elements of `EXEC`'s reply, where it is one too many
    /// and counts as none (`addReplyPubsubMessage`, pubsub.c); later ones write it behind.
    pub fn let_pushes_nest(&mut self, may: bool) {
        self.pushes_nest = may;
    }

    /// Whether a reply has begun and not ended.
    pub fn in_reply(&self) -> bool {
        self.walked > 0
    }

    /// What the reply under way, or the one that has just ended, is; `None` before its first byte
    /// has come. Attributes belong to the reply that they precede.
    pub fn kind(&self) -> Option<ReplyKind> {
        self.kind
    }

    /// Whether [`kind`](Self::kind) may still turn into [`ReplyKind::Null`]: all that has come is
    /// the beginning of a length, which may be RESP2's -1.
    #[inline]
    pub fn may_become_null(&self) -> bool {
        matches!(self.state, ReplyState::Length | ReplyState::LengthLf)
            && matches!(self.first, b'$' | b'*')
            && self.outermost
    }

    /// Bytes that the reply under way is known to need at least; 0 between replies.
    pub fn announced(&self) -> u64 {
        let data = match self.state {
            ReplyState::Data => self.data.saturating_add(2),
            ReplyState::DataCr => 2,
            ReplyState::DataLf => 1,
            _ => 0,
        };
        let begun = !matches!(self.state, ReplyState::Value);
        self.walked
            .saturating_add(data)
            .saturating_add(self.nesting.announced(begun))
    }

    fn resume(&mut self, chunk: &[u8], limits: &Limits) -> Result<ReplyAdvance, ReplyError> {
        if self.walked == 0 && !chunk.is_empty() {
            self.kind = None;
        }
        let mut rest = chunk;
        while let Some((&byte, after)) = rest.split_first() {
            let (ended, after) = match self.state {
                ReplyState::Value => self.value(rest)?,
                ReplyState::Text => self.text(rest)?,
                ReplyState::Data => (false, self.leap(rest)),
                _ => (self.byte(byte, limits)?, after),
            };
            rest = after;
            if ended {
                self.state = ReplyState::Value;
                self.walked = 0;
                return Ok(ReplyAdvance {
                    consumed: chunk.len() - rest.len(),
                    complete: true,
                });
            }
        }
        self.walked += chunk.len() as u64;
        Ok(ReplyAdvance {
            consumed: chunk.len(),
            complete: false,
        })
    }

    /// Values that are here as a whole; else the first byte of one. True when the reply has ended.
    fn value<'a>(&mut self, mut rest: &'a [u8]) -> Result<(bool, &'a [u8]), ReplyError> {
        while !self.nesting.in_chunks() {
            // The last value may end more than itself, and is left to the common way.
            let (after, taken) = value::run(rest, self.nesting.spare());
            self.nesting.values_ended(taken);
            rest = after;
            if let Some((kind, after)) = value::whole(rest) {
                rest = after;
                self.enter();
                if self.ended(kind) {
                    return Ok((true, rest));
                }
            } else if let Some((first, count, after)) = value::head(rest) {
                rest = after;
                self.first = first;
                self.enter();
                if self.open(count)? {
                    return Ok((true, rest));
                }
            } else {
                break;
            }
        }
        let Some((&first, after)) = rest.split_first() else {
            return Ok((false, rest));
        };
        self.begin(first)?;
        Ok((false, after))
    }

    /// The first byte of a value decides how it goes on.
    fn begin(&mut self, first: u8) -> Result<(), ReplyError> {
        self.first = first;
        self.number = Decimal::default();
        self.data = 0;
        let chunks = self.nesting.in_chunks();
        self.state = match first {
            b';' if chunks => ReplyState::Length,
            _ if chunks => return Err(ReplyError::UnknownType(first)),
            b'+' | b'-' => ReplyState::Text,
            b':' | b',' | b'(' | b'#' | b'_' => ReplyState::Scalar,
            b'$' | b'*' | b'!' | b'=' | b'%' | b'~' | b'>' | b'|' => ReplyState::Length,
            b'.' => ReplyState::EndCr,
            _ => return Err(ReplyError::UnknownType(first)),
        };
        if !matches!(first, b';' | b'.') {
            self.enter();
            self.note();
        }
        Ok(())
    }

    /// A value is under way.
    #[inline(always)]
    fn enter(&mut self) {
        self.nesting.begin();
        self.outermost = self.kind.is_none() && self.nesting.is_outermost();
    }

    /// A line of text up to its CR.
    fn text<'a>(&mut self, rest: &'a [u8]) -> Result<(bool, &'a [u8]), ReplyError> {
        let end = memchr::memchr(b'\r', rest);
        let here = end.unwrap_or(rest.len());
        self.data += here as u64;
        if self.data > REPLY_BYTES_MAX {
            return Err(ReplyError::TooLong);
        }
        let Some(end) = end else {
            return Ok((false, &[]));
        };
        self.state = ReplyState::TextLf;
        Ok((false, rest.get(end + 1..).unwrap_or_default()))
    }

    /// Leaps through what is here of a string.
    fn leap<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let here = usize::try_from(self.data)
            .unwrap_or(usize::MAX)
            .min(rest.len());
        self.data -= here as u64;
        if self.data == 0 {
            self.state = ReplyState::DataCr;
        }
        rest.get(here..).unwrap_or_default()
    }

    /// One byte of a line or of a line's end; true when the reply has ended.
    fn byte(&mut self, byte: u8, limits: &Limits) -> Result<bool, ReplyError> {
        let want_cr = |state| match byte {
            b'\r' => Ok(state),
            _ => Err(ReplyError::MissingLineEnd),
        };
        self.state = match self.state {
            ReplyState::Length if byte == b'?' && self.number.bytes() == 0 => ReplyState::StreamCr,
            ReplyState::Length if byte == b'\r' => ReplyState::LengthLf,
            ReplyState::Scalar if byte == b'\r' => ReplyState::ScalarLf,
            ReplyState::Length | ReplyState::Scalar => {
                self.number.push(byte);
                self.check_scalar(byte)?;
                // A script may make a number as long as it likes.
                let bounded = !matches!(self.first, b'(' | b',');
                if bounded && self.number.bytes() >= limits.header_allowed() {
                    return Err(ReplyError::TooLongLine);
                }
                return Ok(false);
            }
            ReplyState::StreamCr => want_cr(ReplyState::StreamLf)?,
            ReplyState::EndCr => want_cr(ReplyState::EndLf)?,
            ReplyState::DataCr => want_cr(ReplyState::DataLf)?,
            _ if byte != b'\n' => return Err(ReplyError::MissingLineEnd),
            ended => {
                self.state = ReplyState::Value;
                return self.line_ended(ended);
            }
        };
        Ok(false)
    }

    /// Behind the LF of the line that `state` was in; true when the reply has ended.
    fn line_ended(&mut self, state: ReplyState) -> Result<bool, ReplyError> {
        match state {
            ReplyState::LengthLf => self.length(),
            ReplyState::StreamLf => self.open_stream(),
            ReplyState::EndLf => self
                .nesting
                .stream_ended()
                .ok_or(ReplyError::UnknownType(b'.')),
            ReplyState::ScalarLf => {
                let valid = match self.first {
                    b':' => self.number.value().is_some(),
                    b'_' => self.number.bytes() == 0,
                    b'#' => self.number.bytes() == 1,
                    b',' => self.number.bytes() > 0,
                    _ => true,
                };
                if !valid {
                    return Err(ReplyError::InvalidValue(self.first));
                }
                Ok(self.nesting.value_ended())
            }
            _ => Ok(self.nesting.value_ended()),
        }
    }

    /// Judges a byte inside a scalar where the scalar as a whole would be judged too late.
    fn check_scalar(&self, byte: u8) -> Result<(), ReplyError> {
        let valid = match self.first {
            b'#' => matches!(byte, b't' | b'f'),
            b',' => is_double_byte(byte),
            b'(' => byte != b'\n',
            _ => true,
        };
        if valid {
            Ok(())
        } else {
            Err(ReplyError::InvalidValue(self.first))
        }
    }

    /// Behind a line with a length; true when the reply has ended.
    fn length(&mut self) -> Result<bool, ReplyError> {
        let length = self.number.value().ok_or(ReplyError::InvalidLength)?;
        if length == -1 && matches!(self.first, b'$' | b'*') {
            return Ok(self.ended(ReplyKind::Null));
        }
        let length = u64::try_from(length).map_err(|_| ReplyError::InvalidLength)?;
        match self.first {
            // An empty piece ends a streamed string, and has no data at all.
            b';' if length == 0 => self
                .nesting
                .stream_ended()
                .ok_or(ReplyError::UnknownType(b';')),
            b'=' if length < VERBATIM_BYTES_MIN => Err(ReplyError::InvalidLength),
            b'$' | b'!' | b'=' | b';' => {
                if length > REPLY_BYTES_MAX {
                    return Err(ReplyError::TooLong);
                }
                self.data = length;
                self.state = if length == 0 {
                    ReplyState::DataCr
                } else {
                    ReplyState::Data
                };
                Ok(false)
            }
            _ => self.open(length),
        }
    }

    /// Behind the head of an aggregate of `count`; true when the reply has ended.
    fn open(&mut self, count: u64) -> Result<bool, ReplyError> {
        let nested_push = self.first == b'>' && !self.outermost;
        if nested_push && !self.pushes_nest {
            return Err(ReplyError::NestedPush);
        }
        if count > REPLY_ELEMENTS_MAX {
            return Err(ReplyError::InvalidLength);
        }
        self.note();
        match self.first {
            b'|' => self.nesting.attribute(count * 2),
            // No value either.
            _ if nested_push => self.nesting.attribute(count),
            b'%' => self.nesting.open(count * 2),
            _ => self.nesting.open(count),
        }
    }

    /// Behind the head of something whose length is not known.
    fn open_stream(&mut self) -> Result<bool, ReplyError> {
        let stream = match self.first {
            b'$' => StreamedValue::Chunks,
            b'*' | b'~' => StreamedValue::Values,
            b'%' => StreamedValue::Pairs { value_next: false },
            _ => return Err(ReplyError::InvalidLength),
        };
        self.nesting.open_stream(stream)?;
        Ok(false)
    }

    fn ended(&mut self, kind: ReplyKind) -> bool {
        if self.outermost {
            self.kind = Some(kind);
        }
        self.nesting.value_ended()
    }

    /// Remembers what the reply is, unless the value under way is inside it or an attribute.
    fn note(&mut self) {
        if self.outermost
            && let Some(kind) = ReplyKind::of(self.first)
        {
            self.kind = Some(kind);
        }
    }
}

/// The format and its colon: `txt:`.
const VERBATIM_BYTES_MIN: u64 = 4;

#[cfg(test)]
mod tests;
