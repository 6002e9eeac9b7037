//! `HELLO [protover [AUTH username password] [SETNAME clientname]]`, read as Redis reads
//! it (`helloCommand`, networking.c), with Redis' own errors in Redis' own order.

use crate::resp::{Args, Protocol, Refusal};

use super::state::is_valid_name;

/// A well-formed `HELLO`.
#[derive(Debug, PartialEq, Eq)]
pub struct HelloRequest<'a> {
    /// The protocol asked for, if any.
    pub protocol: Option<Protocol>,
    /// `AUTH username password`.
    pub auth: Option<(&'a [u8], &'a [u8])>,
    /// `SETNAME clientname`.
    pub name: Option<&'a [u8]>,
}

impl<'a> HelloRequest<'a> {
    /// Reads the arguments after the command's name.
    pub fn read(mut args: Args<'a>) -> Result<Self, Refusal<'a>> {
        let mut hello = Self {
            protocol: None,
            auth: None,
            name: None,
        };
        if let Some(version) = args.next() {
            hello.protocol = Some(match parse_integer(version) {
                None => return Err(Refusal::HelloVersionNotInteger),
                Some(2) => Protocol::Resp2,
                Some(3) => Protocol::Resp3,
                Some(_) => return Err(Refusal::NoProto),
            });
        }
        while let Some(option) = args.next() {
            if option.eq_ignore_ascii_case(b"AUTH") && args.remaining() >= 2 {
                hello.auth = args.next().zip(args.next());
            } else if option.eq_ignore_ascii_case(b"SETNAME") && args.remaining() >= 1 {
                hello.name = args.next();
                if !hello.name.is_some_and(is_valid_name) {
                    return Err(Refusal::InvalidClientName);
                }
            } else {
                return Err(Refusal::HelloOption { option });
            }
        }
        Ok(hello)
    }
}

/// An integer in the grammar of Redis' `string2ll` (util.c): no sign but `-`, no leading
/// zeros, no spaces.
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let canonical = match text {
        b"0" => true,
        [b'-', b'1'..=b'9', ..] | [b'1'..=b'9', ..] => true,
        _ => false,
    };
    if !canonical {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_follow_the_grammar_of_string2ll() {
        assert_eq!(parse_integer(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_integer(b"0"), Some(0));
        for bad in ["", "+1", "01", "-0", " 1", "1 ", "9223372036854775808", "-"] {
            assert_eq!(parse_integer(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
