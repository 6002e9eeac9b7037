//! What the server itself does to its clients: it dies, stops, pauses, closes, refuses, is full,
//! or is at work on something slow.

use super::Nemesis;
use crate::chaos::system::System;
use crate::support::Conn;

pub(super) const ALL: &[Nemesis] = &[
    Nemesis::new("redis-kill-9", 300, |system| system.server.kill9())
        .ending(|system| system.server.restart()),
    Nemesis::new("redis-stopped-briefly", 500, |system| system.server.stop())
        .ending(|system| system.server.cont())
        .blinding(),
    Nemesis::new("redis-stopped-past-the-stall", 4000, |system| {
        system.server.stop();
    })
    .ending(|system| system.server.cont())
    .blinding(),
    Nemesis::new("client-kill-one", 1000, kill_one).again_ms(50),
    Nemesis::new("client-kill-type-normal", 1000, |system| {
        system
            .direct()
            .call(&["CLIENT", "KILL", "TYPE", "normal"])
            .integer();
    })
    .again_ms(250),
    Nemesis::new("client-pause-all", 1000, |system| {
        pause(system, "1000", "ALL")
    })
    // Nobody is heard before it is over, not even who would end it.
    .ending(|system| system.admin.take().unwrap().expect(&["PING"], "+PONG\r\n")),
    Nemesis::new("client-pause-write", 2500, |system| {
        pause(system, "60000", "WRITE");
    })
    .ending(unpause),
    Nemesis::new("maxclients-lowered", 1000, lower_maxclients)
        .ending(|system| configure(system, "maxclients", "10000")),
    Nemesis::new("maxclients-lowered-and-all-closed", 1000, |system| {
        lower_maxclients(system);
        let admin = system.admin.as_mut().unwrap();
        admin.call(&["CLIENT", "KILL", "TYPE", "normal"]).integer();
    })
    .ending(|system| configure(system, "maxclients", "10000")),
    Nemesis::new("maxmemory-reached", 1000, |system| {
        system.admin = Some(system.direct());
        configure(system, "maxmemory", "1");
    })
    .ending(|system| configure(system, "maxmemory", "0")),
    Nemesis::new("idle-connections-closed", 2500, |system| {
        system.admin = Some(system.direct());
        configure(system, "timeout", "1");
    })
    .ending(|system| {
        // The server has closed the connection of the beginning, which was idle.
        system.admin = Some(system.direct());
        configure(system, "timeout", "0");
    }),
    Nemesis::new("debug-sleep", 2200, |system| {
        let mut admin = system.direct();
        admin.send_command(&["DEBUG", "SLEEP", "2"]);
        system.admin = Some(admin);
    })
    .ending(|system| system.admin.take().unwrap().expect_reply("+OK\r\n"))
    .blinding(),
    Nemesis::new("script-that-does-not-end", 2200, |system| {
        let mut admin = system.direct();
        admin.send_command(&["EVAL", "while true do end", "0"]);
        system.admin = Some(admin);
    })
    .ending(end_script)
    .blinding(),
];

/// One of narrows' connections, whichever.
fn kill_one(system: &mut System) {
    let mut admin = system.direct();
    let list = admin.call(&["CLIENT", "LIST"]).text();
    let ids: Vec<&str> = list
        .lines()
        .filter(|line| line.contains(" name=narrows:"))
        .filter_map(|line| line.strip_prefix("id=")?.split(' ').next())
        .collect();
    if let Some(id) = system.random.choice(&ids) {
        // It may have gone by itself meanwhile.
        admin.call(&["CLIENT", "KILL", "ID", id]).integer();
    }
}

fn pause(system: &mut System, span_ms: &str, what: &str) {
    let mut admin = system.direct();
    admin.expect(&["CLIENT", "PAUSE", span_ms, what], "+OK\r\n");
    system.admin = Some(admin);
}

fn unpause(system: &mut System) {
    let mut admin = system.admin.take().unwrap();
    admin.expect(&["CLIENT", "UNPAUSE"], "+OK\r\n");
}

/// Below what is connected. Those that are in stay in, also the one that asks.
fn lower_maxclients(system: &mut System) {
    system.admin = Some(system.direct());
    configure(system, "maxclients", "2");
}

fn configure(system: &mut System, name: &str, value: &str) {
    let admin = system.admin.as_mut().unwrap();
    admin.expect(&["CONFIG", "SET", name, value], "+OK\r\n");
}

/// A script can be killed as soon as the server answers others, with BUSY.
fn end_script(system: &mut System) {
    let mut killer = Conn::connect(&system.server.address());
    killer.expect(&["SCRIPT", "KILL"], "+OK\r\n");
    let mut admin = system.admin.take().unwrap();
    assert!(admin.reply().is_error(), "the script was killed");
}
