//! A request of every route, and of some more than one, since its arguments matter.

use crate::command::{CommandTable, Local, Lookup, Pin, Route, Spec, TransactionVerb};
use crate::resp::write;
use crate::session::tests::every;

pub fn every_route() -> Vec<Route> {
    let locals = every!(Local: ClientId ClientInfo ClientList ClientKill ClientSetname ClientGetname
        ClientSetinfo ClientReply ClientUnblock ClientNoEvict ClientGetredir ClientTrackinginfo
        ClientCapa ClientHelp Quit Reset Auth Hello Select);
    let verbs = every!(TransactionVerb: Watch Unwatch Multi Exec Discard);
    let pins = every!(Pin: Monitor Tracking Caching NoTouch ImportSource Himport ReadOnly ReadWrite
        Asking UnknownClientSubcommand UnknownConnectionCommand UnknownPubsubCommand
        UnknownTransactionCommand UnreviewedCommand UnknownCommand);
    let mut routes = vec![
        Route::Shared,
        Route::Info,
        Route::Blocking,
        Route::Subscriber,
        Route::Unpins(Pin::Himport),
        Route::OwnConnection,
        Route::NotForwarded,
        Route::Restricted,
    ];
    routes.extend(locals.map(Route::Local));
    routes.extend(verbs.map(Route::Transaction));
    routes.extend(pins.map(Route::Pinned));
    for route in &routes {
        match route {
            Route::Shared | Route::Info | Route::Local(_) | Route::Transaction(_) => {}
            Route::Blocking | Route::Subscriber | Route::Pinned(_) | Route::Unpins(_) => {}
            Route::OwnConnection | Route::NotForwarded | Route::Restricted => {}
        }
    }
    routes
}

/// Requests for rows of our own table, whose arguments matter where there are several for one route.
const REQUESTS: [&str; 54] = [
    "GET k",
    "SET k v",
    "XREAD STREAMS s 0",
    "INFO server",
    "INFO narrows",
    "BLPOP k 0",
    "BLPOP k soon",
    "XREAD BLOCK 0 STREAMS s 0",
    "WAIT 1 0",
    "SUBSCRIBE c",
    "PUNSUBSCRIBE",
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH k",
    "UNWATCH",
    "SELECT 3",
    "SELECT x",
    "AUTH p",
    "HELLO 3",
    "RESET",
    "QUIT",
    "CLIENT ID",
    "CLIENT INFO",
    "CLIENT LIST",
    "CLIENT KILL ID 3",
    "CLIENT UNBLOCK 3",
    "CLIENT SETNAME n",
    "CLIENT GETNAME",
    "CLIENT SETINFO lib-name l",
    "CLIENT REPLY OFF",
    "CLIENT NO-EVICT ON",
    "CLIENT GETREDIR",
    "CLIENT TRACKINGINFO",
    "CLIENT CAPA redirect",
    "CLIENT HELP",
    "MONITOR",
    "CLIENT TRACKING ON",
    "CLIENT TRACKING OFF",
    "CLIENT TRACKING ON REDIRECT 3",
    "CLIENT CACHING YES",
    "CLIENT NO-TOUCH ON",
    "CLIENT NO-TOUCH OFF",
    "CLIENT IMPORT-SOURCE OFF",
    "HIMPORT PREPARE p f",
    "HIMPORT DISCARDALL",
    "READONLY",
    "READWRITE",
    "ASKING",
    "CLIENT TELEPATHY",
    "SCRIPT KILL",
    "SYNC",
    "DEBUG SLEEP 0",
    "REPLICAOF NO ONE",
];

/// Commands that only a server tells of.
const TOLD: [(&str, Pin); 5] = [
    ("CONNECT.X", Pin::UnknownConnectionCommand),
    ("PUBSUB.X", Pin::UnknownPubsubCommand),
    ("TRANSACT.X", Pin::UnknownTransactionCommand),
    ("REVIEW.X", Pin::UnreviewedCommand),
    ("WHO.KNOWS", Pin::UnknownCommand),
];

pub struct RequestCase {
    pub request: &'static str,
    pub bytes: Vec<u8>,
    pub argc: u32,
    pub spec: Spec,
}

pub fn rows() -> Vec<RequestCase> {
    let table = CommandTable::builtin();
    let row = |request: &'static str, told: Option<Pin>| {
        let args: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let (mut bytes, argc) = (Vec::new(), args.len() as u32);
        write::request(&mut bytes, &args);
        let spec = match (table.lookup(&bytes, args[0], argc), told) {
            (Lookup::Known(spec) | Lookup::UnknownSubcommand(spec), None) => spec.clone(),
            (Lookup::Unknown, Some(pin)) => Spec {
                route: Route::Pinned(pin),
                ..Spec::unknown(&request.to_ascii_lowercase())
            },
            (other, _) => panic!("{request}: {other:?}"),
        };
        RequestCase {
            request,
            bytes,
            argc,
            spec,
        }
    };
    let own = REQUESTS.iter().map(|request| row(request, None));
    let told = TOLD.iter().map(|(request, pin)| row(request, Some(*pin)));
    own.chain(told).collect()
}
