//! What goes wrong on purpose: on one connection, or with the whole server. Only while the
//! world is not quiescent.

use std::time::Duration;

use narrows::engine::{BackendId, Mail};
use narrows::topology::ServerAddress;

use super::server::{Pause, State};
use super::world::{Conn, EARLY, World};

/// What a subscriber would get.
const PUSH: &[u8] = b">2\r\n+message\r\n+x\r\n";

impl World {
    /// A connection, or the server's side of it, fails.
    pub fn fault(&mut self, key: (usize, BackendId)) {
        self.server.now = self.now;
        let Some(conn) = self.conns.get_mut(&key) else {
            return;
        };
        let Some(link) = conn.link.as_mut().filter(|_| conn.closes_after.is_none()) else {
            return;
        };
        let kind = self.rng.below(9);
        match kind {
            // It dies, and what it has answered arrives in part.
            0 | 1 => conn.closes_after = Some(self.rng.below(link.out.len() + 1)),
            // It ends after its last answer.
            2 => conn.closes_after = Some(link.out.len()),
            3 => link.state = State::Hung,
            4 => link.state = State::Deaf,
            5 => link.state = State::Mute,
            6 if self.server.hub.subscribes(link.id) => link.state = State::Mute,
            6 => link.misbehave(&mut self.rng),
            // It answers before it has the whole request, and closes.
            7 if !link.input.is_empty() && link.state == State::Well => {
                while link.execute(&mut self.server, &mut self.history) {}
                // An error to a MULTI would let what follows run, as on a direct connection.
                if link.input.len() > 1 && !link.input.starts_with(b"*1") {
                    let received = [&link.input[..], &conn.to_server].concat();
                    self.history.answered_early(&received);
                    link.out.extend_from_slice(EARLY);
                    conn.closes_after = Some(link.out.len());
                }
            }
            // A push that nobody has asked for.
            8 if self.server.hub.subscribes(link.id) => {
                link.out.extend_from_slice(b">1\r\n+nothing\r\n");
            }
            8 => link.out.extend_from_slice(PUSH),
            _ => {}
        }
        self.note("fault", format!("{kind} {key:?}").as_bytes());
    }

    /// A server answers while nobody waits for anything.
    pub fn say_something_to_nobody(&mut self) {
        let workers = &mut self.workers;
        let mut quiet = |key: &(usize, BackendId), conn: &Conn| {
            let engine = &mut workers[key.0].engine;
            conn.to_server.is_empty()
                && conn.closes_after.is_none()
                && engine.writing().of_backend(key.1).is_empty()
                && conn.link.as_ref().is_some_and(|link| {
                    link.out.is_empty()
                        && link.input.is_empty()
                        && link.waiting.is_none()
                        && link.state == State::Well
                        && link.desync.is_none()
                })
        };
        let found = self
            .conns
            .iter()
            .find_map(|(key, conn)| quiet(key, conn).then_some(*key));
        let Some((w, id)) = found else {
            return;
        };
        self.note("says +OK to nobody", format!("{w} {id:?}").as_bytes());
        let engine = &mut self.workers[w].engine;
        engine.backend_bytes(id, b"+OK\r\n", self.now);
        if engine.survey().has_backend(id) {
            let text = "a reply to nobody was accepted".to_owned();
            self.history.offend(text);
        }
    }

    /// The whole server is stopped, paused or demoted.
    pub fn server_fault(&mut self) {
        self.server.now = self.now;
        let ms = |n: u64| Duration::from_millis(n);
        if self.users && self.rng.hits(40) {
            let user = 1 + self.rng.below(usize::from(super::server::USERS)) as u8;
            self.server.users.change_password(user);
            self.history.password_changes += 1;
            return self.note("another password", &[user]);
        }
        match self.rng.below(7) {
            0 if self.rng.hits(50) => self.replace(),
            0 | 1 => self.restart(),
            2 | 3 => {
                let pause = self.rng.one_of(&[Pause::All, Pause::Writes]);
                let length = ms(self.rng.one_of(&[5, 100, 800, 3000]));
                self.server.pause_until(self.now + length, pause);
                self.note("paused", format!("{pause:?} {length:?}").as_bytes());
            }
            _ => {
                self.server.replica = !self.server.replica;
                let role = if self.server.replica {
                    "replica"
                } else {
                    "master"
                };
                self.note("role", role.as_bytes());
            }
        }
    }

    /// Another server with the same data takes the place of this one, which narrows hears of at once.
    fn replace(&mut self) {
        self.topology = self.topology.replaced_by(ServerAddress::default());
        for worker in &mut self.workers {
            let topology = std::sync::Arc::new(self.topology.clone());
            worker.engine.mail(Mail::Topology(topology), self.now);
        }
        self.note("replaced", b"");
    }

    /// All connections die at once, what has been answered arrives in part.
    fn restart(&mut self) {
        let ms = |n: u64| Duration::from_millis(n);
        let down = ms(self.rng.one_of(&[0, 10, 300]));
        let loading = ms(self.rng.one_of(&[0, 0, 50, 500]));
        let keeps_data = self.rng.hits(60);
        for conn in self.conns.values_mut() {
            if let Some(link) = conn.link.as_ref().filter(|_| conn.closes_after.is_none()) {
                conn.closes_after = Some(self.rng.below(link.out.len() + 1));
            }
        }
        self.server.restart(down, loading, keeps_data);
        if !keeps_data {
            for actor in &mut self.actors {
                actor.data_lost = true;
            }
        }
        let what = format!("down {down:?}, loading {loading:?}, keeps data {keeps_data}");
        self.note("restart", what.as_bytes());
    }
}
