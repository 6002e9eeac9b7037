//! "Did you mean": the known word that a mistyped one is nearest to.

use strsim::osa_distance;

/// The nearest of `known` to `word`, if one is near enough to have been meant: at most a
/// third of its characters differ, or the one begins with the other.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let distance = |candidate: &str| {
        let edits = osa_distance(word, candidate);
        let begins = candidate.starts_with(word) || word.starts_with(candidate);
        // A beginning is as near as one slip, and among those that are as near the edits decide.
        let near = if begins && !word.is_empty() { 1 } else { edits };
        (near, edits)
    };
    let scored = known.into_iter().map(|known| (distance(known), known));
    let ((near, _), best) = scored.min()?;
    (near <= (best.chars().count() / 3).max(1)).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        let min_idle = ["min_idle", "min_idle_leases"];
        assert_eq!(nearest("min_idle_leasez", min_idle), Some(min_idle[1]));
        assert_eq!(nearest("min_idel", min_idle), Some(min_idle[0]));
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
