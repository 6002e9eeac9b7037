//! The route classes: by which way a request travels. They are facts about a command alone; what
//! they mean for one client at one moment is the session's to decide, so nothing here knows
//! clients, sessions or backends.

/// The way a request takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// Pipelined on a backend that many clients use at once.
    Shared,
    /// As [`Route::Shared`]; the reply's fields about connections are made true for narrows'
    /// clients.
    Info,
    /// Answered from the client's virtual session.
    Local(Local),
    /// Begins, ends or undoes a transaction: needs an exclusive backend from its first command to its
    /// last.
    Transaction(TransactionVerb),
    /// May keep its connection waiting on the server.
    Blocking,
    /// Changes what the client is subscribed to.
    Subscriber,
    /// Leaves state on its connection: the client keeps an exclusive backend.
    Pinned(Pin),
    /// Undoes what pinned its client; on any other connection it does nothing, and travels as
    /// [`Route::Shared`].
    Unpins(Pin),
    /// Has to get through while pipes are stuck: runs on a connection of its own.
    OwnConnection,
    /// Cannot pass through a multiplexer at all (replication links, the script debugger).
    NotForwarded,
    /// Changes what the server is, for everybody: refused unless the operator allows it by name.
    /// Allowed, it travels as [`Route::Shared`].
    Restricted,
}

/// The commands that are answered from the client's virtual session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Local {
    /// `CLIENT ID`.
    ClientId,
    /// `CLIENT INFO`.
    ClientInfo,
    /// `CLIENT LIST`.
    ClientList,
    /// `CLIENT KILL`.
    ClientKill,
    /// `CLIENT SETNAME`.
    ClientSetname,
    /// `CLIENT GETNAME`.
    ClientGetname,
    /// `CLIENT SETINFO`.
    ClientSetinfo,
    /// `CLIENT REPLY`.
    ClientReply,
    /// `CLIENT UNBLOCK`.
    ClientUnblock,
    /// `CLIENT NO-EVICT`.
    ClientNoEvict,
    /// `CLIENT GETREDIR`.
    ClientGetredir,
    /// `CLIENT TRACKINGINFO`.
    ClientTrackinginfo,
    /// `CLIENT CAPA` (Valkey 8.0): what a client says that it can. Only redirects are known so far, and
    /// none ever reaches a client.
    ClientCapa,
    /// `CLIENT HELP`.
    ClientHelp,
    /// `QUIT`.
    Quit,
    /// `RESET`.
    Reset,
    /// `AUTH`.
    Auth,
    /// `HELLO`.
    Hello,
    /// `SELECT`.
    Select,
}

impl Local {
    /// Whether what a client has sent behind it means something else without it.
    pub fn matters_to_what_follows(self) -> bool {
        matches!(
            self,
            Self::Select | Self::Hello | Self::Auth | Self::Reset | Self::ClientReply
        )
    }

    /// The command in a form that changes nothing, for whoever only wants to know whether the
    /// server lets a user run it: it looks at rights before it looks at arguments
    /// (`processCommand`, server.c). `None` for what needs no right.
    pub fn harmless(self) -> Option<&'static [&'static [u8]]> {
        Some(match self {
            Self::ClientId => &[b"CLIENT", b"ID"],
            Self::ClientInfo => &[b"CLIENT", b"INFO"],
            // No client is of this type, or has this id.
            Self::ClientList => &[b"CLIENT", b"LIST", b"TYPE", b"master"],
            Self::ClientKill => &[b"CLIENT", b"KILL", b"ID", b"9223372036854775807"],
            Self::ClientSetname => &[b"CLIENT", b"SETNAME", b" "],
            Self::ClientGetname => &[b"CLIENT", b"GETNAME"],
            Self::ClientSetinfo => &[b"CLIENT", b"SETINFO", b"-", b"-"],
            Self::ClientReply => &[b"CLIENT", b"REPLY", b"ON"],
            Self::ClientUnblock => &[b"CLIENT", b"UNBLOCK", b"9223372036854775807"],
            Self::ClientNoEvict => &[b"CLIENT", b"NO-EVICT", b"-"],
            Self::ClientGetredir => &[b"CLIENT", b"GETREDIR"],
            Self::ClientTrackinginfo => &[b"CLIENT", b"TRACKINGINFO"],
            // No capability is called so, and what the server does not know it passes over.
            Self::ClientCapa => &[b"CLIENT", b"CAPA", b"-"],
            Self::Select => &[b"SELECT", b"-"],
            // The server itself answers it.
            Self::ClientHelp => return None,
            // Redis' own flag `no_auth`.
            Self::Quit | Self::Reset | Self::Auth | Self::Hello => return None,
        })
    }

    /// Whether the server runs the harmless form of a command if it lets the user: an error is no
    /// permission then. The others touch their client alone, and have no form without an effect but
    /// one with wrong arguments.
    pub fn runs_harmlessly(self) -> bool {
        !matches!(
            self,
            Self::ClientSetname | Self::ClientSetinfo | Self::ClientNoEvict | Self::Select
        )
    }
}

/// The commands of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransactionVerb {
    /// `WATCH`: what is to be executed later depends on these keys from now on.
    Watch,
    /// `UNWATCH`: on none any more.
    Unwatch,
    /// `MULTI` opens a transaction.
    Multi,
    /// `EXEC` closes it and runs what was queued.
    Exec,
    /// `DISCARD` closes it and runs nothing.
    Discard,
}

/// Why a client keeps a backend to itself until it disconnects or undoes what pinned it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pin {
    /// `MONITOR`: the connection becomes a stream.
    Monitor,
    /// `CLIENT TRACKING`: invalidations are pushed to that connection.
    Tracking,
    /// `CLIENT CACHING`: decides about the next command of that connection.
    Caching,
    /// `CLIENT NO-TOUCH`.
    NoTouch,
    /// `CLIENT IMPORT-SOURCE` (Valkey 8.1): that connection sees expired keys.
    ImportSource,
    /// `HIMPORT PREPARE` (Redis 8.10): the names of fields that it gives belong to that connection.
    Himport,
    /// `READONLY` on a cluster node.
    ReadOnly,
    /// `READWRITE` on a cluster node.
    ReadWrite,
    /// `ASKING` on a cluster node: decides about the next command of that connection.
    Asking,
    /// A subcommand of `CLIENT` that has no row of ours.
    UnknownClientSubcommand,
    /// A command that the server puts in `@connection` and that has no row of ours.
    UnknownConnectionCommand,
    /// A command that the server puts in `@pubsub` and that has no row of ours.
    UnknownPubsubCommand,
    /// A command that the server puts in `@transaction` and that has no row of ours.
    UnknownTransactionCommand,
    /// A command of the server's own that has no row of ours and does not say that it reads or
    /// writes: what it does may stay on its connection.
    UnreviewedCommand,
    /// A command unknown even to the server's `COMMAND`: it may do anything to its connection.
    UnknownCommand,
}

impl Pin {
    /// All of them, in the order of their declaration.
    pub const ALL: [Pin; 15] = [
        Pin::Monitor,
        Pin::Tracking,
        Pin::Caching,
        Pin::NoTouch,
        Pin::ImportSource,
        Pin::Himport,
        Pin::ReadOnly,
        Pin::ReadWrite,
        Pin::Asking,
        Pin::UnknownClientSubcommand,
        Pin::UnknownConnectionCommand,
        Pin::UnknownPubsubCommand,
        Pin::UnknownTransactionCommand,
        Pin::UnreviewedCommand,
        Pin::UnknownCommand,
    ];

    /// The value of the metric label `reason`.
    pub fn label(self) -> &'static str {
        match self {
            Pin::Monitor => "monitor",
            Pin::Tracking => "client_tracking",
            Pin::Caching => "client_caching",
            Pin::NoTouch => "client_no_touch",
            Pin::ImportSource => "client_import_source",
            Pin::Himport => "himport",
            Pin::ReadOnly => "readonly",
            Pin::ReadWrite => "readwrite",
            Pin::Asking => "asking",
            Pin::UnknownClientSubcommand => "unknown_client_subcommand",
            Pin::UnknownConnectionCommand => "unknown_connection_command",
            Pin::UnknownPubsubCommand => "unknown_pubsub_command",
            Pin::UnknownTransactionCommand => "unknown_transaction_command",
            Pin::UnreviewedCommand => "unreviewed_command",
            Pin::UnknownCommand => "unknown_command",
        }
    }
}
