//! The values of the load. Each begins with a head that says whose it is (run, client, db, slot,
//! sequence number, length) and is filled with bytes that follow from that head alone. So a value
//! can be judged by itself: whose it is, whether it is whole, and whether all of it belongs together.

/// What the head of a value says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Which run wrote it.
    pub run: u32,
    /// Which client of the run.
    pub client: u32,
    /// The db it was written to.
    pub db: u16,
    /// The key's number among the client's keys.
    pub slot: u16,
    /// The client's own count of its writes.
    pub sequence: u64,
    /// Length of the whole value.
    pub bytes: u32,
}

/// Why bytes are no value of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagFault {
    /// Too short, or it begins otherwise.
    #[error("it is no value of this load generator")]
    NoTag,
    /// The parts of the head do not belong together.
    #[error("its head is torn")]
    TornHead,
    /// The head says another length than the value has.
    #[error("it has {found} bytes, its head says {said}")]
    Length {
        /// What the value has.
        found: usize,
        /// What its head says.
        said: u32,
    },
    /// From this byte on it is not what the head says.
    #[error("it is torn at byte {0}")]
    TornFilling(usize),
}

impl Tag {
    /// Appends the whole value.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let bytes = (self.bytes as usize).max(TAG_BYTES);
        out.reserve(bytes);
        out.extend_from_slice(MARK);
        push_hex(out, u64::from(self.run), 8);
        push_hex(out, u64::from(self.client), 8);
        push_hex(out, u64::from(self.db), 4);
        push_hex(out, u64::from(self.slot), 4);
        push_hex(out, self.sequence, 10);
        push_hex(out, u64::from(self.bytes), 8);
        push_hex(out, self.digest() & 0xffff, 4);
        let (words, tail) = ((bytes - TAG_BYTES) / 8, (bytes - TAG_BYTES) % 8);
        let mut filling = Filling(self.digest());
        for _ in 0..words {
            out.extend_from_slice(&filling.word());
        }
        if tail > 0 {
            out.extend(filling.word().iter().take(tail));
        }
    }

    /// Reads and checks a whole value.
    ///
    /// # Errors
    /// When it is not exactly what [`Tag::write`] has written for some tag.
    pub fn check(value: &[u8]) -> Result<Self, TagFault> {
        let (tag, digest) = Self::head(value).ok_or(TagFault::NoTag)?;
        if tag.digest() & 0xffff != digest {
            return Err(TagFault::TornHead);
        }
        if tag.bytes as usize != value.len() {
            let (found, said) = (value.len(), tag.bytes);
            return Err(TagFault::Length { found, said });
        }
        let mut filling = Filling(tag.digest());
        let rest = value.get(TAG_BYTES..).unwrap_or_default();
        for (place, found) in rest.chunks(8).enumerate() {
            if !filling.word().starts_with(found) {
                return Err(TagFault::TornFilling(TAG_BYTES + place * 8));
            }
        }
        Ok(tag)
    }

    /// The head at the beginning of `value` and the digest it ends with, unchecked: also for
    /// telling whose a torn value was.
    pub(crate) fn head(value: &[u8]) -> Option<(Self, u64)> {
        let hex = value.get(..TAG_BYTES)?.strip_prefix(MARK)?;
        let part = |from: usize, to: usize| hex.get(from..to).and_then(parse_hex);
        let tag = Self {
            run: u32::try_from(part(0, 8)?).ok()?,
            client: u32::try_from(part(8, 16)?).ok()?,
            db: u16::try_from(part(16, 20)?).ok()?,
            slot: u16::try_from(part(20, 24)?).ok()?,
            sequence: part(24, 34)?,
            bytes: u32::try_from(part(34, 42)?).ok()?,
        };
        Some((tag, part(42, 46)?))
    }

    /// Everything in the head, mixed into one number: the seed of the filling.
    fn digest(&self) -> u64 {
        let first = mix(u64::from(self.run) << 32 | u64::from(self.client));
        let place = u64::from(self.db) << 16 | u64::from(self.slot);
        let second = mix(first ^ (place << 32 | u64::from(self.bytes)));
        mix(second ^ self.sequence)
    }
}

/// The bytes behind a head: binary, so that anything that looks like RESP occurs too.
struct Filling(u64);

impl Filling {
    fn word(&mut self) -> [u8; 8] {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0).to_le_bytes()
    }
}

/// The finishing function of splitmix64.
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Appends `number` in so many hexadecimal digits.
pub(crate) fn push_hex(out: &mut Vec<u8>, number: u64, digits: u32) {
    for place in (0..digits).rev() {
        let digit = (number >> (place * 4)) as u8 & 0xf;
        out.push(if digit < 10 {
            b'0' + digit
        } else {
            b'a' + digit - 10
        });
    }
}

fn parse_hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(digit))
    })
}

/// Length of a head, and so of the shortest value.
pub const TAG_BYTES: usize = 48;

const MARK: &[u8] = b"nl";

#[cfg(test)]
mod tests {
    use super::*;

    fn value(client: u32, sequence: u64, bytes: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let (run, db, slot) = (7, 2, 3);
        Tag {
            run,
            client,
            db,
            slot,
            sequence,
            bytes,
        }
        .write(&mut out);
        out
    }

    #[test]
    fn a_value_tells_whose_it_is() {
        for bytes in [48, 49, 55, 56, 64, 1000] {
            let tag = Tag::check(&value(9, 1234, bytes)).unwrap();
            assert_eq!((tag.client, tag.sequence, tag.bytes), (9, 1234, bytes));
            assert_eq!((tag.run, tag.db, tag.slot), (7, 2, 3));
        }
    }

    #[test]
    fn any_changed_byte_is_seen() {
        let whole = value(9, 1234, 77);
        for at in 0..whole.len() {
            let mut torn = whole.clone();
            torn[at] ^= 1;
            assert!(Tag::check(&torn).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_mixture_of_two_values_is_seen() {
        let (one, other) = (value(9, 1234, 200), value(9, 1235, 200));
        for at in TAG_BYTES..199 {
            let torn = [&one[..at], &other[at..]].concat();
            assert!(Tag::check(&torn).is_err(), "cut at {at}");
        }
        assert!(matches!(
            Tag::check(&one[..150]),
            Err(TagFault::Length { .. })
        ));
        assert_eq!(Tag::check(b"short"), Err(TagFault::NoTag));
    }
}
