//! What one worker has counted since it started. Written by its own thread only.

use std::collections::BTreeMap;
use std::time::Duration;

use super::histogram::Histogram;

/// Figures by the value of one label. Sorted, so that what is shown is always in one order.
pub type Labelled = BTreeMap<&'static str, u64>;

/// Adds `more` to `all`, label by label.
pub fn add_labelled(all: &mut Labelled, more: &Labelled) {
    for (label, count) in more {
        *all.entry(label).or_default() += count;
    }
}

/// By which way a command went: the route it took in the end, not the one it might have taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// On a connection that many share.
    Shared,
    /// Answered by narrows.
    Local,
    /// On a connection lent for a transaction.
    Transaction,
    /// On a connection lent for a command that may wait on the server.
    Blocking,
    /// On a connection lent for what it leaves there.
    Pinned,
    /// On a connection lent for what the server pushes.
    Subscriber,
    /// On a connection lent for one huge request.
    Upload,
    /// On a connection dialled for one command that has to get through.
    OwnConnection,
    /// Answered with an error of narrows' own; it has not run.
    Refused,
}

impl Way {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 9] = [
        Self::Shared,
        Self::Local,
        Self::Transaction,
        Self::Blocking,
        Self::Pinned,
        Self::Subscriber,
        Self::Upload,
        Self::OwnConnection,
        Self::Refused,
    ];

    /// The value of the label `route`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Local => "local",
            Self::Transaction => "bracket",
            Self::Blocking => "blocking",
            Self::Pinned => "pinned",
            Self::Subscriber => "subscriber",
            Self::OwnConnection => "own_connection",
            Self::Upload => "upload",
            Self::Refused => "refused",
        }
    }
}

/// Why a client's connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCloseReason {
    /// The client closed it, or its socket broke.
    Client,
    /// It said `QUIT`.
    Quit,
    /// `CLIENT KILL`.
    Killed,
    /// It did not read its replies.
    OutputLimit,
    /// All buffers together were too large, and its were the largest.
    MemoryLimit,
    /// It sat in a transaction for too long.
    IdleInTransaction,
    /// It said nothing for too long.
    Idle,
    /// It did not log in in time.
    Login,
    /// It sent what is no request.
    ProtocolError,
    /// A connection to the server was lost, and it could not be told what became of its
    /// requests in a way that it would understand.
    BackendLost,
    /// A request that decides what those behind it mean could not be carried.
    Refused,
    /// Its user has as many clients as may be.
    UserLimit,
    /// Its user is not known any more, here or to the server.
    UserRefused,
    /// narrows is ending.
    Drained,
}

impl ClientCloseReason {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 14] = [
        Self::Client,
        Self::Quit,
        Self::Killed,
        Self::OutputLimit,
        Self::MemoryLimit,
        Self::IdleInTransaction,
        Self::Idle,
        Self::Login,
        Self::ProtocolError,
        Self::BackendLost,
        Self::Refused,
        Self::UserLimit,
        Self::UserRefused,
        Self::Drained,
    ];

    /// The value of the label `reason`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Quit => "quit",
            Self::Killed => "killed",
            Self::OutputLimit => "output_limit",
            Self::MemoryLimit => "memory_limit",
            Self::IdleInTransaction => "idle_in_transaction",
            Self::Idle => "idle",
            Self::Login => "login_timeout",
            Self::ProtocolError => "protocol_error",
            Self::BackendLost => "backend_lost",
            Self::Refused => "refused",
            Self::UserLimit => "user_limit",
            Self::UserRefused => "user_refused",
            Self::Drained => "drained",
        }
    }
}

/// What became of an element that was taken for a client that was gone by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undelivered {
    /// It is where it came from.
    PutBack,
    /// The server did not take it back.
    Refused,
    /// The connection was lost that it was on.
    Lost,
    /// The connection was lost before it was known whether there was any.
    Unknown,
    /// The operator wants it to be told of only.
    Logged,
}

impl Undelivered {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 5] = [
        Self::PutBack,
        Self::Refused,
        Self::Lost,
        Self::Unknown,
        Self::Logged,
    ];

    /// The value of the label `outcome`.
    pub fn label(self) -> &'static str {
        match self {
            Self::PutBack => "put_back",
            Self::Refused => "refused",
            Self::Lost => "lost",
            Self::Unknown => "unknown",
            Self::Logged => "logged",
        }
    }
}

/// Plain counters of one worker.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Commands that went by [`Way::Shared`], which nearly all do.
    pub shared: u64,
    /// The others, by [`Way`].
    ways: [u64; Way::ALL.len()],
    /// Clients that are gone, by [`ClientCloseReason`].
    leaves: [u64; ClientCloseReason::ALL.len()],
    /// Elements that reached nobody, by [`Undelivered`].
    undelivered: [u64; Undelivered::ALL.len()],
    /// Connections to the server that were begun.
    pub dials: u64,
    /// Those that failed, in dialling or in the handshake.
    pub dials_failed: u64,
    /// Pipes drained so that another context could have its turn.
    pub context_switches: u64,
    /// Requests of a lost backend that were dealt with again.
    pub replays: u64,
    /// Logins of clients that were refused for what they gave.
    pub logins_failed: u64,
    /// Backends closed for what they did. Must stay 0 on a healthy server.
    pub poisoned: u64,
    /// Errors that narrows itself answered, by reason.
    pub refusals: Labelled,
    /// Backends closed, by cause.
    pub losses: Labelled,
    /// Those of them that were closed for what they did, by cause.
    pub poisons: Labelled,
    /// How long requests that had to wait for a backend have waited.
    pub queue_wait: Histogram,
    /// From a request's arrival to its reply's, of one request at a time for each pipe.
    pub round_trip: Histogram,
}

impl Counters {
    /// All at 0, those included that are counted by one of these labels: a figure that appears
    /// only with its first event cannot be seen to rise.
    pub fn new(refusals: &[&'static str], losses: &[(&'static str, bool)]) -> Self {
        let zeros = |labels: Vec<&'static str>| labels.into_iter().map(|l| (l, 0)).collect();
        let poisons = losses.iter().filter(|(_, poison)| *poison);
        Self {
            refusals: zeros(refusals.to_vec()),
            losses: zeros(losses.iter().map(|(label, _)| *label).collect()),
            poisons: zeros(poisons.map(|(label, _)| *label).collect()),
            ..Self::default()
        }
    }

    /// One more command went this way.
    pub fn went(&mut self, way: Way) {
        if way == Way::Shared {
            self.shared += 1;
        } else if let Some(count) = self.ways.get_mut(way as usize) {
            *count += 1;
        }
    }

    /// How many commands went this way.
    pub fn ways(&self, way: Way) -> u64 {
        match way {
            Way::Shared => self.shared,
            other => self.ways.get(other as usize).copied().unwrap_or_default(),
        }
    }

    /// A request has waited for a backend this long.
    #[cold]
    pub fn waited(&mut self, duration: Duration) {
        self.queue_wait.observe(duration);
    }

    /// One more client is gone.
    pub fn left(&mut self, why: ClientCloseReason) {
        if let Some(count) = self.leaves.get_mut(why as usize) {
            *count += 1;
        }
    }

    /// How many clients are gone for this reason.
    pub fn leaves(&self, why: ClientCloseReason) -> u64 {
        self.leaves.get(why as usize).copied().unwrap_or_default()
    }

    /// One more answer to a wait reached nobody.
    pub fn undelivered(&mut self, outcome: Undelivered) {
        if let Some(count) = self.undelivered.get_mut(outcome as usize) {
            *count += 1;
        }
    }

    /// How many answers to waits came to this.
    pub fn undeliverable(&self, outcome: Undelivered) -> u64 {
        let count = self.undelivered.get(outcome as usize);
        count.copied().unwrap_or_default()
    }

    /// One more error of this kind was answered.
    pub fn refused(&mut self, reason: &'static str) {
        debug_assert!(
            self.refusals.is_empty() || self.refusals.contains_key(reason),
            "{reason} is missing in Refusal::LABELS"
        );
        *self.refusals.entry(reason).or_default() += 1;
    }

    /// One more backend was closed.
    pub fn backend_lost(&mut self, cause: &'static str, poison: bool) {
        *self.losses.entry(cause).or_default() += 1;
        if poison {
            self.poisoned += 1;
            *self.poisons.entry(cause).or_default() += 1;
        }
    }

    /// Adds what another worker has counted.
    pub fn add(&mut self, more: &Self) {
        let Self {
            shared,
            ways,
            leaves,
            undelivered,
            dials,
            dials_failed,
            context_switches,
            replays,
            logins_failed,
            poisoned,
            refusals,
            losses,
            poisons,
            queue_wait,
            round_trip,
        } = more;
        self.shared += shared;
        for (count, more) in self.ways.iter_mut().zip(ways) {
            *count += more;
        }
        for (count, more) in self.leaves.iter_mut().zip(leaves) {
            *count += more;
        }
        for (count, more) in self.undelivered.iter_mut().zip(undelivered) {
            *count += more;
        }
        self.dials += dials;
        self.dials_failed += dials_failed;
        self.context_switches += context_switches;
        self.replays += replays;
        self.logins_failed += logins_failed;
        self.poisoned += poisoned;
        add_labelled(&mut self.refusals, refusals);
        add_labelled(&mut self.losses, losses);
        add_labelled(&mut self.poisons, poisons);
        self.queue_wait.add(queue_wait);
        self.round_trip.add(round_trip);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_and_leaves_stand_at_the_place_of_their_number() {
        let ways = Way::ALL.iter().enumerate();
        assert!(ways.into_iter().all(|(at, way)| *way as usize == at));
        let leaves = ClientCloseReason::ALL.iter().enumerate();
        assert!(leaves.into_iter().all(|(at, leave)| *leave as usize == at));
    }

    #[test]
    fn what_two_workers_counted_adds_up_and_what_never_happened_is_a_zero() {
        let labels: [(&'static str, bool); 2] = [("retired", false), ("stalled", true)];
        let mut one = Counters::new(&["arity"], &labels);
        let mut two = one.clone();
        one.went(Way::Shared);
        two.went(Way::Shared);
        two.left(ClientCloseReason::Quit);
        two.backend_lost("retired", false);
        one.refused("arity");
        one.add(&two);
        assert_eq!((one.ways(Way::Shared), one.ways(Way::Local)), (2, 0));
        assert_eq!((one.leaves(ClientCloseReason::Quit), one.poisoned), (1, 0));
        assert_eq!(one.refusals, Labelled::from([("arity", 1)]));
        assert_eq!(one.losses, Labelled::from([("retired", 1), ("stalled", 0)]));
        assert_eq!(one.poisons, Labelled::from([("stalled", 0)]));
    }
}
