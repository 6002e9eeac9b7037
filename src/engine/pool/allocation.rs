//! What has come of an acquire request.

/// What became of one.
pub enum Allocation {
    /// It is satisfied, or nobody wants it any more.
    Done,
    /// Something is under way for it, or must happen first.
    Waits,
}
