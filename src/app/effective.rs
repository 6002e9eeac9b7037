//! What of the configuration is put into force, at the start and by each reload: over the private
//! server if there is one, within what the system allows, its rules ready to be asked.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::command::Policy;
use crate::config::Config;
use crate::embedded::Embedded;
use crate::runtime;
use crate::runtime::settings::BackendCredentials;
use crate::session::Access;
use crate::session::access::BackendLogin;
use crate::topology::ServerAddress;

/// What is put into force of `config`: over the private server if there is one, and within what
/// the system allows.
pub(super) fn effective(mut config: Config, server: Option<&Embedded>) -> Config {
    if let Some(server) = server {
        config.runtime.backend = ServerAddress::Unix(server.socket().to_owned());
        config.runtime.credentials = BackendCredentials::default();
        config.runtime.database = 0;
        config.runtime.backend_tls = None;
    }
    let runtime = &config.runtime;
    config.engine.backend.presents_certificate =
        runtime.backend_tls.is_some() && runtime.backend_tls_settings.cert_file.is_some();
    allow_descriptors(&mut config);
    config.engine.limits = config.engine.limits.authenticated();
    config
}

/// Which commands may be used, and who may come in.
pub(super) fn admission_of(config: &Config) -> anyhow::Result<(Policy, Access)> {
    let policy = Policy::new(&config.commands)
        .map_err(|_| anyhow::anyhow!("the command rules of the configuration are not valid"))?;
    let mut access = Access::new(&config.auth, own_login(config), &config.commands)
        .map_err(|_| anyhow::anyhow!("the command rules of a user are not valid"))?;
    access.allow_open = config.runtime.allow_open;
    Ok((policy, access))
}

/// As whom narrows itself logs in.
fn own_login(config: &Config) -> BackendLogin {
    let credentials = &config.runtime.credentials;
    let bytes = |text: &str| text.as_bytes().into();
    BackendLogin {
        user: credentials.user.as_deref().map(bytes),
        password: credentials.exposed_password().map(bytes),
    }
}

/// Raises the limit of open files as far as allowed, and lowers `max_clients` to what is
/// left beside backends and narrows' own files, as Redis does.
fn allow_descriptors(config: &mut Config) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let Some(files) = files.and_then(|n| usize::try_from(n).ok()) else {
        return;
    };
    let backends = config.runtime.backend_connections_max as usize;
    let headers = match config.runtime.proxy_protocol_from.is_empty() {
        true => 0,
        false => runtime::HEADERS_PENDING_MAX,
    };
    let room = files
        .saturating_sub(OWN_FILES + backends + headers + runtime::LINGERING_CLIENTS_MAX)
        .max(1);
    let clients = &mut config.engine.clients.max_clients;
    if *clients > room {
        tracing::warn!(
            max_clients = *clients,
            lowered_to = room,
            open_files_max = files,
            "max_clients is lowered to what the limit of open files allows"
        );
        *clients = room;
    }
}

/// Beside the sockets of clients and backends: listeners, logs, the threads' event loops.
const OWN_FILES: usize = 64;
