//! Keys that only one client writes: what each may hold, by what that client was told.

use super::actor::{Actor, Possible};
use super::history::Tag;

impl Actor {
    pub fn wrote(&mut self, key: u8, tag: Tag, surely: bool) {
        let Possible(values) = self
            .keys
            .entry((self.setting.db, key))
            .or_insert_with(|| Possible(vec![None]));
        if surely {
            values[0] = Some(tag);
        } else {
            values.push(Some(tag));
        }
    }

    /// Whether a key may hold what a bulk reply, `tag|stored`, says.
    pub fn may_hold(&mut self, key: u8, frame: &[u8]) -> bool {
        let text = String::from_utf8_lossy(frame);
        let stored = text.trim_end().rsplit('|').next().unwrap_or_default();
        let stored = Tag::read(stored.as_bytes());
        match self.keys.get(&(self.setting.db, key)) {
            Some(_) if stored.is_none() && self.data_lost => true,
            Some(Possible(values)) => values.contains(&stored),
            None => stored.is_none(),
        }
    }
}
