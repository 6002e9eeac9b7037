//! A socket whose event loop is asked by hand.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::*;
use crate::engine::ClientId;
use crate::runtime::event_loop::EventLoop;

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
