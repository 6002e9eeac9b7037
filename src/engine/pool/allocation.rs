//! What has come of a want.

/// What became of one want.
pub enum Allocation {
    /// It is satisfied, or nobody wants it any more.
    Done,
    /// Something is under way for it, or must happen first.
    Waits,
}
