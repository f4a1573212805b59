//! Times and durations: Unix milliseconds in records, well-known types on the wire.

use prost_types::{Duration, Timestamp};

/// The largest time that is accepted: the end of the year 9999, in Unix milliseconds.
pub const MAX_MS: i64 = 253_402_300_799_999;

/// Unix milliseconds as a wire time.
pub fn to_wire(ms: i64) -> Timestamp {
    Timestamp { seconds: ms.div_euclid(1000), nanos: (ms.rem_euclid(1000) * 1_000_000) as i32 }
}

/// A wire time as Unix milliseconds, rounded down; `None` when it lies before 1970 or after the year 9999.
pub fn from_wire(time: &Timestamp) -> Option<i64> {
    let ms = time.seconds.checked_mul(1000)?.checked_add(i64::from(time.nanos / 1_000_000))?;
    (0..=MAX_MS).contains(&ms).then_some(ms)
}

/// Milliseconds as a wire duration.
pub fn span_to_wire(ms: i64) -> Duration {
    Duration { seconds: ms / 1000, nanos: (ms % 1000 * 1_000_000) as i32 }
}

/// A wire duration as milliseconds; `None` when it is negative or beyond the scale.
pub fn span_from_wire(span: &Duration) -> Option<i64> {
    let ms = span.seconds.checked_mul(1000)?.checked_add(i64::from(span.nanos / 1_000_000))?;
    (0..=MAX_MS).contains(&ms).then_some(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_spans_come_back() {
        for ms in [0, 1, 999, 1_700_000_000_123, MAX_MS] {
            assert_eq!(from_wire(&to_wire(ms)), Some(ms));
            assert_eq!(span_from_wire(&span_to_wire(ms)), Some(ms));
        }
        assert_eq!(from_wire(&Timestamp { seconds: -1, nanos: 0 }), None);
        assert_eq!(from_wire(&Timestamp { seconds: i64::MAX, nanos: 0 }), None);
        assert_eq!(span_from_wire(&Duration { seconds: -5, nanos: 0 }), None);
    }
}
