//! Counters of usage: which rows a record adds to, and reading them back as sums. Ingestion calls
//! [`increments`], the statistics service [`read`], [`totals`] and [`top`]; the trim job [`trim_before`].
//!
//! A row is one thing over one time, `<step>/<begin>/<dimension>/<id>`, kept once in each partition; a read sums the
//! partitions. What concerns a request (key, model, user, tag, overall) counts it once with all its attempts; what
//! concerns an attempt (account, group, platform) counts only the attempts made there.

mod fields;
mod increments;
mod names;

use proto::types::Retention;

pub use fields::{Share, merge};
pub use increments::{Increment, UNKNOWN_MODEL, began_ms, increments, joined};
pub use names::{Bucket, Dimension, Step};

const DAY_MS: i64 = 86_400_000;

/// How long rows of a step are kept, milliseconds; `None`: for ever.
pub fn kept_for_ms(step: Step, retention: &Retention) -> Option<i64> {
    let days = |set: u32, default: i64| Some(DAY_MS * if set == 0 { default } else { i64::from(set) });
    match step {
        Step::Minute => days(retention.minute_days, 1),
        Step::Hour => days(retention.hour_days, 35),
        Step::Day => days(retention.day_days, 400),
        Step::Month | Step::Total => None,
    }
}

#[cfg(test)]
mod tests;
