//! Runs a schedule of nemeses against a system under load, and keeps the account of it: when each
//! began and ended, how long service took to come back, which backends narrows gave up and when.
//! What must not be goes into a list of offences, so that one run tells all of them.
#![allow(dead_code, reason = "the soak and the short tests use a part each")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::chaos::monitor::Monitor;
use crate::chaos::nemesis::Nemesis;
use crate::chaos::schedule::Step;
use crate::chaos::system::{BACKENDS_MAX, System};
use crate::chaos::traffic::Traffic;
use crate::support::{Conn, Value};

/// Replies of the load after which it counts as served again.
const SERVED_REPLIES: u64 = 50;

/// After a fault the server sees within this that connections have ended.
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// Waits are polled this often.
const POLL: Duration = Duration::from_millis(5);

/// Why narrows may lose a backend while something is broken. Every other cause is a reply that
/// broke the protocol, for which neither the servers nor the faults ever give reason.
const EXPLAINED: &[&str] = &["gone", "stalled"];

/// Backends that were closed for a reason worth a warning, by cause.
pub(crate) type Causes = BTreeMap<String, u64>;

/// One nemesis, as it went.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) name: &'static str,
    /// From the end of the fault to service.
    pub(crate) recovery: Duration,
    /// The most that `recovery` may be.
    pub(crate) recovery_max: Duration,
    /// Backends given up until then.
    pub(crate) closed: Causes,
}

/// What a run has come to.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) windows: Vec<Window>,
    /// Backends given up outside all windows.
    pub(crate) closed_in_quiet: Causes,
    pub(crate) offences: Vec<String>,
}

/// Told of a run as it goes: what is going on, again and again.
pub(crate) trait Observer {
    /// `doing` is the name of the nemesis, or `None` in a quiet phase.
    fn observe(
        &mut self,
        system: &System,
        monitor: &Monitor,
        traffic: &Traffic,
        doing: Option<&str>,
    );
}

/// One who does not care.
pub(crate) struct NoObserver;

impl Observer for NoObserver {
    fn observe(&mut self, _: &System, _: &Monitor, _: &Traffic, _: Option<&str>) {}
}

/// A run under way.
pub(crate) struct Runner<'a> {
    pub(crate) system: &'a mut System,
    pub(crate) monitor: &'a Monitor,
    pub(crate) traffic: &'a Traffic,
    pub(crate) observer: &'a mut dyn Observer,
    begin: Instant,
    account: Account,
    /// What the log had told at the last change between quiet and fault.
    told: Causes,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(
        system: &'a mut System,
        monitor: &'a Monitor,
        traffic: &'a Traffic,
        observer: &'a mut dyn Observer,
    ) -> Self {
        Self {
            system,
            monitor,
            traffic,
            observer,
            begin: Instant::now(),
            account: Account::default(),
            told: Causes::new(),
        }
    }

    /// Runs all steps, or up to the point where the load has found an offence.
    pub(crate) fn run(mut self, steps: impl IntoIterator<Item = Step>) -> Account {
        for step in steps {
            self.pass(step.quiet, None, |_| {});
            if self.traffic.ended() {
                break;
            }
            self.strike(step.nemesis);
        }
        let since = self.since_told();
        self.add_quiet(since);
        self.judge_bounds();
        self.account
    }

    /// One nemesis from its beginning until service is back.
    fn strike(&mut self, nemesis: Nemesis) {
        let quiet = self.since_told();
        self.add_quiet(quiet);
        if nemesis.blinds_server {
            self.monitor.set_blind(true);
        }
        nemesis.begin(self.system);
        let mut next = nemesis.again.map(|again| Instant::now() + again);
        self.pass(nemesis.lasts, Some(nemesis.name), |system| {
            if let (Some(again), Some(at)) = (nemesis.again, next)
                && Instant::now() >= at
            {
                nemesis.begin(system);
                next = Some(at + again);
            }
        });
        nemesis.end(self.system);
        let recovery = self.recover(&nemesis);
        self.settle(&nemesis);
        self.monitor.set_blind(false);
        let window = Window {
            name: nemesis.name,
            recovery,
            recovery_max: nemesis.recovery_max,
            closed: self.since_told(),
        };
        println!(
            "  {:<34} service after {:>6.3} s (at most {} s), closed {:?}",
            window.name,
            recovery.as_secs_f64(),
            nemesis.recovery_max.as_secs(),
            window.closed
        );
        for (cause, count) in &window.closed {
            if !EXPLAINED.contains(&cause.as_str()) {
                let text = format!("{}: {count} backends closed for {cause}", window.name);
                self.account.offences.push(text);
            }
        }
        self.account.windows.push(window);
    }

    /// Lets time pass under the eyes of the observer.
    fn pass(&mut self, span: Duration, doing: Option<&str>, mut act: impl FnMut(&mut System)) {
        let deadline = Instant::now() + span;
        while Instant::now() < deadline && !self.traffic.ended() {
            act(self.system);
            self.observer
                .observe(self.system, self.monitor, self.traffic, doing);
            std::thread::sleep(POLL);
        }
    }

    /// Waits until a new client and the load are served; how long that took.
    fn recover(&mut self, nemesis: &Nemesis) -> Duration {
        let begin = Instant::now();
        let goal = self.traffic.verified() + SERVED_REPLIES;
        let mut served = false;
        let give_up = nemesis.recovery_max * 3;
        while begin.elapsed() < give_up {
            served = served || is_served(self.system.address());
            if self.traffic.ended() || (served && self.traffic.verified() >= goal) {
                break;
            }
            self.observer
                .observe(self.system, self.monitor, self.traffic, Some(nemesis.name));
            std::thread::sleep(POLL);
        }
        let recovery = begin.elapsed();
        if recovery > nemesis.recovery_max {
            self.account.offences.push(format!(
                "{}: service only {recovery:?} after its end, at most {:?} is allowed",
                nemesis.name, nemesis.recovery_max
            ));
        }
        recovery
    }

    /// The server has seen the end of what narrows has closed, and what broke has been noticed.
    fn settle(&mut self, nemesis: &Nemesis) {
        let begin = Instant::now();
        let mut direct = self.system.direct();
        loop {
            let list = direct.call(&["CLIENT", "LIST"]).text();
            let listed = crate::chaos::monitor::largest_instance(&list);
            let stale = self.system.proxy.open() > self.monitor.held_now();
            if listed <= BACKENDS_MAX && !stale {
                return;
            }
            if begin.elapsed() > SETTLE_MAX {
                self.account.offences.push(format!(
                    "{}: {:?} later the server still counts {listed} connections, the proxy has \
                     {} open, narrows holds {}",
                    nemesis.name,
                    begin.elapsed(),
                    self.system.proxy.open(),
                    self.monitor.held_now()
                ));
                return;
            }
            std::thread::sleep(POLL);
        }
    }

    /// Backends closed since this was last asked.
    fn since_told(&mut self) -> Causes {
        let now = causes(&self.system.log());
        let before = std::mem::replace(&mut self.told, now.clone());
        let more = |(cause, count): (String, u64)| {
            let more = count - before.get(&cause).copied().unwrap_or(0);
            (more > 0).then_some((cause, more))
        };
        now.into_iter().filter_map(more).collect()
    }

    fn add_quiet(&mut self, closed: Causes) {
        for (cause, count) in closed {
            let at = self.begin.elapsed();
            self.account.offences.push(format!(
                "{count} backends closed for {cause} before {at:?}, while nothing was broken"
            ));
            *self.account.closed_in_quiet.entry(cause).or_default() += count;
        }
    }

    fn judge_bounds(&mut self) {
        for (who, max) in [
            ("the server", self.monitor.listed_max()),
            ("the kernel", self.monitor.held_max()),
        ] {
            if max > BACKENDS_MAX {
                self.account.offences.push(format!(
                    "{who} has counted {max} connections of narrows, at most {BACKENDS_MAX} are \
                     allowed"
                ));
            }
        }
    }
}

/// Whether a new client is served, with a write and a read.
fn is_served(address: &str) -> bool {
    let attempt = || {
        let mut conn = Conn::try_connect(address).ok()?;
        conn.try_send(b"SET chaos:probe served\r\nGET chaos:probe\r\n")
            .ok()?;
        conn.try_reply().ok()?;
        Some(conn.try_reply().ok()?.value())
    };
    attempt() == Some(Value::Bulk(b"served".to_vec()))
}

/// Counts the warnings `backend closed` of a log by their cause.
pub(crate) fn causes(log: &str) -> Causes {
    let mut causes = Causes::new();
    for line in log.lines().filter(|line| line.contains("backend closed")) {
        let cause = line
            .split_once("cause=\"")
            .and_then(|(_, rest)| rest.split('"').next());
        *causes
            .entry(cause.unwrap_or("unknown").to_owned())
            .or_default() += 1;
    }
    causes
}
