//! Settings of one simulation: small figures, so that every bound is reached within a few
//! hundred events.

use std::time::Duration;

use narrows::command::{CommandTable, Policy, PolicySettings};
use narrows::engine::settings::{EngineSettings, OnUnknownOutcome};
use narrows::engine::{Identity, Rules};
use narrows::session::{Access, AuthMode};

use super::rng::{Part, Rng};
use super::server::Users;

thread_local! {
    /// Made once: each costs as much as a short simulation.
    static TABLE: CommandTable = CommandTable::builtin();
    static POLICY: Policy =
        Policy::new(&PolicySettings::default()).expect("no rules, no mistakes");
}

/// Nothing is denied.
pub fn policy() -> Policy {
    POLICY.with(Policy::clone)
}

pub fn draw(rng: &mut Rng) -> Rules {
    let ms = Duration::from_millis;
    let mut settings = EngineSettings::default();
    let pool = &mut settings.pool;
    pool.queue_timeout = ms(rng.one_of(&[20, 100, 400, 3000]));
    pool.queue_clients_max = rng.one_of(&[2, 1000, 1000]);
    pool.slice = ms(rng.one_of(&[1, 5, 20]));
    pool.idle_timeout = ms(rng.one_of(&[0, 300, 5000]));
    pool.min_idle = rng.below(2);
    pool.max_lifetime = ms(rng.one_of(&[0, 500, 20_000]));
    pool.ping_interval = ms(rng.one_of(&[0, 50, 1000]));
    pool.check_interval = ms(rng.one_of(&[0, 5, 20, 100]));
    pool.check_kinds = rng.hits(80);
    pool.pipes_per_context_max = rng.between(1, 3);
    pool.grow_after = ms(rng.one_of(&[1, 5]));
    pool.pipe_in_flight_max = rng.one_of(&[1, 2, 5, 5, 100]);
    pool.pipe_bytes_max = rng.one_of(&[100, 4000, 1 << 20]);
    pool.big_reply_bytes = rng.one_of(&[300, 2000, 100_000]);
    pool.leases_max = rng.between(0, 4);
    pool.blocking_max = rng.between(0, 3);
    pool.min_idle_leases = (pool.leases_max + pool.blocking_max) % 3;
    let backend = &mut settings.backend;
    backend.handshake_timeout = ms(200);
    backend.stall_timeout = ms(400);
    backend.stall_timeout_answering = ms(1500);
    backend.backoff_min = ms(2);
    backend.backoff_max = ms(60);
    let clients = &mut settings.clients;
    clients.in_flight_max = rng.one_of(&[1, 3, 3, 50]);
    clients.output_pause_bytes = rng.one_of(&[50, 2000, 100_000]);
    clients.big_request_bytes = 50_000;
    clients.upload_bytes_per_second_min = rng.one_of(&[0, 1, 10_000]);
    clients.request_timeout = ms(rng.one_of(&[0, 0, 30, 500]));
    clients.replay_reads = rng.hits(70);
    if rng.hits(15) {
        clients.on_unknown_outcome = OnUnknownOutcome::Disconnect;
    }
    if rng.hits(10) {
        clients.output_bytes_max = 20_000;
    }
    if rng.hits(8) {
        clients.output_subscriber_bytes_max = 2000;
        clients.output_subscriber_soft_bytes = 500;
        clients.output_subscriber_soft_time = ms(50);
    }
    if rng.hits(5) {
        clients.memory_bytes_max = 60_000;
    }
    Rules {
        settings,
        commands: TABLE.with(CommandTable::clone),
        policy: policy(),
        access: Access::default(),
    }
}

/// Nobody is refused, closed or told that it took too long: contexts take turns.
pub fn for_time_slices(rules: &mut Rules) {
    let defaults = EngineSettings::default();
    let settings = &mut rules.settings;
    settings.pool.queue_timeout = Duration::from_secs(5);
    settings.pool.queue_clients_max = defaults.pool.queue_clients_max;
    settings.clients.request_timeout = Duration::ZERO;
    settings.clients.output_bytes_max = defaults.clients.output_bytes_max;
    settings.clients.memory_bytes_max = defaults.clients.memory_bytes_max;
}

/// What the seed says, and not the generator. `waits`: clients do little else than wait.
pub fn for_seed(rules: &mut Rules, seed: u64, waits: bool) {
    for_forgetting(rules, seed);
    if waits {
        for_waits(rules, seed);
    }
}

/// In some of the worlds where clients wait, what one sends behind its wait soon stops it from being
/// read. By the seed and not by the generator.
fn for_waits(rules: &mut Rules, seed: u64) {
    if seed % 2 == 1 {
        rules.settings.clients.output_bytes_max = 70_000;
    }
}

/// Clients log in as users of the server, and it judges their rights. None has to in time.
pub fn for_users(rules: &mut Rules, users: &mut Users, rng: &mut Rng) {
    rules.settings.clients.handshake_timeout = Duration::ZERO;
    rules.access = Access {
        mode: AuthMode::Passthrough,
        failures_max: rng.one_of(&[0, 2, 10]),
        ..Access::default()
    };
    users.default_is_closed = rng.hits(40);
}

/// In some worlds where clients log in the server logs narrows in by its certificate, and in some of those
/// nothing undoes that. By the seed and not by the generator.
pub fn for_certificate(rules: &mut Rules, users: &mut Users, seed: u64) {
    let mut apart = Rng::of(seed ^ 0x746c73, Part::Setup);
    rules.settings.backend.presents_certificate = apart.hits(50);
    if rules.settings.backend.presents_certificate {
        users.by_certificate = apart.hits(70).then_some(1);
        users.knows_no_reset = apart.hits(25);
        // Then nobody is served who has not logged in.
        users.default_is_closed |= users.by_certificate.is_some() && users.knows_no_reset;
    }
}

/// What nobody needs is forgotten soon, or at once. Drawn apart, which leaves all other choices as they
/// were.
fn for_forgetting(rules: &mut Rules, seed: u64) {
    let mut apart = Rng::of(seed ^ 0x6f67, Part::Setup);
    rules.settings.pool.contexts_new_max = apart.one_of(&[0, 2, 64]);
}

/// Checks are frequent, and often nothing else finds a server out of step.
pub fn for_desyncs(rules: &mut Rules, rng: &mut Rng) {
    let pool = &mut rules.settings.pool;
    pool.check_interval = Duration::from_millis(rng.one_of(&[2, 5, 20]));
    pool.check_kinds = rng.hits(50);
}

/// Who narrows is towards the fake servers.
pub fn identity() -> Identity {
    Identity {
        name: "narrows:sim".to_owned(),
    }
}
