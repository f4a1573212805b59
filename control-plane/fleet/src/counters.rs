//! Counters of usage: which rows a record adds to, and reading them back as sums. Ingestion fills a [`Tally`]; the
//! statistics service calls [`read`] (points of a chart), [`totals`], [`top`] and [`last_used`].
//!
//! A row is one thing over one time, `<step>/<begin>/<dimension>/<id>`, kept once in each partition; a read sums the
//! partitions. What concerns a request (key, model, user, tag, overall) counts it once with all its attempts; what
//! concerns an attempt (account, group, platform) counts only the attempts made there.

mod cover;
mod fields;
mod increments;
mod names;
mod read;

use proto::types::Retention;

pub use cover::Range;
pub use fields::{Share, merge};
pub use increments::{Tally, UNKNOWN_MODEL, began_ms};
pub use names::{Bucket, Dimension, Step};
pub use read::{Order, Point, Top, last_used, read, top, totals};

const DAY_MS: i64 = 86_400_000;

/// How long rows of a step are kept after its end, milliseconds; `None`: for ever.
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
