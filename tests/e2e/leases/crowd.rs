//! Many clients in transactions, many that wait and many that do neither, over few connections.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::census::Census;
use crate::support::setup::narrows;
use crate::support::{Conn, Narrows, RedisServer, command, wait_until};

const SPAN: Duration = Duration::from_secs(5);

/// One connection for everybody's plain requests may be the last one that is free; no plain request
/// may take longer for it, on a machine that has other things to do.
const SLOWEST_PLAIN: Duration = Duration::from_secs(2);

/// Between a plain client's requests: with a thousand of them some ten thousand a second, as much as
/// leaves the machine to the others.
const PLAIN_PAUSE: Duration = Duration::from_millis(100);

/// More than narrows lets anybody wait for a connection, and a bit.
const TOLD_IN_TIME: Duration = Duration::from_secs(3);

const SETTINGS: &str = "
    [backend]
    max_connections = 8
    [pool]
    blocking_max = 2
    queue_timeout = \"1s\"
";

/// What the clients have done, all together.
#[derive(Default)]
struct Score {
    over: AtomicBool,
    transfers: AtomicU64,
    conflicts: AtomicU64,
    popped: AtomicU64,
    plain: AtomicU64,
    refused: AtomicU64,
    slowest_plain_us: AtomicU64,
    slowest_told_us: AtomicU64,
    /// Clients whose every request was refused, by what they do.
    left_out: Mutex<Vec<&'static str>>,
}

impl Score {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    fn count(of: &AtomicU64) {
        of.fetch_add(1, Ordering::Relaxed);
    }

    fn of(of: &AtomicU64) -> u64 {
        of.load(Ordering::Relaxed)
    }

    /// A refusal came after `span`; was it one, and in time?
    #[track_caller]
    fn refusal(&self, reply: &str, span: Duration) {
        assert!(reply.starts_with("-TRYAGAIN narrows: "), "{reply}");
        Self::count(&self.refused);
        let span = span.as_micros() as u64;
        self.slowest_told_us.fetch_max(span, Ordering::Relaxed);
    }
}

/// The reply as it came.
fn raw(conn: &mut Conn, args: &[&str]) -> String {
    String::from_utf8_lossy(conn.call(args).raw()).into_owned()
}

fn number(conn: &mut Conn, key: &str) -> i64 {
    raw(conn, &["GET", key])
        .lines()
        .last()
        .unwrap()
        .parse()
        .unwrap()
}

/// Transfers between two accounts under WATCH; what is in both together never changes. A refused
/// WATCH ends the connection, since what is sent behind it must not run outside.
fn transfers(narrows: &Narrows, score: &Score) {
    let mut conn = narrows.connect();
    let mut served = 0;
    while score.goes_on() {
        let began = Instant::now();
        let told = raw(&mut conn, &["WATCH", "a", "b"]);
        if told != "+OK\r\n" {
            score.refusal(&told, began.elapsed());
            conn.expect_closed();
            conn = narrows.connect();
            continue;
        }
        let (a, b) = (number(&mut conn, "a"), number(&mut conn, "b"));
        conn.expect(&["MULTI"], "+OK\r\n");
        conn.expect(&["SET", "a", &(a - 1).to_string()], "+QUEUED\r\n");
        conn.expect(&["SET", "b", &(b + 1).to_string()], "+QUEUED\r\n");
        match raw(&mut conn, &["EXEC"]).as_str() {
            "*2\r\n+OK\r\n+OK\r\n" => Score::count(&score.transfers),
            "*-1\r\n" => Score::count(&score.conflicts),
            other => panic!("{other}"),
        }
        served += 1;
    }
    if served == 0 {
        score.left_out.lock().unwrap().push("transfers");
    }
}

fn waits(narrows: &Narrows, score: &Score) {
    let mut conn = narrows.connect();
    let mut served = 0;
    while score.goes_on() {
        let began = Instant::now();
        let reply = raw(&mut conn, &["BLPOP", "jobs", "0.05"]);
        match reply.as_bytes()[0] {
            b'*' => {
                served += 1;
                if reply.starts_with("*2\r\n$4\r\njobs\r\n") {
                    Score::count(&score.popped);
                }
            }
            _ => score.refusal(&reply, began.elapsed()),
        }
    }
    if served == 0 {
        score.left_out.lock().unwrap().push("waits");
    }
}

/// Many clients in one thread: each asks, then each is heard, each with a word of its own.
fn plain(narrows: &Narrows, clients: usize, name: &str, score: &Score) {
    let mut conns: Vec<Conn> = (0..clients).map(|_| narrows.connect()).collect();
    for round in 0_u64.. {
        if !score.goes_on() {
            return;
        }
        let began = Instant::now();
        let word = |client: usize| format!("{name} {client} {round}");
        for (client, conn) in conns.iter_mut().enumerate() {
            conn.send(command(&["ECHO", &word(client)]));
        }
        for (client, conn) in conns.iter_mut().enumerate() {
            let word = word(client);
            conn.expect_reply(format!("${}\r\n{word}\r\n", word.len()));
            Score::count(&score.plain);
        }
        let span = began.elapsed().as_micros() as u64;
        score.slowest_plain_us.fetch_max(span, Ordering::Relaxed);
        std::thread::sleep(PLAIN_PAUSE);
    }
}

/// Pushes jobs until the span is over; how many.
fn push_jobs(admin: &mut Conn) -> u64 {
    let end = Instant::now() + SPAN;
    let mut pushed = 0;
    while Instant::now() < end {
        admin.call(&["RPUSH", "jobs", "job"]);
        pushed += 1;
        std::thread::sleep(Duration::from_millis(2));
    }
    pushed
}

/// 200 in transactions piece by piece, 200 that wait, 1,000 that do neither.
#[test]
fn load_everybody_goes_on_over_eight_connections() {
    let server = RedisServer::start();
    let mut admin = server.connect();
    admin.expect(&["MSET", "a", "1000", "b", "1000"], "+OK\r\n");
    let narrows = narrows(&server.url(), SETTINGS, &[]);
    let census = Census::begin(&server);
    let score = Score::default();
    let pushed = std::thread::scope(|scope| {
        let (narrows, score) = (&narrows, &score);
        for _ in 0..200 {
            scope.spawn(|| transfers(narrows, score));
            scope.spawn(|| waits(narrows, score));
        }
        for thread in 0..10 {
            scope.spawn(move || plain(narrows, 100, &thread.to_string(), score));
        }
        let pushed = push_jobs(&mut admin);
        score.over.store(true, Ordering::Relaxed);
        pushed
    });
    let (most, looks) = census.end();
    let (slowest, told) = (
        Duration::from_micros(Score::of(&score.slowest_plain_us)),
        Duration::from_micros(Score::of(&score.slowest_told_us)),
    );
    let left_out = score.left_out.lock().unwrap().clone();
    println!(
        "{} transfers, {} conflicts, {} of {pushed} jobs, {} plain requests, a round of 100 at most \
         {slowest:?}; {} refused, at most after {told:?}; {most} connections in {looks} looks; left out \
         {} of 400",
        Score::of(&score.transfers),
        Score::of(&score.conflicts),
        Score::of(&score.popped),
        Score::of(&score.plain),
        Score::of(&score.refused),
        left_out.len(),
    );
    // The test's own, which pushes, is one of them.
    assert!(most <= 9, "{most}");
    assert_eq!(number(&mut admin, "a") + number(&mut admin, "b"), 2000);
    let left: u64 = raw(&mut admin, &["LLEN", "jobs"])[1..]
        .trim_end()
        .parse()
        .unwrap();
    assert_eq!(Score::of(&score.popped) + left, pushed, "no job is lost");
    assert!(Score::of(&score.transfers) > 100 && Score::of(&score.popped) > 100);
    assert!(slowest < SLOWEST_PLAIN, "{slowest:?}");
    assert!(told < TOLD_IN_TIME, "{told:?}");
    assert!(left_out.len() < 100, "never served: {left_out:?}");
}

/// What a subscriber of `news` hears until the word that ends it; whether it could subscribe at all.
fn hears(narrows: &Narrows, score: &Score) -> Option<Vec<u64>> {
    let mut conn = narrows.connect();
    let began = Instant::now();
    let told = raw(&mut conn, &["SUBSCRIBE", "news"]);
    if told != "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n" {
        score.refusal(&told, began.elapsed());
        return None;
    }
    let mut heard = Vec::new();
    loop {
        let message = conn.reply();
        let text = String::from_utf8_lossy(message.raw()).into_owned();
        let head = "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n";
        let word = text.strip_prefix(head).and_then(|rest| rest.lines().nth(1));
        match word.unwrap_or_else(|| panic!("{text}")) {
            "over" => return Some(heard),
            number => heard.push(number.parse().unwrap()),
        }
    }
}

/// Whoever subscribes has a connection for as long as it does, so few of many can; those hear all.
#[test]
fn load_subscribers_hear_everything_and_leave_room_for_others() {
    let server = RedisServer::start();
    let narrows = narrows(&server.url(), SETTINGS, &[]);
    let census = Census::begin(&server);
    let score = Score::default();
    let heard = std::thread::scope(|scope| {
        let (narrows, score) = (&narrows, &score);
        let subscribers: Vec<_> = (0..50)
            .map(|_| scope.spawn(|| hears(narrows, score)))
            .collect();
        for thread in 0..10 {
            scope.spawn(move || plain(narrows, 100, &thread.to_string(), score));
        }
        // By then each of the 50 has been served or told.
        let mut publisher = narrows.connect();
        let counts = |conn: &mut Conn| raw(conn, &["PUBSUB", "NUMSUB", "news"]);
        wait_until("all are served or told", TOLD_IN_TIME * 2, || {
            let subscribed = counts(&mut publisher);
            let subscribed: u64 = subscribed
                .trim_end()
                .rsplit(':')
                .next()
                .unwrap()
                .parse()
                .unwrap();
            subscribed + Score::of(&score.refused) == 50
        });
        let listening = 50 - Score::of(&score.refused);
        for number in 0..200 {
            let reply = raw(&mut publisher, &["PUBLISH", "news", &number.to_string()]);
            assert_eq!(reply, format!(":{listening}\r\n"));
        }
        // A transaction finds a connection again once they have gone.
        publisher.call(&["PUBLISH", "news", "over"]);
        let heard: Vec<_> = subscribers
            .into_iter()
            .filter_map(|one| one.join().unwrap())
            .collect();
        publisher.expect(&["WATCH", "k"], "+OK\r\n");
        publisher.expect(&["MULTI"], "+OK\r\n");
        publisher.expect(&["EXEC"], "*0\r\n");
        score.over.store(true, Ordering::Relaxed);
        heard
    });
    let (most, _) = census.end();
    let slowest = Duration::from_micros(Score::of(&score.slowest_plain_us));
    let told = Duration::from_micros(Score::of(&score.slowest_told_us));
    println!(
        "{} of 50 subscribed, the others told after {told:?} at most; a round of 100 plain requests at \
         most {slowest:?}; {most} connections",
        heard.len()
    );
    assert!(most <= 8, "{most}");
    assert!(!heard.is_empty() && heard.iter().all(|one| one.iter().copied().eq(0..200)));
    assert!(
        slowest < SLOWEST_PLAIN && told < TOLD_IN_TIME,
        "{slowest:?} {told:?}"
    );
}
