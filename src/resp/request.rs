//! Where a client's request ends: a pure, resumable walk over its bytes. It reads lengths and skips
//! what they announce, so the work is proportional to the number of arguments, and however the
//! input is cut every byte is walked once. What it accepts as a multibulk is canonical (one
//! spelling only) and may be forwarded as it came. It allocates nothing and knows no command.

use self::bulk::{bulk, bulks};
use self::head::Head;
use super::inline::is_http;
use super::limits::{Limits, UNAUTHENTICATED_ARGS_MAX};
use super::number::{Decimal, length_line};
use super::violation::ProtocolError;

mod bulk;
mod head;

/// The place in one client's stream of requests; the default is between two of them.
#[derive(Clone, Debug, Default)]
pub struct RequestScanner {
    state: RequestState,
    /// Bytes of the frame under way that are behind us.
    walked: u64,
    /// Arguments of the frame; 0 until its header has been read.
    argc: u32,
    /// Arguments not yet walked to their end, the one under way included.
    args_left: u32,
    /// Where the name begins; 0 until its length has been read.
    name_at: u32,
    name_len: u32,
    /// The beginning of the name, for the test for HTTP.
    head: Head,
}

/// How far one step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advance {
    /// Bytes of the chunk that were walked. All of it unless a frame ended.
    pub consumed: usize,
    /// What ended there, if anything.
    pub event: RequestEvent,
}

/// What a step ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestEvent {
    /// All of the chunk is consumed and the frame is not finished.
    NeedMore,
    /// A multibulk frame has ended.
    Complete(Frame),
    /// An inline request has ended; its text goes through [`super::inline::encode`].
    Inline {
        /// The whole line with its newline.
        bytes: usize,
    },
    /// Something has ended that asks for nothing (`*0`, `*-1`, a blank line): Redis drops it too.
    Empty,
}

/// A complete multibulk request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Length of the whole frame.
    pub bytes: u64,
    /// Number of arguments, the name included; never 0.
    pub argc: u32,
    /// Where the name begins, counted from the frame's first byte.
    pub name_at: u32,
    /// Length of the name.
    pub name_len: u32,
}

/// Lines count their bytes, since Redis bounds a line that does not end.
#[derive(Clone, Copy, Debug, Default)]
enum RequestState {
    #[default]
    Start,
    Inline,
    /// Behind `*`.
    Count(Decimal),
    /// Behind the CR of that line.
    CountLf(Decimal),
    /// Where `$` is expected.
    Arg,
    /// Behind `$`.
    Length(Decimal),
    /// Behind the CR of that line.
    LengthLf(Decimal),
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
}

impl RequestScanner {
    /// Walks `chunk`, the bytes that follow those already walked, up to the end of the frame under
    /// way.
    ///
    /// # Errors
    /// What is wrong with the frame. The error is final: the client is to be answered and closed.
    #[inline]
    pub fn advance(&mut self, chunk: &[u8], limits: &Limits) -> Result<Advance, ProtocolError> {
        if !matches!(self.state, RequestState::Start) {
            return self.resume(chunk, 0, limits);
        }
        match Self::begin(chunk, limits) {
            Ok(frame) => Ok(Advance {
                // The frame lies in the chunk.
                consumed: frame.bytes as usize,
                event: RequestEvent::Complete(frame),
            }),
            Err(begun) => {
                let walked = begun.walked as usize;
                *self = begun;
                self.resume(chunk, walked, limits)
            }
        }
    }

    /// The frame that `chunk` begins with, if all of it is there and nothing about it is odd. What
    /// is not told here is for [`advance`](Self::advance) to say.
    #[inline]
    pub fn whole(chunk: &[u8], limits: &Limits) -> Option<Frame> {
        Self::begin(chunk, limits).ok()
    }

    /// The length of the frame that `chunk` begins with, if all of it is there, nothing about it is odd
    /// and it begins as an earlier one, of `argc` arguments: with the same `head`, which goes to the
    /// end of the line that holds its name. For others [`whole`](Self::whole) tells.
    #[inline(always)]
    pub fn whole_like(head: &[u8], argc: u32, chunk: &[u8], limits: &Limits) -> Option<usize> {
        let arguments = chunk.strip_prefix(head)?;
        let (_, bulk_bytes_max) = limits.allowed();
        let (rest, left) = bulks(arguments, argc.checked_sub(1)?, bulk_bytes_max);
        (left == 0).then(|| chunk.len() - rest.len())
    }

    /// Whether a frame has begun and not ended.
    pub fn in_frame(&self) -> bool {
        !matches!(self.state, RequestState::Start)
    }

    /// Bytes of the frame under way walked so far; 0 between frames.
    pub fn walked(&self) -> u64 {
        self.walked
    }

    /// Bytes that the frame under way is known to need at least.
    pub fn announced(&self) -> u64 {
        self.walked
            + match self.state {
                RequestState::Data { left } => left.saturating_add(2),
                RequestState::DataCr => 2,
                RequestState::DataLf => 1,
                _ => 0,
            }
    }

    /// Where the name of the frame under way is and how long, once all of it has been walked.
    pub fn name(&self) -> Option<(u32, u32)> {
        let end = u64::from(self.name_at) + u64::from(self.name_len);
        (self.name_at > 0 && self.walked >= end).then_some((self.name_at, self.name_len))
    }

    /// Number of arguments of the frame under way, once its header has been read.
    pub fn argc(&self) -> Option<u32> {
        (self.argc > 0).then_some(self.argc)
    }

    /// The fast way in: takes a frame that lies in the chunk as a whole. Of another one it takes
    /// the arguments that do and leaves the rest to [`Self::resume`]; so it does with all that it
    /// does not understand, and only that judges.
    #[inline(always)]
    fn begin(chunk: &[u8], limits: &Limits) -> Result<Frame, Self> {
        let head = match chunk {
            [b'*', after @ ..] => length_line(after),
            _ => None,
        };
        let Some((argc, arguments)) = head else {
            return Err(Self::default());
        };
        let (args_max, bulk_bytes_max) = limits.allowed();
        if argc == 0 || argc > u64::from(args_max) {
            return Err(Self::default());
        }
        let name = bulk(arguments, bulk_bytes_max);
        let Some((name, rest)) = name.filter(|(name, _)| is_plain_name(name)) else {
            return Err(Self::default());
        };
        // Within the bounds just checked; only two short lines stand before the name.
        let (argc, name_len) = (argc as u32, name.len() as u32);
        let name_at = (chunk.len() - rest.len() - name.len() - 2) as u32;
        let (rest, args_left) = bulks(rest, argc - 1, bulk_bytes_max);
        let walked = (chunk.len() - rest.len()) as u64;
        if args_left == 0 {
            return Ok(Frame {
                bytes: walked,
                argc,
                name_at,
                name_len,
            });
        }
        Err(Self {
            state: RequestState::Arg,
            walked,
            argc,
            args_left,
            name_at,
            name_len,
            head: Head::default(),
        })
    }

    /// The slow way, for what follows the first `walked` bytes of the chunk: byte by byte through
    /// lines, in one leap through data.
    #[inline(never)]
    fn resume(
        &mut self,
        chunk: &[u8],
        walked: usize,
        limits: &Limits,
    ) -> Result<Advance, ProtocolError> {
        let mut rest = chunk.get(walked..).unwrap_or_default();
        while let Some((&byte, after)) = rest.split_first() {
            let before = rest.len();
            let event = match self.state {
                RequestState::Data { left } => {
                    rest = self.data(rest, left)?;
                    None
                }
                RequestState::Arg if byte == b'$' && self.args_left < self.argc => {
                    rest = self.args(rest, after, limits);
                    (self.args_left == 0).then(|| self.complete(before - rest.len()))
                }
                RequestState::Inline => {
                    let (event, after) = self.inline(rest, limits)?;
                    rest = after;
                    event
                }
                RequestState::Start if byte != b'*' => {
                    self.state = RequestState::Inline;
                    None
                }
                _ => {
                    rest = after;
                    self.byte(byte, limits)?
                }
            };
            self.walked += (before - rest.len()) as u64;
            if let Some(event) = event {
                *self = Self::default();
                return Ok(Advance {
                    consumed: chunk.len() - rest.len(),
                    event,
                });
            }
        }
        Ok(Advance {
            consumed: chunk.len(),
            event: RequestEvent::NeedMore,
        })
    }

    /// One byte outside of data and inline requests.
    fn byte(&mut self, byte: u8, limits: &Limits) -> Result<Option<RequestEvent>, ProtocolError> {
        self.state = match self.state {
            RequestState::Count(number) if byte == b'\r' => RequestState::CountLf(number),
            RequestState::Count(mut number) => {
                number.push(byte);
                if number.bytes() >= limits.header_allowed() {
                    return Err(ProtocolError::TooBigMultibulkHeader);
                }
                RequestState::Count(number)
            }
            RequestState::CountLf(number) => {
                self.argc = count(number, byte, limits)?;
                self.args_left = self.argc;
                if self.argc == 0 {
                    return Ok(Some(RequestEvent::Empty));
                }
                RequestState::Arg
            }
            RequestState::Arg if byte == b'$' => RequestState::Length(Decimal::default()),
            RequestState::Arg => return Err(ProtocolError::ExpectedDollar(byte)),
            RequestState::Length(number) if byte == b'\r' => RequestState::LengthLf(number),
            RequestState::Length(mut number) => {
                number.push(byte);
                if number.bytes() >= limits.header_allowed() {
                    return Err(ProtocolError::TooBigBulkHeader);
                }
                RequestState::Length(number)
            }
            RequestState::LengthLf(number) => {
                let left = length(number, byte, limits)?;
                self.begin_data(left)?
            }
            RequestState::DataCr if byte == b'\r' => RequestState::DataLf,
            RequestState::DataLf if byte == b'\n' => {
                self.args_left -= 1;
                if self.args_left == 0 {
                    return Ok(Some(self.complete(1)));
                }
                RequestState::Arg
            }
            RequestState::DataCr | RequestState::DataLf => {
                return Err(ProtocolError::InvalidBulkLength);
            }
            // `*`: the other ways to begin, and data, are not walked byte by byte.
            RequestState::Start | RequestState::Inline | RequestState::Data { .. } => {
                RequestState::Count(Decimal::default())
            }
        };
        Ok(None)
    }

    /// Behind the LF of a length line, which is not counted as walked yet.
    fn begin_data(&mut self, left: u64) -> Result<RequestState, ProtocolError> {
        if self.name_at == 0 {
            // No command is named with four gigabytes; so that places in a frame fit 32 bits.
            let name = (u32::try_from(self.walked + 1), u32::try_from(left));
            let (Ok(at), Ok(len)) = name else {
                return Err(ProtocolError::InvalidBulkLength);
            };
            (self.name_at, self.name_len) = (at, len);
        }
        Ok(if left == 0 {
            RequestState::DataCr
        } else {
            RequestState::Data { left }
        })
    }

    /// Leaps through what is here of an argument.
    fn data<'a>(&mut self, rest: &'a [u8], left: u64) -> Result<&'a [u8], ProtocolError> {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
        let (data, after) = rest.split_at_checked(here).unwrap_or((rest, &[]));
        let left = left - here as u64;
        if self.args_left == self.argc {
            self.head.extend(data);
            if left == 0 && self.head.is_http() {
                return Err(ProtocolError::Http);
            }
        }
        self.state = if left == 0 {
            RequestState::DataCr
        } else {
            RequestState::Data { left }
        };
        Ok(after)
    }

    /// Leaps through the arguments that are here as a whole, or else over the `$` of one that is
    /// not.
    fn args<'a>(&mut self, rest: &'a [u8], after: &'a [u8], limits: &Limits) -> &'a [u8] {
        let (rest_after, left) = bulks(rest, self.args_left, limits.allowed().1);
        if left == self.args_left {
            self.state = RequestState::Length(Decimal::default());
            return after;
        }
        self.args_left = left;
        rest_after
    }

    /// The frame that ends `ahead` bytes beyond those counted as walked.
    fn complete(&self, ahead: usize) -> RequestEvent {
        RequestEvent::Complete(Frame {
            bytes: self.walked + ahead as u64,
            argc: self.argc,
            name_at: self.name_at,
            name_len: self.name_len,
        })
    }

    /// An inline request up to its newline, within the bytes it may still have.
    fn inline<'a>(
        &mut self,
        rest: &'a [u8],
        limits: &Limits,
    ) -> Result<(Option<RequestEvent>, &'a [u8]), ProtocolError> {
        let walked = usize::try_from(self.walked).unwrap_or(usize::MAX);
        let room = limits.inline_bytes_max.saturating_sub(walked);
        // One byte more than there is room for: it may be the newline.
        let window = rest.get(..=room).unwrap_or(rest);
        let newline = memchr::memchr(b'\n', window);
        let here = newline.map_or(window.len(), |at| at + 1);
        let (line, after) = rest.split_at_checked(here).unwrap_or((rest, &[]));
        if self.head.extend_word(line) {
            return Err(ProtocolError::Http);
        }
        if self.head.is_tls() {
            return Err(ProtocolError::Tls);
        }
        if newline.is_none() {
            if window.len() > room {
                return Err(ProtocolError::TooBigInline);
            }
            return Ok((None, after));
        }
        let event = if self.head.is_empty() {
            RequestEvent::Empty
        } else {
            RequestEvent::Inline {
                bytes: walked + here,
            }
        };
        Ok((Some(event), after))
    }
}

/// Whether a name may be taken without a closer look.
fn is_plain_name(name: &[u8]) -> bool {
    !is_http(name) && u32::try_from(name.len()).is_ok()
}

/// The number of arguments that a header line announces, judged with the byte behind its CR.
fn count(number: Decimal, after_cr: u8, limits: &Limits) -> Result<u32, ProtocolError> {
    let invalid = ProtocolError::InvalidMultibulkLength;
    if after_cr != b'\n' {
        return Err(invalid);
    }
    let count = number.value().ok_or(invalid)?.max(0);
    let count = i32::try_from(count).map_err(|_| invalid)?.unsigned_abs();
    if !limits.authenticated && count > UNAUTHENTICATED_ARGS_MAX {
        return Err(ProtocolError::UnauthenticatedMultibulkLength);
    }
    if count > limits.args_max {
        return Err(invalid);
    }
    Ok(count)
}

/// The bytes of an argument that a length line announces, judged with the byte behind its CR.
fn length(number: Decimal, after_cr: u8, limits: &Limits) -> Result<u64, ProtocolError> {
    let invalid = ProtocolError::InvalidBulkLength;
    if after_cr != b'\n' {
        return Err(invalid);
    }
    let length = u64::try_from(number.value().ok_or(invalid)?).map_err(|_| invalid)?;
    if length > limits.bulk_bytes_max {
        return Err(invalid);
    }
    if length > limits.allowed().1 {
        return Err(ProtocolError::UnauthenticatedBulkLength);
    }
    Ok(length)
}

#[cfg(test)]
pub(crate) mod tests;
