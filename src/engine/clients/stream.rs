//! A huge request on its way through.

use std::time::Duration;

use crate::resp::RequestScanner;

/// A huge request that is passing through.
#[derive(Debug)]
pub struct UploadStream {
    pub scanner: RequestScanner,
    pub target: UploadTarget,
    pub window_began: Duration,
    pub window_bytes: u64,
    /// The backend has taken too little so far for more to be read.
    pub full: bool,
}

#[derive(Debug)]
pub enum UploadTarget {
    /// To the client's lease.
    Lease,
    /// To nobody; at its end, this is the answer.
    Nowhere(Box<[u8]>),
}

impl UploadStream {
    /// What is still to come is read and dropped, and has no answer of its own.
    pub fn swallow_rest(&mut self) {
        self.target = UploadTarget::Nowhere(Box::default());
        self.full = false;
    }

    /// Whether the rest goes nowhere.
    pub fn is_swallowed(&self) -> bool {
        matches!(self.target, UploadTarget::Nowhere(_))
    }

    /// Whether more of the request may be read from the client.
    pub fn may_read(&self) -> bool {
        !self.full
    }
}
