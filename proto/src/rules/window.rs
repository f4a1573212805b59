//! Windows of limits: over what time a meter counts, and which window an instant lies in.
//!
//! Only the store's clock decides windows; nodes count down what they were told. A window id is stable text: its kind
//! and its start in Unix milliseconds, so that ids of different kinds or starts never meet.

use jiff::{Timestamp, ToSpan, Zoned, civil, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::types;

/// The longest fixed window, in minutes: 31 days.
pub const LONGEST_MINUTES: u32 = 44_640;
/// What ids of sliding windows begin with.
pub const SLIDING: &str = "sliding-";
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// The last instant for which calendars are computed: the year 9000, so that a window's end is always on the scale.
const LAST_MS: i64 = 221_845_132_800_000;

/// Over what time a meter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Spec {
    /// So many minutes from the first use.
    Fixed {
        /// 1 to [`LONGEST_MINUTES`].
        minutes: u32,
    },
    /// So many minutes back from now, in steps of a sixtieth.
    Sliding {
        /// 1 to [`LONGEST_MINUTES`].
        minutes: u32,
    },
    /// The calendar hour.
    Hour,
    /// The calendar day.
    Day,
    /// The week from a day and hour of the key's own.
    Week {
        /// 1 Monday to 7 Sunday.
        day: u8,
        /// 0 to 23.
        hour: u8,
    },
    /// The calendar month.
    Month,
    /// For ever.
    Total,
}

/// The window that an instant lies in (or, for [`Spec::Fixed`], that a first use at that instant opens). A sliding one
/// is always open: what leaves it is the store's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Stable id.
    pub id: String,
    /// Unix milliseconds; `None`: no end.
    pub ends_at_ms: Option<i64>,
}

/// What is wrong with one field of a `types::Window`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Violation {
    /// Field of the message.
    pub field: &'static str,
    /// What is expected.
    pub reason: &'static str,
}

impl Spec {
    /// Reads the wire's form.
    ///
    /// # Errors
    /// Every field that does not fit, also those that the kind does not use but that are set.
    pub fn from_wire(window: &types::Window) -> Result<Self, Vec<Violation>> {
        let mut violations = Vec::new();
        let mut refuse = |field, reason| violations.push(Violation { field, reason });
        let kind = window.kind.as_str();
        if matches!(kind, "fixed" | "sliding") {
            if !(1..=LONGEST_MINUTES).contains(&window.minutes) {
                refuse("minutes", "must be 1 to 44640 (31 days)");
            }
        } else if window.minutes != 0 {
            refuse("minutes", "only for `fixed` and `sliding`");
        }
        if kind == "week" {
            if window.week_start_day > 7 {
                refuse("week_start_day", "must be 1 (Monday) to 7 (Sunday)");
            }
            if window.week_start_hour > 23 {
                refuse("week_start_hour", "must be 0 to 23");
            }
        } else if window.week_start_day != 0 || window.week_start_hour != 0 {
            refuse("week_start_day", "only for `week`");
        }
        match kind {
            "fixed" | "sliding" | "hour" | "day" | "week" | "month" | "total" => {}
            _ => refuse("kind", "must be `fixed`, `sliding`, `hour`, `day`, `week`, `month` or `total`"),
        }
        if !violations.is_empty() {
            return Err(violations);
        }
        Ok(match kind {
            "fixed" => Self::Fixed { minutes: window.minutes },
            "sliding" => Self::Sliding { minutes: window.minutes },
            "hour" => Self::Hour,
            "day" => Self::Day,
            // A week whose day is not stated starts on Monday.
            "week" => {
                Self::Week { day: window.week_start_day.max(1) as u8, hour: window.week_start_hour as u8 }
            }
            "month" => Self::Month,
            _ => Self::Total,
        })
    }

    /// The kind, with its parameters: the part of a window id before the colon.
    pub fn prefix(&self) -> String {
        match self {
            Self::Fixed { minutes } => format!("fixed-{minutes}"),
            Self::Sliding { minutes } => format!("{SLIDING}{minutes}"),
            Self::Hour => "hour".into(),
            Self::Day => "day".into(),
            Self::Week { day, hour } => format!("week-{day}-{hour}"),
            Self::Month => "month".into(),
            Self::Total => "total".into(),
        }
    }

    /// Whether a window id is one of this kind.
    pub fn owns(&self, id: &str) -> bool {
        id.split(':').next() == Some(self.prefix().as_str())
    }
}

/// The window of `spec` that `now_ms` lies in. Windows of one spec and zone never overlap and leave no gap, also where
/// clocks are put forward or back. Beyond the year 9000 it answers as if it were then.
pub fn at(spec: &Spec, now_ms: i64, zone: &TimeZone) -> Open {
    let now_ms = now_ms.clamp(0, LAST_MS);
    let bounds = match spec {
        Spec::Fixed { minutes } => Some((now_ms, now_ms + i64::from(*minutes) * MINUTE_MS)),
        Spec::Total | Spec::Sliding { .. } => None,
        // A zone's table knows every instant on the scale; without an answer the window stays open: the safe side.
        calendar => calendar_bounds(calendar, now_ms, zone).ok(),
    };
    match bounds {
        Some((start, end)) => Open { id: format!("{}:{start}", spec.prefix()), ends_at_ms: Some(end) },
        None => Open { id: spec.prefix(), ends_at_ms: None },
    }
}

fn calendar_bounds(spec: &Spec, now_ms: i64, zone: &TimeZone) -> Result<(i64, i64), jiff::Error> {
    let now = Timestamp::from_millisecond(now_ms)?.to_zoned(zone.clone());
    let (start, end) = match spec {
        Spec::Hour => return Ok(hour_bounds(&now, now_ms)),
        Spec::Week { day, hour } => week_bounds(&now, *day, *hour)?,
        Spec::Month => {
            let first = now.date().first_of_month();
            (midnight(first, zone)?, midnight(first.checked_add(1.month())?, zone)?)
        }
        _ => (midnight(now.date(), zone)?, midnight(now.date().tomorrow()?, zone)?),
    };
    Ok((start.timestamp().as_millisecond(), end.timestamp().as_millisecond()))
}

/// The first instant of a day, which is not midnight where clocks are put forward then.
fn midnight(date: civil::Date, zone: &TimeZone) -> Result<Zoned, jiff::Error> {
    date.to_zoned(zone.clone())
}

/// The hour on the wall, cut at changes of the offset: where clocks move by half an hour, the hours beside it are short.
fn hour_bounds(now: &Zoned, now_ms: i64) -> (i64, i64) {
    let offset_ms = i64::from(now.offset().seconds()) * 1000;
    let wall = now_ms + offset_ms;
    let start = wall.div_euclid(HOUR_MS) * HOUR_MS - offset_ms;
    let zone = now.time_zone();
    // `preceding` excludes its instant, and a window includes its first one.
    let after = now.timestamp().checked_add(1.millisecond()).unwrap_or(now.timestamp());
    let before = zone.preceding(after).next().map_or(start, |t| t.timestamp().as_millisecond());
    let next = zone.following(now.timestamp()).next().map_or(i64::MAX, |t| t.timestamp().as_millisecond());
    (start.max(before), (start + HOUR_MS).min(next))
}

fn week_bounds(now: &Zoned, day: u8, hour: u8) -> Result<(Zoned, Zoned), jiff::Error> {
    let back = (now.weekday().to_monday_one_offset() - i8::try_from(day).unwrap_or(1)).rem_euclid(7);
    let hour = i8::try_from(hour).unwrap_or(0);
    // Where clocks are put back the first of the two hours counts; where they are put forward, the end of the gap.
    let starts_on = |date: civil::Date| date.at(hour, 0, 0, 0).to_zoned(now.time_zone().clone());
    let mut first = now.date().checked_sub(i32::from(back).days())?;
    if starts_on(first)? > *now {
        first = first.checked_sub(7.days())?;
    }
    Ok((starts_on(first)?, starts_on(first.checked_add(7.days())?)?))
}

#[cfg(test)]
mod tests;
