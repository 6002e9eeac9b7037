//! What the server itself does to its clients: it dies, stops, pauses, closes, refuses, is full,
//! or is at work on something slow.

use super::Nemesis;
use crate::chaos::stage::Stage;
use crate::support::Conn;

pub(super) const ALL: &[Nemesis] = &[
    Nemesis::new("redis-kill-9", 300, |stage| stage.server.kill9())
        .ending(|stage| stage.server.restart()),
    Nemesis::new("redis-stopped-briefly", 500, |stage| stage.server.stop())
        .ending(|stage| stage.server.cont())
        .blinding(),
    Nemesis::new("redis-stopped-past-the-stall", 4000, |stage| {
        stage.server.stop();
    })
    .ending(|stage| stage.server.cont())
    .blinding(),
    Nemesis::new("client-kill-one", 1000, kill_one).again_ms(50),
    Nemesis::new("client-kill-type-normal", 1000, |stage| {
        stage
            .direct()
            .call(&["CLIENT", "KILL", "TYPE", "normal"])
            .integer();
    })
    .again_ms(250),
    Nemesis::new("client-pause-all", 1000, |stage| {
        pause(stage, "1000", "ALL")
    })
    // Nobody is heard before it is over, not even who would end it.
    .ending(|stage| stage.admin.take().unwrap().expect(&["PING"], "+PONG\r\n")),
    Nemesis::new("client-pause-write", 2500, |stage| {
        pause(stage, "60000", "WRITE");
    })
    .ending(unpause),
    Nemesis::new("maxclients-lowered", 1000, lower_maxclients)
        .ending(|stage| configure(stage, "maxclients", "10000")),
    Nemesis::new("maxclients-lowered-and-all-closed", 1000, |stage| {
        lower_maxclients(stage);
        let admin = stage.admin.as_mut().unwrap();
        admin.call(&["CLIENT", "KILL", "TYPE", "normal"]).integer();
    })
    .ending(|stage| configure(stage, "maxclients", "10000")),
    Nemesis::new("maxmemory-reached", 1000, |stage| {
        stage.admin = Some(stage.direct());
        configure(stage, "maxmemory", "1");
    })
    .ending(|stage| configure(stage, "maxmemory", "0")),
    Nemesis::new("idle-connections-closed", 2500, |stage| {
        stage.admin = Some(stage.direct());
        configure(stage, "timeout", "1");
    })
    .ending(|stage| {
        // The server has closed the connection of the beginning, which was idle.
        stage.admin = Some(stage.direct());
        configure(stage, "timeout", "0");
    }),
    Nemesis::new("debug-sleep", 2200, |stage| {
        let mut admin = stage.direct();
        admin.send_command(&["DEBUG", "SLEEP", "2"]);
        stage.admin = Some(admin);
    })
    .ending(|stage| stage.admin.take().unwrap().expect_reply("+OK\r\n"))
    .blinding(),
    Nemesis::new("script-that-does-not-end", 2200, |stage| {
        let mut admin = stage.direct();
        admin.send_command(&["EVAL", "while true do end", "0"]);
        stage.admin = Some(admin);
    })
    .ending(end_script)
    .blinding(),
];

/// One of narrows' connections, whichever.
fn kill_one(stage: &mut Stage) {
    let mut admin = stage.direct();
    let list = admin.call(&["CLIENT", "LIST"]).text();
    let ids: Vec<&str> = list
        .lines()
        .filter(|line| line.contains(" name=narrows:"))
        .filter_map(|line| line.strip_prefix("id=")?.split(' ').next())
        .collect();
    if let Some(id) = stage.random.choice(&ids) {
        // It may have gone by itself meanwhile.
        admin.call(&["CLIENT", "KILL", "ID", id]).integer();
    }
}

fn pause(stage: &mut Stage, span_ms: &str, what: &str) {
    let mut admin = stage.direct();
    admin.expect(&["CLIENT", "PAUSE", span_ms, what], "+OK\r\n");
    stage.admin = Some(admin);
}

fn unpause(stage: &mut Stage) {
    let mut admin = stage.admin.take().unwrap();
    admin.expect(&["CLIENT", "UNPAUSE"], "+OK\r\n");
}

/// Below what is connected. Those that are in stay in, also the one that asks.
fn lower_maxclients(stage: &mut Stage) {
    stage.admin = Some(stage.direct());
    configure(stage, "maxclients", "2");
}

fn configure(stage: &mut Stage, name: &str, value: &str) {
    let admin = stage.admin.as_mut().unwrap();
    admin.expect(&["CONFIG", "SET", name, value], "+OK\r\n");
}

/// A script can be killed as soon as the server answers others, with BUSY.
fn end_script(stage: &mut Stage) {
    let mut killer = Conn::connect(&stage.server.address());
    killer.expect(&["SCRIPT", "KILL"], "+OK\r\n");
    let mut admin = stage.admin.take().unwrap();
    assert!(admin.reply().is_error(), "the script was killed");
}
