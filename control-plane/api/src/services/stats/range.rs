//! Ranges of time as people say them, in the deployment's time zone.

use domain::{Settings, time};
use fleet::counters::{Range, Step};
use jiff::{Timestamp, ToSpan as _, Zoned, tz::TimeZone};
use proto::{admin, types};
use tonic::Status;

use crate::convert;

/// Most steps of one report.
const MAX_STEPS: i64 = 20_000;

/// A range with its steps.
#[derive(Debug)]
pub(super) struct Resolved {
    /// The range.
    pub range: Range,
    /// Its steps.
    pub step: Step,
}

impl Resolved {
    /// Its begin; all time has none.
    pub(super) fn shown_start(&self) -> Option<prost_types::Timestamp> {
        (self.range.start_ms > 0).then(|| time::to_wire(self.range.start_ms))
    }
}

/// Reads a range.
///
/// # Errors
/// `INVALID_ARGUMENT` for one that cannot be meant.
pub(super) fn resolve(
    asked: &admin::StatsRange,
    settings: &Settings,
    now_ms: i64,
) -> Result<Resolved, Status> {
    let zone = settings.zone();
    let (start_ms, end_ms) = match (&asked.start, asked.preset.as_str()) {
        (None, preset) if asked.end.is_none() => preset_range(preset, now_ms, &zone)?,
        (_, "") => {
            let start = super::super::time("range.start", asked.start.as_ref())?.unwrap_or(0);
            let end = super::super::time("range.end", asked.end.as_ref())?.unwrap_or(now_ms);
            (start, end)
        }
        _ => return Err(convert::invalid_field("range.preset", "stands instead of `start` and `end`")),
    };
    if start_ms >= end_ms {
        return Err(convert::invalid_field("range.end", "must lie after `start`"));
    }
    let length = end_ms.saturating_sub(start_ms.max(0));
    let step = match asked.step.as_str() {
        "" => fitting(start_ms, length),
        word => Step::parse(word).ok_or_else(|| {
            convert::invalid_field("range.step", "must be `minute`, `hour`, `day`, `month` or `total`")
        })?,
    };
    let shortest = match step {
        Step::Minute => 60_000,
        Step::Hour => 3_600_000,
        _ => 86_400_000,
    };
    if start_ms > 0 && length / shortest > MAX_STEPS {
        return Err(convert::invalid_field("range.step", format!("would make more than {MAX_STEPS} steps")));
    }
    let step = if start_ms <= 0 && step < Step::Month { Step::Month } else { step };
    let kept = settings.retention.effective();
    let retention = types::Retention {
        minute_days: kept.minute_days,
        hour_days: kept.hour_days,
        day_days: kept.day_days,
        request_days: kept.request_days,
        audit_days: kept.audit_days,
        bin_days: kept.bin_days,
    };
    Ok(Resolved { range: Range { start_ms, end_ms, now_ms, zone, retention }, step })
}

/// Steps that make a readable chart of a range.
fn fitting(start_ms: i64, length_ms: i64) -> Step {
    const HOUR: i64 = 3_600_000;
    match length_ms {
        _ if start_ms <= 0 => Step::Month,
        ..=10_800_000 => Step::Minute,
        length if length <= 72 * HOUR => Step::Hour,
        length if length <= 366 * 24 * HOUR => Step::Day,
        _ => Step::Month,
    }
}

fn preset_range(preset: &str, now_ms: i64, zone: &TimeZone) -> Result<(i64, i64), Status> {
    let now = Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone.clone());
    let midnight = |day: &Zoned| day.start_of_day().map(|start| start.timestamp().as_millisecond());
    let back = |days: i64| now.checked_sub(days.days()).and_then(|day| midnight(&day));
    let range = match preset {
        "" | "today" => back(0).map(|start| (start, now_ms + 1)),
        "yesterday" => back(1).and_then(|start| back(0).map(|end| (start, end))),
        "7d" => back(6).map(|start| (start, now_ms + 1)),
        "30d" => back(29).map(|start| (start, now_ms + 1)),
        "month" => now.first_of_month().and_then(|first| midnight(&first)).map(|start| (start, now_ms + 1)),
        "total" => Ok((0, now_ms + 1)),
        _ => {
            let words = "must be `today`, `yesterday`, `7d`, `30d`, `month` or `total`";
            return Err(convert::invalid_field("range.preset", words));
        }
    };
    range.map_err(|why| convert::internal(&why))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 November 2026, 16:30 UTC: half past midnight of the 21st in Shanghai.
    const NOW: i64 = 1_795_192_200_000;
    const HOUR: i64 = 3_600_000;

    fn preset(preset: &str) -> (i64, i64, &'static str) {
        let asked = admin::StatsRange { preset: preset.into(), ..Default::default() };
        let resolved = resolve(&asked, &Settings::default(), NOW).unwrap();
        (resolved.range.start_ms - NOW, resolved.range.end_ms - NOW, resolved.step.as_str())
    }

    #[test]
    fn presets_follow_the_deployments_time_zone() {
        let midnight = -HOUR / 2;
        assert_eq!(preset(""), (midnight, 1, "minute"));
        assert_eq!(preset("yesterday"), (midnight - 24 * HOUR, midnight, "hour"));
        assert_eq!(preset("7d"), (midnight - 6 * 24 * HOUR, 1, "day"));
        assert_eq!(preset("month"), (midnight - 20 * 24 * HOUR, 1, "day"));
        assert_eq!(preset("total"), (-NOW, 1, "month"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let at = |ms| Some(time::to_wire(ms));
        let refuse = |asked: admin::StatsRange| resolve(&asked, &Settings::default(), NOW).unwrap_err();
        refuse(admin::StatsRange { preset: "tomorrow".into(), ..Default::default() });
        refuse(admin::StatsRange { start: at(5), preset: "7d".into(), ..Default::default() });
        refuse(admin::StatsRange { start: at(5), end: at(5), ..Default::default() });
        refuse(admin::StatsRange { step: "week".into(), ..Default::default() });
        refuse(admin::StatsRange {
            start: at(1_000_000_000_000),
            step: "minute".into(),
            ..Default::default()
        });
    }
}
