//! What stands in the places of a shape: keys, values, numbers, drawn from a seed.

/// xorshift64*, seeded.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }

    pub(crate) fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// A word of a shape, filled in.
    pub(crate) fn word(&mut self, word: &str) -> Vec<u8> {
        let key = "SLHTZXBG".find(word).filter(|_| word.len() == 1);
        match (key, word) {
            (Some(_), _) => {
                // Sometimes of another type, sometimes odd.
                let name = match self.below(16) {
                    0 => self
                        .pick(&["s", "l", "h", "t", "z", "x", "b", "g"])
                        .to_owned(),
                    1 => "missing".to_owned(),
                    2 => "k\r\n\0".to_owned(),
                    _ => word.to_lowercase(),
                };
                format!("{name}{}", self.below(2)).into_bytes()
            }
            (_, "V") => self.value(),
            (_, "F") => self.pick(&["f", "g", "h"]).into(),
            (_, "C") => self.pick(&["news", "sport"]).into(),
            (_, "N") => self.below(4).to_string().into_bytes(),
            (_, "(N") => format!("({}", self.below(4)).into_bytes(),
            (_, "I") => format!("{}-{}", 1 + self.below(9), self.below(3)).into_bytes(),
            _ => word.replace('␣', " ").into_bytes(),
        }
    }

    fn value(&mut self) -> Vec<u8> {
        match self.below(16) {
            0 => Vec::new(),
            1 => b"\r\n+OK\r\n".to_vec(),
            2 => vec![1 + self.below(255) as u8; self.below(3000)],
            3 if self.below(4) == 0 => vec![b'x'; 80_000],
            _ => self.pick(&["a", "b", "c", "1", "7", "3.5", "-2"]).into(),
        }
    }
}
