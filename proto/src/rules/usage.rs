//! Where a usage record is counted, and arithmetic on tokens.

use crate::types::{Attempt, Cost, TokenUsage};

/// Partitions of the usage counters. Fixed for the life of a deployment: a record's partition is written down with it.
pub const PARTITIONS: u32 = 16;

/// The partition in which a key's records are counted (FNV-1a of its id, 64 bits, modulo [`PARTITIONS`]).
pub fn partition(key_id: &str) -> u32 {
    let hash = key_id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash % u64::from(PARTITIONS)) as u32
}

/// Whether something was used for which no price was found. That is told apart from what costs nothing.
pub fn unpriced(usage: Option<&TokenUsage>, cost: Option<&Cost>) -> bool {
    let used = usage.is_some_and(|usage| *usage != TokenUsage::default());
    used && cost.is_none_or(|cost| cost.price_model.is_empty())
}

impl TokenUsage {
    /// All tokens: input, output, cache reads and writes.
    pub fn all(&self) -> i64 {
        [self.input, self.output, self.cache_read, self.cache_write_5m, self.cache_write_1h]
            .into_iter()
            .fold(0, i64::saturating_add)
    }

    /// The whole input: uncached, read from and written to caches.
    pub fn whole_input(&self) -> i64 {
        [self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h]
            .into_iter()
            .fold(0, i64::saturating_add)
    }

    /// Adds another usage, kind by kind.
    pub fn add(&mut self, other: &Self) {
        let add = |a: &mut i64, b: i64| *a = a.saturating_add(b);
        add(&mut self.input, other.input);
        add(&mut self.output, other.output);
        add(&mut self.cache_read, other.cache_read);
        add(&mut self.cache_write_5m, other.cache_write_5m);
        add(&mut self.cache_write_1h, other.cache_write_1h);
        add(&mut self.reasoning, other.reasoning);
        add(&mut self.audio_input, other.audio_input);
        add(&mut self.audio_output, other.audio_output);
        add(&mut self.image_input, other.image_input);
        add(&mut self.image_output, other.image_output);
        add(&mut self.server_tool_calls, other.server_tool_calls);
    }
}

impl Attempt {
    /// As [`unpriced`].
    pub fn is_unpriced(&self) -> bool {
        unpriced(self.usage.as_ref(), self.cost.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_never_moves() {
        // Written down in stores: these values may not change.
        assert_eq!(partition(""), 5);
        assert_eq!(partition("0190b0a4-0000-7000-8000-000000000001"), 12);
    }

    #[test]
    fn what_has_no_price_is_told_apart_from_what_costs_nothing() {
        let attempt = |input, price_model: &str| Attempt {
            usage: Some(TokenUsage { input, ..TokenUsage::default() }),
            cost: Some(crate::types::Cost { price_model: price_model.into(), ..Default::default() }),
            ..Attempt::default()
        };
        assert!(attempt(1, "").is_unpriced());
        assert!(!attempt(1, "free").is_unpriced());
        assert!(!attempt(0, "").is_unpriced());
        assert!(Attempt { cost: None, ..attempt(1, "") }.is_unpriced());
        assert!(!Attempt::default().is_unpriced());
    }

    #[test]
    fn keys_spread_over_partitions() {
        let mut counts = [0; PARTITIONS as usize];
        for n in 0..16_000 {
            counts[partition(&format!("key-{n}")) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}
