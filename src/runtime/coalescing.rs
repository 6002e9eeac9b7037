//! A pause of microseconds between two turns of a worker, where many clients are at work and few of them were
//! ready: what comes meanwhile is served by one turn, so that one write carries the requests of several
//! clients, and the server's replies to them come in one read. A lone client would only wait, and so does each
//! of many that are in no hurry: a worker pauses only if it has been told to.

use std::num::NonZeroU64;
use std::time::Duration;

use slotmap::Key;

use super::event_loop::Token;

/// How long it is. With 50 clients that ask one by one, 30 µs take a quarter off narrows' processor time;
/// 50 µs take no more and cost throughput.
const PAUSE: Duration = Duration::from_micros(30);

/// How late the kernel may end it, in nanoseconds: 50 µs unless a thread asks for less
/// (`PR_SET_TIMERSLACK`, prctl(2)).
const SLACK: Option<NonZeroU64> = NonZeroU64::new(1000);

/// Clients that have to be at work: in the last millisecond.
const ACTIVE_MIN: u32 = 8;

/// Half of the time that a client counts as being at work.
const WINDOW: Duration = Duration::from_micros(500);

/// A turn that found so many sockets ready is full enough.
const READY_MAX: usize = 8;

/// Nor is one followed by a pause that has read more than this, in bytes, where much came at once: its time went
/// into that.
const BYTES_MAX: usize = 64 << 10;

/// See the module. It is told what a turn finds, and says whether a pause is worth it.
#[derive(Debug, Default)]
pub struct Coalescing {
    window: u64,
    /// A bit for each client of this window and of the one before. Two may share one: their number is
    /// never overestimated.
    active: [u64; 2],
    ready: usize,
    bytes: usize,
}

impl Coalescing {
    /// That of this thread, whose pauses end in time from now on.
    pub fn of_this_thread() -> Self {
        // Where that is denied they are longer, and no less right.
        let _ = rustix::thread::set_current_timer_slack(SLACK);
        Self::default()
    }

    /// A turn begins, at `now`, with these sockets ready.
    pub fn begin(&mut self, ready: &[Token], now: Duration) {
        let window = (now.as_micros() / WINDOW.as_micros()) as u64;
        let [current, _] = self.active;
        match window.wrapping_sub(self.window) {
            0 => {}
            1 => self.active = [0, current],
            _ => self.active = [0, 0],
        }
        self.window = window;
        (self.ready, self.bytes) = (ready.len(), 0);
        let [current, _] = &mut self.active;
        for token in ready {
            if let Token::Client(id) = token {
                *current |= 1 << (id.data().as_ffi() % u64::from(u64::BITS));
            }
        }
    }

    /// So many bytes came at once.
    pub fn read_much(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Whether a pause before the next turn is worth it. One that found nothing ready is followed by none:
    /// it was woken for something else.
    pub fn is_worth_it(&self) -> bool {
        let [current, before] = self.active;
        (1..READY_MAX).contains(&self.ready)
            && self.bytes <= BYTES_MAX
            && (current | before).count_ones() >= ACTIVE_MIN
    }

    /// Lets others run, and more come.
    pub fn pause() {
        std::thread::yield_now();
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use slotmap::KeyData;

    use super::*;

    const TURN: Duration = Duration::from_micros(20);

    fn client(number: u64) -> Token {
        Token::Client(KeyData::from_ffi(1 << 32 | number).into())
    }

    /// Whether a pause is worth it after `turns` turns, in each of which the next of `clients` is ready.
    fn is_worth_it(clients: u32, turns: u32, apart: Duration) -> bool {
        let mut coalescing = Coalescing::default();
        for turn in 0..turns {
            let now = Duration::from_secs(1) + apart * turn;
            coalescing.begin(&[client(u64::from(turn % clients))], now);
        }
        coalescing.is_worth_it()
    }

    #[test]
    fn a_pause_is_for_many_clients_at_work_and_never_for_few() {
        assert!(is_worth_it(8, 20, TURN));
        assert!(is_worth_it(1000, 20, TURN));
        for few in 1..8 {
            assert!(!is_worth_it(few, 1000, TURN), "{few}");
        }
    }

    #[test]
    fn clients_that_ask_now_and_then_are_not_at_work() {
        assert!(!is_worth_it(50, 1000, Duration::from_micros(300)));
        assert!(!is_worth_it(50, 1000, Duration::from_secs(1)));
    }

    #[test]
    fn no_pause_follows_a_turn_that_was_full_or_empty() {
        let mut coalescing = Coalescing::default();
        let mut turn = |ready: u64, bytes| {
            let ready: Vec<Token> = (0..ready).map(client).collect();
            coalescing.begin(&ready, Duration::from_secs(1));
            coalescing.read_much(bytes);
            coalescing.is_worth_it()
        };
        assert!(!turn(8, 0));
        assert!(turn(7, 0));
        assert!(!turn(0, 0));
        assert!(turn(1, 64 << 10));
        assert!(!turn(1, (64 << 10) + 1));
    }

    #[test]
    fn a_pause_is_about_as_long_as_it_is_meant_to_be() {
        let _coalescing = Coalescing::of_this_thread();
        let mut lengths: Vec<Duration> = (0..50)
            .map(|_| {
                let begin = std::time::Instant::now();
                Coalescing::pause();
                begin.elapsed()
            })
            .collect();
        lengths.sort_unstable();
        assert!(lengths[0] >= PAUSE);
        // On a machine that is busy with others the longer ones say nothing.
        assert!(lengths[5] < 20 * PAUSE, "{lengths:?}");
    }
}
