//! The edge at which the wall clock is read. Everything further in takes `now` as a parameter.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix milliseconds. A clock before 1970 reads as 0.
#[expect(clippy::disallowed_methods, reason = "this is the edge")]
pub fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// Unix microseconds. A clock before 1970 reads as 0.
#[expect(clippy::disallowed_methods, reason = "this is the edge")]
pub fn unix_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}
