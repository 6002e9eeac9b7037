//! What an operator may set of the engine. Defaults are those of `config/narrows.toml`.

use std::time::Duration;

/// The bound on backend connections and how pipes and leases share it.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolSettings {
    /// Longest wait of a request for a backend before `-TRYAGAIN`. 1 ms to 10 min.
    pub queue_timeout: Duration,
    /// Clients that may wait for a backend at once, per worker; one more is refused. 1 to 1,000,000.
    pub queue_clients_max: usize,
    /// The time slice of a context on a backend while others wait. 1 ms to 10 s.
    pub slice: Duration,
    /// A backend that carried nothing for this long is closed (beyond `min_idle`). Zero: never.
    pub idle_timeout: Duration,
    /// Idle backends kept warm per worker.
    pub min_idle: usize,
    /// Idle backends kept warm per worker beside those, for leases, while it has clients. At most half
    /// of what may be lent. Zero: none.
    pub min_idle_leases: usize,
    /// A backend older than this is retired once it carries nothing. Zero: never.
    pub max_lifetime: Duration,
    /// Part of `max_lifetime` by which it is shortened at random, 0.0 to 1.0.
    pub max_lifetime_jitter: f64,
    /// An idle backend is pinged this often; it is pinged before use after twice that. Zero: never.
    pub ping_interval: Duration,
    /// A pipe that is never idle is pinged this often all the same, to prove that its replies are
    /// in step with its requests. Zero: never.
    pub check_interval: Duration,
    /// Whether replies are held against what the command may answer.
    pub check_kinds: bool,
    /// Most pipes of one context on one worker. 1 to 64.
    pub pipes_per_context_max: usize,
    /// A pipe whose requests could not be written for this long is too busy: another is opened.
    pub grow_after: Duration,
    /// Most requests in flight on one pipe. 1 to 1,000,000.
    pub pipe_in_flight_max: usize,
    /// Most bytes of requests in flight on one pipe.
    pub pipe_bytes_max: usize,
    /// A reply that announces more takes its pipe out of use until it has passed, in bytes.
    pub big_reply_bytes: u64,
    /// Most leases (exclusive backends) of one worker at a time for what ends by itself, and as many
    /// again for what may last. Zero: what the budget leaves.
    pub leases_max: usize,
    /// Most leases of one worker for commands that may wait on the server. Zero: what the budget
    /// leaves.
    pub blocking_max: usize,
    /// Contexts that may come before it is looked which of them nobody needs any more. No key of the
    /// configuration: tests have less.
    pub contexts_new_max: usize,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            queue_timeout: Duration::from_secs(3),
            queue_clients_max: 20_000,
            slice: Duration::from_millis(20),
            idle_timeout: Duration::from_secs(60),
            min_idle: 1,
            min_idle_leases: 1,
            max_lifetime: Duration::from_secs(3600),
            max_lifetime_jitter: 0.1,
            ping_interval: Duration::from_secs(30),
            check_interval: Duration::from_millis(100),
            check_kinds: true,
            pipes_per_context_max: 4,
            grow_after: Duration::from_millis(5),
            pipe_in_flight_max: 16_384,
            pipe_bytes_max: 8 << 20,
            big_reply_bytes: 256 << 10,
            leases_max: 0,
            blocking_max: 0,
            contexts_new_max: 64,
        }
    }
}

impl PoolSettings {
    /// The bound of `leases_max`, if it is one.
    pub fn leases_bound(&self) -> usize {
        bound(self.leases_max)
    }

    /// The bound of `blocking_max`, if it is one.
    pub fn blocking_bound(&self) -> usize {
        bound(self.blocking_max)
    }
}

fn bound(max: usize) -> usize {
    match max {
        0 => usize::MAX,
        max => max,
    }
}

/// How the engine deals with the server's silences and refusals.
#[derive(Debug, Clone, PartialEq)]
pub struct BackendSettings {
    /// A dialled backend must have finished its handshake within this.
    pub handshake_timeout: Duration,
    /// A backend that owes replies and has sent no byte for this long is closed, if the
    /// server does not answer narrows' own health check either.
    pub stall_timeout: Duration,
    /// The same while the server does answer the health check: one slow script is no reason
    /// to give up the connection early.
    pub stall_timeout_answering: Duration,
    /// First ceiling of the pause after a failed dial.
    pub backoff_min: Duration,
    /// Last ceiling of the pause after failed dials.
    pub backoff_max: Duration,
    /// narrows presents a certificate to the server, which may log connections in by that: one that is not
    /// logged in otherwise is asked who it is. No key of its own: it follows from others.
    pub presents_certificate: bool,
}

impl Default for BackendSettings {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(3),
            stall_timeout: Duration::from_secs(10),
            stall_timeout_answering: Duration::from_secs(60),
            backoff_min: Duration::from_millis(25),
            backoff_max: Duration::from_secs(1),
            presents_certificate: false,
        }
    }
}

/// What happens to a client whose command may or may not have run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnUnknownOutcome {
    /// It gets `-ERR narrows: backend connection lost; the command may have run`.
    #[default]
    Error,
    /// It is disconnected, as Redis itself would have done.
    Disconnect,
}

/// What becomes of an element that was taken for a client that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Undeliverable {
    /// It goes back where it came from.
    #[default]
    PutBack,
    /// It is lost, and the log says so.
    Log,
}

/// Commands that wait.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BlockingSettings {
    /// See [`Undeliverable`].
    pub undeliverable: Undeliverable,
}

/// Bounds on what one client may ask of narrows.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientSettings {
    /// A client that sits in a transaction (`WATCH`, `MULTI`) without a word for this long is
    /// closed. Zero: never.
    pub idle_in_transaction: Duration,
    /// Clients at once, in all workers together; one more gets Redis' own error and is closed.
    pub max_clients: usize,
    /// Clients at once from one IP address, or from the /64 of an IPv6 address; one more gets
    /// Redis' own error and is closed. Zero: no limit of its own. Not for unix sockets.
    pub max_per_address: usize,
    /// A client that neither sends nor takes anything for this long, and waits for no answer, is
    /// closed. Zero: never.
    pub idle_timeout: Duration,
    /// A client that has to log in must have done so within this. Zero: no limit.
    pub handshake_timeout: Duration,
    /// Requests of one client in flight; past it the client is not read. 1 to 1,000,000.
    pub in_flight_max: usize,
    /// Unsent reply bytes of one client past which it is closed; together with its requests that
    /// wait, bytes past which it is not read.
    pub output_bytes_max: usize,
    /// Unsent bytes of one subscriber past which it is closed.
    pub output_subscriber_bytes_max: usize,
    /// Unsent bytes past which a subscriber is closed when it stays there.
    pub output_subscriber_soft_bytes: usize,
    /// For how long it may stay there.
    pub output_subscriber_soft_time: Duration,
    /// Unsent reply bytes past which a client's further requests wait until it has read. It is
    /// read on.
    pub output_pause_bytes: usize,
    /// A request that announces more than this streams over a lease, in bytes.
    pub big_request_bytes: u64,
    /// A streamed request slower than this many bytes a second is cut off.
    pub upload_bytes_per_second_min: u64,
    /// Longest wait for one reply. Zero: no limit, as in Redis.
    pub request_timeout: Duration,
    /// Replay reads that were in flight on a lost backend, once.
    pub replay_reads: bool,
    /// See [`OnUnknownOutcome`].
    pub on_unknown_outcome: OnUnknownOutcome,
    /// Bytes that narrows may buffer for all clients of the process together. The client
    /// with the largest unsent replies is closed when it is reached.
    pub memory_bytes_max: usize,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            idle_in_transaction: Duration::from_secs(60),
            max_clients: 10_000,
            max_per_address: 0,
            idle_timeout: Duration::ZERO,
            handshake_timeout: Duration::from_secs(10),
            in_flight_max: 1024,
            output_bytes_max: 256 << 20,
            output_subscriber_bytes_max: 32 << 20,
            output_subscriber_soft_bytes: 8 << 20,
            output_subscriber_soft_time: Duration::from_secs(60),
            output_pause_bytes: 1 << 20,
            big_request_bytes: 1 << 20,
            upload_bytes_per_second_min: 16 << 10,
            request_timeout: Duration::ZERO,
            replay_reads: true,
            on_unknown_outcome: OnUnknownOutcome::Error,
            memory_bytes_max: 1 << 30,
        }
    }
}

impl ClientSettings {
    /// Bytes of one request of which more is not walked before it is known whether it streams.
    pub fn huge_from(&self) -> usize {
        let big = usize::try_from(self.big_request_bytes).unwrap_or(usize::MAX / 2);
        (big.min(usize::MAX / 2) + 1).max(super::lending::upload::FIRST_BYTES)
    }
}

/// All settings of the engine.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineSettings {
    /// `[pool]`
    pub pool: PoolSettings,
    /// `[backend]`, the part that concerns the engine
    pub backend: BackendSettings,
    /// `[clients]`
    pub clients: ClientSettings,
    /// `[blocking]`
    pub blocking: BlockingSettings,
    /// `[limits]`
    pub limits: crate::resp::Limits,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            pool: PoolSettings::default(),
            backend: BackendSettings::default(),
            clients: ClientSettings::default(),
            blocking: BlockingSettings::default(),
            // narrows asks its clients for no login, so Redis' limits before login do not apply.
            limits: crate::resp::Limits::default().authenticated(),
        }
    }
}
