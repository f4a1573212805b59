//! The values of one revision, with the ways in which a request looks them up.

use std::{collections::BTreeMap, sync::Arc};

use proto::{
    node,
    rules::{
        ids::{AccountId, GroupId, KeyId},
        key_hash::{self, Digest},
    },
};
use secrecy::ExposeSecret as _;

use crate::{Account, BindingDrop, Group, Key, Scheme, Settings, shards::Shards};

/// A point in the store's history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// Changes when the store's identity changes.
    pub incarnation: Arc<str>,
    /// Grows with every change.
    pub number: u64,
}

impl Revision {
    pub(crate) fn from_wire(wire: &node::Revision) -> Self {
        Self { incarnation: wire.incarnation.as_str().into(), number: wire.number }
    }

    /// As it goes over the wire.
    pub fn to_wire(&self) -> node::Revision {
        node::Revision { incarnation: self.incarnation.to_string(), number: self.number }
    }
}

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.incarnation, self.number)
    }
}

/// A digest leads to a key, for as long as that secret works.
#[derive(Clone)]
pub(crate) struct Lead {
    key: Arc<Key>,
    until_ms: Option<i64>,
}

/// All that a node needs to relay. A copy shares what it does not change.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) revision: Option<Revision>,
    pub(crate) store_identity: Arc<str>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) keys: Shards<KeyId, Arc<Key>>,
    pub(crate) leads: Shards<(Scheme, Digest), Lead>,
    pub(crate) accounts: Shards<AccountId, Arc<Account>>,
    pub(crate) families: BTreeMap<&'static str, Arc<Vec<Arc<Account>>>>,
    pub(crate) groups: Shards<GroupId, Arc<Group>>,
    pub(crate) binding_drops: Arc<BTreeMap<String, Arc<BindingDrop>>>,
}

impl Snapshot {
    /// What holds before the first came: nobody is known.
    pub(crate) fn empty() -> Self {
        Self {
            revision: None,
            store_identity: "".into(),
            settings: Arc::new(Settings::initial()),
            keys: Shards::default(),
            leads: Shards::default(),
            accounts: Shards::default(),
            families: BTreeMap::new(),
            groups: Shards::default(),
            binding_drops: Arc::default(),
        }
    }

    /// The revision; `None` before the first snapshot came.
    pub fn revision(&self) -> Option<&Revision> {
        self.revision.as_ref()
    }

    /// Identity of the store that it comes from.
    pub fn store_identity(&self) -> &str {
        &self.store_identity
    }

    /// The settings.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// The key that a presented secret belongs to. It may be inactive or at its end: the caller says so. The same work
    /// is done whether it is found or not: one digest and one look-up for each scheme in use.
    pub fn key_by_secret(&self, secret: &[u8], now_ms: i64) -> Option<Arc<Key>> {
        let ours = self.settings.pepper.as_ref().map(|pepper| (Scheme::HmacSha256, pepper.digest(secret)));
        let v1 = self.settings.v1_pepper.as_ref();
        let v1 = v1.map(|pepper| (Scheme::V1Sha256, key_hash::v1(pepper.expose_secret(), secret)));
        let [ours, v1] = [ours, v1].map(|digest| digest.and_then(|digest| self.leads.get(&digest)));
        let works = |lead: &&Lead| lead.until_ms.is_none_or(|until| now_ms < until);
        ours.filter(works).or(v1.filter(works)).map(|lead| Arc::clone(&lead.key))
    }

    /// A key by its id.
    pub fn key(&self, id: &KeyId) -> Option<&Arc<Key>> {
        self.keys.get(id)
    }

    /// An account by its id.
    pub fn account(&self, id: &AccountId) -> Option<&Arc<Account>> {
        self.accounts.get(id)
    }

    /// The accounts of a platform family, sorted by id.
    pub fn accounts(&self, family: &str) -> &[Arc<Account>] {
        self.families.get(family).map_or(&[], |accounts| accounts.as_slice())
    }

    /// All accounts, in no order.
    pub fn all_accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.accounts.values()
    }

    /// A group by its id.
    pub fn group(&self, id: &GroupId) -> Option<&Arc<Group>> {
        self.groups.get(id)
    }

    /// What was said of late about session bindings that were dropped. It is not kept on disk: a node that starts holds
    /// no binding.
    pub fn binding_drops(&self) -> impl Iterator<Item = &Arc<BindingDrop>> {
        self.binding_drops.values()
    }

    /// How many keys, accounts and groups it holds.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.keys.len(), self.accounts.len(), self.groups.len())
    }

    /// All entries as they came, for the disk.
    pub(crate) fn entries(&self) -> impl Iterator<Item = node::Entry> {
        use node::entry::Entry;
        let settings = self.settings.pepper.as_ref().map(|_| Entry::Settings(self.settings.source.decode()));
        settings
            .into_iter()
            .chain(self.groups.values().map(|group| Entry::Group(group.source.decode())))
            .chain(self.accounts.values().map(|account| Entry::Account(account.source.decode())))
            .chain(self.keys.values().map(|key| Entry::Key(key.source.decode())))
            .map(|entry| node::Entry { entry: Some(entry) })
    }

    pub(crate) fn put_key(&mut self, key: Key) {
        self.remove_key(&key.id.clone());
        let key = Arc::new(key);
        for hash in &key.hashes {
            let lead = Lead { key: Arc::clone(&key), until_ms: hash.until_ms };
            self.leads.insert((hash.scheme, hash.digest), lead);
        }
        self.keys.insert(key.id.clone(), key);
    }

    pub(crate) fn remove_key(&mut self, id: &KeyId) {
        let Some(before) = self.keys.remove(id) else { return };
        for hash in &before.hashes {
            // A secret that has moved to another key in the same change must not be taken from it.
            let digest = (hash.scheme, hash.digest);
            if self.leads.get(&digest).is_some_and(|lead| lead.key.id == *id) {
                self.leads.remove(&digest);
            }
        }
    }

    pub(crate) fn put_account(&mut self, account: Account) {
        let before = self.accounts.get(&account.id).map(|before| before.family);
        if before.is_some_and(|family| family != account.family) {
            self.remove_account(&account.id.clone());
        }
        let account = Arc::new(account);
        let family = Arc::make_mut(self.families.entry(account.family).or_default());
        match family.binary_search_by(|other| other.id.cmp(&account.id)) {
            Ok(place) => family[place] = Arc::clone(&account),
            Err(place) => family.insert(place, Arc::clone(&account)),
        }
        self.accounts.insert(account.id.clone(), account);
    }

    pub(crate) fn remove_account(&mut self, id: &AccountId) {
        let Some(before) = self.accounts.remove(id) else { return };
        if let Some(family) = self.families.get_mut(before.family) {
            Arc::make_mut(family).retain(|account| account.id != *id);
        }
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (keys, accounts, groups) = self.counts();
        f.debug_struct("Snapshot")
            .field("revision", &self.revision)
            .field("keys", &keys)
            .field("accounts", &accounts)
            .field("groups", &groups)
            .finish_non_exhaustive()
    }
}
