//! What clients have put between `MULTI` and `EXEC`, and whether servers run just that.

use std::collections::BTreeMap;

use super::history::Tag;

#[derive(Debug)]
struct Declared {
    parts: Vec<Tag>,
    /// The `WATCH` it depends on, once its client was told that it holds.
    watch: Option<Tag>,
    /// It ends with `EXEC`.
    executes: bool,
    runs: u32,
}

/// See the file's head.
#[derive(Debug, Default)]
pub struct Transactions {
    all: Vec<Declared>,
    /// Which transaction a request belongs to.
    of: BTreeMap<Tag, usize>,
    pub offence: Option<String>,
}

impl Transactions {
    /// A client will ask for these between `MULTI` and `EXEC`.
    pub fn declare(&mut self, parts: Vec<Tag>, watch: Option<Tag>, executes: bool) {
        let number = self.all.len();
        self.of.extend(parts.iter().map(|tag| (*tag, number)));
        self.all.push(Declared {
            parts,
            watch,
            executes,
            runs: 0,
        });
    }

    /// A client's `WATCH` was not carried out, and it knows.
    pub fn unwatched(&mut self, watch: Tag) {
        for declared in &mut self.all {
            declared.watch = declared.watch.filter(|tag| *tag != watch);
        }
    }

    pub fn contains(&self, tag: Tag) -> bool {
        self.of.contains_key(&tag)
    }

    /// An `EXEC` runs these, on a connection that watches for these.
    pub fn runs(&mut self, queued: &[Tag], watched: &[Tag]) {
        let number = queued.first().and_then(|tag| self.of.get(tag)).copied();
        let Some(declared) = number.and_then(|number| self.all.get_mut(number)) else {
            if !queued.is_empty() {
                self.offence = Some(format!("{queued:?} runs in a transaction, and was in none"));
            }
            return;
        };
        declared.runs += 1;
        if declared.parts != queued {
            let parts = &declared.parts;
            self.offence = Some(format!(
                "EXEC runs {queued:?}, its client asked for {parts:?}"
            ));
        } else if !declared.executes {
            self.offence = Some(format!("{queued:?} runs, its client has discarded it"));
        } else if declared.runs > 1 {
            self.offence = Some(format!("{queued:?} runs twice"));
        } else if let Some(watch) = declared.watch.filter(|watch| !watched.contains(watch)) {
            self.offence = Some(format!("{queued:?} runs without its WATCH {watch:?}"));
        }
    }
}
