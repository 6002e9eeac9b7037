//! Replies that nobody waits for any more when a part of them has come.

use std::time::Duration;

use narrows::engine::settings::EngineSettings;
use narrows::session::AuthMode;

use super::harness::{HELLO, Harness};
use super::pong;

/// A health check that is answered then finds the connections that have said nothing for so long.
const SILENCE: Duration = Duration::from_millis(800);

#[test]
fn what_has_come_of_a_reply_that_is_asked_for_elsewhere_is_no_part_of_the_next_one() {
    let checked = |settings: &mut EngineSettings| settings.pool.check_interval = SILENCE;
    let mut harness = Harness::with_access(1, checked, AuthMode::Passthrough);
    let client = harness.client();
    harness.send(client, "INCR a\r\n");
    let backend = harness.permits[0].0;
    harness.engine.dialled(backend, harness.now);
    harness.written(backend);
    harness.reply(backend, HELLO);
    harness.written(backend);
    harness.reply(backend, b":1\r\n");
    assert_eq!(harness.received(client), ":1\r\n");

    // Its right to do that is asked for, and the answer stops in the middle.
    harness.send(client, "SELECT 7\r\n");
    assert!(harness.written(backend).contains("SELECT"));
    harness.reply(backend, b"-ERR DB index i");
    harness.advance(SILENCE);
    let check = pong(&harness.written(backend));
    harness.check_health(true);
    harness.reply(backend, format!("s out of range\r\n{check}").as_bytes());
    assert_eq!(harness.closed, []);
}
