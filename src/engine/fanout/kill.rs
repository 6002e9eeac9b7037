//! What goes to the server before its turn: SCRIPT KILL and its like.

/// How far it has come.
#[derive(Debug)]
pub enum Kill {
    /// It waits for a connection: the request.
    Wanted(Box<[u8]>),
    /// It is on its way.
    Sent,
    /// Its reply, which waits for its turn.
    Answered(Box<[u8]>),
}
