//! Which clients a `CLIENT LIST` or `CLIENT KILL` means, read as Redis reads it
//! (`clientListCommand`, `clientKillCommand`, networking.c).

use crate::resp::{Args, Argument, Refusal, integer};

use super::ClientView;

/// A filter over clients. All conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientFilter {
    /// `ID`: any of these, in ascending order; empty means any client.
    pub ids: Vec<u64>,
    /// `TYPE`.
    pub kind: Option<ClientType>,
    /// `ADDR`.
    pub address: Option<String>,
    /// `LADDR`.
    pub local_address: Option<String>,
    /// `USER`.
    pub user: Option<Box<[u8]>>,
    /// `MAXAGE`: connected for at least this many seconds.
    pub age_seconds_min: Option<u64>,
    /// `SKIPME yes`: spare this client.
    pub skip: Option<u64>,
}

/// Client types of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientType {
    /// An ordinary client.
    Normal,
    /// One that is subscribed to something.
    PubSub,
    /// Anything that no client of narrows is: `master`, `replica`.
    Other,
}

/// How `CLIENT KILL` was written, which decides its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillForm {
    /// `CLIENT KILL ip:port`: `+OK` or an error.
    Old,
    /// `CLIENT KILL filter value …`: how many were killed.
    Filters,
}

impl ClientFilter {
    /// The arguments after `CLIENT LIST`.
    pub fn read_list<'a>(mut args: Args<'a>) -> Result<Self, Refusal<'a>> {
        let mut filter = Self::default();
        let Some(word) = args.next() else {
            return Ok(filter);
        };
        if word.eq_ignore_ascii_case(b"type") && args.remaining() == 1 {
            filter.kind = Some(read_kind(args.next().unwrap_or_default())?);
        } else if word.eq_ignore_ascii_case(b"id") && args.remaining() >= 1 {
            for id in args {
                let id = integer(id).ok_or(Refusal::Argument(Argument::InvalidClientId))?;
                // A negative id is well-formed and nobody's, as 0 is.
                filter.ids.push(u64::try_from(id).unwrap_or(0));
            }
            // A request may hold a hundred thousand, and is held against every client.
            filter.ids.sort_unstable();
            filter.ids.dedup();
        } else {
            return Err(Refusal::Argument(Argument::Syntax));
        }
        Ok(filter)
    }

    /// The arguments after `CLIENT KILL`, asked by client `own`.
    /// Whether there is such a user the caller can tell.
    pub fn read_kill<'a>(mut args: Args<'a>, own: u64) -> Result<(Self, KillForm), Refusal<'a>> {
        let mut filter = Self::default();
        if args.remaining() == 1 {
            let address = args.next().unwrap_or_default();
            filter.address = Some(text(address));
            return Ok((filter, KillForm::Old));
        }
        filter.skip = Some(own);
        while let Some(word) = args.next() {
            let value = args.next().ok_or(Refusal::Argument(Argument::Syntax))?;
            match word.to_ascii_lowercase().as_slice() {
                b"id" => {
                    let id = integer(value).and_then(|id| u64::try_from(id).ok());
                    let id = id.filter(|id| *id > 0);
                    filter.ids = vec![id.ok_or(Refusal::Argument(Argument::ClientIdNotPositive))?];
                }
                b"type" => filter.kind = Some(read_kind(value)?),
                b"addr" => filter.address = Some(text(value)),
                b"laddr" => filter.local_address = Some(text(value)),
                b"user" => filter.user = Some(value.into()),
                b"maxage" => {
                    let age = integer(value).and_then(|age| u64::try_from(age).ok());
                    filter.age_seconds_min =
                        Some(age.ok_or(Refusal::Argument(Argument::NotInteger))?);
                }
                b"skipme" if value.eq_ignore_ascii_case(b"yes") => filter.skip = Some(own),
                b"skipme" if value.eq_ignore_ascii_case(b"no") => filter.skip = None,
                _ => return Err(Refusal::Argument(Argument::Syntax)),
            }
        }
        Ok((filter, KillForm::Filters))
    }

    /// Whether the filter means this client.
    pub fn means(&self, view: &ClientView<'_>) -> bool {
        let id = view.session.id;
        (self.ids.is_empty() || self.ids.binary_search(&id).is_ok())
            && self.skip != Some(id)
            && self.kind.is_none_or(|kind| kind == kind_of(view))
            && self
                .user
                .as_deref()
                .is_none_or(|user| user == view.session.user())
            && self
                .age_seconds_min
                .is_none_or(|age| view.age_seconds >= age)
            && self
                .address
                .as_ref()
                .is_none_or(|a| *a == view.address.peer())
            && self
                .local_address
                .as_ref()
                .is_none_or(|a| *a == view.address.local())
    }
}

/// `getClientType`, networking.c.
fn kind_of(view: &ClientView<'_>) -> ClientType {
    match view.subscriptions.any() {
        true => ClientType::PubSub,
        false => ClientType::Normal,
    }
}

fn read_kind(word: &[u8]) -> Result<ClientType, Refusal<'_>> {
    match word.to_ascii_lowercase().as_slice() {
        b"normal" => Ok(ClientType::Normal),
        b"pubsub" => Ok(ClientType::PubSub),
        b"slave" | b"replica" | b"master" => Ok(ClientType::Other),
        _ => Err(Refusal::Argument(Argument::UnknownClientType {
            name: word,
        })),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
