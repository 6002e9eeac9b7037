//! The two dialects a connection can speak. Redis gives every connection one of them (`HELLO`),
//! and the shape of a reply depends on it, so that clients of different dialects never share a
//! backend. This file knows nothing of how either is parsed.

/// The dialect of a connection; a new one speaks RESP2 until it has said `HELLO 3`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Protocol {
    /// RESP2: strings, integers, errors, arrays.
    #[default]
    Resp2,
    /// RESP3: adds maps, sets, doubles, nulls, pushes, attributes and streamed values.
    Resp3,
}

impl Protocol {
    /// The number as `HELLO` and `CLIENT LIST` (`resp=`) write it: 2 or 3.
    pub const fn number(self) -> u8 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }

    /// The dialect that `HELLO <number>` asks for; `None` is answered with `NOPROTO`.
    pub const fn numbered(number: i64) -> Option<Self> {
        match number {
            2 => Some(Self::Resp2),
            3 => Some(Self::Resp3),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Protocol;

    #[test]
    fn a_new_connection_speaks_resp2() {
        assert_eq!(Protocol::default(), Protocol::Resp2);
    }

    #[test]
    fn numbers_name_both_dialects_and_nothing_else() {
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            assert_eq!(Protocol::numbered(protocol.number().into()), Some(protocol));
        }
        for number in [-1, 0, 1, 4, i64::MAX] {
            assert_eq!(Protocol::numbered(number), None);
        }
    }
}
