//! Sliding windows: what was used counts until it is as old as the window. It is kept in buckets of a sixtieth of the
//! window, by when it was *reported*, and a bucket counts until its last instant is old enough: never too short, and
//! longer by at most a bucket and the delay of a report. What a node holds counts all the time.

use super::{Holder, Orphans, Policy, Row};
use crate::rules::window::{SLIDING, Spec};

/// Buckets of a window.
const BUCKETS: i64 = 60;

impl Row {
    /// Whether the open window is a sliding one.
    pub(super) fn slides(&self) -> bool {
        self.window_id.starts_with(SLIDING)
    }

    /// Puts what was used into the present bucket; nothing where the window does not slide.
    pub(super) fn slide(&mut self, policy: &Policy, units: i64) {
        let Some(width) = width(policy).filter(|_| units > 0 && self.slides()) else { return };
        let bucket = self.buckets.entry(self.clock_ms.div_euclid(width)).or_default();
        *bucket = bucket.saturating_add(units);
        self.settled = self.settled.saturating_add(units);
    }

    /// Drops the buckets that are older than the window.
    pub(super) fn drop_buckets(&mut self, policy: &Policy) {
        let Some(width) = width(policy).filter(|_| self.slides()) else { return };
        let oldest = self.clock_ms.div_euclid(width) - BUCKETS;
        while let Some(first) = self.buckets.first_entry().filter(|first| *first.key() < oldest) {
            self.settled = self.settled.saturating_sub(first.remove());
        }
    }

    /// A node used nothing after its lease's end: one window later, all that a silent one held is as good as free. Who
    /// holds nothing is kept as long, since a late message may still speak of its totals.
    pub(super) fn sweep_sliding(&mut self, policy: &Policy) {
        let Some(width) = width(policy) else { return };
        let now = self.clock_ms;
        // What was reserved may be used as long as a stream goes on, unless the process has ended that served it.
        let streams = match policy.orphans {
            Orphans::Hold { longest_stream_ms } if policy.meter.settles_later() => longest_stream_ms.max(0),
            _ => 0,
        };
        let keep = width * (BUCKETS + 1);
        let is_old = |holder: &Holder| {
            let streams = if holder.ended { 0 } else { streams };
            holder.expires_at_ms.saturating_add(streams).saturating_add(keep) <= now
        };
        for holder in self.holders.values_mut().filter(|holder| holder.suspect && is_old(holder)) {
            holder.returned = holder.granted.saturating_sub(holder.spent);
            holder.suspect = false;
        }
        self.holders.retain(|_, holder| holder.idle() > 0 || !is_old(holder));
    }

    /// Milliseconds until `least` units are free by time alone: for a sliding window when enough of the oldest use is
    /// out of it, else when the window ends; 0: never.
    pub(super) fn frees_in_ms(&self, policy: &Policy, least: i64) -> i64 {
        let Some(width) = width(policy).filter(|_| self.slides()) else { return self.ends_in_ms() };
        let mut free = self.free(policy.amount);
        let mut enough = self.buckets.iter().skip_while(|(_, units)| {
            free = free.saturating_add(**units);
            free < least
        });
        let bucket = enough.next().map_or_else(|| self.clock_ms.div_euclid(width), |(bucket, _)| *bucket);
        ((bucket + BUCKETS + 1) * width - self.clock_ms).max(1)
    }
}

/// Width of a bucket, milliseconds; `None`: the window does not slide.
fn width(policy: &Policy) -> Option<i64> {
    match policy.window {
        Spec::Sliding { minutes } if policy.meter.has_window() => {
            Some(i64::from(minutes.max(1)) * 60_000 / BUCKETS)
        }
        _ => None,
    }
}
