//! The limits as they stand in `limits.txt`: a row a line, with what was measured and how much is too
//! much.

use std::fmt;

/// What was measured once may grow by this before it is a finding.
const ALLOWANCE_PERCENT: u64 = 5;

/// A line of the file.
pub(crate) struct Limit {
    pub(crate) letter: char,
    measured: u64,
    /// The most that passes.
    pub(crate) most: u64,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (measured, most) = (self.measured, self.most);
        write!(f, "of {most} at most; recorded were {measured}")
    }
}

/// All of them, each checked to be what the allowance makes of the figure beside it.
pub(crate) fn read() -> Vec<Limit> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/instructions/limits.txt");
    let text = std::fs::read_to_string(file).unwrap();
    let limits: Vec<Limit> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(parse)
        .collect();
    for limit in &limits {
        let most = limit.measured * (100 + ALLOWANCE_PERCENT) / 100;
        assert_eq!(limit.most, most, "limits.txt, {}: {limit}", limit.letter);
    }
    limits
}

fn parse(line: &str) -> Limit {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [letter, measured, most] = words[..] else {
        panic!("limits.txt: {line:?} is not a row with two figures");
    };
    Limit {
        letter: letter.chars().next().unwrap(),
        measured: measured.parse().unwrap(),
        most: most.parse().unwrap(),
    }
}
