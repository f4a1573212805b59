//! The one atomic pointer to the current snapshot, and how messages of the config feed move it.

use std::{collections::HashSet, sync::Arc};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use proto::node::{self, entry::Entry};

use crate::{PlatformFacts, Refused, Revision, Settings, Snapshot, from_proto};

/// What a message did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// A part of a full snapshot came; more are to come.
    Part,
    /// A new revision holds, to be acknowledged with the entries that were refused.
    Now {
        /// The revision.
        revision: Revision,
        /// Entries that were not understood; the rest was applied.
        refused: Vec<Refused>,
    },
    /// The node shall take no new requests.
    Drain {
        /// Whether it stays up, to be resumed.
        stay: bool,
    },
    /// A drain that stays is over.
    Resume,
    /// The message said nothing that this release knows.
    Nothing,
}

/// Why a message changed nothing. In each case a full snapshot is to be asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A delta that does not start from what is held.
    #[error("a delta from {from} does not follow {held}")]
    DoesNotFollow {
        /// Where it starts.
        from: String,
        /// What is held.
        held: String,
    },
    /// A message without a part that it must have.
    #[error("a message of the config feed has no {0}")]
    Missing(&'static str),
}

/// Parts of a full snapshot that is coming.
struct Assembly {
    revision: Revision,
    building: Snapshot,
    refused: Vec<Refused>,
    /// Ids named so far, refused ones too: what is held under other ids is gone.
    keys: HashSet<String>,
    accounts: HashSet<String>,
    groups: HashSet<String>,
    binding_drops: HashSet<String>,
}

/// The current snapshot. Readers take one atomic load.
pub struct Handle {
    current: ArcSwap<Snapshot>,
    platforms: &'static dyn PlatformFacts,
    assembly: Mutex<Option<Assembly>>,
}

impl Handle {
    /// A handle to an empty snapshot, in which no key is known.
    pub fn new(platforms: &'static dyn PlatformFacts) -> Self {
        Self { current: ArcSwap::from_pointee(Snapshot::empty()), platforms, assembly: Mutex::new(None) }
    }

    /// The snapshot that holds now. It stays whole for as long as it is held.
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Forgets the parts of a full snapshot that will not be completed, because its stream ended.
    pub fn disconnected(&self) {
        *self.assembly.lock() = None;
    }

    /// Applies a message of the config feed.
    ///
    /// # Errors
    /// See [`ApplyError`]; the snapshot that held still holds.
    pub fn apply(&self, message: node::WatchResponse) -> Result<Applied, ApplyError> {
        use node::watch_response::Message;
        match message.message {
            Some(Message::Snapshot(chunk)) => self.apply_chunk(chunk),
            Some(Message::Delta(delta)) => self.apply_delta(delta),
            Some(Message::Drain(drain)) => Ok(Applied::Drain { stay: drain.stay }),
            Some(Message::Resume(_)) => Ok(Applied::Resume),
            None => Ok(Applied::Nothing),
        }
    }

    /// Applies one part of a full snapshot; the last part makes it hold.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub fn apply_chunk(&self, chunk: node::SnapshotChunk) -> Result<Applied, ApplyError> {
        let revision = Revision::from_wire(chunk.revision.as_ref().ok_or(ApplyError::Missing("revision"))?);
        let mut slot = self.assembly.lock();
        if slot.as_ref().is_some_and(|assembly| assembly.revision != revision) {
            *slot = None;
        }
        // Building starts from a copy of what is held: entries that are unchanged keep their identity and cost nothing.
        let assembly = slot.get_or_insert_with(|| Assembly {
            revision: revision.clone(),
            building: Snapshot::clone(&self.current.load()),
            refused: Vec::new(),
            keys: HashSet::new(),
            accounts: HashSet::new(),
            groups: HashSet::new(),
            binding_drops: HashSet::new(),
        });
        assembly.building.store_identity = chunk.store_identity.as_str().into();
        for entry in chunk.entries {
            assembly.take(entry, self.platforms);
        }
        if !chunk.last {
            return Ok(Applied::Part);
        }
        let Some(assembly) = slot.take() else { return Ok(Applied::Nothing) };
        let (snapshot, refused) = assembly.finish();
        self.current.store(Arc::new(snapshot));
        Ok(Applied::Now { revision, refused })
    }

    fn apply_delta(&self, delta: node::Delta) -> Result<Applied, ApplyError> {
        let _alone = self.assembly.lock();
        let held = self.current.load();
        let from = Revision::from_wire(delta.from.as_ref().ok_or(ApplyError::Missing("from"))?);
        let to = Revision::from_wire(delta.to.as_ref().ok_or(ApplyError::Missing("to"))?);
        if held.revision.as_ref() != Some(&from) {
            let held = held.revision.as_ref().map_or_else(|| "none".to_owned(), Revision::to_string);
            return Err(ApplyError::DoesNotFollow { from: from.to_string(), held });
        }
        let mut next = Snapshot::clone(&held);
        let mut refused = Vec::new();
        for entry in &delta.deletes {
            match entry.kind.as_str() {
                "key" => next.remove_key(&entry.id.as_str().into()),
                "account" => next.remove_account(&entry.id.as_str().into()),
                "group" => drop(next.groups.remove(entry.id.as_str())),
                "binding_drop" => drop(Arc::make_mut(&mut next.binding_drops).remove(&entry.id)),
                _ => refused.push(Refused {
                    kind: "entry",
                    id: entry.id.clone(),
                    why: format!("kind `{}` cannot be deleted", entry.kind),
                }),
            }
        }
        for entry in delta.upserts {
            refused.extend(put(&mut next, entry, self.platforms).err());
        }
        next.revision = Some(to.clone());
        self.current.store(Arc::new(next));
        Ok(Applied::Now { revision: to, refused })
    }
}

impl Assembly {
    fn take(&mut self, entry: node::Entry, platforms: &dyn PlatformFacts) {
        let names = match &entry.entry {
            Some(Entry::Key(key)) => Some((&mut self.keys, key.id.clone())),
            Some(Entry::Account(account)) => Some((&mut self.accounts, account.id.clone())),
            Some(Entry::Group(group)) => Some((&mut self.groups, group.id.clone())),
            Some(Entry::BindingDrop(drop)) => Some((&mut self.binding_drops, drop.id.clone())),
            Some(Entry::Settings(_)) | None => None,
        };
        if let Some((names, id)) = names {
            names.insert(id);
        }
        if !same(&self.building, &entry) {
            self.refused.extend(put(&mut self.building, entry, platforms).err());
        }
    }

    fn finish(mut self) -> (Snapshot, Vec<Refused>) {
        let building = &mut self.building;
        let gone = |held: &str, named: &HashSet<String>| !named.contains(held);
        let keys: Vec<_> = building.keys.values().map(|key| key.id.clone()).collect();
        keys.iter().filter(|id| gone(id.as_str(), &self.keys)).for_each(|id| building.remove_key(id));
        let accounts: Vec<_> = building.accounts.values().map(|account| account.id.clone()).collect();
        accounts
            .iter()
            .filter(|id| gone(id.as_str(), &self.accounts))
            .for_each(|id| building.remove_account(id));
        let groups: Vec<_> = building.groups.values().map(|group| group.id.clone()).collect();
        for id in groups.iter().filter(|id| gone(id.as_str(), &self.groups)) {
            building.groups.remove(id);
        }
        Arc::make_mut(&mut building.binding_drops).retain(|id, _| self.binding_drops.contains(id));
        building.revision = Some(self.revision);
        (self.building, self.refused)
    }
}

/// Whether an entry is held already, just so.
fn same(snapshot: &Snapshot, entry: &node::Entry) -> bool {
    match &entry.entry {
        Some(Entry::Key(wire)) => snapshot
            .keys
            .get(wire.id.as_str())
            .is_some_and(|held| held.source.decode::<node::KeyEntry>() == *wire),
        Some(Entry::Account(wire)) => {
            let held = snapshot.accounts.get(wire.id.as_str());
            held.is_some_and(|held| held.source.decode::<node::AccountEntry>() == *wire)
        }
        Some(Entry::Group(wire)) => snapshot
            .groups
            .get(wire.id.as_str())
            .is_some_and(|held| held.source.decode::<node::GroupEntry>() == *wire),
        Some(Entry::Settings(wire)) => snapshot.settings.source.decode::<node::SettingsEntry>() == *wire,
        Some(Entry::BindingDrop(wire)) => snapshot.binding_drops.contains_key(&wire.id),
        None => false,
    }
}

/// Puts an entry in. A refused key, account or group is taken out if an older version was held: what an operator has
/// changed must not go on as it was. Refused settings leave the ones that held, since there is nothing safer.
fn put(snapshot: &mut Snapshot, entry: node::Entry, platforms: &dyn PlatformFacts) -> Result<(), Refused> {
    match entry.entry {
        Some(Entry::Key(wire)) => match from_proto::key(&wire) {
            Ok(key) => snapshot.put_key(key),
            Err(why) => {
                snapshot.remove_key(&wire.id.as_str().into());
                return Err(Refused { kind: "key", id: wire.id, why });
            }
        },
        Some(Entry::Account(wire)) => match from_proto::account(&wire, platforms) {
            Ok(account) => snapshot.put_account(account),
            Err(why) => {
                snapshot.remove_account(&wire.id.as_str().into());
                return Err(Refused { kind: "account", id: wire.id, why });
            }
        },
        Some(Entry::Group(wire)) => match from_proto::group(&wire) {
            Ok(group) => drop(snapshot.groups.insert(group.id.clone(), Arc::new(group))),
            Err(why) => {
                snapshot.groups.remove(wire.id.as_str());
                return Err(Refused { kind: "group", id: wire.id, why });
            }
        },
        Some(Entry::Settings(wire)) => match from_proto::settings(&wire) {
            Ok(settings) => snapshot.settings = Arc::<Settings>::new(settings),
            Err(why) => return Err(Refused { kind: "settings", id: String::new(), why }),
        },
        Some(Entry::BindingDrop(wire)) => {
            let drop = Arc::new(from_proto::binding_drop(wire));
            Arc::make_mut(&mut snapshot.binding_drops).insert(drop.id.clone(), drop);
        }
        None => {
            let why = "its kind is not known to this release".to_owned();
            return Err(Refused { kind: "entry", id: String::new(), why });
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
