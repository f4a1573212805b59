//! Covering a range of time with as few rows as there can be: months where a whole month is meant, days within the
//! rest, hours within that, minutes at the ends.

use jiff::tz::TimeZone;
use proto::types::Retention;

use super::{Bucket, Dimension, Step, kept_for_ms};

/// A range of time and what is needed to cut it into rows.
#[derive(Clone, Debug)]
pub struct Range {
    /// Begin, Unix milliseconds, inclusive.
    pub start_ms: i64,
    /// End, Unix milliseconds, exclusive.
    pub end_ms: i64,
    /// Now, Unix milliseconds: nothing lies after it.
    pub now_ms: i64,
    /// The deployment's time zone.
    pub zone: TimeZone,
    /// What is kept.
    pub retention: Retention,
}

impl Range {
    /// All time.
    pub fn total(now_ms: i64, zone: TimeZone) -> Self {
        Self { start_ms: i64::MIN, end_ms: i64::MAX, now_ms, zone, retention: Retention::default() }
    }

    /// Buckets that together hold the range and nothing beside it, as far as rows of the dimension are kept. Ends that
    /// lie within the shortest kept step are rounded outward.
    pub fn cover(&self, dimension: Dimension) -> Vec<Bucket> {
        if self.start_ms <= 0 && self.end_ms >= self.now_ms {
            return vec![Bucket::holding(Step::Total, 0, &self.zone)];
        }
        let mut buckets = Vec::new();
        let mut at = self.start_ms.max(0);
        // What lies after now is empty: a step that reaches past now is whole.
        let end = if self.end_ms > self.now_ms { i64::MAX } else { self.end_ms };
        while at < end && at <= self.now_ms && buckets.len() < 100_000 {
            let bucket = self.widest(dimension, at, end);
            at = bucket.end_ms().unwrap_or(i64::MAX).max(at + 1);
            buckets.push(bucket);
        }
        buckets
    }

    /// The widest kept bucket that begins at `at` and ends by `end`; where none does, the shortest kept one.
    fn widest(&self, dimension: Dimension, at: i64, end: i64) -> Bucket {
        let kept = |bucket: &Bucket| {
            kept_for_ms(bucket.step, &self.retention)
                .is_none_or(|kept| bucket.end_ms().is_none_or(|end| end + kept > self.now_ms))
        };
        let mut steps: Vec<_> =
            dimension.steps().iter().filter(|step| **step != Step::Total).copied().collect();
        steps.reverse();
        let candidates: Vec<_> =
            steps.into_iter().map(|step| Bucket::holding(step, at, &self.zone)).filter(kept).collect();
        let fits =
            |bucket: &&Bucket| bucket.start_ms == at && bucket.end_ms().is_some_and(|ends| ends <= end);
        candidates
            .iter()
            .find(fits)
            .or_else(|| candidates.last())
            .cloned()
            .unwrap_or_else(|| Bucket::holding(Step::Month, at, &self.zone))
    }
}
