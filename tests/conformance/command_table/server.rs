//! A real server for one test, and its own account of its commands, read without any code of ours
//! but the writing of requests.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use narrows::command::CommandTable;
use narrows::resp::write;
use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::types::OwnedFrame;
use tempfile::TempDir;

use crate::support::Flavor;

/// A server on a unix socket in a directory of its own; both end with this value.
pub(crate) struct Server {
    pub(crate) program: &'static str,
    stream: UnixStream,
    process: Child,
    directory: TempDir,
}

/// Every server of the matrix.
pub(crate) fn servers() -> Vec<Server> {
    Flavor::matrix().into_iter().map(Server::start).collect()
}

impl Server {
    pub(crate) fn start(flavor: Flavor) -> Server {
        let program = flavor.name();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let socket = directory.path().join("server.sock");
        let mut process = Command::new(flavor.program())
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
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let deadline = Instant::now() + Duration::from_secs(10);
        let stream = loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => {
                    let _ = process.kill();
                    panic!("{program} does not listen: {error}");
                }
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        Server {
            program,
            stream,
            process,
            directory,
        }
    }

    /// The reply to one request as bytes, RESP2.
    pub(crate) fn raw(&mut self, args: &[&str]) -> Vec<u8> {
        self.exchange(args, |reply| {
            let whole = decode(reply).expect("RESP2").map(|(_, len)| len);
            whole.is_some_and(|len| {
                assert_eq!(len, reply.len(), "bytes behind the reply");
                true
            })
        })
    }

    /// The bytes that follow a request until they are `whole`.
    pub(crate) fn exchange(&mut self, args: &[&str], whole: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        self.stream.write_all(&frame(args)).unwrap();
        let mut reply = Vec::new();
        while !whole(&reply) {
            self.read_more(&mut reply);
        }
        reply
    }

    pub(crate) fn request(&mut self, args: &[&str]) -> OwnedFrame {
        let reply = self.raw(args);
        decode(&reply).expect("RESP2").expect("a whole reply").0
    }

    /// The reply to `COMMAND` in either protocol; a known reply behind it shows where it ends.
    pub(crate) fn raw_command_reply(&mut self, protocol: u8) -> Vec<u8> {
        let mut other = UnixStream::connect(self.directory.path().join("server.sock")).unwrap();
        other
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        std::mem::swap(&mut self.stream, &mut other);
        let mut bytes = Vec::new();
        for (request, end) in [
            (
                ["HELLO", protocol.to_string().as_str()].as_slice(),
                "\r\n$9\r\nhello-end\r\n",
            ),
            (["COMMAND"].as_slice(), "\r\n$11\r\ncommand-end\r\n"),
        ] {
            let echo = frame(&["ECHO", end.lines().last().unwrap()]);
            self.stream
                .write_all(&[frame(request), echo].concat())
                .unwrap();
            bytes.clear();
            while !bytes.ends_with(end.as_bytes()) {
                self.read_more(&mut bytes);
            }
            bytes.truncate(bytes.len() - end.len() + "\r\n".len());
        }
        std::mem::swap(&mut self.stream, &mut other);
        bytes
    }

    fn read_more(&mut self, into: &mut Vec<u8>) {
        let mut chunk = [0; 65536];
        let read = self.stream.read(&mut chunk).expect("a reply in time");
        assert!(read > 0, "{} closed the connection", self.program);
        into.extend_from_slice(&chunk[..read]);
    }

    /// All commands and subcommands that the server lists.
    pub(crate) fn commands(&mut self) -> Vec<Listed> {
        let mut all = Vec::new();
        for entry in array(&self.request(&["COMMAND"])) {
            listed(entry, &mut all);
        }
        all
    }

    pub(crate) fn learned(&mut self) -> CommandTable {
        let reply = self.raw(&["COMMAND"]);
        CommandTable::builtin()
            .learned(&reply)
            .expect("the server's own reply")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A request of these arguments.
pub(crate) fn frame(args: &[&str]) -> Vec<u8> {
    let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
    let mut frame = Vec::new();
    write::request(&mut frame, &args);
    frame
}

/// What the server's `COMMAND` says of one command, read without any code of ours.
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) arity: i32,
    pub(crate) flags: BTreeSet<String>,
    pub(crate) keys: [i64; 3],
    pub(crate) categories: BTreeSet<String>,
}

impl Listed {
    pub(crate) fn is_of_a_module(&self) -> bool {
        self.flags.contains("module")
    }
}

/// One entry and those of its subcommands.
fn listed(entry: &OwnedFrame, into: &mut Vec<Listed>) {
    let fields = array(entry);
    into.push(Listed {
        name: text(&fields[0]).to_lowercase(),
        arity: i32::try_from(number(&fields[1])).unwrap(),
        flags: array(&fields[2])
            .iter()
            .map(|flag| text(flag).to_owned())
            .collect(),
        keys: [3, 4, 5].map(|at| number(&fields[at])),
        categories: array(&fields[6])
            .iter()
            .map(|name| text(name).to_owned())
            .collect(),
    });
    for subcommand in array(&fields[9]) {
        listed(subcommand, into);
    }
}

fn array(frame: &OwnedFrame) -> &[OwnedFrame] {
    match frame {
        OwnedFrame::Array(members) => members,
        other => panic!("not an array: {other:?}"),
    }
}

pub(crate) fn text(frame: &OwnedFrame) -> &str {
    match frame {
        OwnedFrame::BulkString(text) | OwnedFrame::SimpleString(text) => {
            str::from_utf8(text).unwrap()
        }
        other => panic!("not a text: {other:?}"),
    }
}

fn number(frame: &OwnedFrame) -> i64 {
    match frame {
        OwnedFrame::Integer(number) => *number,
        other => panic!("not an integer: {other:?}"),
    }
}
