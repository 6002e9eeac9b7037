//! The connection itself: what Redis remembers of a client is narrows' to remember, so nearly
//! nothing here is shared. `PING` and `ECHO` are: a client that pings wants to know whether Redis
//! lives.

use super::row::{Row, plain};
use crate::command::class::{Local, Pin, Route};

pub(super) const ROWS: &[Row] = &[
    plain("auth", -2).no_auth().local(Local::Auth),
    plain("client", -2).pin(Pin::UnknownClientSubcommand),
    plain("client|caching", 3).pin(Pin::Caching),
    plain("client|capa", -3).local(Local::ClientCapa),
    plain("client|getname", 2).local(Local::ClientGetname),
    plain("client|getredir", 2).local(Local::ClientGetredir),
    plain("client|help", 2).local(Local::ClientHelp),
    plain("client|id", 2).local(Local::ClientId),
    plain("client|import-source", 3).pin(Pin::ImportSource),
    plain("client|info", 2).local(Local::ClientInfo),
    plain("client|kill", -3).admin().local(Local::ClientKill),
    plain("client|list", -2).admin().local(Local::ClientList),
    plain("client|no-evict", 3)
        .admin()
        .local(Local::ClientNoEvict),
    plain("client|no-touch", 3).pin(Pin::NoTouch),
    plain("client|pause", -3)
        .admin()
        .route(Route::OwnConnection),
    plain("client|reply", 3).local(Local::ClientReply),
    plain("client|setinfo", 4).local(Local::ClientSetinfo),
    plain("client|setname", 3).local(Local::ClientSetname),
    plain("client|tracking", -3).pin(Pin::Tracking),
    plain("client|trackinginfo", 2).local(Local::ClientTrackinginfo),
    plain("client|unblock", -3)
        .admin()
        .local(Local::ClientUnblock),
    plain("client|unpause", 2)
        .admin()
        .route(Route::OwnConnection),
    plain("echo", 2).replay().string(),
    plain("hello", -1).no_auth().local(Local::Hello),
    plain("ping", -1).replay().status().string(),
    plain("quit", -1).no_auth().local(Local::Quit),
    plain("reset", 1).no_auth().local(Local::Reset),
    plain("select", 2).local(Local::Select),
];
