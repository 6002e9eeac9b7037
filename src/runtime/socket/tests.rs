//! A socket whose event loop is asked by hand.

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::*;
use crate::engine::ClientId;
use crate::runtime::event_loop::EventLoop;
use crate::tls::connection::TlsConnection;
use crate::tls::connection::tests::{Ends, all_of, ends_with_kept, opened};

/// A socket alone in its event loop.
struct SocketPair {
    events: EventLoop,
    ours: Socket,
    theirs: UnixStream,
}

impl SocketPair {
    fn new() -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let events = EventLoop::new().unwrap();
        let token = Token::Client(ClientId::default());
        let ours = Socket::open(DetachedSocket::Unix(ours), events.registry(), token).unwrap();
        Self {
            events,
            ours,
            theirs,
        }
    }

    /// What has happened until now. Whether there is room again.
    fn look(&mut self) -> bool {
        self.events.wait(Some(Duration::ZERO)).unwrap();
        let mut has_room = false;
        for (_, readiness) in self.events.news() {
            has_room |= self.ours.changed(readiness);
        }
        has_room
    }

    fn read(&mut self, most: usize) -> Poll<Vec<u8>> {
        let mut scratch = vec![0; most];
        self.ours
            .read(&mut scratch)
            .map(|read| read.unwrap().to_vec())
    }
}

#[test]
fn a_short_read_is_the_last_one_until_there_is_news() {
    let mut pair = SocketPair::new();
    assert!(pair.read(64).is_pending());
    pair.theirs.write_all(b"one").unwrap();
    pair.look();
    assert_eq!(pair.read(64), Poll::Ready(b"one".to_vec()));
    pair.theirs.write_all(b"two").unwrap();
    // It would be read now if the socket were asked: its event loop has not been.
    assert!(pair.read(64).is_pending());
    pair.look();
    assert_eq!(pair.read(64), Poll::Ready(b"two".to_vec()));
}

#[test]
fn what_did_not_fit_one_read_is_read_without_further_news() {
    let mut pair = SocketPair::new();
    pair.theirs.write_all(b"one two").unwrap();
    pair.look();
    assert_eq!(pair.read(4), Poll::Ready(b"one ".to_vec()));
    assert_eq!(pair.read(4), Poll::Ready(b"two".to_vec()));
    assert!(pair.read(4).is_pending());
}

#[test]
fn an_end_that_was_told_together_with_the_last_bytes_is_read_behind_them() {
    let mut pair = SocketPair::new();
    pair.theirs.write_all(b"last").unwrap();
    drop(std::mem::replace(
        &mut pair.theirs,
        UnixStream::pair().unwrap().0,
    ));
    pair.look();
    assert_eq!(pair.ours.end(), Some(PeerEnd::Sent));
    assert_eq!(pair.read(64), Poll::Ready(b"last".to_vec()));
    assert_eq!(pair.read(64), Poll::Ready(Vec::new()));
}

#[test]
fn an_end_behind_a_short_read_is_news() {
    let mut pair = SocketPair::new();
    pair.theirs.write_all(b"last").unwrap();
    pair.look();
    pair.theirs.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(pair.read(64), Poll::Ready(b"last".to_vec()));
    assert!(pair.read(64).is_pending());
    pair.look();
    assert_eq!(pair.read(64), Poll::Ready(Vec::new()));
    assert_eq!(pair.ours.end(), Some(PeerEnd::Sent));
}

#[test]
fn a_short_write_is_the_last_one_until_there_is_room() {
    let mut pair = SocketPair::new();
    pair.look();
    let bytes = vec![7; 4 << 20];
    let Poll::Ready(Ok(written)) = pair.ours.write(&bytes) else {
        panic!("nothing was taken");
    };
    assert!(0 < written && written < bytes.len());
    assert!(!pair.look());
    assert!(pair.ours.write(&bytes).is_pending());
    let mut heard = vec![0; written];
    pair.theirs.read_exact(&mut heard).unwrap();
    assert_eq!(heard, bytes[..written]);
    assert!(
        pair.ours.write(&bytes).is_pending(),
        "its event loop has not been asked"
    );
    assert!(pair.look());
    assert!(matches!(pair.ours.write(&bytes), Poll::Ready(Ok(n)) if n > 0));
}

#[test]
fn a_write_that_fails_has_what_came_before_read() {
    let mut pair = SocketPair::new();
    pair.look();
    pair.theirs.write_all(b"no more").unwrap();
    drop(std::mem::replace(
        &mut pair.theirs,
        UnixStream::pair().unwrap().0,
    ));
    assert!(matches!(pair.ours.write(b"x"), Poll::Ready(Err(_))));
    assert_eq!(pair.read(64), Poll::Ready(b"no more".to_vec()));
}

#[test]
fn a_socket_that_was_detached_is_no_news_of_its_old_loop() {
    let mut pair = SocketPair::new();
    pair.look();
    let DetachedSocket::Unix(mut ours) = pair.ours.detach(pair.events.registry()).unwrap() else {
        panic!("another kind");
    };
    pair.theirs.write_all(b"late").unwrap();
    pair.events.wait(Some(Duration::ZERO)).unwrap();
    assert_eq!(pair.events.news().count(), 0);
    let mut heard = [0; 4];
    ours.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"late");
}

/// A socket with TLS alone in its event loop.
struct TlsPair {
    events: EventLoop,
    ours: Socket,
    theirs: TcpStream,
    tls: TlsConnection,
}

/// Room for what is read: two records and their plaintext.
const ROOM_BYTES: usize = 72 << 10;

impl TlsPair {
    /// What a client is connected to, and what is connected to the server. Both have `bytes` already, which
    /// came with the handshake.
    fn both(bytes: &[u8]) -> [Self; 2] {
        let Ends { client, server, .. } = ends_with_kept(bytes);
        let of_client = Self::of(server, client);
        let Ends {
            mut client,
            mut server,
            ..
        } = ends_with_kept(b"");
        server.seal(bytes).unwrap();
        client.shake_hands(&all_of(&mut server)).unwrap();
        [of_client, Self::of(client, server)]
    }

    fn of(ours: TlsConnection, tls: TlsConnection) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (tcp, _) = listener.accept().unwrap();
        tcp.set_nonblocking(true).unwrap();
        let events = EventLoop::new().unwrap();
        let token = Token::Client(ClientId::default());
        let ours = DetachedSocket::Tls(tcp, Box::new(ours));
        Self {
            ours: Socket::open(ours, events.registry(), token).unwrap(),
            events,
            theirs,
            tls,
        }
    }

    /// What has happened until now. Whether there is room again.
    fn look(&mut self) -> bool {
        self.look_within(Duration::ZERO)
    }

    /// The same, when something does within that time.
    fn look_within(&mut self, limit: Duration) -> bool {
        self.events.wait(Some(limit)).unwrap();
        let news: Vec<_> = self.events.news().map(|(_, readiness)| readiness).collect();
        news.into_iter()
            .fold(false, |room, now| self.ours.changed(now) | room)
    }

    /// All that there is to be read without asking the event loop.
    fn read(&mut self) -> Vec<u8> {
        let (mut scratch, mut all) = (vec![0; ROOM_BYTES], Vec::new());
        for _ in 0..1000 {
            match self.ours.read(&mut scratch) {
                Poll::Ready(read) => all.extend_from_slice(read.unwrap()),
                Poll::Pending => return all,
            }
        }
        panic!("it never ends");
    }

    /// The other end says this.
    fn say(&mut self, bytes: &[u8]) {
        self.tls.seal(bytes).unwrap();
        let records = all_of(&mut self.tls);
        self.theirs.write_all(&records).unwrap();
    }

    /// What comes out at the other end, when so much of it has come there.
    fn hear(&mut self, most: usize) -> Vec<u8> {
        let mut come = vec![0; most];
        let n = self.theirs.read(&mut come).unwrap();
        opened(&mut self.tls, &come[..n], 0).unwrap()
    }
}

#[test]
fn plaintext_that_came_with_the_handshake_is_read_to_its_end_without_any_news() {
    let bytes: Vec<u8> = (0..200_000u32).map(|at| at as u8).collect();
    for mut pair in TlsPair::both(&bytes) {
        assert!(pair.ours.may_have_more());
        assert!(pair.read() == bytes);
        assert!(!pair.ours.may_have_more());
        pair.say(b"later");
        assert_eq!(pair.read(), b"", "its event loop has not been asked");
        pair.look();
        assert_eq!(pair.read(), b"later");
    }
}

#[test]
fn records_that_came_at_once_are_all_read_with_the_news_of_the_first() {
    let bytes: Vec<u8> = (0..300_000u32).map(|at| at as u8).collect();
    for mut pair in TlsPair::both(b"") {
        assert_eq!(pair.read(), b"");
        for part in bytes.chunks(30_000) {
            pair.say(part);
        }
        pair.look();
        let mut all = pair.read();
        // As much of it as its socket had taken by then.
        for _ in 0..100 {
            if all.len() < bytes.len() {
                pair.look_within(Duration::from_secs(10));
                all.extend(pair.read());
            }
        }
        assert!(all == bytes);
    }
}

#[test]
fn an_end_that_came_with_the_last_record_is_read_behind_it() {
    for mut pair in TlsPair::both(b"") {
        pair.read();
        pair.tls.seal(b"last").unwrap();
        pair.tls.close().unwrap();
        let records = all_of(&mut pair.tls);
        pair.theirs.write_all(&records).unwrap();
        pair.look();
        let mut scratch = vec![0; ROOM_BYTES];
        for expected in [&b"last"[..], b""] {
            let read = pair.ours.read(&mut scratch);
            assert!(matches!(read, Poll::Ready(Ok(read)) if read == expected));
        }
    }
}

/// Nobody has to write anything more for that.
#[test]
fn what_a_socket_did_not_take_of_its_records_leaves_when_there_is_room() {
    for mut pair in TlsPair::both(b"") {
        pair.read();
        pair.look();
        let piece = vec![7; 64 << 10];
        let mut written = 0;
        while let Poll::Ready(n) = pair.ours.write(&piece) {
            written += n.unwrap();
        }
        assert!(pair.ours.flush().is_pending());
        let mut heard = 0;
        while heard < written {
            heard += pair.hear(1 << 20).len();
            if pair.look_within(Duration::from_millis(100)) {
                let _ = pair.ours.flush().map(Result::unwrap);
            }
        }
        assert_eq!(heard, written);
        assert!(matches!(pair.ours.flush(), Poll::Ready(Ok(()))));
    }
}
