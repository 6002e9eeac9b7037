//! A load generator for Redis, and for what stands in front of it, that verifies every reply. Every
//! value says whose it is; every client knows what its keys may hold, also after errors and lost
//! connections; a reply that cannot be ends the run with all that helps to explain it. It shares no
//! code with what it judges.

mod ask;
mod client;
mod gauge;
mod history;
mod link;
mod machine;
mod mix;
mod model;
mod offence;
mod outcome;
mod persona;
mod plan;
mod report;
mod run;
mod schedule;
mod shard;
mod sizes;
mod tag;
mod target;
mod wire;

pub use gauge::{Counts, Event, Percentiles, Phase, Snapshot};
pub use mix::{Kind, Mix};
pub use offence::{Offence, OffenceKind, Party};
pub use outcome::Outcome;
pub use persona::Persona;
pub use plan::{Arrivals, Data, OnTrouble, Plan};
pub use report::Report;
pub use run::{Running, start};
pub use sizes::ValueSizes;
pub use target::{Protocol, Target};
