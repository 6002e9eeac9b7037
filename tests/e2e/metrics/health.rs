//! `/healthz` and `/readyz`: what an orchestrator acts on has to be true.

use rustix::process::Signal;

use crate::metrics::catalog::scrape;
use crate::metrics::http::get;
use crate::support::setup::narrows;
use crate::support::{Narrows, PATIENCE, RedisServer, wait_until};

#[test]
fn without_a_server_narrows_lives_and_says_why_it_is_not_ready() {
    let mut server = RedisServer::start();
    let settings = "[backend]\nhealth_interval = \"50ms\"\n";
    let narrows = narrows(&server.url(), settings, &[]);
    let address = narrows.admin_address();
    let is_ready = || get(&address, "/readyz").status == 200;
    wait_until("narrows to be ready", PATIENCE, is_ready);
    let body = "ready\nlogins: passthrough: to the server's own users\n";
    assert_eq!(get(&address, "/readyz").body, body);
    assert_eq!(scrape(&narrows).value("narrows_ready"), 1.0);
    server.kill9();
    wait_until("the loss to be noticed", PATIENCE, || !is_ready());
    let page = get(&address, "/readyz");
    assert_eq!(page.status, 503);
    assert!(
        page.body
            .starts_with("the server does not answer the health check: "),
        "{page:?}"
    );
    assert_eq!(get(&address, "/healthz").status, 200);
    let page = scrape(&narrows);
    assert_eq!(
        (page.value("redis_up"), page.value("narrows_ready")),
        (0.0, 0.0)
    );
    for name in ["redis_connected_clients", "redis_memory_used_bytes"] {
        assert_eq!(page.find(name), None, "not known now");
    }
    server.restart();
    wait_until("narrows to be ready again", PATIENCE, is_ready);
    wait_until("the figures to come back", PATIENCE, || {
        scrape(&narrows).find("redis_connected_clients").is_some()
    });
}

#[test]
fn a_narrows_that_ends_says_so_until_it_has() {
    let server = RedisServer::start();
    let settings = "[runtime]\ndrain_timeout = \"8s\"\n";
    let mut narrows = narrows(&server.url(), settings, &[]);
    let address = narrows.admin_address();
    let mut client = narrows.connect();
    client.expect(&["PING"], "+PONG\r\n");
    // Half a request is waited for.
    client.send("*1\r\n$4\r\nPI");
    wait_until("it to be there", PATIENCE, || {
        scrape(&narrows).value("narrows_buffered_bytes") > 0.0
    });
    narrows.signal(Signal::TERM);
    wait_until("the end to be told", PATIENCE, || {
        get(&address, "/readyz").body.contains("draining")
    });
    assert_eq!(get(&address, "/readyz").status, 503);
    assert_eq!(get(&address, "/healthz").status, 200);
    client.send("NG\r\n");
    client.expect_reply("+PONG\r\n");
    assert_eq!(narrows.wait(PATIENCE).code(), Some(0));
}

#[test]
fn without_an_address_nothing_is_served_and_one_that_is_taken_is_an_error() {
    let server = RedisServer::start();
    let narrows = Narrows::in_front_of(&server, &["--admin-listen", ""]);
    narrows.connect().expect(&["PING"], "+PONG\r\n");
    assert!(
        !narrows.log().contains("admin endpoints"),
        "{}",
        narrows.log()
    );
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let url = server.url();
    let arguments = ["--listen", "127.0.0.1:0", "--backend", &url];
    let arguments = [&arguments[..], &["--admin-listen", &taken]].concat();
    let mut refused = Narrows::spawn(&arguments);
    assert_eq!(refused.wait(PATIENCE).code(), Some(1));
    let words = format!(
        "narrows: cannot listen on {taken} for metrics; admin.listen names another address: \
         Address already in use (os error 98)"
    );
    refused.wait_for_line(PATIENCE, |line| (line == words).then_some(()));
}
