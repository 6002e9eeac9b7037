//! `HELLO [protover [AUTH username password] [SETNAME clientname]]`, read as Redis reads
//! it (`helloCommand`, networking.c), with Redis' own errors in Redis' own order.

use crate::resp::{Args, Argument, Protocol, Refusal, integer};

use super::client_names::is_valid_name;

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
            hello.protocol = Some(match integer(version) {
                None => return Err(Refusal::HelloVersionNotInteger),
                Some(2) => Protocol::Resp2,
                Some(3) => Protocol::Resp3,
                Some(_) => return Err(Refusal::HelloVersion),
            });
        }
        while let Some(option) = args.next() {
            if option.eq_ignore_ascii_case(b"AUTH") && args.remaining() >= 2 {
                hello.auth = args.next().zip(args.next());
            } else if option.eq_ignore_ascii_case(b"SETNAME") && args.remaining() >= 1 {
                hello.name = args.next();
                if !hello.name.is_some_and(is_valid_name) {
                    return Err(Refusal::Argument(Argument::ClientName));
                }
            } else {
                return Err(Refusal::HelloOption { option });
            }
        }
        Ok(hello)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::write;

    fn read(args: &[&[u8]]) -> Result<(Option<Protocol>, Option<Vec<u8>>), String> {
        let mut frame = Vec::new();
        write::request(&mut frame, args);
        let mut args = Args::new(&frame);
        args.next();
        match HelloRequest::read(args) {
            Ok(hello) => Ok((hello.protocol, hello.name.map(Into::into))),
            Err(refusal) => {
                let mut out = Vec::new();
                refusal.write(&mut out);
                Err(String::from_utf8(out).unwrap())
            }
        }
    }

    #[test]
    fn options_are_read_in_any_order_and_case() {
        assert_eq!(read(&[b"HELLO"]), Ok((None, None)));
        assert_eq!(
            read(&[b"HELLO", b"3", b"setname", b"me", b"AUTH", b"default", b"x"]),
            Ok((Some(Protocol::Resp3), Some(b"me".to_vec())))
        );
    }

    #[test]
    fn errors_are_those_of_redis() {
        for (args, error) in [
            (
                &[&b"HELLO"[..], b"4"][..],
                "-NOPROTO unsupported protocol version\r\n",
            ),
            (
                &[b"HELLO", b"x"],
                "-ERR Protocol version is not an integer or out of range\r\n",
            ),
            (
                &[b"HELLO", b"3", b"AUTH", b"u"],
                "-ERR Syntax error in HELLO option 'AUTH'\r\n",
            ),
        ] {
            assert_eq!(read(args), Err(error.to_owned()));
        }
    }
}
