//! The repository is what it says it is: the rules for the code (`tidy`), the documents (`docs`), the
//! comparison of speed (`comparison`), and what all other tests rely on (`test_support`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "../support/mod.rs"]
mod support;

mod comparison;
mod docs;
mod test_support;
mod tidy;
