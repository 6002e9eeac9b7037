//! The flags that `COMMAND` gives each command, as a set of bits. Only their names are Redis' own;
//! what follows from a flag is decided where a route is chosen.

use std::fmt;
use std::ops::BitOr;

/// A set of command flags.
///
/// Rows of ours carry [`Flags::WRITE`], [`Flags::READONLY`], [`Flags::ADMIN`], [`Flags::PUBSUB`],
/// [`Flags::BLOCKING`], [`Flags::NO_AUTH`] and [`Flags::NO_MULTI`], and what only they tell,
/// [`Flags::MAY_REPLICATE`] and [`Flags::SCRIPT`]: what narrows decides by. The others are there
/// once the server's `COMMAND` has been learned.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u32);

impl Flags {
    /// No flag at all.
    pub const NONE: Flags = Flags(0);
    /// May change the data set.
    pub const WRITE: Flags = Flags(1);
    /// Reads keys and changes none.
    pub const READONLY: Flags = Flags(1 << 1);
    /// For administrators.
    pub const ADMIN: Flags = Flags(1 << 2);
    /// About channels.
    pub const PUBSUB: Flags = Flags(1 << 3);
    /// May keep its connection waiting.
    pub const BLOCKING: Flags = Flags(1 << 4);
    /// Runs before authentication.
    pub const NO_AUTH: Flags = Flags(1 << 5);
    /// Refused inside `MULTI`.
    pub const NO_MULTI: Flags = Flags(1 << 6);
    /// Refused when memory is full.
    pub const DENYOOM: Flags = Flags(1 << 7);
    /// Refused in scripts.
    pub const NOSCRIPT: Flags = Flags(1 << 8);
    /// Runs while the server loads its data.
    pub const LOADING: Flags = Flags(1 << 9);
    /// Runs on a replica that has lost its master.
    pub const STALE: Flags = Flags(1 << 10);
    /// Constant or logarithmic time.
    pub const FAST: Flags = Flags(1 << 11);
    /// Runs while a script keeps the server busy.
    pub const ALLOW_BUSY: Flags = Flags(1 << 12);
    /// Its key positions depend on its arguments.
    pub const MOVABLEKEYS: Flags = Flags(1 << 13);
    /// May be without the keys that its row speaks of.
    pub const NO_MANDATORY_KEYS: Flags = Flags(1 << 14);
    /// Refused while a replica loads its data beside the old data.
    pub const NO_ASYNC_LOADING: Flags = Flags(1 << 15);
    /// Not shown by `MONITOR`.
    pub const SKIP_MONITOR: Flags = Flags(1 << 16);
    /// Not in the slow log.
    pub const SKIP_SLOWLOG: Flags = Flags(1 << 17);
    /// Implies `ASKING` in a cluster.
    pub const ASKING: Flags = Flags(1 << 18);
    /// Belongs to a module.
    pub const MODULE: Flags = Flags(1 << 19);
    /// May be replicated without being a write (`CMD_MAY_REPLICATE`): a server that has paused
    /// writes holds it up. No `COMMAND` tells of it, so rows of ours do.
    pub const MAY_REPLICATE: Flags = Flags(1 << 20);
    /// Runs what its client has written, for as long as that takes. Rows of ours say so.
    pub const SCRIPT: Flags = Flags(1 << 21);
    /// What no server's `COMMAND` tells.
    pub(super) const OURS_ALONE: Flags = Flags(Self::MAY_REPLICATE.0 | Self::SCRIPT.0);

    /// Whether every flag of `wanted` is in the set.
    #[inline]
    pub const fn contains(self, wanted: Flags) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// Whether any flag of `wanted` is in the set.
    #[inline]
    pub const fn intersects(self, wanted: Flags) -> bool {
        self.0 & wanted.0 != 0
    }

    /// Those flags of the set that are in `other` too.
    #[must_use]
    pub(super) const fn only(self, other: Flags) -> Flags {
        Flags(self.0 & other.0)
    }

    /// The set with the flags of `other` added.
    #[must_use]
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// The flag of that name in a `COMMAND` reply. Names that are not known here (later versions
    /// add some) give [`Flags::NONE`].
    pub(super) fn named(name: &[u8]) -> Flags {
        NAMES
            .iter()
            .find(|(text, _)| text.as_bytes() == name)
            .map_or(Flags::NONE, |(_, flag)| *flag)
    }
}

impl BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        self.with(other)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let present = NAMES.iter().filter(|(_, flag)| self.contains(*flag));
        f.debug_set()
            .entries(present.map(|(text, _)| text))
            .finish()
    }
}

/// As Redis spells them (`CommandFlagNames` of its `server.c`, 6.0 to 8).
const NAMES: &[(&str, Flags)] = &[
    ("write", Flags::WRITE),
    ("readonly", Flags::READONLY),
    ("admin", Flags::ADMIN),
    ("pubsub", Flags::PUBSUB),
    ("blocking", Flags::BLOCKING),
    ("no_auth", Flags::NO_AUTH),
    ("no_multi", Flags::NO_MULTI),
    ("denyoom", Flags::DENYOOM),
    ("noscript", Flags::NOSCRIPT),
    ("loading", Flags::LOADING),
    ("stale", Flags::STALE),
    ("fast", Flags::FAST),
    ("allow_busy", Flags::ALLOW_BUSY),
    ("movablekeys", Flags::MOVABLEKEYS),
    ("no_mandatory_keys", Flags::NO_MANDATORY_KEYS),
    ("no_async_loading", Flags::NO_ASYNC_LOADING),
    ("skip_monitor", Flags::SKIP_MONITOR),
    ("skip_slowlog", Flags::SKIP_SLOWLOG),
    ("asking", Flags::ASKING),
    ("module", Flags::MODULE),
];

#[cfg(test)]
mod tests {
    use super::{Flags, NAMES};

    #[test]
    fn every_name_has_a_bit_of_its_own() {
        let all = NAMES.iter().fold(0, |seen, (text, flag)| {
            assert_eq!(flag.0.count_ones(), 1, "{text}");
            assert_eq!(seen & flag.0, 0, "{text}");
            seen | flag.0
        });
        assert_eq!(all.count_ones() as usize, NAMES.len());
    }

    #[test]
    fn flags_of_later_versions_are_ignored() {
        assert_eq!(Flags::named(b"write"), Flags::WRITE);
        assert_eq!(Flags::named(b"write "), Flags::NONE);
        assert_eq!(Flags::named(b"telepathic"), Flags::NONE);
    }
}
