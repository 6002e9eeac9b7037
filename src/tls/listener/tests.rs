//! For whom a certificate is.

use super::*;

#[test]
fn a_star_stands_for_one_label() {
    assert!(is_wild_for("*.b.example", "a.B.example"));
    for name in ["b.example", "a.a.b.example", "a.example", "example", ""] {
        assert!(!is_wild_for("*.b.example", name), "{name}");
    }
    assert!(!is_wild_for("a.b.example", "a.b.example"), "that is exact");
}
