//! Every key of Redis, spelled once, and the form of positions in logs. Keys of one atomic step share one hash tag.

use std::fmt::Write as _;

/// Behind every position.
pub(crate) const POSITION_END: &str = "~";

/// A place in a log: sorts by time, then id. Times before 1970 and beyond the year 5138 stand at the ends.
pub(crate) fn position(at_ms: i64, id: &str) -> String {
    let mut position = String::with_capacity(15 + id.len());
    let _ = write!(position, "{:014}:{id}", at_ms.clamp(0, 99_999_999_999_999));
    position
}

/// Time and id of a place.
pub(crate) fn read_position(position: &str) -> Option<(i64, &str)> {
    let (at_ms, id) = position.split_at_checked(14)?;
    Some((at_ms.parse().ok()?, id.strip_prefix(':')?))
}
