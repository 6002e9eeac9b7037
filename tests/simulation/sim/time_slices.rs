//! More contexts than connections, and nothing goes wrong: whoever asks is served within a
//! bounded time, however busy the others are.

use std::time::Duration;

use super::history::Tag;
use super::world::World;

/// How long this is watched.
const WATCHED: Duration = Duration::from_millis(900);

/// Time that passes with each round.
const ROUND: Duration = Duration::from_millis(1);

/// Contexts that there can be: protocols times databases.
const CONTEXTS_MAX: u32 = 8;

/// What a turn costs at most beside its slice: draining and switching, some rounds each, and
/// looking for a permit now and then.
const BETWEEN_SLICES: Duration = Duration::from_millis(80);

impl World {
    /// Every client asks again as soon as it is answered.
    pub fn run_time_slices(&mut self) -> Result<(), String> {
        let slice = self.rules.settings.pool.slice;
        let longest = (slice + BETWEEN_SLICES) * CONTEXTS_MAX;
        let mut asked: Vec<Option<(Tag, Duration)>> = vec![None; self.actors.len()];
        let until = self.now + WATCHED;
        while self.now < until {
            for (actor, asked) in self.actors.iter_mut().zip(&mut asked) {
                if let Some((tag, _)) = asked
                    && (actor.gone || self.history.was_answered(*tag))
                {
                    *asked = None;
                }
                if asked.is_none() {
                    *asked = actor.ask_plainly().map(|tag| (tag, self.now));
                }
                if let Some((tag, since)) = asked
                    && self.now - *since > longest
                {
                    return Err(format!(
                        "{tag:?} in {:?} is starved: it waits since {since:?}, now is {:?}; {:?}",
                        actor.setting,
                        self.now,
                        self.workers[actor.worker].engine.survey().census()
                    ));
                }
            }
            self.sweep();
            self.check()?;
            self.now += ROUND;
        }
        self.settle(|world| world.actors.iter().all(|a| a.gone || a.is_content()))?;
        Ok(())
    }
}
