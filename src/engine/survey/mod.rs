//! How an engine stands, for whoever asks: nothing changes by that.

pub mod census;
pub mod snapshot;
