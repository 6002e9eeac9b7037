//! Every key there is, once: its path, the setting it fills, its kind and range. Files, the
//! environment, flags, the summary and the test of `config/narrows.toml` all walk this list,
//! so a key cannot be known to one of them only.

use std::path::PathBuf;

use super::Config;
use super::kind::{
    Kind, address, boolean, bytes, choice, count, duration, list, mode, parsed, path, ratio,
    secret_text, tcp_address, text, url,
};
use super::url::BackendUrl;
use crate::command::{self, Policy, PolicySettings, Renames, Scripts};
use crate::engine::settings::{OnUnknownOutcome, Undeliverable};
use crate::session::AuthMode;
use crate::session::access::AuthChoice;
use crate::telemetry::log::check_level;
use crate::telemetry::settings::LogFormat;
use crate::tls::backend::{TlsVersion, check_server_name};
use crate::tls::listener::ClientCertificates;
use crate::tls::subject::CertificateUser;

/// What zero means for a bound on what is lent.
const BUDGET: &str = "what backend.max_connections leaves";

/// The settings while they are being read: what the file calls one thing and the settings
/// another is kept as the file has it until everything is known.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) config: Config,
    pub(super) url: BackendUrl,
    pub(super) password_file: Option<PathBuf>,
}

/// Is shown every key.
pub(super) trait Visitor {
    /// The key at `path` fills `value` and is of `kind`.
    fn key<K: Kind>(&mut self, path: &'static str, value: &mut K::Value, kind: &K);
}

/// Shows `$visitor` keys of `$settings`, a row each: path, field and kind.
macro_rules! keys {
    ($visitor:ident, $settings:expr; $($path:literal $field:ident $kind:expr;)*) => {
        let settings = &mut $settings;
        $($visitor.key($path, &mut settings.$field, &$kind);)*
    };
}

/// Shows `visitor` every key, section by section as in `config/narrows.toml`.
pub(super) fn visit(draft: &mut Draft, visitor: &mut impl Visitor) {
    listen(&mut draft.config, visitor);
    backend(draft, visitor);
    backend_tls(&mut draft.config, visitor);
    tls(&mut draft.config, visitor);
    pool(&mut draft.config, visitor);
    clients(&mut draft.config, visitor);
    blocking(&mut draft.config, visitor);
    limits(&mut draft.config, visitor);
    commands(&mut draft.config, visitor);
    auth(&mut draft.config, visitor);
    runtime(&mut draft.config, visitor);
    admin(&mut draft.config, visitor);
    log(&mut draft.config, visitor);
}

fn listen(config: &mut Config, v: &mut impl Visitor) {
    keys! { v, config.runtime;
        "listen.addresses"          listen              list(address(), 1, 64);
        "listen.unix_socket_mode"   unix_socket_mode    mode();
        "listen.backlog"            listen_backlog      count(1, 65_535);
        "listen.allow_open"         allow_open          boolean();
        "listen.proxy_protocol_from"    proxy_protocol_from     list(parsed(NETWORK), 0, 64);
    }
}

fn backend(draft: &mut Draft, v: &mut impl Visitor) {
    keys! { v, *draft;
        "backend.url"                       url                         url();
        "backend.password_file"             password_file               path();
    }
    keys! { v, draft.config.runtime;
        "backend.max_connections"           backend_connections_max     count(2, 65_535);
        "backend.connect_timeout"           connect_timeout             duration(10, 5 * MINUTE);
    }
    keys! { v, draft.config.engine.backend;
        "backend.handshake_timeout"         handshake_timeout           duration(10, 5 * MINUTE);
        "backend.stall_timeout"             stall_timeout               duration(10, DAY);
        "backend.stall_timeout_answering"   stall_timeout_answering     duration(10, DAY);
        "backend.backoff_min"               backoff_min                 duration(1, 10 * MINUTE);
        "backend.backoff_max"               backoff_max                 duration(1, 10 * MINUTE);
    }
    keys! { v, draft.config.runtime;
        "backend.dials_per_second_max"      dials_per_second_max        count(1, 10_000);
        "backend.tcp_keepalive"             tcp_keepalive
            duration(SECOND, 9 * HOUR).or_zero("no probes");
        "backend.health_interval"           health_interval             duration(10, MINUTE);
        "backend.maxclients_high_water"     maxclients_high_water       ratio(0.1, 1.0);
        "backend.instance"                  instance
            text("up to 64 printable ASCII characters without spaces", name_of_a_client);
    }
}

fn backend_tls(config: &mut Config, v: &mut impl Visitor) {
    keys! { v, config.runtime.backend_tls_settings;
        "backend.tls.ca_file"       ca_file         path();
        "backend.tls.server_name"   server_name
            text("the name of a host, a numeric address, or \"\" for the host of the URL", check_server_name);
        "backend.tls.verify"        verify          parsed(VERIFY);
        "backend.tls.cert_file"     cert_file       path();
        "backend.tls.key_file"      key_file        path();
        "backend.tls.min_version"   min_version     choice(&TLS_VERSIONS);
    }
}

fn tls(config: &mut Config, v: &mut impl Visitor) {
    keys! { v, config.runtime.client_tls_settings;
        "tls.cert_files"        cert_files      files();
        "tls.key_files"         key_files       files();
        "tls.clients"           clients         choice(&CLIENT_CERTIFICATES);
        "tls.client_ca_file"    client_ca_file  path();
        "tls.client_user"       client_user     choice(&CERTIFICATE_USERS);
        "tls.min_version"       min_version     choice(&TLS_VERSIONS);
    }
    keys! { v, config.runtime.handshakes;
        "tls.handshake_timeout"     timeout     duration(10, 5 * MINUTE);
        "tls.handshakes_max"        max         count(1, 65_535);
        "tls.handshake_cpu_max"     cpu_max     ratio(0.01, 1.0);
    }
    keys! { v, config.runtime;
        "tls.reload_interval"   tls_reload_interval     duration(100, DAY).or_zero("only by a reload");
    }
}

/// The kind of lists of files.
fn files() -> impl Kind<Value = Vec<String>> {
    list(text("a path", check_path), 0, 64)
}

fn check_path(text: &str) -> Result<(), String> {
    match text.is_empty() || text.contains('\0') {
        true => Err("is no path".to_owned()),
        false => Ok(()),
    }
}

const CLIENT_CERTIFICATES: [(&str, ClientCertificates); 3] = [
    ("off", ClientCertificates::Off),
    ("optional", ClientCertificates::Optional),
    ("required", ClientCertificates::Required),
];
const CERTIFICATE_USERS: [(&str, CertificateUser); 4] = [
    ("none", CertificateUser::None),
    ("cn", CertificateUser::Cn),
    ("san_dns", CertificateUser::SanDns),
    ("san_uri", CertificateUser::SanUri),
];

const VERIFY: &str = "\"full\", \"ca\" or \"pin:\" with the certificate's SHA-256 in 64 digits";

const NETWORK: &str = "an address, or a block such as \"10.0.0.0/8\"";

/// The lowest version of TLS that is spoken.
const TLS_VERSIONS: [(&str, TlsVersion); 2] =
    [("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)];

fn pool(config: &mut Config, v: &mut impl Visitor) {
    keys! { v, config.engine.pool;
        "pool.queue_timeout"         queue_timeout         duration(1, 10 * MINUTE);
        "pool.queue_clients_max"     queue_clients_max     count(1, MILLION);
        "pool.slice"                 slice                 duration(1, 10 * SECOND);
        "pool.idle_timeout"          idle_timeout          duration(10, 30 * DAY).or_zero("never");
        "pool.min_idle"              min_idle              count(0, 10_000);
        "pool.min_idle_leases"       min_idle_leases       count(0, 10_000);
        "pool.max_lifetime"          max_lifetime          duration(10, 30 * DAY).or_zero("never");
        "pool.max_lifetime_jitter"   max_lifetime_jitter   ratio(0.0, 1.0);
        "pool.ping_interval"         ping_interval         duration(10, DAY).or_zero("never");
        "pool.check_interval"        check_interval        duration(1, DAY).or_zero("never");
        "pool.check_kinds"           check_kinds           boolean();
        "pool.pipes_per_context_max" pipes_per_context_max count(1, 64);
        "pool.grow_after"            grow_after            duration(1, 10 * SECOND);
        "pool.pipe_in_flight_max"    pipe_in_flight_max    count(1, MILLION);
        "pool.pipe_bytes_max"        pipe_bytes_max        bytes(64 * KIB, GIB);
        "pool.big_reply_bytes"       big_reply_bytes       bytes(4 * KIB, GIB);
        "pool.leases_max"            leases_max            count(1, 10_000).or_zero(BUDGET);
        "pool.blocking_max"          blocking_max          count(1, 10_000).or_zero(BUDGET);
    }
}

fn clients(config: &mut Config, v: &mut impl Visitor) {
    keys! { v, config.engine.clients;
        "clients.max_clients"            max_clients             count(1, MILLION);
        "clients.max_per_address"        max_per_address
            count(1, MILLION).or_zero("no limit of its own");
        "clients.idle_timeout"           idle_timeout
            duration(10, 30 * DAY).or_zero("never");
        "clients.handshake_timeout"      handshake_timeout
            duration(10, HOUR).or_zero("no limit");
        "clients.in_flight_max"          in_flight_max           count(1, MILLION);
        "clients.output_bytes_max"       output_bytes_max        bytes(64 * KIB, 1024 * GIB);
        "clients.output_subscriber_bytes_max"   output_subscriber_bytes_max
            bytes(64 * KIB, 1024 * GIB);
        "clients.output_subscriber_soft_bytes"  output_subscriber_soft_bytes
            bytes(64 * KIB, 1024 * GIB);
        "clients.output_subscriber_soft_time"   output_subscriber_soft_time
            duration(10, DAY);
        "clients.output_pause_bytes"     output_pause_bytes      bytes(4 * KIB, GIB);
        "clients.big_request_bytes"      big_request_bytes       bytes(64 * KIB, 512 * MIB);
        "clients.upload_bytes_per_second_min"   upload_bytes_per_second_min
            bytes(1, GIB).or_zero("no limit");
        "clients.request_timeout"        request_timeout
            duration(1, DAY).or_zero("no limit");
        "clients.idle_in_transaction"    idle_in_transaction
            duration(1, DAY).or_zero("never");
        "clients.replay_reads"           replay_reads            boolean();
        "clients.on_unknown_outcome"     on_unknown_outcome      choice(&OUTCOMES);
        "clients.memory_bytes_max"       memory_bytes_max        bytes(MIB, 1024 * GIB);
    }
}

fn blocking(config: &mut Config, v: &mut impl Visitor) {
    keys! { v, config.engine.blocking;
        "blocking.undeliverable"    undeliverable   choice(&UNDELIVERABLE);
    }
}

fn limits(config: &mut Config, v: &mut impl Visitor) {
    keys! { v, config.engine.limits;
        "limits.inline_bytes_max"   inline_bytes_max    bytes(KIB, MIB);
        "limits.header_bytes_max"   header_bytes_max    bytes(KIB, MIB);
        "limits.args_max"           args_max            count(16, INT_MAX);
        "limits.bulk_bytes_max"     bulk_bytes_max      bytes(MIB, 64 * GIB);
    }
}

fn auth(config: &mut Config, v: &mut impl Visitor) {
    keys! { v, config.auth;
        "auth.mode"                 choice              choice(&MODES);
        "auth.user_clients_max"     user_clients_max    count(1, MILLION).or_zero("no bound");
        "auth.failures_max"         failures_max        count(1, MILLION).or_zero("no bound");
    }
}

/// The kind of the lists of commands.
pub(super) fn patterns() -> impl Kind<Value = Vec<String>> {
    list(text(PATTERN, pattern), 0, 1024)
}

/// The kind of the lists of commands that the server calls differently.
pub(super) fn renamings() -> impl Kind<Value = Vec<String>> {
    list(secret_text(RENAME, rename, command::shown_renaming), 0, 64)
}

fn commands(config: &mut Config, v: &mut impl Visitor) {
    keys! { v, config.commands;
        "commands.allow"        allow       patterns();
        "commands.deny"         deny        patterns();
        "commands.dedicated"    dedicated   patterns();
        "commands.rename"       rename      renamings();
        "commands.scripts"      scripts     choice(&SCRIPTS);
    }
}

fn runtime(config: &mut Config, v: &mut impl Visitor) {
    keys! { v, config.runtime;
        "runtime.workers"           workers             count(1, 256).or_zero("1 up to 4 cores, else 2");
        "runtime.coalescing_pause"  coalescing_pause    boolean();
        "runtime.drain_timeout"     drain_timeout       duration(1, HOUR).or_zero("at once");
    }
}

fn admin(config: &mut Config, v: &mut impl Visitor) {
    keys! { v, config.admin;
        "admin.listen"  listen      tcp_address();
    }
}

fn log(config: &mut Config, v: &mut impl Visitor) {
    keys! { v, config.log;
        "log.level"     level       text(LEVEL, check_level);
        "log.format"    format      choice(&FORMATS);
    }
}

const OUTCOMES: [(&str, OnUnknownOutcome); 2] = [
    ("error", OnUnknownOutcome::Error),
    ("disconnect", OnUnknownOutcome::Disconnect),
];
const UNDELIVERABLE: [(&str, Undeliverable); 2] = [
    ("put_back", Undeliverable::PutBack),
    ("log", Undeliverable::Log),
];
/// Whether scripts may get round what is denied.
pub(super) const SCRIPTS: [(&str, Scripts); 2] =
    [("auto", Scripts::Guarded), ("allow", Scripts::Allowed)];

const MODES: [(&str, AuthChoice); 4] = [
    ("none", AuthChoice::Always(AuthMode::None)),
    ("local", AuthChoice::Always(AuthMode::Local)),
    ("passthrough", AuthChoice::Always(AuthMode::Passthrough)),
    ("auto", AuthChoice::Auto),
];
const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];
const PATTERN: &str =
    "a command, a subcommand such as \"client|kill\", or either with * at its end";
const RENAME: &str = "COMMAND=name-at-the-server";
const LEVEL: &str = "\"error\", \"warn\", \"info\", \"debug\", \"trace\", \"off\", or directives \
                     such as \"info,narrows::engine=debug\"";

/// What the server takes for the name of a client.
fn name_of_a_client(name: &str) -> Result<(), String> {
    let fits = name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_graphic());
    match fits {
        true => Ok(()),
        false => Err("is not a name that Redis takes for a client".to_owned()),
    }
}

/// Asks the layer that will use the pattern.
fn pattern(entry: &str) -> Result<(), String> {
    let lists = PolicySettings {
        deny: vec![entry.to_owned()],
        ..PolicySettings::default()
    };
    let mistake = |found: Vec<_>| {
        found
            .first()
            .map(|one: &command::EntryMistake| one.why.to_owned())
    };
    Policy::new(&lists)
        .map(|_| ())
        .map_err(|found| mistake(found).unwrap_or_default())
}

/// The same for one renaming; all of them together are looked at when everything has been read.
fn rename(entry: &str) -> Result<(), String> {
    let first = |found: Vec<command::EntryMistake>| found.first().map(|one| one.why.to_owned());
    Renames::new(&[entry.to_owned()])
        .map(|_| ())
        .map_err(|found| first(found).unwrap_or_default())
}

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
pub(super) const MILLION: u64 = 1_000_000;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Redis' own bound on the number of arguments.
const INT_MAX: u64 = 2_147_483_647;

/// The paths of all keys, in order.
pub(super) fn paths() -> Vec<&'static str> {
    struct Paths(Vec<&'static str>);
    impl Visitor for Paths {
        fn key<K: Kind>(&mut self, path: &'static str, _: &mut K::Value, _: &K) {
            self.0.push(path);
        }
    }
    let mut paths = Paths(Vec::new());
    visit(&mut Draft::default(), &mut paths);
    paths.0
}

#[cfg(test)]
mod tests;
