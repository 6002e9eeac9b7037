//! Taking leave of a peer that may still be sending: it is told that nothing more comes, and what it sends
//! until it has closed its end too is dropped. A socket that is closed with bytes in it that nobody has read
//! resets the connection, and with that takes from the peer what it has not read yet.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::detached::DetachedSocket;
use super::transport::Transport;

/// Longest wait for the peer to close its end.
const LINGER: Duration = Duration::from_secs(1);

/// What is dropped of a peer's, at most, in bytes. One that sends more does not listen.
const DROPPED_BYTES_MAX: u64 = 1 << 20;

/// Clients that are waited for at once. They count as clients no more, and each has a descriptor.
pub const CLIENTS_MAX: usize = 64;

/// Tells the peer that nothing more comes, and waits until it has closed its end. However that goes, the
/// socket is to be closed next.
pub async fn linger(transport: &mut Transport) {
    let goodbye = async {
        transport.shutdown().await?;
        let mut rest = transport.take(DROPPED_BYTES_MAX);
        let mut dropped = [0u8; 4096];
        while rest.read(&mut dropped).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = timeout(LINGER, goodbye).await;
}

/// Closes a client's connection, unless too many are being waited for already: then at once.
pub async fn close_client(socket: DetachedSocket, places: &Semaphore) {
    if let Ok(_place) = places.try_acquire()
        && let Ok(mut transport) = socket.attach()
    {
        linger(&mut transport).await;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    /// What a client reads that goes on sending behind its last request.
    async fn heard(places: usize) -> std::io::Result<String> {
        let (ours, mut theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        (&ours).write_all(b"+OK\r\n")?;
        theirs.write_all(b"PING\r\n")?;
        let client = std::thread::spawn(move || -> std::io::Result<String> {
            theirs.write_all(b"PING\r\n")?;
            let mut text = String::new();
            theirs.read_to_string(&mut text).map(|_| text)
        });
        close_client(DetachedSocket::Unix(ours), &Semaphore::new(places)).await;
        client.join().expect("it does not panic")
    }

    #[tokio::test]
    async fn a_client_that_is_still_sending_hears_all_that_it_was_sent() {
        assert_eq!(heard(1).await.unwrap(), "+OK\r\n");
    }

    #[tokio::test]
    async fn without_a_place_a_client_is_closed_at_once() {
        assert!(heard(0).await.is_err());
    }
}
