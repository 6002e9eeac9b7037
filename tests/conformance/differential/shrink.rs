//! Makes a session that goes differently as small as it can be.

use std::time::{Duration, Instant};

use crate::differential::run::{Fixture, Verdict};
use crate::differential::session::{Cut, Session};
use crate::differential::setting::Setting;
use crate::support::Flavor;

/// The search ends after this.
const LASTS_MAX: Duration = Duration::from_secs(30);

/// What has gone differently once is waited for no longer than this: most of what is tried hangs as
/// the whole did.
const PATIENCE: Duration = Duration::from_secs(2);

/// `session` without what is not needed, and how the smallest goes. Each is tried on a fresh fixture
/// after one that went differently: nothing that an earlier one has left makes it look worse.
pub(crate) fn smaller(setting: &Setting, flavor: Flavor, session: Session) -> (Session, Verdict) {
    let mut search = Search {
        setting,
        flavor,
        fixture: Fixture::new(setting, flavor),
        begin: Instant::now(),
    };
    let first = search.differs(&session);
    let Some(verdict) = first else {
        return (session, Verdict::Same);
    };
    let mut best = (session, verdict);
    search.drop_steps(&mut best);
    search.drop_requests(&mut best);
    search.drop_cuts(&mut best);
    best
}

struct Search<'a> {
    setting: &'a Setting,
    flavor: Flavor,
    fixture: Fixture<'a>,
    begin: Instant,
}

impl Search<'_> {
    fn differs(&mut self, session: &Session) -> Option<Verdict> {
        let verdict = self.fixture.compare(session);
        let differs = matches!(verdict, Verdict::Differs { .. });
        if differs {
            self.fixture = Fixture::new(self.setting, self.flavor);
            self.fixture.observer.patience = PATIENCE;
        }
        differs.then_some(verdict)
    }

    fn attempt(&mut self, best: &mut (Session, Verdict), less: Session) -> bool {
        if self.begin.elapsed() > LASTS_MAX {
            return false;
        }
        let verdict = self.differs(&less);
        let found = verdict.is_some();
        if let Some(verdict) = verdict {
            *best = (less, verdict);
        }
        found
    }

    fn drop_steps(&mut self, best: &mut (Session, Verdict)) {
        let mut size = best.0.steps.len().div_ceil(2);
        while size > 0 {
            // What comes last is needed least.
            let mut end = best.0.steps.len();
            while end > 0 {
                let start = end.saturating_sub(size);
                let mut less = best.0.clone();
                less.steps.drain(start..end);
                self.attempt(best, less);
                end = start;
            }
            size /= 2;
        }
    }

    fn drop_requests(&mut self, best: &mut (Session, Verdict)) {
        for step in 0..best.0.steps.len() {
            for at in (0..best.0.steps[step].requests.len()).rev() {
                let mut less = best.0.clone();
                less.steps[step].requests.remove(at);
                self.attempt(best, less);
            }
        }
    }

    fn drop_cuts(&mut self, best: &mut (Session, Verdict)) {
        for step in 0..best.0.steps.len() {
            let mut less = best.0.clone();
            if matches!(less.steps[step].cut, Cut::Pieces(_)) {
                less.steps[step].cut = Cut::Whole;
                self.attempt(best, less);
            }
        }
    }
}
