//! Settings of one run: small figures, so that every bound is reached within a few events.

use std::sync::OnceLock;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use narrows::command::{CommandTable, Policy, PolicySettings};
use narrows::engine::Rules;
use narrows::engine::settings::{EngineSettings, OnUnknownOutcome};
use narrows::session::Access;
use narrows::session::access::BackendLogin;

/// Made once: nothing else here takes as long.
fn commands() -> CommandTable {
    static COMMANDS: OnceLock<CommandTable> = OnceLock::new();
    COMMANDS.get_or_init(CommandTable::builtin).clone()
}

pub fn draw(u: &mut Unstructured<'_>) -> Result<Rules> {
    let mut settings = EngineSettings::default();
    pool(u, &mut settings)?;
    clients(u, &mut settings)?;
    let backend = &mut settings.backend;
    backend.handshake_timeout = Duration::from_millis(200);
    backend.stall_timeout = Duration::from_millis(400);
    backend.stall_timeout_answering = Duration::from_millis(1500);
    backend.backoff_min = Duration::from_millis(2);
    backend.backoff_max = Duration::from_millis(60);
    let limits = &mut settings.limits;
    limits.args_max = *u.choose(&[1 << 20, 16])?;
    limits.bulk_bytes_max = *u.choose(&[512 << 20, 1 << 20, 90_000])?;
    limits.inline_bytes_max = *u.choose(&[64 << 10, 1024])?;
    Ok(Rules {
        settings,
        commands: commands(),
        policy: Policy::new(&PolicySettings::default()).expect("no rules, no mistakes"),
        access: access(u)?,
    })
}

/// Logged in to the server, or not.
fn access(u: &mut Unstructured<'_>) -> Result<Access> {
    let password = u.arbitrary::<bool>()?.then(|| b"secret"[..].into());
    Ok(Access {
        own: BackendLogin {
            user: None,
            password,
        },
        ..Access::default()
    })
}

fn pool(u: &mut Unstructured<'_>, settings: &mut EngineSettings) -> Result<()> {
    let ms = Duration::from_millis;
    let pool = &mut settings.pool;
    pool.queue_timeout = ms(*u.choose(&[3000, 400, 20])?);
    pool.queue_clients_max = *u.choose(&[1000, 2])?;
    pool.slice = ms(*u.choose(&[1, 5, 20])?);
    pool.idle_timeout = ms(*u.choose(&[0, 300, 5000])?);
    pool.min_idle = u.int_in_range(0..=1)?;
    pool.max_lifetime = ms(*u.choose(&[0, 500, 20_000])?);
    pool.ping_interval = ms(*u.choose(&[0, 1000])?);
    pool.pipes_per_context_max = u.int_in_range(1..=3)?;
    pool.grow_after = ms(*u.choose(&[1, 5])?);
    pool.pipe_in_flight_max = *u.choose(&[100, 1, 2, 5])?;
    pool.pipe_bytes_max = *u.choose(&[1 << 20, 100, 4000])?;
    pool.big_reply_bytes = *u.choose(&[100_000, 300, 2000])?;
    pool.leases_max = u.int_in_range(1..=3)?;
    Ok(())
}

fn clients(u: &mut Unstructured<'_>, settings: &mut EngineSettings) -> Result<()> {
    let clients = &mut settings.clients;
    clients.in_flight_max = *u.choose(&[50, 1, 3])?;
    clients.output_pause_bytes = *u.choose(&[100_000, 50, 2000])?;
    clients.output_bytes_max = *u.choose(&[256 << 20, 20_000])?;
    clients.memory_bytes_max = *u.choose(&[1 << 30, 60_000])?;
    clients.big_request_bytes = *u.choose(&[50_000, 1000])?;
    clients.upload_bytes_per_second_min = *u.choose(&[0, 1, 10_000])?;
    clients.request_timeout = Duration::from_millis(*u.choose(&[0, 30, 500])?);
    clients.replay_reads = u.arbitrary()?;
    if u.ratio(1, 4)? {
        clients.on_unknown_outcome = OnUnknownOutcome::Disconnect;
    }
    Ok(())
}
