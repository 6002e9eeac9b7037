//! What is lent a connection, and what happens to it at the wrong moment.

use std::time::Duration;

use narrows::engine::{BackendId, ClientId};

use crate::desk::{Desk, without_alarms};

#[test]
fn a_wait_that_is_ended_before_it_was_sent_is_answered_once_and_never_begins() {
    let mut desk = Desk::new(2, without_alarms);
    let (waiter, other) = (desk.client(), desk.client());
    desk.says(other, "GET a\r\n");
    let pipe = desk.opens();
    desk.written(pipe);
    desk.answers(pipe, b"$-1\r\n");
    desk.says(waiter, "BLPOP q 0\r\nPING\r\n");
    // Lent, and nothing of the wait written.
    let lease = desk.opens();
    desk.says(other, "CLIENT UNBLOCK 1 ERROR\r\n");
    assert_eq!(desk.closed, [lease]);
    assert_eq!(
        desk.hears(waiter),
        "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"
    );
    let written = desk.written(pipe);
    assert_eq!(written, "*1\r\n$4\r\nPING\r\n");
    desk.answers(pipe, b"+PONG\r\n");
    assert_eq!(desk.hears(waiter), "+PONG\r\n");
    assert_eq!(desk.hears(other), "$-1\r\n:1\r\n");
}

/// A client that has asked for `errand`, which is on its way.
fn on_an_errand(desk: &mut Desk, errand: &str) -> (ClientId, BackendId) {
    let client = desk.client();
    desk.says(client, errand);
    let backend = desk.permits.last().expect("a dial under way").0;
    desk.engine.dialled(backend, desk.now);
    desk.written(backend);
    desk.answers(backend, b"*2\r\n$2\r\nid\r\n:9\r\n");
    assert_ne!(desk.written(backend), "");
    (client, backend)
}

#[test]
fn an_errand_that_takes_longer_than_a_request_may_ends_its_connection() {
    for errand in ["SCRIPT KILL\r\n", "CLIENT PAUSE 10\r\n"] {
        let mut desk = Desk::new(4, |settings| {
            without_alarms(settings);
            settings.clients.request_timeout = Duration::from_millis(100);
        });
        let (client, backend) = on_an_errand(&mut desk, errand);
        desk.sleeps(Duration::from_millis(90));
        assert_eq!(desk.hears(client), "");
        desk.sleeps(Duration::from_millis(30));
        let heard = desk.hears(client);
        assert!(heard.starts_with("-ERR narrows: "), "{heard}");
        assert_eq!(desk.closed, [backend]);
    }
}

#[test]
fn an_errand_never_runs_as_the_user_that_its_client_was_when_it_was_dialled() {
    let mut desk = Desk::new(4, without_alarms);
    let client = desk.client();
    desk.says(client, "SCRIPT KILL\r\n");
    let before = desk.permits.last().expect("a dial under way").0;
    desk.engine.dialled(before, desk.now);
    desk.written(before);
    desk.logs_in_as("another");
    desk.answers(before, b"*2\r\n$2\r\nid\r\n:9\r\n");
    assert_eq!(desk.written(before), "");
    assert_eq!(desk.closed, [before]);
    let after = desk.permits.last().expect("another dial under way").0;
    desk.engine.dialled(after, desk.now);
    assert!(desk.written(after).contains("another"));
    desk.answers(after, b"+OK\r\n*2\r\n$2\r\nid\r\n:9\r\n");
    assert!(desk.written(after).contains("KILL"));
}

#[test]
fn nothing_is_late_while_the_server_is_paused_and_all_is_again_when_it_goes_on() {
    let mut desk = Desk::new(4, |settings| {
        without_alarms(settings);
        settings.clients.request_timeout = Duration::from_millis(100);
        settings.backend.stall_timeout = Duration::from_secs(1);
    });
    let other = desk.client();
    desk.says(other, "INCR k\r\n");
    let pipe = desk.opens();
    desk.written(pipe);
    let (operator, backend) = on_an_errand(&mut desk, "CLIENT PAUSE 60000\r\n");
    desk.answers(backend, b"+OK\r\n");
    assert_eq!(desk.hears(operator), "+OK\r\n");
    // Control is held up too.
    desk.engine.health_checked(false, desk.now);
    desk.sleeps(Duration::from_secs(60));
    assert_eq!(desk.hears(other), "");
    desk.sleeps(Duration::from_millis(120));
    assert!(desk.hears(other).contains("request_timeout"));
    desk.sleeps(Duration::from_secs(2));
    assert_eq!(desk.closed, [backend, pipe]);

    // A pause that the server refuses is none.
    desk.says(other, "INCR k\r\n");
    let pipe = desk.opens();
    desk.written(pipe);
    let (operator, backend) = on_an_errand(&mut desk, "CLIENT PAUSE 60000\r\n");
    desk.answers(backend, b"-NOPERM no\r\n");
    assert_eq!(desk.hears(operator), "-NOPERM no\r\n");
    desk.sleeps(Duration::from_millis(120));
    assert!(desk.hears(other).contains("request_timeout"));
}

#[test]
fn what_follows_an_errand_waits_until_its_connection_which_is_in_no_db_is_gone() {
    let mut desk = Desk::new(4, without_alarms);
    let client = desk.client();
    desk.says(client, "SELECT 5\r\nSET a 1\r\n");
    let pipe = desk.opens();
    desk.answers(pipe, b"+OK\r\n");
    assert!(desk.written(pipe).contains("SET"));
    desk.answers(pipe, b"+OK\r\n");
    desk.says(client, "SCRIPT KILL\r\nGET a\r\nSCRIPT KILL\r\n");
    let errand = desk.permits.last().expect("a dial under way").0;
    assert_ne!(errand, pipe);
    desk.engine.dialled(errand, desk.now);
    desk.written(errand);
    desk.answers(errand, b"*2\r\n$2\r\nid\r\n:9\r\n");
    assert_eq!(desk.written(errand), "*2\r\n$6\r\nSCRIPT\r\n$4\r\nKILL\r\n");
    assert_eq!(desk.written(pipe), "");
    desk.answers(errand, b"-NOTBUSY no script\r\n");
    assert_eq!(desk.closed, [errand]);
    assert_eq!(desk.written(pipe), "*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
}
