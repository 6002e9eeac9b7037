//! What counts as written, over a socket that takes as much as it likes and breaks where it likes.

use super::*;
use crate::tls::connection::tests::{Ends, ends_with_kept, opened};

/// A socket by chance.
struct Wire {
    random: fastrand::Rng,
    /// What has left.
    out: Vec<u8>,
    /// It breaks when so much has.
    breaks_at: usize,
}

impl Read for Wire {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.breaks_at - self.out.len();
        if room == 0 {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if self.random.u8(..3) == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let n = self.random.usize(1..=bytes.len().min(room));
        self.out.extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What has come of writing all of something.
struct WholeWrite {
    data: Vec<u8>,
    counted: usize,
    arrived: Vec<u8>,
    is_whole: bool,
}

/// As a worker does it: whatever does not count as written is written again, until all is or it breaks.
fn write_all(seed: u64) -> WholeWrite {
    let mut random = fastrand::Rng::with_seed(seed);
    let Ends { client, server, .. } = ends_with_kept(b"");
    let (ours, mut theirs) = match random.bool() {
        true => (client, server),
        false => (server, client),
    };
    let data: Vec<u8> = (0..random.usize(1..150_000)).map(|at| at as u8).collect();
    let breaks_at = match random.bool() {
        true => random.usize(1..data.len() + 2),
        false => usize::MAX,
    };
    let wire = Wire {
        random: random.fork(),
        out: Vec::new(),
        breaks_at,
    };
    let mut socket = TlsSocket {
        tcp: wire,
        tls: Box::new(ours),
    };
    let (mut counted, mut is_whole) = (0, false);
    while !is_whole {
        let left = &data[counted..];
        let piece = random.usize(1..=left.len().max(1));
        let wrote = match left.is_empty() {
            true => socket.send().map_ok(|()| 0),
            false => socket.write(left.chunks(piece)).map_ok(|w| w.taken),
        };
        match wrote {
            Poll::Ready(Ok(n)) => {
                is_whole = left.is_empty();
                counted += n;
            }
            Poll::Ready(Err(_)) => break,
            Poll::Pending => {}
        }
        assert!(socket.tcp.out.len() < 2_000_000, "it never ends");
    }
    let arrived = opened(&mut theirs, &socket.tcp.out, 0).unwrap();
    WholeWrite {
        data,
        counted,
        arrived,
        is_whole,
    }
}

/// What is wrong with that. What does not count as written is asked again of another server.
fn judge(written: &WholeWrite) -> Result<(), &'static str> {
    let WholeWrite { data, arrived, .. } = written;
    if !data.starts_with(arrived) {
        return Err("what has arrived is not what was written");
    }
    if arrived.len() > written.counted {
        return Err("what has arrived does not count as written");
    }
    match written.is_whole && arrived.len() < data.len() {
        true => Err("what counts as written has not arrived"),
        false => Ok(()),
    }
}

const SEEDS: u64 = 60;

#[test]
fn what_has_left_counts_as_written_wherever_the_socket_breaks_and_all_of_it_leaves_once() {
    let all: Vec<WholeWrite> = (0..SEEDS).map(write_all).collect();
    for (seed, written) in all.iter().enumerate() {
        assert_eq!(judge(written), Ok(()), "seed {seed}");
    }
    let broken = all.iter().filter(|written| !written.is_whole).count();
    assert!(broken > 10 && broken + 10 < all.len(), "{broken}");
}

#[cfg(feature = "fault_injection")]
#[test]
fn sealed_bytes_that_do_not_count_as_written_are_found() {
    use crate::admission::fault_injection::inject;
    for bug in [Bug::SealedForgotten, Bug::SealedUnwritten] {
        inject(Some(bug));
        let found = (0..SEEDS).find(|seed| judge(&write_all(*seed)).is_err());
        inject(None);
        assert!(found.is_some(), "{bug:?}");
    }
}
