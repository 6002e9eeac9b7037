//! "Did you mean": the known word that a mistyped one is nearest to.

/// The nearest of `known` to `word`, if one is near enough to have been meant: at most a
/// third of its characters differ, or the one begins with the other.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let distance = |candidate: &str| {
        if !word.is_empty() && (candidate.starts_with(word) || word.starts_with(candidate)) {
            return 1;
        }
        edits(word, candidate)
    };
    let scored = known.into_iter().map(|known| (distance(known), known));
    let (edits, best) = scored.min()?;
    (edits <= (best.chars().count() / 3).max(1)).then_some(best)
}

/// Insertions, deletions, replacements and swaps of neighbours between two words.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (i, ca) in a.chars().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let cell = |row: &[usize], n: usize| row.get(n).copied().unwrap_or(usize::MAX / 2);
            let replaced = cell(&last, j) + usize::from(ca != *cb);
            let mut best = replaced.min(cell(&last, j + 1) + 1).min(cell(&row, j) + 1);
            let left = j.checked_sub(1).and_then(|n| b.get(n));
            if left == Some(&ca) && previous == Some(*cb) {
                best = best.min(cell(&before_last, j - 1) + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
        previous = Some(ca);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, n) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("timeuot", "timeout", 1),
            ("ab", "ba", 1),
        ] {
            assert_eq!(edits(a, b), n, "{a} {b}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        let known = ["queue_timeout", "idle_timeout", "slice", "min_idle"];
        assert_eq!(nearest("queue_timeuot", known), Some("queue_timeout"));
        assert_eq!(nearest("idle_timeouts", known), Some("idle_timeout"));
        assert_eq!(nearest("queue", known), Some("queue_timeout"));
        assert_eq!(nearest("slcie", known), Some("slice"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
