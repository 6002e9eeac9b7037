//! Pub/Sub. Channels are no keys. `PUBLISH` only sends, so it is shared; subscribing changes the
//! connection.

use super::row::{Row, plain};
use crate::command::class::Route;

pub(super) const ROWS: &[Row] = &[
    plain("psubscribe", -2).pubsub().route(Route::Subscriber),
    plain("publish", 3).pubsub().may_replicate().integer(),
    plain("pubsub", -2),
    plain("pubsub|channels", -2).pubsub().list(),
    plain("pubsub|help", 2),
    plain("pubsub|numpat", 2).pubsub().integer(),
    plain("pubsub|numsub", -2).pubsub().list(),
    plain("pubsub|shardchannels", -2).pubsub().list(),
    plain("pubsub|shardnumsub", -2).pubsub().list(),
    plain("punsubscribe", -1).pubsub().route(Route::Subscriber),
    plain("spublish", 3).pubsub().may_replicate().integer(),
    plain("ssubscribe", -2).pubsub().route(Route::Subscriber),
    plain("subscribe", -2).pubsub().route(Route::Subscriber),
    plain("sunsubscribe", -1).pubsub().route(Route::Subscriber),
    plain("unsubscribe", -1).pubsub().route(Route::Subscriber),
];
