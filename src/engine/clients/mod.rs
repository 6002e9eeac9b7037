//! The clients of a worker: their sessions, what has come in and has not been dealt with, what has not
//! been sent, and what each waits for. Knows nothing of backends but their keys.

mod client;
mod commands;
pub mod debtors;
mod ending;
mod head;
pub mod hold;
mod holds;
mod idle;
mod input;
mod leased;
mod list;
mod local;
mod outbox;
mod pauses;
mod reading;
mod refuse;
mod stream;
mod upload;
mod users;
mod view;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use input::Taken;
use outbox::{BufferStore, Retention};
use slotmap::SlotMap;

use crate::admission::Paused;
use crate::engine::event::EngineEvent;
use crate::session::client_names::NameOf;

use super::cx::Cx;
use super::key::ClientId;
use super::received::Received;

use self::debtors::Debtors;

pub use client::{Accepted, Client};
pub use idle::Over;
pub use list::{is_blocked, view};
pub use outbox::{Output, Pieces, SHARED_BYTES_MIN};
pub use stream::{UploadStream, UploadTarget};
pub use upload::{WINDOW, lookup};

/// See the module.
#[derive(Default)]
pub struct Clients {
    all: SlotMap<ClientId, Client>,
    store: BufferStore,
    /// Those with bytes to be written, each once.
    dirty: Vec<ClientId>,
    /// Those that go on, in the order in which they may.
    resumed: VecDeque<ClientId>,
    /// Bytes in all inputs and outboxes, and of names.
    buffered_bytes: usize,
    /// When clients are looked at whether they are idle: each at most once, at its `idle_timer`.
    idle_timers: BTreeSet<(Duration, ClientId)>,
    /// Those who wait for the end of a pause, and of which one.
    held_up: Vec<ClientId>,
    held_up_in: Option<Paused>,
    /// Those who wait for the backend's `COMMAND`.
    command_waiters: Vec<(ClientId, Duration)>,
    /// When that was last asked for.
    commands_asked_at: Option<Duration>,
    debtors: Debtors,
    /// When huge requests are judged by their speed.
    streams: BTreeSet<(Duration, ClientId)>,
}

impl Clients {
    /// Who holds how much, if that is known.
    pub fn debtors(&mut self) -> &mut Debtors {
        &mut self.debtors
    }

    /// A client has come.
    pub fn insert(&mut self, client: Client) -> ClientId {
        self.all.insert(client)
    }

    /// A client is gone, with whatever was to be sent to it.
    pub fn remove(&mut self, id: ClientId) -> Option<Client> {
        let mut client = self.all.remove(id)?;
        self.buffered_bytes = (self.buffered_bytes).saturating_sub(client.buffered_bytes());
        let unsent = client.out.len();
        client.out.wrote(unsent, &mut self.store);
        Some(client)
    }

    /// One of them, if it is still there.
    #[inline]
    pub fn get(&self, id: ClientId) -> Option<&Client> {
        self.all.get(id)
    }

    /// One of them, if it is still there.
    #[inline]
    pub fn get_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.all.get_mut(id)
    }

    /// Whether it is still there.
    #[inline]
    pub fn contains_key(&self, id: ClientId) -> bool {
        self.all.contains_key(id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (ClientId, &Client)> {
        self.all.iter()
    }

    /// All of them.
    pub fn keys(&self) -> impl Iterator<Item = ClientId> {
        self.all.keys()
    }

    /// All of them.
    pub fn values(&self) -> impl Iterator<Item = &Client> {
        self.all.values()
    }

    /// All of them.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Client> {
        self.all.values_mut()
    }

    /// Bytes in all inputs and outboxes, and of names.
    #[inline]
    pub fn buffered_bytes(&self) -> usize {
        self.buffered_bytes
    }

    /// The names of a client are others than those of so many bytes that it had.
    pub fn renamed(&mut self, cx: &mut Cx, id: ClientId, bytes_before: usize) {
        let names = self.get(id).map(|client| client.session.names_bytes());
        let now = names.unwrap_or_default();
        self.buffered_bytes = (self.buffered_bytes + now).saturating_sub(bytes_before);
        if now != bytes_before {
            cx.events.push_back(EngineEvent::HeldGrew(id));
        }
    }

    /// A client is called so from now on.
    pub fn rename(&mut self, cx: &mut Cx, id: ClientId, name: &[u8]) {
        if let Some(client) = self.get_mut(id) {
            let before = client.session.names_bytes();
            client.session.set_name(NameOf::Client, name);
            self.renamed(cx, id, before);
        }
    }

    /// A client goes on as soon as what is being dealt with is done.
    #[inline]
    pub fn resume(&mut self, id: ClientId) {
        self.resumed.push_back(id);
    }

    /// The next one that goes on.
    pub fn next_resumed(&mut self) -> Option<ClientId> {
        self.resumed.pop_front()
    }

    /// Whether anybody is to go on.
    pub fn any_resumed(&self) -> bool {
        !self.resumed.is_empty()
    }

    /// Whether anybody has bytes to be written that have not been fetched.
    pub fn any_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Clients with bytes to be written, each once.
    pub fn take_dirty(&mut self, into: &mut Vec<ClientId>) {
        into.append(&mut self.dirty);
    }

    /// Bytes for a client.
    #[inline]
    pub fn output(&mut self, id: ClientId) -> Output<'_> {
        match self.all.get_mut(id) {
            Some(client) => {
                client.dirty = false;
                client.out.unsent()
            }
            None => Output::One(&[]),
        }
    }

    /// The first `n` bytes for a client have been written.
    pub fn wrote(&mut self, id: ClientId, n: usize, cx: &Cx) {
        if let Some(client) = self.all.get_mut(id) {
            self.buffered_bytes = (self.buffered_bytes).saturating_sub(n.min(client.out.len()));
            client.active_at = cx.now;
            client.out.wrote(n, &mut self.store);
        }
    }

    /// The socket of a client takes no more for now.
    pub fn is_full(&mut self, id: ClientId) {
        if let Some(client) = self.all.get_mut(id) {
            client.out.keep();
        }
    }

    /// These bytes go to a client as they are. How many it has not been sent then; `None`: it is gone.
    #[inline]
    pub fn pass_on(&mut self, id: ClientId, bytes: Received<'_>) -> Option<usize> {
        let client = self.all.get_mut(id)?;
        match bytes.handle() {
            None => client.out.copy(bytes.bytes(), &mut self.store),
            Some(handle) => client
                .out
                .share(handle, Retention::UntilWritten, &mut self.store),
        }
        let unsent = client.out.len();
        if !client.dirty {
            client.dirty = true;
            self.dirty.push(id);
        }
        self.buffered_bytes += bytes.len();
        Some(unsent)
    }

    /// What `write` writes goes to a client.
    pub fn reply_with(&mut self, id: ClientId, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(client) = self.all.get_mut(id) else {
            return;
        };
        self.buffered_bytes += client.out.write(write, &mut self.store);
        self.change(id);
    }

    /// These bytes go to a client, and where they are many they stay what and where they are.
    pub fn share(&mut self, id: ClientId, bytes: Bytes) {
        let Some(client) = self.all.get_mut(id) else {
            return;
        };
        self.buffered_bytes += bytes.len();
        match bytes.len() < SHARED_BYTES_MIN {
            true => client.out.copy(&bytes, &mut self.store),
            false => client
                .out
                .share(bytes, Retention::AsTheyAre, &mut self.store),
        }
        self.change(id);
    }

    /// Lists a client for writing.
    pub fn change(&mut self, id: ClientId) {
        if let Some(client) = self.all.get_mut(id)
            && !client.dirty
        {
            client.dirty = true;
            self.dirty.push(id);
        }
    }

    /// These bytes have come from a client, behind those that have not been dealt with.
    pub fn push_input(&mut self, id: ClientId, bytes: &[u8]) {
        if let Some(client) = self.all.get_mut(id) {
            client.input.push(bytes);
            self.buffered_bytes += bytes.len();
        }
    }

    /// Takes what has come from a client and has not been dealt with, for as long as it is looked at:
    /// [`Clients::put_input_back`].
    pub fn take_input(&mut self, id: ClientId) -> Option<Taken> {
        let client = self.all.get_mut(id)?;
        let taken = client.input.take();
        self.buffered_bytes -= taken.rest().len();
        Some(taken)
    }

    /// What has been taken is there again, but for the first `done` bytes, which have been dealt with.
    pub fn put_input_back(&mut self, id: ClientId, taken: Taken, done: usize) {
        if let Some(client) = self.all.get_mut(id) {
            client.input.put_back(taken, done);
            self.buffered_bytes += client.input.len();
        }
    }

    /// In place of the request at the head of a client's input, so many bytes long, `other` stands.
    pub fn replace_first(&mut self, id: ClientId, length: usize, other: &[u8]) {
        if let Some(client) = self.all.get_mut(id) {
            let before = client.input.len();
            client.input.replace_first(length, other);
            self.buffered_bytes = self.buffered_bytes + client.input.len() - before;
        }
    }

    /// What a client has sent and has not been dealt with is dropped.
    pub fn drop_input(&mut self, id: ClientId) {
        if let Some(client) = self.all.get_mut(id) {
            self.buffered_bytes = (self.buffered_bytes).saturating_sub(client.input.len());
            client.input.clear();
        }
    }

    /// These requests are dealt with again, before everything else of this client: `count` of them.
    pub fn rewind(&mut self, cx: &mut Cx, id: ClientId, requests: &[u8], count: u32) {
        let Some(client) = self.all.get_mut(id) else {
            return;
        };
        if client.is_ending() {
            // It was told nothing of an earlier request and is being closed: an answer to
            // a later one would be taken for that one's.
            client.head.hold = None;
            return self.close_if_done(cx, id);
        }
        client.input.rewind(requests);
        client.head.rewound(count);
        self.buffered_bytes += requests.len();
        cx.counters.replays += u64::from(count);
        self.resume(id);
    }
}
