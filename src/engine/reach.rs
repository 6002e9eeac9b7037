//! What concerns more than one part of the engine is done between them, with no more in reach than it
//! needs: each of these borrows the parts that it names, and the compiler keeps it from all others.
//! Those with more in reach may ask those with less; what would lead the other way is an
//! [event](super::event).

use super::auth::Auth;
use super::clients::Clients;
use super::cx::Cx;
use super::fanout::Fanout;
use super::leases::Leases;
use super::pool::Pool;
use super::waits::Waits;

/// Requests and replies between clients and backends.
pub struct Traffic<'a> {
    pub cx: &'a mut Cx,
    pub clients: &'a mut Clients,
    pub pool: &'a mut Pool,
}

/// Backends that clients have to themselves.
pub struct Lending<'a> {
    pub cx: &'a mut Cx,
    pub clients: &'a mut Clients,
    pub pool: &'a mut Pool,
    pub leases: &'a mut Leases,
}

/// Commands that block, and who gets a backend next.
pub struct Blocking<'a> {
    pub cx: &'a mut Cx,
    pub clients: &'a mut Clients,
    pub pool: &'a mut Pool,
    pub leases: &'a mut Leases,
    pub waits: &'a mut Waits,
}

/// Who a client is, and as whom a backend is logged in.
pub struct Gate<'a> {
    pub cx: &'a mut Cx,
    pub clients: &'a mut Clients,
    pub pool: &'a mut Pool,
    pub auth: &'a mut Auth,
}

/// What is asked of all workers, or of the server before its turn.
pub struct Queries<'a> {
    pub cx: &'a mut Cx,
    pub clients: &'a mut Clients,
    pub pool: &'a mut Pool,
    pub fanout: &'a mut Fanout,
}

/// What is held of clients, whoever holds it.
pub struct Memory<'a> {
    pub cx: &'a mut Cx,
    pub clients: &'a mut Clients,
    pub pool: &'a mut Pool,
    pub auth: &'a mut Auth,
    pub fanout: &'a mut Fanout,
}

/// What is to be written.
pub struct Writing<'a> {
    pub(super) cx: &'a mut Cx,
    pub(super) clients: &'a mut Clients,
    pub(super) pool: &'a mut Pool,
}

/// How an engine stands, for whoever asks: nothing changes by that.
#[derive(Clone, Copy)]
pub struct Survey<'a> {
    pub(super) cx: &'a Cx,
    pub(super) clients: &'a Clients,
    pub(super) pool: &'a Pool,
    pub(super) auth: &'a Auth,
    pub(super) leases: &'a Leases,
    pub(super) waits: &'a Waits,
    pub(super) fanout: &'a Fanout,
}

/// Borrows the named parts of what holds them.
macro_rules! reach {
    ($of:ty: $($name:ident -> $what:ident { $($part:ident)+ })+) => {
        impl $of {
            $(
                #[inline]
                pub(super) fn $name(&mut self) -> $what<'_> {
                    $what { $($part: &mut self.$part),+ }
                }
            )+
        }
    };
}

pub(super) use reach;

reach! { Lending<'_>:
    traffic -> Traffic { cx clients pool }
}

reach! { Blocking<'_>:
    traffic -> Traffic { cx clients pool }
    lending -> Lending { cx clients pool leases }
}

reach! { Gate<'_>:
    traffic -> Traffic { cx clients pool }
}

reach! { Memory<'_>:
    gate -> Gate { cx clients pool auth }
}

reach! { Queries<'_>:
    traffic -> Traffic { cx clients pool }
}
