//! Which requests the clients make, by weight.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A kind of request, as a mix names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `SET` of one of the client's keys.
    Set,
    /// `GET` of one of the client's keys; one in sixteen as an inline request.
    Get,
    /// `GETSET` of one of the client's keys.
    GetSet,
    /// `MGET` of all of the client's keys.
    Mget,
    /// `INCR` of the client's counter.
    Incr,
    /// `RPUSH` to the client's list.
    Push,
    /// `LPOP` of the client's list.
    Pop,
    /// `EXISTS` of one key, named several times.
    Exists,
    /// `ECHO` of a value that is used once.
    Echo,
    /// `PING` with such a value.
    Ping,
    /// `GET` of a key that nobody has written.
    Missing,
    /// `SET` of a key that all clients share.
    SharedSet,
    /// `GET` of such a key.
    SharedGet,
    /// `CLIENT ID`.
    ClientId,
    /// `CLIENT GETNAME`.
    ClientName,
    /// `LPOP` of a string: `-WRONGTYPE` is the right reply.
    WrongType,
    /// `SELECT` of another db, `SET` and `GET` there, and `SELECT` back, in one go.
    Detour,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Set,
        Self::Get,
        Self::GetSet,
        Self::Mget,
        Self::Incr,
        Self::Push,
        Self::Pop,
        Self::Exists,
        Self::Echo,
        Self::Ping,
        Self::Missing,
        Self::SharedSet,
        Self::SharedGet,
        Self::ClientId,
        Self::ClientName,
        Self::WrongType,
        Self::Detour,
    ];

    /// Its name in a mix.
    pub fn name(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Get => "get",
            Self::GetSet => "getset",
            Self::Mget => "mget",
            Self::Incr => "incr",
            Self::Push => "push",
            Self::Pop => "pop",
            Self::Exists => "exists",
            Self::Echo => "echo",
            Self::Ping => "ping",
            Self::Missing => "missing",
            Self::SharedSet => "shared-set",
            Self::SharedGet => "shared-get",
            Self::ClientId => "client-id",
            Self::ClientName => "client-name",
            Self::WrongType => "wrong-type",
            Self::Detour => "detour",
        }
    }
}

/// Kinds of request with their weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix {
    weights: Vec<(Kind, u32)>,
    total: u32,
}

impl Mix {
    /// From kinds and weights.
    pub fn new(weights: &[(Kind, u32)]) -> Self {
        let weights: Vec<_> = weights.iter().copied().filter(|(_, w)| *w > 0).collect();
        let total = weights.iter().map(|(_, weight)| *weight).sum();
        Self { weights, total }
    }

    /// Whether it names no request at all.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    pub(crate) fn pick(&self, chance: &mut fastrand::Rng) -> Kind {
        let mut place = chance.u32(0..self.total.max(1));
        for (kind, weight) in &self.weights {
            if place < *weight {
                return *kind;
            }
            place -= weight;
        }
        Kind::Ping
    }
}

/// Of everything something, mostly reads: what a web application asks, and a little of the rest.
impl Default for Mix {
    fn default() -> Self {
        Self::new(&[
            (Kind::Get, 400),
            (Kind::Set, 200),
            (Kind::GetSet, 40),
            (Kind::Mget, 60),
            (Kind::Incr, 80),
            (Kind::Push, 40),
            (Kind::Pop, 40),
            (Kind::Exists, 20),
            (Kind::Echo, 20),
            (Kind::Ping, 20),
            (Kind::Missing, 10),
            (Kind::SharedSet, 15),
            (Kind::SharedGet, 30),
            (Kind::ClientId, 5),
            (Kind::ClientName, 5),
            (Kind::WrongType, 5),
            (Kind::Detour, 5),
        ])
    }
}

impl FromStr for Mix {
    type Err = String;

    /// `get=3,set=1`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut weights = Vec::new();
        for part in text.split(',') {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let known = || Kind::ALL.map(Kind::name).join(", ");
            let kind = Kind::ALL
                .into_iter()
                .find(|kind| kind.name() == name.trim())
                .ok_or_else(|| format!("{name}: not one of {}", known()))?;
            let weight: u32 = weight
                .trim()
                .parse()
                .ok()
                .filter(|weight| *weight <= WEIGHT_MAX)
                .ok_or(format!("{part}: a weight is 0 to {WEIGHT_MAX}"))?;
            weights.push((kind, weight));
        }
        Ok(Self::new(&weights))
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (kind, weight)) in self.weights.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(formatter, "{comma}{}={weight}", kind.name())?;
        }
        Ok(())
    }
}

impl Serialize for Mix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

const WEIGHT_MAX: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_read_and_shown_alike() {
        let mix: Mix = "get=3,shared-set=1,set=0".parse().unwrap();
        assert_eq!(mix.to_string(), "get=3,shared-set=1");
        assert_eq!(
            Mix::default().to_string().parse::<Mix>().unwrap(),
            Mix::default()
        );
        assert!("gte=1".parse::<Mix>().unwrap_err().contains("getset"));
        assert!("get=-1".parse::<Mix>().is_err());
    }
}
