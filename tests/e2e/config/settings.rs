//! From sources to settings: the template, every key, precedence.

use std::fs;
use std::path::Path;

use narrows::admin::settings::AdminSettings;
use narrows::command::PolicySettings;
use narrows::config::Config;
use narrows::engine::settings::{BackendSettings, ClientSettings, PoolSettings};
use narrows::resp::Limits;
use narrows::runtime::settings::Listen;
use narrows::session::access::AuthSettings;
use narrows::telemetry::settings::{LogFormat, LogSettings};
use narrows::topology::ServerAddress;

use crate::config::setup::{Setup, of_file};

fn template() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/narrows.toml");
    fs::read_to_string(path).unwrap()
}

#[test]
fn nothing_and_the_template_are_both_the_default() {
    assert_eq!(Setup::new().config(), Config::default());
    assert_eq!(of_file("").config(), Config::default());
    let loaded = of_file(&template()).load().unwrap();
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert!(
        loaded.summary.contains("as by default"),
        "{}",
        loaded.summary
    );
}

/// Fails to compile when a setting is added that is not named here.
macro_rules! all_differ {
    ($type:path, $set:expr, $default:expr, [$($field:ident)*]) => {
        all_differ!($type, $set, $default, [$($field)*] but [])
    };
    ($type:path, $set:expr, $default:expr, [$($field:ident)*] but [$($no_key:ident)*]) => {{
        let $type { $($field: _,)* $($no_key: _,)* } = $set.clone();
        $(assert_ne!($set.$field, $default.$field, stringify!($field));)*
    }};
}

/// Nothing as the default.
pub(crate) const OTHER: &str = r#"
[listen]
addresses = ["unix:/run/n.sock", "[::1]:7000"]
unix_socket_mode = 0o770
backlog = 10
allow_open = true
proxy_protocol_from = ["10.0.0.0/8", "::1"]
[backend]
url = "rediss://user:word@cache:6400/3"
max_connections = 40
connect_timeout = "1s"
handshake_timeout = "1s"
stall_timeout = "11s"
stall_timeout_answering = "2m"
dials_per_second_max = 5
backoff_min = "30ms"
backoff_max = "5s"
tcp_keepalive = 0
health_interval = "2s"
maxclients_high_water = 0.5
instance = "one"
[backend.tls]
ca_file = "/etc/ca.pem"
server_name = "redis.internal"
verify = "pin:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
min_version = "1.3"
[tls]
cert_files = ["/etc/narrows.pem"]
key_files = ["/etc/narrows.key"]
clients = "optional"
client_ca_file = "/etc/ca.pem"
client_user = "cn"
min_version = "1.3"
handshake_timeout = "1s"
handshakes_max = 5
handshake_cpu_max = 0.25
reload_interval = "1m"
[pool]
queue_timeout = "1s"
queue_clients_max = 5
slice = "5ms"
idle_timeout = "2m"
min_idle = 2
min_idle_leases = 3
max_lifetime = "2h"
max_lifetime_jitter = 0.3
ping_interval = 0
check_interval = "7ms"
check_kinds = false
pipes_per_context_max = 2
grow_after = "1ms"
pipe_in_flight_max = 7
pipe_bytes_max = "9MiB"
big_reply_bytes = 65536
leases_max = 3
blocking_max = 2
[clients]
max_clients = 77
max_per_address = 3
idle_timeout = "5m"
handshake_timeout = 0
in_flight_max = 8
output_bytes_max = "1MiB"
output_subscriber_bytes_max = "1MiB"
output_subscriber_soft_bytes = "512KiB"
output_subscriber_soft_time = "5s"
output_pause_bytes = "8KiB"
big_request_bytes = "2MiB"
upload_bytes_per_second_min = 0
request_timeout = "9s"
idle_in_transaction = 0
replay_reads = false
on_unknown_outcome = "disconnect"
memory_bytes_max = "2GiB"
[blocking]
undeliverable = "log"
[limits]
inline_bytes_max = "1KiB"
header_bytes_max = "1KiB"
args_max = 1000
bulk_bytes_max = "1MiB"
[commands]
allow = ["DEBUG"]
deny = ["KEYS", "FLUSH*"]
dedicated = ["FT.*"]
rename = ["CONFIG=other"]
scripts = "allow"
[auth]
mode = "local"
user_clients_max = 9
failures_max = 3
[users.alice]
password_sha256 = ["2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"]
[runtime]
workers = 2
coalescing_pause = true
drain_timeout = "5s"
[admin]
listen = ""
[log]
level = "warn"
format = "json"
"#;

#[test]
fn every_setting_can_be_changed_from_a_file() {
    let (set, default) = (of_file(OTHER).config(), Config::default());
    all_differ!(Config, set, default, [runtime engine commands auth admin log]);
    all_differ!(AuthSettings, set.auth, default.auth, [choice mode user_clients_max failures_max users]);
    all_differ!(narrows::runtime::settings::RuntimeSettings, set.runtime, default.runtime, [
        listen unix_socket_mode listen_backlog allow_open proxy_protocol_from backend database credentials
        backend_tls backend_tls_settings client_tls_settings handshakes tls_reload_interval
        backend_connections_max connect_timeout dials_per_second_max tcp_keepalive
        health_interval maxclients_high_water workers coalescing_pause drain_timeout instance
    ] but [client_tls]);
    let (engine, of_default) = (set.engine, default.engine);
    all_differ!(narrows::engine::settings::EngineSettings, engine, of_default,
        [pool backend clients blocking limits]);
    all_differ!(PoolSettings, engine.pool, of_default.pool, [
        queue_timeout queue_clients_max slice idle_timeout min_idle min_idle_leases max_lifetime
        max_lifetime_jitter ping_interval check_interval check_kinds pipes_per_context_max
        grow_after pipe_in_flight_max pipe_bytes_max big_reply_bytes leases_max
        blocking_max
    ] but [contexts_new_max]);
    all_differ!(BackendSettings, engine.backend, of_default.backend, [
        handshake_timeout stall_timeout stall_timeout_answering backoff_min backoff_max
    ] but [presents_certificate]);
    all_differ!(ClientSettings, engine.clients, of_default.clients, [
        max_clients max_per_address idle_timeout handshake_timeout in_flight_max output_bytes_max
        output_subscriber_bytes_max output_subscriber_soft_bytes output_subscriber_soft_time
        output_pause_bytes big_request_bytes
        upload_bytes_per_second_min request_timeout idle_in_transaction replay_reads
        on_unknown_outcome memory_bytes_max
    ]);
    // `authenticated` is the state of a client, not a setting.
    let Limits {
        authenticated: _, ..
    } = engine.limits;
    let (limits, of_default) = (engine.limits, of_default.limits);
    assert_ne!(limits.inline_bytes_max, of_default.inline_bytes_max);
    assert_ne!(limits.header_bytes_max, of_default.header_bytes_max);
    assert_ne!(limits.args_max, of_default.args_max);
    assert_ne!(limits.bulk_bytes_max, of_default.bulk_bytes_max);
    all_differ!(
        PolicySettings,
        set.commands,
        default.commands,
        [allow deny dedicated rename scripts]
    );
    all_differ!(AdminSettings, set.admin, default.admin, [listen]);
    all_differ!(LogSettings, set.log, default.log, [level format]);
}

#[test]
fn values_reach_the_settings_they_name() {
    let config = of_file(OTHER).config();
    let tcp = Listen::Tcp("[::1]:7000".parse().unwrap());
    assert_eq!(
        config.runtime.listen,
        [Listen::Unix("/run/n.sock".into()), tcp]
    );
    assert_eq!(config.runtime.unix_socket_mode, 0o770);
    let cache = ServerAddress::Tcp {
        host: "cache".to_owned(),
        port: 6400,
    };
    assert_eq!(
        (config.runtime.backend, config.runtime.database),
        (cache, 3)
    );
    assert_eq!(config.engine.pool.pipe_bytes_max, 9 << 20);
    assert_eq!(config.engine.pool.big_reply_bytes, 65_536);
    assert_eq!(config.commands.deny, ["KEYS", "FLUSH*"]);
}

#[test]
fn flags_override_variables_which_override_the_file() {
    let file = || of_file("[runtime]\nworkers = 2\n[log]\nlevel = 'warn'\nformat = 'json'\n");
    let workers = |setup: Setup| setup.config().runtime.workers;
    assert_eq!(workers(file()), 2);
    assert_eq!(workers(file().variable("NARROWS_WORKERS", "3")), 3);
    assert_eq!(workers(file().variable("NARROWS_WORKERS", "")), 2);
    let all = || {
        file()
            .variable("NARROWS_WORKERS", "3")
            .flag("--workers", "4")
    };
    assert_eq!(workers(all()), 4);
    let log = all().variable("NARROWS_LOG_LEVEL", "debug").config().log;
    assert_eq!(log.level, "debug");
    assert_eq!(log.format, LogFormat::Json);
    let listen = Setup::new()
        .variable("NARROWS_LISTEN", "127.0.0.1:1, unix:/x,")
        .config();
    assert_eq!(listen.runtime.listen.len(), 2);
}

#[test]
fn a_mistake_in_a_weaker_source_is_told_though_a_stronger_one_overrides_it() {
    let setup = of_file("[runtime]\nworkers = 'x'\n").flag("--workers", "1");
    assert_eq!(setup.mistakes().len(), 1);
}

#[test]
fn the_file_is_named_by_a_variable_unless_a_flag_names_another() {
    let setup = Setup::new();
    let one = setup.write("one.toml", "[runtime]\nworkers = 1\n", 0o600);
    let two = setup.write("two.toml", "[runtime]\nworkers = 2\n", 0o600);
    let mut setup = setup.variable("NARROWS_CONFIG", one.to_str().unwrap());
    assert_eq!(setup.config().runtime.workers, 1);
    setup.file = Some(two);
    assert_eq!(setup.config().runtime.workers, 2);
}
