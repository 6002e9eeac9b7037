//! The kinds of client. A persona is what it does differently: when its connections open, how much
//! it sends in one go, when it leaves. What it sends and how replies are judged is the same for all.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::mix::{Kind, Mix};
use crate::plan::Plan;
use crate::sizes::ValueSizes;

/// A kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Persona {
    /// A connection of a web application's pool: small requests, with pauses if so planned.
    Web,
    /// Opens, introduces itself, asks once and stays idle for ever, while the next one opens.
    Leak,
    /// All at once, in waves: connects, asks one to three times, leaves.
    Storm,
    /// Deep pipelines.
    Pipeline,
    /// Large values.
    Bulk,
}

/// When the connections of a persona open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opens {
    /// Before the run begins, at the pace of the plan.
    AtStart,
    /// One after the other, all through the run.
    Trickling,
    /// All of them, each time a wave comes.
    InWaves,
}

/// How long a client asks on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stay {
    /// As long as the run lasts.
    Throughout,
    /// So many requests, and then it is idle.
    Idle(u32),
    /// One to so many requests, and then it closes.
    Leaves(u32),
}

/// How the clients of a persona behave in a given plan.
#[derive(Clone, Debug)]
pub(crate) struct Conduct {
    pub(crate) stay: Stay,
    /// Requests sent in one go.
    pub(crate) depth: usize,
    pub(crate) mix: Mix,
    pub(crate) values: ValueSizes,
}

impl Persona {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Web,
        Self::Leak,
        Self::Storm,
        Self::Pipeline,
        Self::Bulk,
    ];

    /// Its name in a plan.
    pub fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Leak => "leak",
            Self::Storm => "storm",
            Self::Pipeline => "pipeline",
            Self::Bulk => "bulk",
        }
    }

    pub(crate) fn opens(self) -> Opens {
        match self {
            Self::Web | Self::Pipeline | Self::Bulk => Opens::AtStart,
            Self::Leak => Opens::Trickling,
            Self::Storm => Opens::InWaves,
        }
    }

    pub(crate) fn conduct(self, plan: &Plan) -> Conduct {
        let like_web = Conduct {
            stay: Stay::Throughout,
            depth: plan.pipeline,
            mix: plan.mix.clone(),
            values: plan.values.clone(),
        };
        match self {
            Self::Web => like_web,
            Self::Leak => Conduct {
                stay: Stay::Idle(1),
                depth: 1,
                mix: Mix::new(&[(Kind::Get, 1)]),
                ..like_web
            },
            Self::Storm => Conduct {
                stay: Stay::Leaves(3),
                depth: 1,
                ..like_web
            },
            Self::Pipeline => Conduct {
                depth: plan.pipeline.max(DEEP),
                ..like_web
            },
            Self::Bulk => Conduct {
                depth: 1,
                mix: Mix::new(&[
                    (Kind::Set, 3),
                    (Kind::Get, 4),
                    (Kind::GetSet, 1),
                    (Kind::Mget, 1),
                    (Kind::Echo, 1),
                ]),
                values: plan.bulk_values.clone(),
                ..like_web
            },
        }
    }
}

impl FromStr for Persona {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|persona| persona.name() == text)
            .ok_or_else(|| {
                let known = Self::ALL.map(Self::name).join(", ");
                format!("{text}: not one of {known}")
            })
    }
}

impl fmt::Display for Persona {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Serialize for Persona {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// How deep the pipelines of [`Persona::Pipeline`] are at least.
const DEEP: usize = 64;
