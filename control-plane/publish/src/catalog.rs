//! What nodes must know, entry by entry, as bytes, with a bounded log of what changed when. Pure: no store, no clock.
//! The publisher advances it; each node's feed reads from it.

use std::collections::VecDeque;

use bytes::Bytes;
use domain::snapshot::diff::Name;
use prost::Message as _;
use proto::node;
use rustc_hash::{FxHashMap, FxHashSet};

/// Changes remembered; a feed that is further behind gets a full snapshot.
const LOG_LIMIT: usize = 65_536;

/// What changed after a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Number that results.
    pub to: u64,
    /// Encoded entries, new or changed.
    pub upserts: Vec<Bytes>,
    /// Entries that are gone.
    pub deletes: Vec<Name>,
}

/// All entries as of one number.
#[derive(Debug)]
pub struct Catalog {
    entries: FxHashMap<Name, Bytes>,
    log: VecDeque<(u64, Name)>,
    /// The log holds every change after this number.
    floor: u64,
    number: u64,
}

impl Catalog {
    /// All entries as of a number.
    pub fn new(entries: impl IntoIterator<Item = (Name, Bytes)>, number: u64) -> Self {
        Self { entries: entries.into_iter().collect(), log: VecDeque::new(), floor: number, number }
    }

    /// The number it is at.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Number after which every change is remembered.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Names of all entries.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.entries.keys()
    }

    /// Goes on to a number; `None` as bytes: the entry is gone. What is equal to before is no change. Answers how many
    /// entries differ.
    pub fn advance(
        &mut self,
        number: u64,
        changes: impl IntoIterator<Item = (Name, Option<Bytes>)>,
    ) -> usize {
        let mut differing = 0;
        for (name, bytes) in changes {
            let differs = match &bytes {
                Some(bytes) => !self.entries.get(&name).is_some_and(|held| same(held, bytes)),
                None => self.entries.contains_key(&name),
            };
            if !differs {
                continue;
            }
            differing += 1;
            self.log.push_back((number, name.clone()));
            match bytes {
                Some(bytes) => self.entries.insert(name, bytes),
                None => self.entries.remove(&name),
            };
        }
        self.number = self.number.max(number);
        while self.log.len() > LOG_LIMIT {
            if let Some((number, _)) = self.log.pop_front() {
                // The rest of that number's changes may still be there, but no longer all of them.
                self.floor = self.floor.max(number);
            }
        }
        differing
    }

    /// All entries: settings first, then groups, accounts, keys.
    pub fn all(&self) -> Vec<Bytes> {
        let mut entries: Vec<_> = self.entries.iter().map(|(name, bytes)| (name.kind, bytes)).collect();
        entries.sort_by_key(|(kind, _)| *kind);
        entries.into_iter().map(|(_, bytes)| bytes.clone()).collect()
    }

    /// What changed after a number, in one part of about `limit` bytes that ends at a number; `None` when that is too
    /// long ago. `earlier`: what changed after `from` and before the log begins, if the store's feed could tell.
    pub fn since(&self, from: u64, earlier: Option<&[Name]>, limit: usize) -> Option<Changed> {
        if from < self.floor && earlier.is_none() {
            return None;
        }
        let mut part = Changed { to: self.number, ..Changed::default() };
        let (mut seen, mut bytes) = (FxHashSet::default(), 0);
        for name in earlier.unwrap_or_default() {
            if seen.insert(name) {
                bytes += self.say(name, &mut part);
            }
        }
        let start = self.log.partition_point(|(number, _)| *number <= from);
        let mut last = None;
        for (number, name) in self.log.range(start..) {
            if bytes > limit && last.is_some_and(|last| last != *number) {
                part.to = last.unwrap_or(*number);
                break;
            }
            last = Some(*number);
            if seen.insert(name) {
                bytes += self.say(name, &mut part);
            }
        }
        Some(part)
    }

    fn say(&self, name: &Name, part: &mut Changed) -> usize {
        match self.entries.get(name) {
            Some(bytes) => {
                part.upserts.push(bytes.clone());
                bytes.len()
            }
            None => {
                part.deletes.push(name.clone());
                name.id.len()
            }
        }
    }
}

/// Whether two encoded entries say the same. Maps are encoded in any order, so bytes that differ may still.
fn same(held: &Bytes, bytes: &Bytes) -> bool {
    let decode = |bytes: &Bytes| node::Entry::decode(bytes.as_ref());
    held == bytes
        || (held.len() == bytes.len() && matches!((decode(held), decode(bytes)), (Ok(a), Ok(b)) if a == b))
}

#[cfg(test)]
mod tests;
