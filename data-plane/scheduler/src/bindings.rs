//! The sessions' bindings that this node knows: a cache of the store's, bounded, sharded, without order of use. The
//! relay's `choose` step reads it, asks the control plane about what it does not hold, and puts the answer here.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher as _, Hash},
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Release},
        },
    },
};

use parking_lot::Mutex;
use proto::rules::{
    ids::{AccountId, KeyId},
    session::SessionId,
};
use rustc_hash::{FxBuildHasher, FxHashMap};
use snapshot::BindingDrop;

const SHARDS: usize = 16;
/// Bindings per shard and half: 16 × 2 × 8192 = 262,144 in all, about 35 MiB when full.
const HALF: usize = 8192;

/// A binding, as the store last told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The key that the session belongs to.
    pub key: KeyId,
    /// The account.
    pub account: AccountId,
    /// Unix milliseconds at which it ends unless it is renewed.
    pub expires_ms: i64,
    /// Unix milliseconds at which the store told it; 0: it never did, this node chose while the store was away.
    pub told_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Name {
    session: SessionId,
    /// First byte of the platform family's name is not enough: the whole name, hashed.
    family: u64,
}

/// Two halves: entries are put into the young one; when that is full it becomes the old one, and the one before is
/// forgotten. What is used is put into the young one again.
#[derive(Debug, Default)]
struct Shard {
    young: FxHashMap<Name, Bound>,
    old: FxHashMap<Name, Bound>,
}

/// The cache.
#[derive(Debug)]
pub struct Bindings {
    shards: [Mutex<Shard>; SHARDS],
    half: usize,
    /// Words about dropped bindings that were heeded, as long as the snapshot holds them.
    heeded: Mutex<BTreeSet<String>>,
    /// Rises with each word that is heeded.
    drops: AtomicU64,
}

impl Default for Bindings {
    fn default() -> Self {
        let (heeded, drops) = Default::default();
        Self { shards: Default::default(), half: HALF, heeded, drops }
    }
}

impl Bindings {
    /// The binding of a session in a platform family, unless it has ended.
    pub fn get(&self, session: &SessionId, family: &str, now_ms: i64) -> Option<Bound> {
        let name = name(session, family);
        let mut shard = self.shard(&name).lock();
        if let Some(bound) = shard.young.get(&name) {
            return Some(bound.clone()).filter(|bound| now_ms < bound.expires_ms);
        }
        let bound = shard.old.remove(&name).filter(|bound| now_ms < bound.expires_ms)?;
        self.insert(&mut shard, name, bound.clone());
        Some(bound)
    }

    /// Puts a binding in the place of what was known.
    pub fn put(&self, session: &SessionId, family: &str, bound: Bound) {
        let name = name(session, family);
        let mut shard = self.shard(&name).lock();
        shard.old.remove(&name);
        self.insert(&mut shard, name, bound);
    }

    /// How many words about dropped bindings were heeded: see [`Bindings::put_told`].
    pub fn drops(&self) -> u64 {
        self.drops.load(Acquire)
    }

    /// Puts what the store told, unless bindings were dropped since the question (`drops` as of then): the answer may be
    /// from before.
    pub fn put_told(&self, session: &SessionId, family: &str, bound: Bound, drops: u64) {
        if self.drops() == drops {
            self.put(session, family, bound);
        }
    }

    /// Forgets what was dropped; each word is heeded once. `told`: all words that the snapshot holds.
    pub fn heed<'a>(&self, told: impl Iterator<Item = &'a Arc<BindingDrop>>) {
        let mut heeded = self.heeded.lock();
        let mut held = BTreeSet::new();
        for drop in told {
            if !heeded.contains(&drop.id) {
                self.drops.fetch_add(1, Release);
                self.drop_matching(drop);
            }
            held.insert(drop.id.clone());
        }
        *heeded = held;
    }

    fn drop_matching(&self, drop: &BindingDrop) {
        let family = drop.family.as_deref().map(|family| FxBuildHasher.hash_one(family));
        let keep = |name: &Name, bound: &Bound| {
            drop.session.is_some_and(|session| session != name.session)
                || family.is_some_and(|family| family != name.family)
                || drop.key.as_ref().is_some_and(|key| *key != bound.key)
                || drop.account.as_ref().is_some_and(|account| *account != bound.account)
        };
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.young.retain(|name, bound| keep(name, bound));
            shard.old.retain(|name, bound| keep(name, bound));
        }
    }

    /// Forgets a binding.
    pub fn forget(&self, session: &SessionId, family: &str) {
        let name = name(session, family);
        let mut shard = self.shard(&name).lock();
        shard.young.remove(&name);
        shard.old.remove(&name);
    }

    /// How many are held, ended ones included.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock()).map(|shard| shard.young.len() + shard.old.len()).sum()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn insert(&self, shard: &mut Shard, name: Name, bound: Bound) {
        if shard.young.len() >= self.half && !shard.young.contains_key(&name) {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert(name, bound);
    }

    fn shard(&self, name: &Name) -> &Mutex<Shard> {
        // A session is a digest: any byte of it is as good as a hash.
        &self.shards[usize::from(name.session.0[31]) % SHARDS]
    }
}

fn name(session: &SessionId, family: &str) -> Name {
    Name { session: *session, family: FxBuildHasher.hash_one(family) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(n: u32) -> SessionId {
        SessionId::new("k", "test", &n.to_be_bytes())
    }

    fn bound(account: &str, expires_ms: i64) -> Bound {
        Bound { key: "k".into(), account: account.into(), expires_ms, told_ms: 1 }
    }

    #[test]
    fn what_was_dropped_is_forgotten_once_and_late_answers_are_not_kept() {
        let cache = Bindings::default();
        for n in 0..100 {
            let account = if n % 2 == 0 { "a" } else { "b" };
            cache.put(&session(n), if n < 50 { "claude" } else { "gemini" }, bound(account, i64::MAX));
        }
        let word =
            |id: &str| BindingDrop { id: id.into(), key: None, account: None, family: None, session: None };
        let held = |n: u32| cache.get(&session(n), if n < 50 { "claude" } else { "gemini" }, 0).is_some();
        let first = Arc::new(BindingDrop { session: Some(session(7)), ..word("1") });
        let asked = cache.drops();
        cache.heed([&first].into_iter());
        assert!(!held(7) && cache.len() == 99);
        // An answer to a question from before the drop may be from before the drop.
        cache.put_told(&session(7), "claude", bound("b", i64::MAX), asked);
        assert!(!held(7));
        cache.put_told(&session(7), "claude", bound("b", i64::MAX), cache.drops());
        let second =
            Arc::new(BindingDrop { account: Some("b".into()), family: Some("gemini".into()), ..word("2") });
        cache.heed([&first, &second].into_iter());
        assert!(held(7), "the first word was heeded before");
        assert!(!held(51) && held(50) && held(1) && cache.len() == 75);
        let other = Arc::new(BindingDrop { key: Some("other".into()), ..word("3") });
        cache.heed([&second, &other].into_iter());
        assert_eq!(cache.len(), 75);
        cache.heed([&Arc::new(BindingDrop { key: Some("k".into()), ..word("4") })].into_iter());
        assert!(cache.is_empty());
    }

    #[test]
    fn a_binding_is_of_one_session_in_one_family_until_it_ends() {
        let cache = Bindings::default();
        cache.put(&session(1), "claude", bound("a", 100));
        assert_eq!(cache.get(&session(1), "claude", 99), Some(bound("a", 100)));
        assert_eq!(cache.get(&session(1), "claude", 100), None);
        assert_eq!(cache.get(&session(1), "gemini", 0), None);
        assert_eq!(cache.get(&session(2), "claude", 0), None);
        cache.put(&session(1), "claude", bound("b", 100));
        assert_eq!(cache.get(&session(1), "claude", 0).unwrap().account.as_str(), "b");
        cache.forget(&session(1), "claude");
        assert!(cache.is_empty());
    }

    #[test]
    fn what_is_used_stays_and_the_whole_is_bounded() {
        let cache = Bindings { half: 64, ..Bindings::default() };
        cache.put(&session(0), "claude", bound("a", i64::MAX));
        for n in 1..20_000 {
            cache.put(&session(n), "claude", bound("b", i64::MAX));
            if n % 16 == 0 {
                assert!(cache.get(&session(0), "claude", 0).is_some(), "lost after {n}");
            }
        }
        assert!(cache.len() <= 2 * 64 * SHARDS, "{}", cache.len());
    }
}
