//! The names of all commands as open-addressing tables: a name of up to 32 bytes is folded to
//! lower case on the stack, hashed once and compared as five words; one of a command of up to eight
//! bytes, as nearly all have that are used a lot, as a single word. It knows indexes, not commands.
//! The hash is fixed, so a table is the same in every run; a server that wished to could make it
//! slow, but a server can do worse.
//!
//! It is own code for its speed (`cargo bench --bench names`): a name that is asked for a lot takes 7 ns
//! here, 20 in `hashbrown`'s `HashMap` of folded bytes, and 39 in one of folded words; any name of
//! narrows' own rows 7, 33 and 39; one that is unknown 9, 20 and 31.

/// From the name of a command, or of a subcommand within its container, to the command's index.
#[derive(Clone, Debug)]
pub(super) struct NameTable {
    /// A power of two of them, at least half of them empty.
    slots: Box<[NameSlot]>,
    /// How far a hash is shifted to give the number of a slot.
    shift: u32,
    /// Commands whose names fit into one word; as above, but three of four are empty.
    short: Box<[Short]>,
    short_shift: u32,
    /// Names longer than [`NAME_BYTES_MAX`]: no server has any of its own, a module may.
    long: Vec<(Scope, Box<[u8]>, u32)>,
}

/// Whose names: those of the commands themselves, or of the subcommands of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scope {
    Commands,
    SubcommandsOf(u32),
}

impl NameTable {
    /// A table with room for `count` names.
    pub(super) fn with_room(count: usize) -> Self {
        let slots = count.saturating_mul(2).max(2).next_power_of_two();
        NameTable {
            slots: vec![NameSlot::default(); slots].into_boxed_slice(),
            shift: u64::BITS - slots.trailing_zeros(),
            short: vec![Short::default(); slots * 2].into_boxed_slice(),
            short_shift: u64::BITS - (slots * 2).trailing_zeros(),
            long: Vec::new(),
        }
    }

    /// Adds a name, given in lower case. A name that is there already stays as it is.
    pub(super) fn insert(&mut self, scope: Scope, name: &str, index: u32) {
        if self.find(scope, name.as_bytes()).is_some() {
            return;
        }
        if let Some(short) = Short::of(scope, name.as_bytes(), index) {
            let home = short.home(self.short_shift);
            let (front, back) = self.short.split_at_mut(home.min(self.short.len()));
            let mut places = back.iter_mut().chain(front);
            if let Some(place) = places.find(|place| place.length == 0) {
                *place = short;
            }
            return;
        }
        let Some(key) = Key::of(scope, name.as_bytes()) else {
            self.long.push((scope, name.as_bytes().into(), index));
            return;
        };
        let home = self.home(&key);
        let (front, back) = self.slots.split_at_mut(home.min(self.slots.len()));
        let empty = back
            .iter_mut()
            .chain(front)
            .find(|slot| slot.key == Key::EMPTY);
        debug_assert!(empty.is_some(), "more names than `with_room` was told of");
        if let Some(slot) = empty {
            *slot = NameSlot { key, index };
        }
    }

    /// The index of a name in any case of letters.
    #[inline]
    pub(super) fn find(&self, scope: Scope, name: &[u8]) -> Option<u32> {
        match Short::of(scope, name, 0) {
            Some(short) => self.find_short(short),
            None => self.find_key(scope, name),
        }
    }

    #[inline]
    fn find_short(&self, name: Short) -> Option<u32> {
        let home = name.home(self.short_shift);
        for at in home..home + self.short.len() {
            let place = self.short.get(at & (self.short.len() - 1))?;
            if (place.word, place.length) == (name.word, name.length) {
                return Some(place.index);
            }
            if place.length == 0 {
                return None;
            }
        }
        None
    }

    fn find_key(&self, scope: Scope, name: &[u8]) -> Option<u32> {
        let Some(key) = Key::of(scope, name) else {
            return self.find_long(scope, name);
        };
        let home = self.home(&key);
        for at in home..home + self.slots.len() {
            let slot = self.slots.get(at & (self.slots.len() - 1))?;
            if slot.key == key {
                return Some(slot.index);
            }
            if slot.key == Key::EMPTY {
                return None;
            }
        }
        None
    }

    #[cold]
    fn find_long(&self, scope: Scope, name: &[u8]) -> Option<u32> {
        let same = |(of, text, _): &&(Scope, Box<[u8]>, u32)| {
            *of == scope && text.eq_ignore_ascii_case(name)
        };
        self.long.iter().find(same).map(|(_, _, index)| *index)
    }

    /// The slot where the search for a key begins.
    #[inline]
    fn home(&self, key: &Key) -> usize {
        // The high bits of a product depend on all bits of its factors.
        usize::try_from(key.hash() >> self.shift).unwrap_or(0)
    }
}

/// The name of a command as one word, and its index.
#[derive(Clone, Copy, Debug, Default)]
struct Short {
    /// Folded, and padded with zeros.
    word: u64,
    /// One more than the name's: it tells `get` from `get\0`, and 0 says that the place is empty.
    length: u32,
    index: u32,
}

impl Short {
    #[inline]
    fn of(scope: Scope, name: &[u8], index: u32) -> Option<Self> {
        if scope != Scope::Commands || name.len() > 8 {
            return None;
        }
        let word = match name.first_chunk() {
            Some(whole) => u64::from_le_bytes(*whole),
            None => padded(name),
        };
        Some(Self {
            word: lower_case(word),
            length: name.len() as u32 + 1,
            index,
        })
    }

    /// The place where the search for it begins.
    #[inline]
    fn home(&self, shift: u32) -> usize {
        let hash = self.word.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        usize::try_from(hash >> shift).unwrap_or(0)
    }
}

/// Longer names than this are not hashed (bytes).
const NAME_BYTES_MAX: usize = 32;

#[derive(Clone, Copy, Debug, Default)]
struct NameSlot {
    key: Key,
    index: u32,
}

/// A folded name: 32 bytes, padded with zeros, then its scope and length.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Key([u64; 5]);

impl Key {
    /// No name folds to this, not even the empty one.
    const EMPTY: Key = Key([0; 5]);

    #[inline]
    fn of(scope: Scope, name: &[u8]) -> Option<Key> {
        let mut words = [0; 5];
        let mut rest = name;
        for word in words.iter_mut().take(NAME_BYTES_MAX / 8) {
            let Some((chunk, behind)) = rest.split_first_chunk() else {
                *word = lower_case(padded(rest));
                rest = &[];
                break;
            };
            *word = lower_case(u64::from_le_bytes(*chunk));
            rest = behind;
        }
        if !rest.is_empty() {
            return None;
        }
        let scope = match scope {
            Scope::Commands => 0,
            Scope::SubcommandsOf(container) => u64::from(container) + 1,
        };
        // The length tells "get" from "get\0"; one more than it, so that nothing equals an empty
        // slot.
        words[4] = scope << 8 | (name.len() as u64 + 1);
        Some(Key(words))
    }

    #[inline]
    fn hash(&self) -> u64 {
        let [a, b, c, d, e] = self.0;
        let mixed = a.wrapping_mul(0x9E37_79B9_7F4A_7C15)
            ^ b.wrapping_mul(0xC2B2_AE3D_27D4_EB4F)
            ^ c.wrapping_mul(0x1656_67B1_9E37_79F9)
            ^ d.wrapping_mul(0xD6E8_FEB8_6659_FD93)
            ^ e.wrapping_mul(0xA076_1D64_78BD_642F);
        (mixed ^ mixed >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

/// Fewer than 8 bytes as a little-endian word. Two loads that may overlap, and none from a buffer
/// that has just been written: the processor would have to wait for that.
#[inline]
fn padded(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let shift = 8 * (bytes.len() - 4);
        return u64::from(u32::from_le_bytes(*first))
            | u64::from(u32::from_le_bytes(*last)) << shift;
    }
    match *bytes {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c] => u64::from(u32::from_le_bytes([a, b, c, 0])),
        _ => 0,
    }
}

/// Eight bytes at once, each in the lower case of ASCII.
#[inline]
fn lower_case(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let low = word & (0x7f * EACH);
    // The top bit of each byte says: at least `A`, beyond `Z`, ASCII at all.
    let from_a = low + (0x80 - b'A' as u64) * EACH;
    let beyond_z = low + (0x7f - b'Z' as u64) * EACH;
    let upper = from_a & !beyond_z & !word & (0x80 * EACH);
    word | upper >> 2
}

#[cfg(test)]
mod tests {
    use super::{NameTable, Scope, lower_case, padded};

    #[test]
    fn letters_become_lower_case_and_nothing_else_changes() {
        for byte in 0..=u8::MAX {
            let word = u64::from_le_bytes([byte, b'Z', byte, b'@', b'[', 0xff, byte, b'A']);
            let lower = byte.to_ascii_lowercase();
            let expected = [lower, b'z', lower, b'@', b'[', 0xff, lower, b'a'];
            assert_eq!(lower_case(word).to_le_bytes(), expected);
        }
    }

    #[test]
    fn short_texts_are_padded_with_zeros() {
        let bytes = [1, 2, 3, 4, 5, 6, 7];
        for len in 0..=bytes.len() {
            let mut expected = [0; 8];
            expected[..len].copy_from_slice(&bytes[..len]);
            assert_eq!(padded(&bytes[..len]).to_le_bytes(), expected);
        }
    }

    #[test]
    fn names_are_found_in_any_case_of_letters() {
        let mut names = NameTable::with_room(2);
        names.insert(Scope::Commands, "get", 7);
        for name in ["get", "GET", "gEt"] {
            assert_eq!(names.find(Scope::Commands, name.as_bytes()), Some(7));
        }
        for name in ["", "ge", "gets", "get\0", "g\u{0}t", "{et"] {
            assert_eq!(
                names.find(Scope::Commands, name.as_bytes()),
                None,
                "{name:?}"
            );
        }
    }

    #[test]
    fn a_subcommand_is_found_only_in_its_container() {
        let mut names = NameTable::with_room(3);
        names.insert(Scope::Commands, "help", 1);
        names.insert(Scope::SubcommandsOf(0), "help", 2);
        names.insert(Scope::SubcommandsOf(1), "help", 3);
        assert_eq!(names.find(Scope::Commands, b"HELP"), Some(1));
        assert_eq!(names.find(Scope::SubcommandsOf(0), b"HELP"), Some(2));
        assert_eq!(names.find(Scope::SubcommandsOf(1), b"HELP"), Some(3));
        assert_eq!(names.find(Scope::SubcommandsOf(2), b"HELP"), None);
    }

    #[test]
    fn names_longer_than_the_hash_are_found_too() {
        let long = "module.a-name-that-is-longer-than-32-bytes";
        let mut names = NameTable::with_room(2);
        names.insert(Scope::Commands, long, 4);
        names.insert(Scope::Commands, &long[..32], 5);
        assert_eq!(
            names.find(Scope::Commands, long.to_uppercase().as_bytes()),
            Some(4)
        );
        assert_eq!(names.find(Scope::Commands, &long.as_bytes()[..32]), Some(5));
        assert_eq!(names.find(Scope::Commands, &long.as_bytes()[..33]), None);
    }

    #[test]
    fn a_full_table_still_answers() {
        // Of names that fit into one word, just fit, just do not, and of longer ones.
        for (lower, upper) in [("c", "C"), ("cmds.", "CMDS."), ("command.", "COMMAND.")] {
            let mut names = NameTable::with_room(500);
            for index in 0..500 {
                names.insert(Scope::Commands, &format!("{lower}{index}"), index);
            }
            for index in 0..500 {
                let name = format!("{upper}{index}");
                let found = names.find(Scope::Commands, name.as_bytes());
                assert_eq!(found, Some(index), "{name}");
            }
            let missing = format!("{lower}500");
            assert_eq!(names.find(Scope::Commands, missing.as_bytes()), None);
        }
    }

    #[test]
    fn names_of_eight_bytes_are_told_from_those_of_nine() {
        let mut names = NameTable::with_room(2);
        names.insert(Scope::Commands, "bitcount", 1);
        names.insert(Scope::Commands, "bitcounts", 2);
        assert_eq!(names.find(Scope::Commands, b"BITCOUNT"), Some(1));
        assert_eq!(names.find(Scope::Commands, b"BITCOUNTS"), Some(2));
        assert_eq!(names.find(Scope::Commands, b"bitcount\0"), None);
    }

    #[test]
    fn the_first_of_two_equal_names_stays() {
        let mut names = NameTable::with_room(2);
        names.insert(Scope::Commands, "get", 1);
        names.insert(Scope::Commands, "get", 2);
        assert_eq!(names.find(Scope::Commands, b"get"), Some(1));
    }
}
