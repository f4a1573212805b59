//! Units used in about the last second, in two numbers.

const BUCKET_MS: i64 = 1000;

/// A count per second: the present bucket and the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    bucket: i64,
    now: i64,
    before: i64,
}

impl Rate {
    /// Counts units.
    pub(super) fn count(&mut self, units: i64, now: i64) {
        self.turn(now);
        self.now = self.now.saturating_add(units);
    }

    /// Units in the last second: the present bucket, or the last full one if that was more.
    pub(super) fn per_second(mut self, now: i64) -> i64 {
        self.turn(now);
        self.now.max(self.before)
    }

    fn turn(&mut self, now: i64) {
        let bucket = now.div_euclid(BUCKET_MS);
        if bucket == self.bucket {
            return;
        }
        self.before = if bucket == self.bucket + 1 { self.now } else { 0 };
        (self.bucket, self.now) = (bucket, 0);
    }
}
