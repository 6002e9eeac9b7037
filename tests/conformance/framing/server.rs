//! A private `redis-server` that answers raw bytes.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::framing::{Answer, PING};
use crate::support::Flavor;

/// A private server without persistence in a directory of its own; ends with the test.
pub(crate) struct Server {
    child: Child,
    socket: PathBuf,
    _directory: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start(flavor: Flavor) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("redis.sock");
        let child = Command::new(flavor.program())
            .args([
                "--port",
                "0",
                "--save",
                "",
                "--appendonly",
                "no",
                "--unixsocket",
            ])
            .arg(&socket)
            .arg("--dir")
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            child,
            socket,
            _directory: directory,
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while UnixStream::connect(&server.socket).is_err() {
            assert!(Instant::now() < deadline, "{flavor:?} does not listen");
            std::thread::yield_now();
        }
        server
    }

    /// What this server answers to `input` on a connection of its own.
    pub(crate) fn answer(&self, input: &[u8]) -> Answer {
        let mut client = UnixStream::connect(&self.socket).unwrap();
        let mut watcher = UnixStream::connect(&self.socket).unwrap();
        for stream in [&client, &watcher] {
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            stream
                .set_write_timeout(Some(Duration::from_secs(10)))
                .unwrap();
        }
        // It may close before it has read everything.
        let _ = client.write_all(input);
        // One thread serves all: when it has answered somebody else as many times as it may need
        // to read this input, each time in another turn of its loop, it has said all it will say.
        for _ in 0..input.len() / (16 * 1024) + 3 {
            watcher.write_all(PING.as_bytes()).unwrap();
            let mut reply = [0; 128];
            assert!(watcher.read(&mut reply).unwrap() > 0);
        }
        client.set_nonblocking(true).unwrap();
        let mut answer = Answer::default();
        let mut chunk = [0; 16 * 1024];
        loop {
            match client.read(&mut chunk) {
                Ok(0) => answer.closed = true,
                Ok(len) => {
                    answer.bytes.extend_from_slice(&chunk[..len]);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => answer.closed = true,
                Err(error) => panic!("{error}"),
            }
            return answer;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
