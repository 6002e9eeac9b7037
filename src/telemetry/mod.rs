//! Telemetry: what is counted, and how it is told. [`Counters`] are plain numbers that one worker
//! keeps for itself, [`Cell`]s are where it lets others see them, [`catalog`] names each metric once
//! and [`export`] writes them; [`log`] sets up the one log of the process, on stderr. It stands
//! beside the layers, so that each may count and log; it knows none of them, and nobody decides by
//! what is counted here.

pub mod catalog;
mod cells;
mod counters;
pub mod export;
mod histogram;
pub mod log;
mod process;
pub mod reject_counts;
mod server;
pub mod settings;

pub use cells::{Cell, Gauges, Snapshot};
pub use counters::{ClientCloseReason, Counters, Labelled, Undelivered, Way};
pub use histogram::Histogram;
pub use process::ProcessFigures;
pub use server::{Health, Server, ServerFigures};
