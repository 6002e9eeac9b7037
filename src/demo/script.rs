//! What one client of the demo asks and the exact bytes that must come back. Every value carries
//! the round, the client, the key and a sequence number, so a reply that belongs to anyone else, or
//! to an earlier request, cannot be taken for the right one. Pure: it knows no socket and no clock.

use super::wire::{push_bulk, push_command, push_header, push_number};

/// The endless conversation of one client over keys of its own.
#[derive(Debug)]
pub(super) struct Script {
    round: u64,
    client: u64,
    value_bytes: usize,
    keys: [Vec<u8>; KEYS],
    counter_key: Vec<u8>,
    /// Counts the writes; part of each value.
    sequence: u64,
    /// The sequence number of what each key holds.
    held: [u64; KEYS],
    counter: u64,
    next: ScriptStep,
}

#[derive(Clone, Copy, Debug)]
enum ScriptStep {
    Set,
    Get,
    Increment,
    GetAll,
}

impl Script {
    /// `value_bytes`: the length that short values are filled up to.
    pub(super) fn new(round: u64, client: u64, value_bytes: usize) -> Self {
        Self {
            round,
            client,
            value_bytes,
            keys: std::array::from_fn(|key| format!("demo:{client}:{key}").into_bytes()),
            counter_key: format!("demo:{client}:counter").into_bytes(),
            sequence: 0,
            held: [0; KEYS],
            counter: 0,
            next: ScriptStep::Set,
        }
    }

    /// Replaces both buffers by a pipeline that brings all keys to a known state, whatever they
    /// held, and its replies. For the beginning, and after a reply that left a write in doubt.
    pub(super) fn reset(&mut self, request: &mut Vec<u8>, expected: &mut Vec<u8>) {
        request.clear();
        expected.clear();
        self.next = ScriptStep::Set;
        self.counter = 0;
        for key in 0..KEYS {
            self.write(key, request);
            expected.extend_from_slice(b"+OK\r\n");
        }
        push_command(request, &[b"SET", &self.counter_key, b"0"]);
        expected.extend_from_slice(b"+OK\r\n");
    }

    /// Replaces both buffers by the next request and the reply to it.
    pub(super) fn advance(&mut self, request: &mut Vec<u8>, expected: &mut Vec<u8>) {
        request.clear();
        expected.clear();
        let key = self.sequence as usize % KEYS;
        match self.next {
            ScriptStep::Set => {
                self.write((key + 1) % KEYS, request);
                expected.extend_from_slice(b"+OK\r\n");
                self.next = ScriptStep::Get;
            }
            ScriptStep::Get => {
                push_command(request, &[b"GET", self.key(key)]);
                push_bulk(expected, &self.value(key));
                self.next = ScriptStep::Increment;
            }
            ScriptStep::Increment => {
                self.counter += 1;
                push_command(request, &[b"INCR", &self.counter_key]);
                expected.push(b':');
                push_number(expected, self.counter);
                expected.extend_from_slice(b"\r\n");
                self.next = ScriptStep::GetAll;
            }
            ScriptStep::GetAll => {
                let mut arguments: [&[u8]; KEYS + 1] = [b"MGET"; KEYS + 1];
                for (argument, key) in arguments.iter_mut().skip(1).zip(&self.keys) {
                    *argument = key;
                }
                push_command(request, &arguments);
                push_header(expected, b'*', KEYS);
                for key in 0..KEYS {
                    push_bulk(expected, &self.value(key));
                }
                self.next = ScriptStep::Set;
            }
        }
    }

    /// A `SET` of a new value. The sequence number is chosen so that it tells the key.
    fn write(&mut self, key: usize, request: &mut Vec<u8>) {
        self.sequence += 1;
        while self.sequence as usize % KEYS != key {
            self.sequence += 1;
        }
        if let Some(held) = self.held.get_mut(key) {
            *held = self.sequence;
        }
        push_command(request, &[b"SET", self.key(key), &self.value(key)]);
    }

    fn key(&self, key: usize) -> &[u8] {
        self.keys.get(key).map_or(&[], Vec::as_slice)
    }

    /// What `key` holds now.
    fn value(&self, key: usize) -> Vec<u8> {
        let sequence = self.held.get(key).copied().unwrap_or_default();
        let tag = format!(
            "round {} client {} key {key} write {sequence} ",
            self.round, self.client
        );
        let mut value = tag.into_bytes();
        if value.len() < self.value_bytes {
            value.resize(self.value_bytes, b'.');
        }
        value
    }
}

/// Keys of each client, beside its counter.
const KEYS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn the_conversation_goes_round_the_keys() {
        let mut script = Script::new(2, 7, 0);
        let (mut request, mut expected) = (Vec::new(), Vec::new());
        script.reset(&mut request, &mut expected);
        assert_eq!(text(&request).matches("SET").count(), KEYS + 1);
        assert_eq!(text(&expected), "+OK\r\n".repeat(KEYS + 1));

        let mut names = Vec::new();
        for counter in 1..=8 {
            script.advance(&mut request, &mut expected);
            let written = text(&request);
            names.push(written.lines().nth(4).unwrap().to_owned());
            assert_eq!(text(&expected), "+OK\r\n");

            script.advance(&mut request, &mut expected);
            let value = written.lines().last().unwrap();
            assert_eq!(text(&expected), format!("${}\r\n{value}\r\n", value.len()));

            script.advance(&mut request, &mut expected);
            assert_eq!(text(&expected), format!(":{counter}\r\n"));

            script.advance(&mut request, &mut expected);
            assert!(text(&expected).starts_with("*4\r\n") && text(&expected).contains(value));
        }
        let keys = ["demo:7:0", "demo:7:1", "demo:7:2", "demo:7:3"];
        let seen: std::collections::BTreeSet<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), keys);
    }

    #[test]
    fn values_tell_whose_they_are_and_are_filled_up() {
        let value = text(&Script::new(1, 2, 64).value(3));
        assert!(
            value.starts_with("round 1 client 2 key 3 write 0 ..."),
            "{value}"
        );
        assert_eq!(value.len(), 64);
    }
}
