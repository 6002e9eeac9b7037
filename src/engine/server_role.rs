//! Whether the server is a master or a replica, as it was last heard to be: `HELLO` says so, and what
//! narrows answers it with may have come long before somebody said `REPLICAOF`. Control asks at each
//! health check, workers hear it of new connections and of what is changed through narrows.

use std::time::Duration;

use parking_lot::Mutex;

use crate::resp::Args;

use super::key::EndpointId;

/// What a server is, in the words of `HELLO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `master`
    Master,
    /// `replica`
    Replica,
}

/// See the file's head. What is said of a server that another one has taken the place of is too late.
#[derive(Debug, Default)]
pub struct ServerRole(Mutex<Option<Heard>>);

/// What one server was last heard to be.
#[derive(Debug, Clone, Copy)]
struct Heard {
    endpoint: EndpointId,
    role: Option<Role>,
    at: Duration,
}

impl Role {
    /// What a reply to `HELLO` says, in RESP2 or RESP3.
    pub fn in_hello(reply: &[u8]) -> Option<Self> {
        let (at, _) = place(reply)?;
        let said = reply.get(at..)?;
        [Self::Master, Self::Replica]
            .into_iter()
            .find(|role| said.starts_with(role.bulk()))
    }

    /// What a `REPLICAOF` or `SLAVEOF` makes of the server (`replicaofCommand`, replication.c).
    pub fn asked_for(request: &[u8]) -> Self {
        let mut args = Args::new(request).skip(1);
        let word =
            |arg: Option<&[u8]>, word: &[u8]| arg.is_some_and(|arg| arg.eq_ignore_ascii_case(word));
        match word(args.next(), b"no") && word(args.next(), b"one") {
            true => Self::Master,
            false => Self::Replica,
        }
    }

    /// `reply` to `HELLO` with this role in it.
    pub fn put_into(self, reply: &mut Vec<u8>) {
        let Some((at, len)) = place(reply) else {
            return;
        };
        reply.splice(at..at + len, self.bulk().iter().copied());
    }

    fn bulk(self) -> &'static [u8] {
        match self {
            Self::Master => b"$6\r\nmaster\r\n",
            Self::Replica => b"$7\r\nreplica\r\n",
        }
    }
}

/// Where in a reply to `HELLO` the role stands, and how long it is; `None` if it is none known here.
fn place(reply: &[u8]) -> Option<(usize, usize)> {
    const KEY: &[u8] = b"$4\r\nrole\r\n";
    let at = reply.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    let said = reply.get(at..)?;
    [Role::Master, Role::Replica]
        .map(Role::bulk)
        .into_iter()
        .find(|bulk| said.starts_with(bulk))
        .map(|bulk| (at, bulk.len()))
}

impl ServerRole {
    /// The server has said so at `now` when it was asked at `asked`. What it was asked before it was
    /// last heard it may have said before that.
    pub fn heard(&self, endpoint: EndpointId, role: Role, asked: Duration, now: Duration) {
        self.set(endpoint, Some(role), now, |known| {
            known.role.is_none() || known.at < asked
        });
    }

    /// It has become that.
    pub fn changed(&self, endpoint: EndpointId, role: Role, now: Duration) {
        self.set(endpoint, Some(role), now, |_| true);
    }

    /// It is gone, and may be another when it is back.
    pub fn forget(&self, endpoint: EndpointId) {
        self.set(endpoint, None, Duration::ZERO, |_| true);
    }

    /// What it is, as far as is known.
    pub fn known(&self, endpoint: EndpointId) -> Option<Role> {
        let known = (*self.0.lock())?;
        known.role.filter(|_| known.endpoint == endpoint)
    }

    fn set(
        &self,
        endpoint: EndpointId,
        role: Option<Role>,
        at: Duration,
        is_news: impl Fn(&Heard) -> bool,
    ) {
        let mut last = self.0.lock();
        let takes_over = |known: &Heard| match known.endpoint == endpoint {
            true => is_news(known),
            false => endpoint.is_successor_of(known.endpoint),
        };
        if last.as_ref().is_none_or(takes_over) {
            *last = Some(Heard { endpoint, role, at });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &[u8] =
        b"*4\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n";

    #[test]
    fn the_role_is_replaced_in_a_reply_to_hello() {
        assert_eq!(Role::in_hello(HELLO), Some(Role::Master));
        let mut reply = HELLO.to_vec();
        Role::Replica.put_into(&mut reply);
        assert_eq!(Role::in_hello(&reply), Some(Role::Replica));
        assert!(reply.ends_with(b"$7\r\nreplica\r\n$7\r\nmodules\r\n*0\r\n"));
        Role::Master.put_into(&mut reply);
        assert_eq!(reply, HELLO);
        for other in [
            &b"-ERR unknown command\r\n"[..],
            b"*2\r\n$4\r\nrole\r\n$1\r\nx\r\n",
        ] {
            let mut reply = other.to_vec();
            Role::Replica.put_into(&mut reply);
            assert_eq!((reply.as_slice(), Role::in_hello(other)), (other, None));
        }
    }

    #[test]
    fn what_was_asked_before_a_change_does_not_undo_it() {
        let role = ServerRole::default();
        let ms = Duration::from_millis;
        let it = EndpointId::first(0);
        role.heard(it, Role::Master, ms(1), ms(2));
        role.changed(it, Role::Replica, ms(10));
        role.heard(it, Role::Master, ms(9), ms(11));
        assert_eq!(role.known(it), Some(Role::Replica));
        role.heard(it, Role::Master, ms(12), ms(13));
        assert_eq!(role.known(it), Some(Role::Master));
        role.forget(it);
        assert_eq!(role.known(it), None);
        role.heard(it, Role::Replica, ms(1), ms(14));
        assert_eq!(role.known(it), Some(Role::Replica));
    }

    #[test]
    fn what_is_said_of_a_server_is_not_said_of_the_one_that_takes_its_place() {
        let role = ServerRole::default();
        let ms = Duration::from_millis;
        let first = EndpointId::first(0);
        let second = first.successor();
        role.heard(first, Role::Replica, ms(1), ms(2));
        assert_eq!(role.known(second), None);
        role.heard(second, Role::Master, ms(1), ms(3));
        role.heard(first, Role::Replica, ms(4), ms(5));
        role.changed(first, Role::Replica, ms(6));
        role.forget(first);
        assert_eq!(
            (role.known(second), role.known(first)),
            (Some(Role::Master), None)
        );
    }

    #[test]
    fn what_replicaof_asks_for_is_told_by_its_words() {
        let master = b"*3\r\n$9\r\nREPLICAOF\r\n$2\r\nNo\r\n$3\r\noNE\r\n";
        assert_eq!(Role::asked_for(master), Role::Master);
        let replica = b"*3\r\n$9\r\nREPLICAOF\r\n$2\r\nno\r\n$4\r\n6379\r\n";
        assert_eq!(Role::asked_for(replica), Role::Replica);
    }
}
