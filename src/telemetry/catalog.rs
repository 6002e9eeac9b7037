//! Every metric, once: its name, kind, labels and meaning. `docs/metrics.md` tells of each what to
//! do when it moves; a test holds both and `/metrics` to this list. Names that begin with `redis_`
//! are the server's own figures (or, `redis_client_pool_`, what pools of clients are expected to
//! show); narrows' own begin with `narrows_`.

/// What a metric's values mean to whoever collects them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only rises, from 0 at the start of the process.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Durations, counted by the bounds of `histogram`.
    Histogram,
}

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name. Never changed.
    pub name: &'static str,
    /// See [`MetricKind`].
    pub kind: MetricKind,
    /// The names of its labels, by commas; `""` for none.
    pub label: &'static str,
    /// One sentence.
    pub help: &'static str,
}

const fn counter(name: &'static str, label: &'static str, help: &'static str) -> Metric {
    let kind = MetricKind::Counter;
    Metric {
        name,
        kind,
        label,
        help,
    }
}

const fn gauge(name: &'static str, label: &'static str, help: &'static str) -> Metric {
    let kind = MetricKind::Gauge;
    Metric {
        name,
        kind,
        label,
        help,
    }
}

const fn histogram(name: &'static str, help: &'static str) -> Metric {
    let (kind, label) = (MetricKind::Histogram, "");
    Metric {
        name,
        kind,
        label,
        help,
    }
}

/// Declares metrics as constants, and all of them as [`ALL`].
macro_rules! catalog {
    ($($id:ident = $kind:ident($($text:expr),*);)*) => {
        $(#[doc = concat!("See its help and `docs/metrics.md`: ", stringify!($id), ".")]
        pub const $id: Metric = $kind($($text),*);)*

        /// All of them, in the order in which they are shown.
        pub const ALL: &[&Metric] = &[$(&$id),*];
    };
}

catalog! {
    BUILD_INFO = gauge("narrows_build_info", "version", "Always 1; the label is narrows' version.");
    READY = gauge("narrows_ready", "", "1 while /readyz says yes, else 0.");
    WORKERS = gauge("narrows_workers", "", "Worker threads.");
    WORKER_UP = gauge("narrows_worker_up", "worker",
        "1 if the worker has answered within a second; otherwise its figures here are its last ones.");

    TLS_NOT_AFTER = gauge("narrows_tls_certificate_not_after_seconds", "use,file",
        "When the first certificate of a file that is in use expires, since the epoch; absent \
         without any.");
    TLS_RELOADS_FAILED = counter("narrows_tls_reload_failures_total", "",
        "Changes of files of certificates and keys that could not be used: the old are in use.");
    TLS_HANDSHAKES = counter("narrows_tls_handshakes_total", "",
        "TLS handshakes with clients that have come to a connection.");

    CLIENTS = gauge("narrows_clients_connected", "worker", "Clients connected, by worker.");
    CLIENTS_MAX = gauge("narrows_clients_max", "", "Most clients at once (clients.max_clients).");
    CLIENTS_REFUSED = counter("narrows_clients_refused_total", "reason",
        "Clients turned away when they connected.");
    CLIENTS_CLOSED = counter("narrows_clients_closed_total", "reason",
        "Clients whose connection has ended, by why.");
    LOGINS_FAILED = counter(
        "narrows_login_failures_total", "",
        "Logins of clients that were refused for what they gave.");
    CLIENTS_WAITING = gauge("narrows_clients_waiting", "",
        "Clients that wait for a shared connection to the server.");
    CLIENTS_BLOCKED = gauge("narrows_clients_blocked", "",
        "Clients whose command waits on the server, as BLPOP does.");
    BUFFERED = gauge("narrows_buffered_bytes", "",
        "Bytes held of requests not dealt with and of replies not read.");
    BUFFERED_MAX = gauge("narrows_buffered_bytes_max", "",
        "Most of such bytes (clients.memory_bytes_max).");

    COMMANDS = counter("narrows_commands_total", "route",
        "Commands, by the way they went; one that is sent again after a loss counts once.");
    IN_FLIGHT = gauge("narrows_requests_in_flight", "",
        "Replies expected of the server, those to narrows' own checks included.");
    REFUSALS = counter("narrows_refusals_total", "reason",
        "Error replies of narrows' own, by reason.");
    QUEUE_WAIT = histogram("narrows_queue_wait_seconds",
        "How long requests that had to wait for a connection to the server have waited, \
         refused ones included; the others are not counted.");
    ROUND_TRIP = histogram("narrows_round_trip_seconds",
        "Time from a request to its reply on shared connections, sampled: of one request at a \
         time for each connection, the last of those written together.");
    REPLAYS = counter("narrows_replays_total", "",
        "Requests sent again after their connection to the server was lost.");

    POOL_IN_USE = gauge("redis_client_pool_connections_in_use", "pool",
        "Connections to the server, by what they are for.");
    POOL_MAX = gauge("redis_client_pool_max_connections", "pool",
        "Most connections that may be for this at once.");
    BACKENDS = gauge("narrows_backends", "phase", "Connections to the server that carry clients' \
        commands, by what they are doing.");
    BUDGET_HELD = gauge("narrows_budget_connections_held", "",
        "Connections to the server of every kind, those being opened or closed included.");
    BUDGET_MAX = gauge("narrows_budget_connections_max", "",
        "Most connections of every kind (backend.max_connections).");
    BUDGET_CEILING = gauge("narrows_budget_connections_ceiling", "",
        "Connections at which narrows stops growing, so that the server does not come near its \
         own maxclients; absent while that is not known.");
    DIALS = counter("narrows_dials_total", "", "Connections to the server that were begun.");
    DIALS_FAILED = counter("narrows_dial_failures_total", "",
        "Connections to the server that failed in being opened.");
    BACKENDS_CLOSED = counter("narrows_backends_closed_total", "cause",
        "Connections to the server that were closed, by cause.");
    BACKENDS_POISONED = counter("narrows_backends_poisoned_total", "cause",
        "Those of them that were closed for what the server sent or did not send.");
    UNSOLICITED = counter("narrows_unsolicited_replies_total", "",
        "Replies and pushes that nobody expected; anything above 0 is a defect.");
    UNDELIVERABLE = counter("narrows_undeliverable_total", "outcome",
        "Answers to waits that came for clients that were gone, by what became of the elements.");
    CONTEXT_SWITCHES = counter("narrows_context_switches_total", "",
        "Shared connections taken from one db or protocol for another.");
    LEASES = gauge("narrows_leases", "purpose", "Connections lent to one client, by what for.");
    LEASE_WAITERS = gauge("narrows_lease_waiters", "purpose",
        "Clients that wait for a connection of their own.");
    PINS = gauge("narrows_pins", "reason", "Reasons for which clients keep a connection.");
    PIN_AGE = gauge("narrows_pin_age_seconds", "reason",
        "For how long the client that has kept one the longest for this reason has had it.");

    REDIS_UP = gauge("redis_up", "", "1 while the server answers narrows' health check, else 0.");
    REDIS_CLIENTS = gauge("redis_connected_clients", "",
        "The server's own figure: narrows' connections and those past it.");
    REDIS_MAXCLIENTS = gauge("redis_config_maxclients", "", "The server's own bound on them.");
    REDIS_BLOCKED = gauge("redis_blocked_clients", "", "The server's own figure.");
    REDIS_MEMORY = gauge("redis_memory_used_bytes", "", "The server's own figure.");
    REDIS_MEMORY_MAX = gauge("redis_memory_max_bytes", "",
        "The server's own bound (maxmemory); 0 is none.");
    REDIS_EVICTED = counter("redis_evicted_keys_total", "", "The server's own figure.");

    CPU = counter("process_cpu_seconds_total", "", "Processor time, user and system.");
    RESIDENT = gauge("process_resident_memory_bytes", "", "Resident memory.");
    VIRTUAL = gauge("process_virtual_memory_bytes", "", "Virtual memory.");
    OPEN_FDS = gauge("process_open_fds", "", "Open file descriptors.");
    MAX_FDS = gauge("process_max_fds", "", "Most file descriptors that may be open.");
    STARTED = gauge("process_start_time_seconds", "", "Start of the process since the epoch.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_say_their_unit() {
        let mut names: Vec<&str> = ALL.iter().map(|metric| metric.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for metric in ALL {
            let is_total = metric.name.ends_with("_total");
            assert_eq!(metric.kind == MetricKind::Counter, is_total, "{metric:?}");
            let is_time = metric.name.ends_with("_seconds");
            assert!(
                metric.kind != MetricKind::Histogram || is_time,
                "{metric:?}"
            );
            assert!(metric.help.ends_with('.'), "{metric:?}");
        }
    }
}
