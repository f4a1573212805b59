//! A persistent map: a copy shares all shards with its original, and a write copies the one shard it touches. So a new
//! snapshot that differs in one entry costs one shard, not one map.

use std::{
    borrow::Borrow,
    hash::{BuildHasher, Hash},
    sync::Arc,
};

use rustc_hash::FxBuildHasher;

/// Shards of a map: with 100,000 entries a write copies about 400.
const SHARDS: usize = 256;

type Shard<K, V> = hashbrown::HashMap<K, V>;

/// A map whose copies share structure.
#[derive(Clone)]
pub struct Shards<K, V> {
    shards: Vec<Arc<Shard<K, V>>>,
    length: usize,
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        // All empty shards are one allocation; the first write to each makes its own.
        let empty = Arc::new(Shard::default());
        Self { shards: vec![empty; SHARDS], length: 0 }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Shards<K, V> {
    /// The value of a key.
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.shards[place(key)].get(key)
    }

    /// Sets the value of a key; gives back the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let before = Arc::make_mut(&mut self.shards[place(&key)]).insert(key, value);
        self.length += usize::from(before.is_none());
        before
    }

    /// Takes a key out.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let shard = &mut self.shards[place(key)];
        if !shard.contains_key(key) {
            return None;
        }
        let before = Arc::make_mut(shard).remove(key);
        self.length -= usize::from(before.is_some());
        before
    }

    /// All values, in no order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.shards.iter().flat_map(|shard| shard.values())
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.length
    }
}

/// The shard of a key. The maps within use a keyed hash; this one only spreads, and an uneven spread costs time in
/// writes alone.
fn place<Q: Hash + ?Sized>(key: &Q) -> usize {
    (FxBuildHasher.hash_one(key) >> 56) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_does_not_see_later_writes() {
        let mut map = Shards::default();
        for n in 0..10_000 {
            map.insert(n, n);
        }
        let copy = map.clone();
        map.insert(1, 100);
        map.remove(&2);
        assert_eq!((copy.get(&1), copy.get(&2), copy.len()), (Some(&1), Some(&2), 10_000));
        assert_eq!((map.get(&1), map.get(&2), map.len()), (Some(&100), None, 9_999));
        let shared = map.shards.iter().zip(&copy.shards).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert!(shared >= SHARDS - 2, "{shared} shards shared");
    }

    #[test]
    fn keys_spread_over_shards() {
        let mut map = Shards::default();
        for n in 0..100_000 {
            map.insert(format!("0190b0a4-0000-7000-8000-{n:012}"), ());
        }
        let largest = map.shards.iter().map(|shard| shard.len()).max().unwrap();
        assert!(largest < 2_000, "{largest} in one shard");
    }
}
