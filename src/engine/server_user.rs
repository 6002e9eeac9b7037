//! Which user of the server a connection is that nothing was logged in on. Servers can log a connection in by
//! the certificate that narrows presents (Redis 8.6, Valkey 9.1: `tls-auth-clients-user`): where it presents
//! one, a new connection is asked. narrows' own may be whoever the server takes it for, the same on all of
//! them; one for clients that have not logged in is the default user or is not used.

use parking_lot::Mutex;

use super::key::EndpointId;
use crate::resp::{Element, element};

/// What a reply to `ACL WHOAMI` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaidUser {
    /// This user.
    Is(Box<[u8]>),
    /// The server knows no such command.
    UnknownCommand,
    /// Nothing.
    Nobody,
}

impl SaidUser {
    /// A refusal names the user too (`ACLSelectorCheckCmd` and its callers in acl.c, since Redis 7). Before
    /// that no server logs anybody in by a certificate.
    pub fn in_reply(reply: &[u8]) -> Self {
        match element(reply) {
            Some(Element::Text(user)) => Self::Is(user.into()),
            Some(Element::Error(text)) if is_unknown_command(text) => Self::UnknownCommand,
            Some(Element::Error(text)) => match user_in_refusal(text) {
                Some(user) => Self::Is(user.into()),
                None => Self::Nobody,
            },
            _ => Self::Nobody,
        }
    }
}

/// Whether an error says that there is no such command.
pub fn is_unknown_command(error: &[u8]) -> bool {
    let lower = error.get(..12).unwrap_or_default().to_ascii_lowercase();
    lower == b"err unknown "
}

fn user_in_refusal(error: &[u8]) -> Option<&[u8]> {
    let rest = error.strip_prefix(b"NOPERM User ")?;
    // No name holds a space.
    let end = rest.iter().position(|byte| *byte == b' ')?;
    rest.get(..end)
}

/// As whom the server has last logged in a connection of narrows' own, for all workers.
#[derive(Debug, Default)]
pub struct OwnUser(Mutex<Option<HeardUser>>);

#[derive(Debug)]
struct HeardUser {
    endpoint: EndpointId,
    user: Box<[u8]>,
}

impl OwnUser {
    /// The server has said so. Whether that is news.
    pub fn heard(&self, endpoint: EndpointId, user: &[u8]) -> bool {
        let mut known = self.0.lock();
        let is_later = |known: &HeardUser| {
            known.endpoint == endpoint || endpoint.is_successor_of(known.endpoint)
        };
        let is_it = |known: &HeardUser| known.endpoint == endpoint && *known.user == *user;
        let news = known
            .as_ref()
            .is_none_or(|known| is_later(known) && !is_it(known));
        if news {
            let user = user.into();
            *known = Some(HeardUser { endpoint, user });
        }
        news
    }

    /// Who that is, at this server, if it has said so.
    pub fn of(&self, endpoint: EndpointId) -> Option<Box<[u8]>> {
        let known = self.0.lock();
        let known = known.as_ref().filter(|known| known.endpoint == endpoint);
        known.map(|known| known.user.clone())
    }

    /// The same, for people.
    pub fn shown(&self) -> Option<String> {
        let known = self.0.lock();
        known
            .as_ref()
            .map(|known| known.user.escape_ascii().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_not_ask_is_named_all_the_same() {
        let is = |user: &str| SaidUser::Is(user.as_bytes().into());
        let denied = b"-NOPERM User svc has no permissions to run the 'acl|whoami' command\r\n";
        for (reply, said) in [
            (&b"$7\r\ndefault\r\n"[..], is("default")),
            (denied, is("svc")),
            (
                b"-NOPERM this user has no permissions to run the 'acl' command or its subcommand\r\n",
                SaidUser::Nobody,
            ),
            (b"-ERR unknown command `ACL`, with args beginning with: `WHOAMI`, \r\n", SaidUser::UnknownCommand),
            (b"-ERR Unknown subcommand or wrong number of arguments for 'WHOAMI'.\r\n", SaidUser::UnknownCommand),
            (b"-BUSY Redis is busy running a script.\r\n", SaidUser::Nobody),
            (b"$-1\r\n", SaidUser::Nobody),
            (b"*0\r\n", SaidUser::Nobody),
        ] {
            let text = reply.escape_ascii();
            assert_eq!(SaidUser::in_reply(reply), said, "{text}");
        }
    }

    #[test]
    fn what_another_server_says_is_news_and_what_one_before_it_says_is_not() {
        let (own, first) = (OwnUser::default(), EndpointId::first(0));
        let second = first.successor();
        assert!(own.heard(first, b"a") && !own.heard(first, b"a"));
        assert!(own.heard(first, b"b"));
        assert_eq!(own.of(first).as_deref(), Some(&b"b"[..]));
        assert!(own.heard(second, b"b") && !own.heard(first, b"c"));
        assert_eq!((own.of(first), own.shown().as_deref()), (None, Some("b")));
    }
}
