//! The flags of the program, and the plan that they make.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use narrows_load::{Arrivals, Data, Mix, OnTrouble, Persona, Plan, Protocol, Target, ValueSizes};

/// Puts load on a Redis server, or on a proxy in front of it, and verifies every reply.
///
/// Every value says which client wrote it to which key, and when; a reply that carries a value of
/// somebody else, an old or a torn one, a counter that was raised twice or not at all, an element
/// that comes out twice, or a reply of the wrong kind ends the run at once with a dump of both
/// clients' last events. At the end all keys are read and compared.
///
/// Without --rate every client asks again as soon as it has its replies (closed loop). With --rate
/// requests fall due on a schedule of their own (open loop), and latency counts from the instant
/// that a request was due: a server that stalls cannot hide it.
///
/// Exit codes: 0 every reply was right; 1 an error, a lost connection or a hang that --on-trouble
/// fail does not allow, keys that could not be read at the end, or flags that do not fit together;
/// 2 a reply that its request cannot have.
#[derive(Debug, Parser)]
#[command(name = "narrows-load", version, max_term_width = 100)]
pub(crate) struct Arguments {
    /// The server or proxy: IP:PORT or unix:/PATH
    #[arg(long, default_value = "127.0.0.1:6379")]
    target: Target,
    /// Clients, each with one connection
    #[arg(long, short = 'c', default_value_t = 100)]
    connections: usize,
    /// Threads that share the clients
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Requests per second over all clients (open loop)
    #[arg(long)]
    rate: Option<f64>,
    /// How the requests of --rate are spaced
    #[arg(long, value_enum, default_value = "exponential")]
    arrivals: Arrivals,
    /// Requests that a client sends in one go
    #[arg(long, short = 'P', default_value_t = 1)]
    pipeline: usize,
    /// Closed loop: mean pause of a client between its requests
    #[arg(long, value_parser = duration, default_value = "0s")]
    think: Duration,
    /// How long requests are made: 90s, 20m, 500ms
    #[arg(long, short = 'd', value_parser = duration, default_value = "10s")]
    duration: Duration,
    /// Part of the duration, at its beginning, that is left out of the percentiles [default: a
    /// tenth of the duration, at most 5s]
    #[arg(long, value_parser = duration)]
    warm_up: Option<Duration>,
    /// Sizes of values in bytes: 64, a range 64-4k, or a weighted choice 64=9,1k-1m=1
    #[arg(long, default_value = "64")]
    values: ValueSizes,
    /// Sizes of the values of bulk clients
    #[arg(long, default_value = "16k-1m")]
    bulk_values: ValueSizes,
    /// Requests by weight, as in get=4,set=1. All of: set get getset mget incr push pop exists echo
    /// ping missing shared-set shared-get client-id client-name wrong-type detour [default: all]
    #[arg(long)]
    mix: Option<Mix>,
    /// A kind of client and its share, as in web=0.8; may be repeated. web: a pool's connection.
    /// leak: opens, asks once, stays idle, while another opens. storm: in waves; connects, asks one
    /// to three times, leaves. pipeline: 64 requests in one go. bulk: large values [default: web=1]
    #[arg(long, value_parser = share)]
    persona: Vec<(Persona, f64)>,
    /// The dbs that the clients use
    #[arg(long, value_delimiter = ',', default_value = "0")]
    databases: Vec<u32>,
    /// The protocols that the clients speak: 2, 3 or 2,3
    #[arg(long, value_delimiter = ',', default_value = "2")]
    protocols: Vec<Protocol>,
    /// Local addresses to connect from, in turn [default: for a target on the loopback as many of
    /// 127.0.0.2, 127.0.0.3, … as the connections need, else the system's choice]
    #[arg(long, value_delimiter = ',')]
    sources: Vec<IpAddr>,
    /// Decides what is asked by whom, in what order
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// fail: the first error, lost connection or hang ends the run; endure: they are counted, and
    /// clients connect again
    #[arg(long, value_enum, default_value = "fail")]
    on_trouble: OnTrouble,
    /// kept: what was acknowledged must be there; may-vanish: the server may restart empty
    #[arg(long, value_enum, default_value = "kept")]
    data: Data,
    /// A request unanswered this long is a hang
    #[arg(long, value_parser = duration, default_value = "30s")]
    request_deadline: Duration,
    /// New connections per second, storms apart
    #[arg(long, default_value_t = 5_000.0)]
    connects_per_s: f64,
    /// A wave of storm clients comes this often
    #[arg(long, value_parser = duration, default_value = "1s")]
    storm_interval: Duration,
    /// A leak client opens its connection this often, per thread
    #[arg(long, value_parser = duration, default_value = "20ms")]
    leak_interval: Duration,
    /// String keys of each client
    #[arg(long, default_value_t = 4)]
    keys: usize,
    /// String keys that all clients share, per db
    #[arg(long, default_value_t = 64)]
    shared_keys: usize,
    /// Leave the keys on the server
    #[arg(long)]
    keep_keys: bool,
    /// Where an offence is written to [default: the folder for temporary files]
    #[arg(long)]
    dump_folder: Option<PathBuf>,
    /// Write the report as JSON to this file
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Show the plan as JSON and end
    #[arg(long)]
    pub(crate) print_plan: bool,
}

impl Arguments {
    pub(crate) fn plan(&self) -> Plan {
        let a_tenth = (self.duration / 10).min(Duration::from_secs(5));
        let default = Plan::new(self.target.clone());
        let mut personas = self.persona.clone();
        if personas.is_empty() {
            personas = default.personas.clone();
        }
        Plan {
            connections: self.connections,
            threads: self.threads,
            rate: self.rate,
            arrivals: self.arrivals,
            pipeline: self.pipeline,
            think: self.think,
            duration: self.duration,
            warm_up: self.warm_up.unwrap_or(a_tenth),
            values: self.values.clone(),
            bulk_values: self.bulk_values.clone(),
            mix: self.mix.clone().unwrap_or_default(),
            databases: self.databases.clone(),
            protocols: self.protocols.clone(),
            sources: self.sources(),
            personas,
            seed: self.seed,
            on_trouble: self.on_trouble,
            data: self.data,
            request_deadline: self.request_deadline,
            connects_per_s: self.connects_per_s,
            storm_interval: self.storm_interval,
            leak_interval: self.leak_interval,
            keys: self.keys,
            shared_keys: self.shared_keys,
            clean_up: !self.keep_keys,
            dump_folder: self.dump_folder.clone(),
            ..default
        }
    }

    fn sources(&self) -> Vec<IpAddr> {
        let is_local = match &self.target {
            Target::Tcp(address) => address.is_ipv4() && address.ip().is_loopback(),
            Target::Unix(_) => false,
        };
        if !self.sources.is_empty() || !is_local {
            return self.sources.clone();
        }
        if self.connections <= PORTS_AT_EASE {
            return Vec::new();
        }
        let needed = self.connections.div_ceil(PORTS_AT_EASE);
        (0..needed.min(SOURCES_MAX))
            .map(|place| IpAddr::V4(Ipv4Addr::new(127, 0, 0, place as u8 + 2)))
            .collect()
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let at = text
        .find(|letter: char| letter.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let unit_s = match unit {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{text}: the unit is ms, s, m or h")),
    };
    number
        .parse()
        .ok()
        .and_then(|number: f64| Duration::try_from_secs_f64(number * unit_s).ok())
        .ok_or(format!("{text}: not a duration"))
}

fn share(text: &str) -> Result<(Persona, f64), String> {
    let (name, share) = text.split_once('=').unwrap_or((text, "1"));
    let share = share.parse().map_err(|_| format!("{share}: not a share"))?;
    Ok((name.parse()?, share))
}

/// Half of an address' usual range of ports, less a reserve: from there on the system searches long
/// for each further one.
const PORTS_AT_EASE: usize = 12_000;
const SOURCES_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_make_a_plan() {
        let line = "narrows-load --target 127.0.0.1:6380 -c 30000 --rate 5e4 -d 2m \
                    --persona web=0.8 --persona storm=0.2 --mix get=1 --protocols 2,3 --values 1k";
        let plan = Arguments::parse_from(line.split_whitespace()).plan();
        assert_eq!((plan.connections, plan.rate), (30_000, Some(50_000.0)));
        assert_eq!(plan.duration, Duration::from_secs(120));
        assert_eq!(plan.warm_up, Duration::from_secs(5));
        assert_eq!(plan.personas, [(Persona::Web, 0.8), (Persona::Storm, 0.2)]);
        assert_eq!(plan.sources.len(), 3);
        assert_eq!(plan.protocols.len(), 2);
        assert_eq!(plan.mix.to_string(), "get=1");
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert!(duration("-1s").is_err() && duration("1d").is_err() && duration("s").is_err());
    }
}
