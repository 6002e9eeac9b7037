//! What the demo is asked for on the command line, each within its bounds.

use std::path::PathBuf;
use std::time::Duration;

/// What the demo does, within bounds.
#[derive(clap::Args, Clone, Debug)]
pub struct DemoOptions {
    /// Clients, each with a connection of its own and one request under way. At most 9,500: Redis
    /// itself takes 10,000 unless told otherwise.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=9_500))]
    pub clients: u32,

    /// Seconds of load on each of the two ways.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,

    /// Requests per second of all clients together; 0 is as many as replies come back.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub rate: u32,

    /// Bytes of each value.
    #[arg(long, default_value_t = 64)]
    pub value_bytes: u16,

    /// Connections that narrows may hold to Redis.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub max_backend_connections: u32,

    /// The narrows to run; the program that runs now when not given.
    #[arg(skip)]
    pub program: Option<PathBuf>,
}

impl DemoOptions {
    /// From one request of a client to its next; zero without a rate.
    pub(super) fn interval(&self) -> Duration {
        match self.rate {
            0 => Duration::ZERO,
            rate => Duration::from_secs(self.clients.into()) / rate,
        }
    }
}
