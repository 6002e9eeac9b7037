//! What kinds of reply a command may have: a cheap check that a reply belongs to the request whose
//! place it takes. Classes are wide on purpose: they hold for RESP2 and RESP3 and for every version
//! covered, so that only a reply that cannot be this command's fails.

use crate::resp::ReplyKind;

/// A set of kinds of reply. An error is a reply to anything, and is looked at by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape(u8);

impl Shape {
    /// No kind yet: rows begin here.
    pub(super) const NONE: Self = Self(0);
    /// Every kind: nothing is known.
    pub const ANY: Self = Self(0xff);
    /// `+OK` and other lines of text.
    pub const STATUS: Self = Self(1);
    /// Numbers that are whole, and booleans.
    pub const INTEGER: Self = Self(1 << 1);
    /// Strings of any length; doubles, which RESP2 sends as strings.
    pub const STRING: Self = Self(1 << 2);
    /// Arrays, sets and maps.
    pub const LIST: Self = Self(1 << 3);
    /// Nothing, in any of its three forms.
    pub const NULL: Self = Self(1 << 4);

    /// Both sets together.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a whole reply that is no error may be of this kind.
    #[inline]
    pub const fn allows(self, kind: ReplyKind) -> bool {
        let class = match kind {
            ReplyKind::Error | ReplyKind::BlobError => Self::NONE,
            ReplyKind::Status => Self::STATUS,
            ReplyKind::Integer | ReplyKind::Boolean | ReplyKind::BigNumber => Self::INTEGER,
            ReplyKind::Bulk | ReplyKind::Verbatim | ReplyKind::Double => Self::STRING,
            ReplyKind::Array | ReplyKind::Set | ReplyKind::Map => Self::LIST,
            ReplyKind::Null => Self::NULL,
            ReplyKind::Push => Self::NONE,
        };
        self.0 & class.0 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_never_passes_unseen() {
        for shape in [Shape::STATUS, Shape::NULL, Shape::ANY] {
            assert!(!shape.allows(ReplyKind::Error) && !shape.allows(ReplyKind::BlobError));
        }
    }

    #[test]
    fn a_push_is_a_reply_to_nothing_known() {
        assert!(!Shape::STATUS.or(Shape::LIST).allows(ReplyKind::Push));
    }

    #[test]
    fn a_string_or_nothing_is_neither_a_number_nor_a_list() {
        let shape = Shape::STRING.or(Shape::NULL);
        assert!(shape.allows(ReplyKind::Bulk) && shape.allows(ReplyKind::Null));
        assert!(!shape.allows(ReplyKind::Integer) && !shape.allows(ReplyKind::Status));
        assert!(!shape.allows(ReplyKind::Array));
    }
}
