//! The line of those who wait for a lease: whose turn is next is known without a look at the others,
//! however many there are. First come first served among the clients of one user, and the users by
//! turns, whoever has waited longest for one first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::key::{ClientId, CredentialId};
use crate::engine::lease::state::LeaseFor;

/// How many more there may be, by purpose.
pub type LeaseRoom = [usize; LeaseFor::ALL.len()];

/// See the module. Clients go by their `CLIENT ID`.
#[derive(Debug, Default)]
pub struct LeaseLine {
    members: BTreeMap<u64, Member>,
    by_age: BTreeSet<(Duration, u64, u64)>,
    queues: [PurposeQueue; LeaseFor::ALL.len()],
    arrivals: u64,
    turns: u64,
}

/// One who stands in line.
#[derive(Debug, Clone, Copy)]
struct Member {
    id: ClientId,
    since: Duration,
    /// Its own number in the line.
    place: u64,
    purpose: LeaseFor,
    user: CredentialId,
    /// A backend has been asked for.
    asked: bool,
}

/// Those who wait for one purpose.
#[derive(Debug, Default)]
struct PurposeQueue {
    users: BTreeMap<CredentialId, OfUser>,
    /// Users for whose clients more can be asked: by their last turn, and who of them came first.
    turns: BTreeSet<(u64, u64, CredentialId)>,
    len: usize,
    asked: usize,
    users_asked: usize,
}

/// Those of one user among them.
#[derive(Debug, Default)]
struct OfUser {
    /// When it had its last turn.
    turn: u64,
    /// For whom nothing has been asked yet, by their places.
    waiting: BTreeMap<u64, u64>,
    asked: usize,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// The client.
    pub id: ClientId,
    /// Its `CLIENT ID`.
    pub number: u64,
    /// What it waits for.
    pub purpose: LeaseFor,
    /// Its user, and the number of this turn.
    pub user: (CredentialId, u64),
}

impl PurposeQueue {
    fn change(&mut self, user: CredentialId, change: impl FnOnce(&mut OfUser)) {
        let of_user = self.users.entry(user).or_default();
        let (asked, len) = (of_user.asked, of_user.len());
        if let Some((place, _)) = of_user.waiting.first_key_value() {
            self.turns.remove(&(of_user.turn, *place, user));
        }
        change(of_user);
        self.asked = self.asked + of_user.asked - asked;
        self.len = self.len + of_user.len() - len;
        self.users_asked += usize::from(of_user.asked > 0);
        self.users_asked -= usize::from(asked > 0);
        match of_user.waiting.first_key_value() {
            Some((place, _)) => {
                self.turns.insert((of_user.turn, *place, user));
            }
            None if of_user.asked == 0 => {
                self.users.remove(&user);
            }
            None => {}
        }
    }

    /// Who is asked for next, where there may be `room` leases more. Beyond what there is room for
    /// only for users for whom nothing is asked yet: what is asked for others may not be to be had.
    fn next(&self, room: usize) -> Option<(u64, u64, CredentialId)> {
        let next = self.turns.first().copied()?;
        let is_asked = || self.users.get(&next.2).is_some_and(|user| user.asked > 0);
        (self.asked < room || (self.users_asked < room && !is_asked())).then_some(next)
    }
}

impl OfUser {
    fn len(&self) -> usize {
        self.waiting.len() + self.asked
    }
}

impl LeaseLine {
    /// How many stand in it.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// How many wait for this.
    pub fn of(&self, purpose: LeaseFor) -> usize {
        self.queue(purpose).map_or(0, |queue| queue.len)
    }

    /// Whether more could be asked for this, were there room.
    pub fn has_more(&self, purpose: LeaseFor) -> bool {
        self.queue(purpose)
            .is_some_and(|queue| !queue.turns.is_empty())
    }

    fn queue(&self, purpose: LeaseFor) -> Option<&PurposeQueue> {
        self.queues.get(purpose as usize)
    }

    /// The client with this `CLIENT ID`, if it stands there for `purpose`.
    pub fn find(&self, number: u64, purpose: LeaseFor) -> Option<ClientId> {
        let member = self.members.get(&number)?;
        (member.purpose == purpose).then_some(member.id)
    }

    /// A client waits behind all others of its user, which had its last turn then.
    pub fn joins(
        &mut self,
        number: u64,
        id: ClientId,
        since: Duration,
        purpose: LeaseFor,
        user: CredentialId,
        last_turn: u64,
    ) {
        self.leaves(number);
        self.arrivals += 1;
        let member = Member {
            id,
            since,
            place: self.arrivals,
            purpose,
            user,
            asked: false,
        };
        self.members.insert(number, member);
        self.by_age.insert((since, member.place, number));
        if let Some(queue) = self.queues.get_mut(purpose as usize) {
            queue.change(user, |of_user| {
                of_user.turn = last_turn;
                of_user.waiting.insert(member.place, number);
            });
        }
    }

    /// A client waits no more.
    pub fn leaves(&mut self, number: u64) {
        let Some(member) = self.members.remove(&number) else {
            return;
        };
        self.by_age.remove(&(member.since, member.place, number));
        if let Some(queue) = self.queues.get_mut(member.purpose as usize) {
            queue.change(member.user, |of_user| match member.asked {
                true => of_user.asked = of_user.asked.saturating_sub(1),
                false => {
                    of_user.waiting.remove(&member.place);
                }
            });
        }
    }

    /// A client is another user's now, which had its last turn then. It stands where it stood.
    pub fn becomes(&mut self, number: u64, user: CredentialId, last_turn: u64) {
        let Some(member) = self.members.get_mut(&number) else {
            return;
        };
        let was = std::mem::replace(&mut member.user, user);
        let (place, asked) = (member.place, member.asked);
        let queue = self.queues.get_mut(member.purpose as usize);
        let Some(queue) = queue.filter(|_| was != user) else {
            return;
        };
        queue.change(was, |of_user| match asked {
            true => of_user.asked = of_user.asked.saturating_sub(1),
            false => {
                of_user.waiting.remove(&place);
            }
        });
        queue.change(user, |of_user| {
            of_user.turn = last_turn;
            match asked {
                true => of_user.asked += 1,
                false => {
                    of_user.waiting.insert(place, number);
                }
            }
        });
    }

    /// For whom a backend is to be asked now. It has been, from then on.
    pub fn next(&mut self, room: &LeaseRoom) -> Option<Turn> {
        let firsts = self.queues.iter().zip(room);
        let first = firsts.filter_map(|(queue, room)| queue.next(*room)).min();
        let (_, place, user) = first?;
        let number = self.queues.iter().find_map(|queue| {
            let of_user = queue.users.get(&user)?;
            of_user.waiting.get(&place).copied()
        })?;
        let member = self.members.get_mut(&number)?;
        member.asked = true;
        let (id, purpose) = (member.id, member.purpose);
        self.turns += 1;
        let turn = self.turns;
        for (queue, of) in self.queues.iter_mut().zip(LeaseFor::ALL) {
            if queue.users.contains_key(&user) {
                queue.change(user, |of_user| {
                    of_user.turn = turn;
                    if of == purpose {
                        of_user.waiting.remove(&place);
                        of_user.asked += 1;
                    }
                });
            }
        }
        Some(Turn {
            id,
            number,
            purpose,
            user: (user, turn),
        })
    }

    /// What was asked for a client did not come to a lease: it stands where it stood.
    pub fn stays(&mut self, number: u64) {
        let asked = |member: &&mut Member| member.asked;
        let Some(member) = self.members.get_mut(&number).filter(asked) else {
            return;
        };
        member.asked = false;
        let (place, user) = (member.place, member.user);
        if let Some(queue) = self.queues.get_mut(member.purpose as usize) {
            queue.change(user, |of_user| {
                of_user.asked = of_user.asked.saturating_sub(1);
                of_user.waiting.insert(place, number);
            });
        }
    }

    /// Who has waited longest, and since when.
    pub fn oldest(&self) -> Option<(Duration, ClientId, u64)> {
        let (since, _, number) = self.by_age.first()?;
        let member = self.members.get(number)?;
        Some((*since, member.id, *number))
    }

    /// All for whom a backend has been asked.
    pub fn asked(&self) -> impl Iterator<Item = ClientId> {
        let asked = self.members.values().filter(|member| member.asked);
        asked.map(|member| member.id)
    }
}

#[cfg(test)]
mod tests {
    use slotmap::SlotMap;

    use super::*;
    use crate::engine::pool::credential::Credentials;
    use crate::session::access::BackendLogin;

    const TRANSACTIONS: LeaseRoom = [0, 4, 0, 0, 0, 0];

    /// A line, clients to stand in it, and two users.
    fn line(clients: u64) -> (LeaseLine, Vec<(u64, ClientId)>, [CredentialId; 2]) {
        let mut keys: SlotMap<ClientId, ()> = SlotMap::with_key();
        let clients = (1..=clients).map(|number| (number, keys.insert(())));
        let mut users = Credentials::new(&BackendLogin::default());
        let mut user = |name: &[u8]| {
            users.learn(&BackendLogin {
                user: Some(name.into()),
                password: None,
            })
        };
        let users = [user(b"alice"), user(b"bob")];
        (LeaseLine::default(), clients.collect(), users)
    }

    fn joins(line: &mut LeaseLine, client: (u64, ClientId), user: CredentialId, last_turn: u64) {
        let (number, id) = client;
        line.joins(
            number,
            id,
            Duration::ZERO,
            LeaseFor::Transaction,
            user,
            last_turn,
        );
    }

    fn turns(line: &mut LeaseLine, room: &LeaseRoom) -> Vec<u64> {
        std::iter::from_fn(|| line.next(room).map(|turn| turn.number)).collect()
    }

    #[test]
    fn users_take_turns_and_each_users_clients_are_served_as_they_came() {
        let (mut line, clients, [alice, bob]) = line(6);
        for client in &clients[..4] {
            joins(&mut line, *client, alice, 5);
        }
        for client in &clients[4..] {
            joins(&mut line, *client, bob, 3);
        }
        line.turns = 5;
        assert_eq!(turns(&mut line, &TRANSACTIONS), [5, 1, 6, 2]);
        // What is free then goes to whoever is next.
        line.leaves(1);
        assert_eq!(turns(&mut line, &TRANSACTIONS), [3]);
        assert_eq!((line.len(), line.of(LeaseFor::Transaction)), (5, 5));
    }

    #[test]
    fn a_crowd_that_is_asked_for_in_vain_keeps_no_other_user_out() {
        let (mut line, clients, [alice, bob]) = line(6);
        for client in &clients[..5] {
            joins(&mut line, *client, alice, 0);
        }
        assert_eq!(turns(&mut line, &TRANSACTIONS), [1, 2, 3, 4]);
        joins(&mut line, clients[5], bob, 0);
        assert_eq!(turns(&mut line, &TRANSACTIONS), [6]);
        // One that has not come to its lease is the first of its user again.
        line.stays(2);
        line.leaves(6);
        assert_eq!(turns(&mut line, &TRANSACTIONS), [2]);
    }

    #[test]
    fn whoever_becomes_another_users_stands_where_it_stood() {
        let (mut line, clients, [alice, bob]) = line(4);
        for client in &clients[..3] {
            joins(&mut line, *client, alice, 5);
        }
        assert_eq!(turns(&mut line, &[0, 1, 0, 0, 0, 0]), [1]);
        joins(&mut line, clients[3], bob, 3);
        for (number, _) in &clients {
            line.becomes(*number, bob, 3);
        }
        assert_eq!(line.queues[LeaseFor::Transaction as usize].users.len(), 1);
        assert_eq!(turns(&mut line, &TRANSACTIONS), [2, 3, 4]);
        for (number, _) in &clients {
            line.leaves(*number);
        }
        assert!(line.queues.iter().all(|queue| queue.users.is_empty()));
    }

    #[test]
    fn who_leaves_the_line_is_nowhere_in_it() {
        let (mut line, clients, [alice, _]) = line(100);
        for (number, id) in &clients {
            let purpose = LeaseFor::ALL[*number as usize % 6];
            let since = Duration::from_secs(200 - number);
            line.joins(*number, *id, since, purpose, alice, 0);
        }
        assert_eq!(
            line.oldest(),
            Some((Duration::from_secs(100), clients[99].1, 100))
        );
        assert_eq!(line.find(7, LeaseFor::ALL[1]), Some(clients[6].1));
        assert_eq!(line.find(7, LeaseFor::ALL[2]), None);
        assert_eq!(turns(&mut line, &[3; 6]).len(), 18);
        for (number, _) in &clients {
            line.leaves(*number);
        }
        assert_eq!((line.len(), line.oldest()), (0, None));
        assert!(LeaseFor::ALL.iter().all(|purpose| line.of(*purpose) == 0));
        assert!(line.queues.iter().all(|queue| {
            queue.users.is_empty() && queue.turns.is_empty() && queue.asked + queue.users_asked == 0
        }));
    }
}
