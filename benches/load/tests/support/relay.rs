//! A TCP relay between the load and a server, which tampers with what the server answers: a hand is
//! asked about each reply, and says what goes to which connection instead.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::reply::frame_bytes;

/// Given the number of a connection and a reply on it: what is sent instead, and to whom.
pub type Hand = Box<dyn FnMut(usize, &[u8]) -> Vec<(usize, Vec<u8>)> + Send>;

/// A running relay; its threads end with their connections.
pub struct Relay {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
}

struct Table {
    hand: Mutex<Hand>,
    clients: Mutex<Vec<TcpStream>>,
    /// Bytes of requests and what stands in their place.
    rewrite: Option<(Vec<u8>, Vec<u8>)>,
}

impl Relay {
    /// In front of `server`, passing requests on as they are.
    pub fn start(server: &str, hand: Hand) -> Self {
        Self::begin(server, hand, None)
    }

    /// In front of `server`, passing replies on as they are; in requests, `from` becomes `to`.
    pub fn rewriting(server: &str, from: Vec<u8>, to: Vec<u8>) -> Self {
        assert_eq!(from.len(), to.len());
        let hand = Box::new(|connection, reply: &[u8]| vec![(connection, reply.to_vec())]);
        Self::begin(server, hand, Some((from, to)))
    }

    fn begin(server: &str, hand: Hand, rewrite: Option<(Vec<u8>, Vec<u8>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server: SocketAddr = server.parse().unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let table = Arc::new(Table {
            hand: Mutex::new(hand),
            clients: Mutex::default(),
            rewrite,
        });
        let over = Arc::clone(&ended);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                carry(&table, client.unwrap(), server);
            }
        });
        Self { address, ended }
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the listener, which then sees that it has ended.
        let _ = TcpStream::connect(self.address);
    }
}

fn carry(table: &Arc<Table>, client: TcpStream, server: SocketAddr) {
    let server = TcpStream::connect(server).unwrap();
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let number = {
        let mut clients = table.clients.lock().unwrap();
        clients.push(client.try_clone().unwrap());
        clients.len() - 1
    };
    let (from, to) = (client, server.try_clone().unwrap());
    let (asking, table) = (Arc::clone(table), Arc::clone(table));
    std::thread::spawn(move || ask(&asking, from, to));
    std::thread::spawn(move || answer(&table, number, server));
}

fn ask(table: &Table, mut client: TcpStream, mut server: TcpStream) {
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(bytes @ 1..) = client.read(&mut chunk) {
        let request = &mut chunk[..bytes];
        if let Some((from, to)) = &table.rewrite {
            let found = request.windows(from.len()).position(|part| part == from);
            if let Some(at) = found {
                request[at..at + to.len()].copy_from_slice(to);
            }
        }
        if server.write_all(request).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

fn answer(table: &Table, number: usize, mut server: TcpStream) {
    let mut pending = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(bytes @ 1..) = server.read(&mut chunk) {
        pending.extend_from_slice(&chunk[..bytes]);
        while let Some(length) = frame_bytes(&pending).unwrap() {
            let reply: Vec<u8> = pending.drain(..length).collect();
            // Held to the end, so that no other thread's replies come between.
            let mut hand = table.hand.lock().unwrap();
            for (to, bytes) in hand(number, &reply) {
                let _ = (&table.clients.lock().unwrap()[to]).write_all(&bytes);
            }
        }
    }
    let _ = table.clients.lock().unwrap()[number].shutdown(Shutdown::Both);
}
