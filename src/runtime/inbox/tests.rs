//! An inbox whose worker is a waker that counts.

use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Wake;

use proptest::prelude::*;

use super::*;
use crate::engine::Accepted;
use crate::session::ClientFilter;
use crate::session::client_line::ClientAddress;

use crate::runtime::detached::DetachedSocket;
use crate::runtime::message::{ClientCount, HealthVerdict};
use crate::topology::Topology;

/// Whether the worker has been woken since it last looked.
#[derive(Default)]
struct WakeCount(AtomicU32);

impl Wake for WakeCount {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The worker of an inbox: what it took, and whether it will come again.
struct InboxReader {
    woken: Arc<WakeCount>,
    taken: Vec<Message>,
}

impl InboxReader {
    fn new() -> Self {
        Self {
            woken: Arc::default(),
            taken: Vec::new(),
        }
    }

    /// One turn, if it has been woken.
    fn turn(&mut self, inbox: &Inbox) -> bool {
        let woken = self.woken.0.swap(0, Ordering::Relaxed) > 0;
        if woken {
            self.take(inbox);
        }
        woken
    }

    fn take(&mut self, inbox: &Inbox) {
        inbox.take(&mut self.taken, &Waker::from(Arc::clone(&self.woken)));
    }

    fn sleep(&mut self, inbox: &Inbox) {
        while self.turn(inbox) {}
    }
}

fn inbox() -> Arc<Inbox> {
    Inbox::new(&Arc::default())
}

fn asker(ticket: u64) -> Asker {
    Asker {
        worker: 1,
        epoch: Epoch::default().next(),
        ticket,
    }
}

fn client() -> NewClient {
    let (socket, _) = std::os::unix::net::UnixStream::pair().unwrap();
    NewClient {
        socket: DetachedSocket::Unix(socket),
        accepted: Accepted::of(1, ClientAddress::Unix(Arc::new("test".into()))),
        guard: ClientCount::default().enter(usize::MAX).unwrap(),
    }
}

/// What may come between two turns.
#[derive(Debug, Clone)]
enum Event {
    Questions(usize),
    Publish,
    Drain,
    Turn,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        (1..700_usize).prop_map(Event::Questions),
        Just(Event::Publish),
        Just(Event::Drain),
        Just(Event::Turn),
    ];
    prop::collection::vec(event, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever came, in whatever order the worker was polled meanwhile: once it sleeps nothing is left.
    #[test]
    fn a_worker_that_sleeps_has_an_empty_inbox(events in events()) {
        let (inbox, mut reader) = (inbox(), InboxReader::new());
        reader.take(&inbox);
        let (mut asked, mut drains, mut publishes) = (0, 0, 0);
        for event in events {
            match event {
                Event::Questions(count) => for _ in 0..count {
                    let ticket = asked;
                    asked += u64::from(inbox.ask(asker(ticket), WorkerQuery::Figures));
                },
                Event::Publish => { inbox.publish(); publishes += 1; }
                Event::Drain => { inbox.drain(); drains += 1; }
                Event::Turn => { reader.turn(&inbox); }
            }
        }
        reader.sleep(&inbox);
        let tickets = reader.taken.iter().filter_map(|message| match message {
            Message::WorkerQuery(asker, _) => Some(asker.ticket),
            _ => None,
        });
        prop_assert_eq!(tickets.collect::<Vec<_>>(), (0..asked).collect::<Vec<_>>());
        let seen = |kind: fn(&Message) -> bool| reader.taken.iter().any(kind);
        prop_assert_eq!(seen(|m| matches!(m, Message::Drain)), drains > 0);
        prop_assert_eq!(seen(|m| matches!(m, Message::Publish)), publishes > 0);
    }
}

#[test]
fn who_came_before_the_end_is_taken_before_it() {
    let (inbox, mut reader) = (inbox(), InboxReader::new());
    for ticket in 0..TAKEN_MAX as u64 + 1 {
        assert!(inbox.ask(asker(ticket), WorkerQuery::Figures));
    }
    inbox.drain();
    reader.take(&inbox);
    reader.sleep(&inbox);
    assert!(matches!(reader.taken.last(), Some(Message::Drain)));
    assert_eq!(reader.taken.len(), TAKEN_MAX + 2);
}

#[test]
fn queries_are_refused_where_too_many_wait_and_taken_again_afterwards() {
    let (inbox, mut reader) = (inbox(), InboxReader::new());
    let list = || WorkerQuery::List(ClientFilter::default());
    for ticket in 0..QUERIES_MAX as u64 {
        assert!(inbox.ask(asker(ticket), list()));
    }
    assert!(!inbox.ask(asker(0), list()));
    reader.take(&inbox);
    assert!(inbox.ask(asker(0), list()));
    inbox.close();
    assert!(!inbox.ask(asker(0), list()), "nobody answers there");
}

#[tokio::test]
async fn clients_wait_for_room_and_find_it_as_soon_as_some_are_taken() {
    let room = Arc::new(Notify::new());
    let inbox = Inbox::new(&room);
    let places: Vec<InboxPermit> = (0..CLIENTS_MAX).map(|_| inbox.permit().unwrap()).collect();
    assert!(inbox.permit().is_none() && !inbox.has_room());
    let told = room.notified();
    let mut places = places.into_iter();
    drop(places.next());
    told.await;
    assert!(inbox.has_room(), "what is not used is given back");
    for place in places {
        place.bring(client());
    }
    inbox.permit().unwrap().bring(client());
    assert!(!inbox.has_room());
    let told = room.notified();
    InboxReader::new().take(&inbox);
    told.await;
    assert!(inbox.has_room());
}

#[test]
fn what_was_meant_for_an_engine_that_has_ended_reaches_no_other() {
    let (inbox, mut reader) = (inbox(), InboxReader::new());
    let (id, ticket) = (BackendId::default(), 1);
    let first = inbox.begin();
    let refused = || Err("refused".to_owned());
    inbox.permit().unwrap().bring(client());
    inbox.dialled(first, id, refused());
    inbox.answer(first, ticket, Reply::Killed(1));
    assert!(inbox.ask(asker(ticket), WorkerQuery::Figures));
    inbox.health(verdict(false));
    inbox.drain();
    reader.take(&inbox);
    assert_eq!(reader.taken.len(), 6, "{:?}", reader.taken);

    // The same once more, and the engine ends before it looks.
    inbox.permit().unwrap().bring(client());
    inbox.dialled(first, id, refused());
    inbox.answer(first, ticket, Reply::Killed(1));
    assert!(inbox.ask(asker(ticket), WorkerQuery::Figures));
    let second = inbox.begin();
    inbox.dialled(first, id, refused());
    inbox.answer(first, ticket, Reply::Killed(1));
    inbox.answer(second, ticket, Reply::Killed(2));
    let mut reader = InboxReader::new();
    reader.take(&inbox);
    let kinds: Vec<&str> = reader.taken.iter().map(kind).collect();
    let want = ["health", "client", "query", "answer", "drain"];
    assert_eq!(
        kinds, want,
        "how things stand is told to the new one as well"
    );
}

fn verdict(answering: bool) -> HealthVerdict {
    HealthVerdict {
        endpoint: Topology::default().endpoint(),
        answering,
    }
}

fn kind(message: &Message) -> &'static str {
    match message {
        Message::Client(_) => "client",
        Message::Dialled(..) => "dialled",
        Message::WorkerQuery(..) => "query",
        Message::Answer { .. } => "answer",
        Message::Health(_) => "health",
        Message::Drain => "drain",
        _ => "other",
    }
}

#[test]
fn news_is_the_last_of_its_kind_however_often_it_came() {
    let (inbox, mut reader) = (inbox(), InboxReader::new());
    for answering in [true, true, false] {
        inbox.health(verdict(answering));
        inbox.publish();
        inbox.commands_learned();
    }
    reader.take(&inbox);
    assert_eq!(reader.taken.len(), 3);
    assert!(matches!(reader.taken[0], Message::Health(last) if last == verdict(false)));
}

/// The proof that the property above finds what it is for.
#[cfg(feature = "fault_injection")]
#[test]
fn mail_that_is_forgotten_in_the_inbox_is_found() {
    use crate::admission::fault_injection::inject;
    let rest = || {
        let (inbox, mut reader) = (inbox(), InboxReader::new());
        reader.take(&inbox);
        for ticket in 0..TAKEN_MAX as u64 + 1 {
            assert!(inbox.ask(asker(ticket), WorkerQuery::Figures));
        }
        reader.sleep(&inbox);
        TAKEN_MAX + 1 - reader.taken.len()
    };
    inject(Some(Bug::MailForgotten));
    let forgotten = rest();
    inject(None);
    assert_eq!((forgotten, rest()), (1, 0));
}
