//! Calendars with and without changes of the clocks; windows that neither overlap nor leave gaps.

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn bounds(spec: Spec, now: &str, name: &str) -> (i64, i64) {
    let open = at(&spec, ms(now), &zone(name));
    let start = open.id.rsplit(':').next().unwrap().parse().unwrap();
    (start, open.ends_at_ms.unwrap())
}

fn assert_bounds(spec: Spec, now: &str, name: &str, start: &str, end: &str) {
    assert_eq!(bounds(spec, now, name), (ms(start), ms(end)), "{spec:?} at {now} in {name}");
}

#[test]
fn calendar_windows_follow_the_zone() {
    let shanghai = "Asia/Shanghai";
    let now = "2026-11-20T17:30:00Z"; // Saturday the 21st, 01:30 there.
    assert_bounds(Spec::Hour, now, shanghai, "2026-11-20T17:00:00Z", "2026-11-20T18:00:00Z");
    assert_bounds(Spec::Day, now, shanghai, "2026-11-20T16:00:00Z", "2026-11-21T16:00:00Z");
    assert_bounds(Spec::Month, now, shanghai, "2026-10-31T16:00:00Z", "2026-11-30T16:00:00Z");
    let week = Spec::Week { day: 1, hour: 0 };
    assert_bounds(week, now, shanghai, "2026-11-15T16:00:00Z", "2026-11-22T16:00:00Z");
    let later = Spec::Week { day: 6, hour: 2 }; // Begins half an hour from now: still last week's.
    assert_bounds(later, now, shanghai, "2026-11-13T18:00:00Z", "2026-11-20T18:00:00Z");
    assert_bounds(
        Spec::Hour,
        "2026-11-20T17:50:00Z",
        "Asia/Kathmandu",
        "2026-11-20T17:15:00Z",
        "2026-11-20T18:15:00Z",
    );
}

#[test]
fn days_with_changes_of_the_clocks_are_shorter_or_longer() {
    let berlin = "Europe/Berlin";
    assert_bounds(Spec::Day, "2026-03-29T12:00:00Z", berlin, "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
    assert_bounds(Spec::Day, "2026-10-25T12:00:00Z", berlin, "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
    // Both of the two hours from 02:00 to 03:00 are hours.
    assert_bounds(Spec::Hour, "2026-10-25T00:30:00Z", berlin, "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z");
    assert_bounds(Spec::Hour, "2026-10-25T01:30:00Z", berlin, "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z");
    // A week that begins in an hour that does not exist begins when the gap ends.
    let gap = Spec::Week { day: 7, hour: 2 };
    assert_bounds(gap, "2026-03-29T12:00:00Z", berlin, "2026-03-29T01:00:00Z", "2026-04-05T00:00:00Z");
    // Half an hour back: the hours beside the change are short.
    let howe = "Australia/Lord_Howe";
    assert_bounds(Spec::Hour, "2026-04-04T14:45:00Z", howe, "2026-04-04T14:00:00Z", "2026-04-04T15:00:00Z");
    assert_bounds(Spec::Hour, "2026-04-04T15:10:00Z", howe, "2026-04-04T15:00:00Z", "2026-04-04T15:30:00Z");
    // Where midnight is skipped, the day begins an hour later.
    assert_bounds(
        Spec::Day,
        "2018-11-04T12:00:00Z",
        "America/Sao_Paulo",
        "2018-11-04T03:00:00Z",
        "2018-11-05T02:00:00Z",
    );
}

#[test]
fn a_fixed_window_begins_with_its_first_use_and_total_never_ends() {
    let open = at(&Spec::Fixed { minutes: 5 }, 1000, &TimeZone::UTC);
    assert_eq!((open.id.as_str(), open.ends_at_ms), ("fixed-5:1000", Some(301_000)));
    let open = at(&Spec::Total, 1000, &TimeZone::UTC);
    assert_eq!((open.id.as_str(), open.ends_at_ms), ("total", None));
}

#[test]
fn the_wire_form_is_checked_field_by_field() {
    let window = |kind: &str, minutes, day, hour| types::Window {
        kind: kind.into(),
        minutes,
        week_start_day: day,
        week_start_hour: hour,
    };
    assert_eq!(Spec::from_wire(&window("fixed", 300, 0, 0)), Ok(Spec::Fixed { minutes: 300 }));
    assert_eq!(Spec::from_wire(&window("week", 0, 0, 0)), Ok(Spec::Week { day: 1, hour: 0 }));
    assert_eq!(Spec::from_wire(&window("total", 0, 0, 0)), Ok(Spec::Total));
    let fields =
        |window| Spec::from_wire(&window).unwrap_err().iter().map(|one| one.field).collect::<Vec<_>>();
    assert_eq!(fields(window("fixed", 0, 0, 0)), ["minutes"]);
    assert_eq!(fields(window("fixed", 44_641, 0, 0)), ["minutes"]);
    assert_eq!(fields(window("day", 5, 0, 0)), ["minutes"]);
    assert_eq!(fields(window("week", 0, 8, 24)), ["week_start_day", "week_start_hour"]);
    assert_eq!(fields(window("day", 0, 2, 0)), ["week_start_day"]);
    assert_eq!(fields(window("sliding", 0, 0, 0)), ["minutes"]);
    assert_eq!(Spec::from_wire(&window("sliding", 5, 0, 0)), Ok(Spec::Sliding { minutes: 5 }));
    assert_eq!(fields(window("", 0, 0, 0)), ["kind"]);
}

#[test]
fn an_id_tells_its_kind() {
    for spec in specs() {
        let open = at(&spec, 1_800_000_000_000, &TimeZone::UTC);
        for other in specs() {
            assert_eq!(other.owns(&open.id), other == spec, "{other:?} of {}", open.id);
        }
    }
}

fn specs() -> Vec<Spec> {
    vec![
        Spec::Fixed { minutes: 1 },
        Spec::Fixed { minutes: 10 },
        Spec::Hour,
        Spec::Day,
        Spec::Week { day: 1, hour: 0 },
        Spec::Week { day: 7, hour: 2 },
        Spec::Month,
        Spec::Total,
    ]
}

const ZONES: [&str; 7] = [
    "UTC",
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
];

proptest! {
    #[test]
    fn windows_hold_their_instant_follow_each_other_and_never_overlap(
        now in 0..4_000_000_000_000_i64, name in prop::sample::select(&ZONES[..]), day in 1..=7_u8, hour in 0..=23_u8,
    ) {
        let zone = zone(name);
        for spec in [Spec::Hour, Spec::Day, Spec::Week { day, hour }, Spec::Month] {
            let open = at(&spec, now, &zone);
            let start: i64 = open.id.rsplit(':').next().unwrap().parse().unwrap();
            let end = open.ends_at_ms.unwrap();
            prop_assert!(start <= now && now < end, "{:?} {} {}", spec, start, end);
            prop_assert_eq!(&at(&spec, end - 1, &zone).id, &open.id);
            prop_assert_eq!(&at(&spec, start.max(0), &zone).id, &open.id);
            prop_assert!(at(&spec, end, &zone).id.ends_with(&format!(":{end}")), "{:?} leaves a gap", spec);
        }
    }

    #[test]
    fn no_instant_is_too_far(now in any::<i64>()) {
        for spec in specs() {
            prop_assert!(!at(&spec, now, &zone("Europe/Berlin")).id.is_empty());
        }
    }
}
