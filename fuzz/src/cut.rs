//! The first bytes of an input to a scanner: which limits apply, and how the bytes behind them are
//! cut. Two bytes and as many as the second one says, so that seeds can be written by hand.

use narrows::resp::Limits;

/// An input to a scanner.
#[derive(Debug)]
pub struct Cut<'a> {
    /// What the scanner accepts.
    pub limits: Limits,
    /// Lengths of the pieces; the last one counts over and over.
    pub pieces: Vec<usize>,
    /// What is scanned.
    pub bytes: &'a [u8],
}

/// Bytes of one input that are scanned: longer ones show nothing more, and cost more.
const BYTES_MAX: usize = 4096;

impl<'a> Cut<'a> {
    /// Takes the head off; `None` when there is not even that.
    pub fn of(data: &'a [u8]) -> Option<Self> {
        let [limits, pieces, rest @ ..] = data else {
            return None;
        };
        let (pieces, bytes) = rest.split_at_checked(usize::from(pieces % 16))?;
        Some(Self {
            limits: limits_of(*limits),
            pieces: pieces.iter().map(|len| usize::from(*len).max(1)).collect(),
            bytes: bytes.get(..BYTES_MAX).unwrap_or(bytes),
        })
    }

    /// The ways to cut that have to give the same as no cut at all.
    pub fn ways(&self) -> Vec<Vec<usize>> {
        let mut ways = vec![vec![1], self.pieces.clone()];
        if self.bytes.len() <= EVERY_PLACE_MAX {
            ways.extend((1..self.bytes.len()).map(|at| vec![at, self.bytes.len()]));
        }
        ways
    }
}

/// Input up to this long is cut once at every place.
const EVERY_PLACE_MAX: usize = 64;

/// Redis' own limits, or small ones that short input reaches.
fn limits_of(choice: u8) -> Limits {
    match choice % 6 {
        0 => Limits::default().authenticated(),
        1 => Limits::default(),
        2 => Limits {
            ..Limits::default().authenticated()
        },
        small => {
            let small = usize::from(small - 2);
            Limits {
                inline_bytes_max: 10 * small,
                header_bytes_max: 17 * small,
                args_max: 2 * u32::try_from(small).unwrap_or(1),
                bulk_bytes_max: 8 * small as u64,
                authenticated: choice.is_multiple_of(2),
            }
        }
    }
}
