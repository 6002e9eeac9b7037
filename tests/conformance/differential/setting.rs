//! The settings in which sessions are compared.

use crate::support::{Flavor, Narrows, RedisServer};
use crate::support::{setup, tls};

/// How narrows is set up, and what clients may hold at once there without having to wait for it.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) flags: &'static [&'static str],
    pub(crate) configuration: &'static str,
    /// Clients that need a connection to themselves.
    pub(crate) leases: usize,
    /// Of these, clients that wait.
    pub(crate) waits: usize,
    /// Whether `clients.big_request_bytes` is less than some requests have.
    pub(crate) collects_little: bool,
    /// Whether the server has users, and clients log in.
    pub(crate) users: Users,
    /// Whether narrows has TLS on both sides, whatever else the tests are told.
    pub(crate) over_tls: bool,
}

/// See [`Setting::users`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Users {
    Nobody,
    OfTheServer,
}

/// A busy machine is neither a silent server nor a lack of connections: comparing two long values takes
/// a server seconds there.
macro_rules! patient {
    () => {
        "[backend]\nstall_timeout = \"30s\"\n[pool]\nqueue_timeout = \"30s\"\n"
    };
}

const PLENTY: Setting = Setting {
    name: "default",
    flags: &[],
    configuration: concat!(patient!(), "[auth]\nfailures_max = 0\n"),
    leases: 3,
    waits: 3,
    collects_little: false,
    users: Users::Nobody,
    over_tls: false,
};

pub(crate) const DEFAULT: Setting = PLENTY;

pub(crate) const OVER_TLS: Setting = Setting {
    name: "TLS on both sides",
    over_tls: true,
    ..PLENTY
};

/// One connection carries everybody.
pub(crate) const TWO_BACKENDS: Setting = Setting {
    name: "2 backends",
    flags: &["--max-backend-connections", "2"],
    leases: 0,
    waits: 0,
    ..PLENTY
};

/// One connection beside it can be lent.
pub(crate) const THREE_BACKENDS: Setting = Setting {
    name: "3 backends",
    flags: &["--max-backend-connections", "3"],
    leases: 1,
    waits: 0,
    ..PLENTY
};

/// Every bound at its least, or at the least that sessions fit into.
pub(crate) const LEAST: Setting = Setting {
    name: "every bound at its least",
    configuration: r#"
        [backend]
        stall_timeout = "30s"
        [pool]
        queue_timeout = "30s"
        queue_clients_max = 4
        pipes_per_context_max = 1
        pipe_in_flight_max = 1
        pipe_bytes_max = "64KiB"
        big_reply_bytes = "4KiB"
        leases_max = 1
        blocking_max = 1
        [clients]
        max_clients = 8
        in_flight_max = 1
        big_request_bytes = "64KiB"
        output_pause_bytes = "4KiB"
        memory_bytes_max = "4MiB"
        [limits]
        inline_bytes_max = "1KiB"
        header_bytes_max = "1KiB"
        args_max = 16
        bulk_bytes_max = "1MiB"
        [auth]
        failures_max = 0
    "#,
    leases: 1,
    waits: 1,
    collects_little: true,
    ..PLENTY
};

/// Users of the server.
pub(crate) const PASSTHROUGH: Setting = Setting {
    name: "passthrough",
    configuration: concat!(
        patient!(),
        "[auth]\nmode = \"passthrough\"\nfailures_max = 0\n"
    ),
    users: Users::OfTheServer,
    ..PLENTY
};

/// Of the server, beside `default`, who may everything without a password.
const USERS: &[&[&str]] = &[
    &["narrows", "on", ">narrowspw", "~*", "&*", "+@all"],
    &["alice", "on", ">alicepw", "~*", "&*", "+@all"],
    &[
        "bob",
        "on",
        ">bobpw",
        "~s*",
        "~l*",
        "~z*",
        "&news",
        "&{marker}",
        // WAIT needs it: see docs/compatibility.md.
        "&__narrows:offset",
        "+@all",
        "-@dangerous",
    ],
    &[
        "carol",
        "on",
        ">carolpw",
        "~*",
        "&*",
        "+@all",
        "-select",
        "-multi",
        "-spublish",
    ],
];

impl Setting {
    /// Whether a client may hold a connection for as long as it likes: one is left to those whose
    /// need ends by itself.
    pub(crate) fn may_stay(&self) -> bool {
        self.waits > 0
    }

    /// The servers that sessions are held with.
    pub(crate) fn flavors(&self) -> Vec<Flavor> {
        match self.over_tls {
            true => vec![Flavor::Redis],
            false => Flavor::matrix(),
        }
    }

    pub(crate) fn server(&self, flavor: Flavor) -> RedisServer {
        let options = &["--enable-debug-command", "yes"];
        let server = self.where_it_has_tls(|| RedisServer::start_flavor(flavor, options));
        if self.users == Users::OfTheServer {
            let mut conn = server.connect();
            for rules in USERS {
                let command = [&["ACL", "SETUSER"], *rules].concat();
                conn.expect(&command, "+OK\r\n");
            }
        }
        server
    }

    pub(crate) fn narrows(&self, server: &RedisServer) -> Narrows {
        let url = match self.users {
            Users::Nobody => server.url(),
            Users::OfTheServer => server.url_of_user("narrows:narrowspw"),
        };
        self.where_it_has_tls(|| setup::narrows(&url, self.configuration, self.flags))
    }

    fn where_it_has_tls<T>(&self, start: impl FnOnce() -> T) -> T {
        match self.over_tls {
            true => tls::on_both_sides(start),
            false => start(),
        }
    }
}
