//! The data of the fake server: strings and lists, by db and key.

use std::collections::{BTreeMap, VecDeque};

#[derive(Debug)]
enum Value {
    Text(Vec<u8>),
    List(VecDeque<Vec<u8>>),
}

/// See the file's head. A key of the wrong kind is taken for an empty one: the simulation's
/// clients use each key in one way only.
#[derive(Debug, Default)]
pub struct Keyspace {
    values: BTreeMap<(u32, Vec<u8>), Value>,
    /// How often a key was written to, for those who watch it.
    versions: BTreeMap<(u32, Vec<u8>), u64>,
    cleared: u64,
}

impl Keyspace {
    pub fn clear(&mut self) {
        self.values.clear();
        self.cleared += 1;
    }

    /// A key is written to.
    pub fn touch(&mut self, db: u32, key: &[u8]) {
        *self.versions.entry((db, key.to_vec())).or_default() += 1;
    }

    /// Changes whenever the key is written to.
    pub fn version(&self, db: u32, key: &[u8]) -> u64 {
        let written = self.versions.get(&(db, key.to_vec())).copied();
        written.unwrap_or_default() + (self.cleared << 32)
    }

    pub fn text(&self, db: u32, key: &[u8]) -> Option<&[u8]> {
        match self.values.get(&(db, key.to_vec())) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub fn set_text(&mut self, db: u32, key: &[u8], text: &[u8]) {
        let value = Value::Text(text.to_vec());
        self.values.insert((db, key.to_vec()), value);
    }

    pub fn number(&self, db: u32, key: &[u8]) -> Option<i64> {
        std::str::from_utf8(self.text(db, key)?).ok()?.parse().ok()
    }

    /// The list at a key, made if there is none.
    pub fn list(&mut self, db: u32, key: &[u8]) -> &mut VecDeque<Vec<u8>> {
        let entry = self.values.entry((db, key.to_vec()));
        let value = entry.or_insert_with(|| Value::List(VecDeque::new()));
        if !matches!(value, Value::List(_)) {
            *value = Value::List(VecDeque::new());
        }
        match value {
            Value::List(list) => list,
            Value::Text(_) => unreachable!("it was made a list just now"),
        }
    }

    pub fn elements(&self, db: u32, key: &[u8]) -> Vec<Vec<u8>> {
        match self.values.get(&(db, key.to_vec())) {
            Some(Value::List(list)) => list.iter().cloned().collect(),
            _ => Vec::new(),
        }
    }
}
