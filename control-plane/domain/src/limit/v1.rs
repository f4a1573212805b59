//! Version 1's limit fields as limits of this one. Pure; the import calls it. Its precedences are resolved here, once:
//! `tokenLimit` switches `rateLimitCost` off; the window's limits need a window; the weekly "Opus" limit counts the rated
//! cost of every Claude family, on the platforms for which version 1 counted it. That counting a request's tokens takes a
//! request but no slot is the relay's rule, for all keys.

use proto::types;

/// Nano-dollars in a dollar.
const NANO: f64 = 1e9;

/// A key's fields as version 1 stored them; 0, or less, is "off".
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fields {
    /// `concurrencyLimit`.
    pub concurrency: i64,
    /// `rateLimitWindow`, minutes from the first use.
    pub window_minutes: i64,
    /// `rateLimitRequests`, per window.
    pub window_requests: i64,
    /// `rateLimitCost`, rated dollars per window.
    pub window_cost: f64,
    /// `tokenLimit`, per window.
    pub window_tokens: i64,
    /// `dailyCostLimit`, rated dollars.
    pub daily_cost: f64,
    /// `totalCostLimit`, rated dollars.
    pub total_cost: f64,
    /// `weeklyOpusCostLimit`, rated dollars.
    pub weekly_opus_cost: f64,
    /// `weeklyResetDay`, 1 Monday to 7 Sunday; anything else is Monday, as in version 1.
    pub weekly_reset_day: i64,
    /// `weeklyResetHour`, 0 to 23; anything else is 0.
    pub weekly_reset_hour: i64,
}

/// The limits that these fields mean, in the order in which version 1 checked them. `weekly_platforms`: those on which
/// version 1 counted the weekly limit (accounts of the Claude service, official, console and relayed, but not of clouds).
pub fn limits(fields: &Fields, weekly_platforms: &[&str]) -> Vec<types::Limit> {
    let mut limits = Vec::new();
    let mut add = |meter: &str, amount: i64, window: Option<types::Window>| {
        if amount > 0 {
            let meter = meter.to_owned();
            limits.push(types::Limit { meter, amount, window, ..types::Limit::default() });
        }
    };
    add("concurrency", fields.concurrency, None);
    if fields.window_minutes > 0 {
        let minutes = fields.window_minutes.min(i64::from(super::MAX_MINUTES)) as u32;
        let window = || Some(types::Window { minutes, ..of("fixed") });
        add("requests", fields.window_requests, window());
        add("tokens", fields.window_tokens, window());
        if fields.window_tokens <= 0 {
            add("cost", nano(fields.window_cost), window());
        }
    }
    add("cost", nano(fields.daily_cost), Some(of("day")));
    add("cost", nano(fields.total_cost), Some(of("total")));
    let within = |value: i64, range: std::ops::RangeInclusive<i64>, other: u32| {
        if range.contains(&value) { value as u32 } else { other }
    };
    let week = types::Window {
        week_start_day: within(fields.weekly_reset_day, 1..=7, 1),
        week_start_hour: within(fields.weekly_reset_hour, 0..=23, 0),
        ..of("week")
    };
    add("cost", nano(fields.weekly_opus_cost), Some(week));
    if let Some(weekly) = limits.iter_mut().find(|limit| is_weekly(limit)) {
        weekly.scope = Some(types::LimitScope {
            families: vec!["claude".into()],
            platforms: weekly_platforms.iter().copied().map(String::from).collect(),
            operations: Vec::new(),
        });
    }
    limits
}

fn is_weekly(limit: &types::Limit) -> bool {
    limit.window.as_ref().is_some_and(|window| window.kind == "week")
}

fn of(kind: &str) -> types::Window {
    types::Window { kind: kind.into(), ..types::Window::default() }
}

/// Dollars as nano-dollars; what is no amount is "off".
fn nano(dollars: f64) -> i64 {
    if dollars.is_finite() && dollars > 0.0 {
        ((dollars * NANO).round() as i64).clamp(1, super::MAX_AMOUNT)
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLATFORMS: [&str; 3] = ["one", "two", "three"];

    fn shown(fields: Fields) -> Vec<String> {
        let show = |limit: &types::Limit| {
            let window = limit.window.clone().unwrap_or_default();
            format!("{} {} {} {}", limit.meter, limit.amount, window.kind, window.minutes)
        };
        limits(&fields, &PLATFORMS).iter().map(show).collect()
    }

    #[test]
    fn what_is_off_is_no_limit() {
        assert!(shown(Fields::default()).is_empty());
        let nonsense =
            Fields { concurrency: -1, daily_cost: f64::NAN, total_cost: -3.0, ..Fields::default() };
        assert!(shown(nonsense).is_empty());
    }

    #[test]
    fn the_windows_limits_need_a_window() {
        let fields = Fields { window_requests: 5, window_tokens: 7, window_cost: 1.0, ..Fields::default() };
        assert!(shown(fields).is_empty());
        let fields = Fields { window_minutes: 60, window_tokens: 0, ..fields };
        assert_eq!(shown(fields), ["requests 5 fixed 60", "cost 1000000000 fixed 60"]);
    }

    #[test]
    fn a_token_limit_switches_the_windows_cost_off() {
        let fields = Fields { window_minutes: 5, window_tokens: 700, window_cost: 1.0, ..Fields::default() };
        assert_eq!(shown(fields), ["tokens 700 fixed 5"]);
    }

    #[test]
    fn the_weekly_limit_counts_every_claude_family_from_its_own_day_and_hour() {
        let fields = Fields {
            weekly_opus_cost: 12.5,
            weekly_reset_day: 3,
            weekly_reset_hour: 9,
            daily_cost: 2.0,
            total_cost: 0.000_000_000_1,
            concurrency: 4,
            ..Fields::default()
        };
        let made = limits(&fields, &PLATFORMS);
        assert_eq!(
            shown(fields),
            ["concurrency 4  0", "cost 2000000000 day 0", "cost 1 total 0", "cost 12500000000 week 0"]
        );
        let weekly = made.last().unwrap();
        let (window, scope) = (weekly.window.clone().unwrap(), weekly.scope.clone().unwrap());
        assert_eq!((window.week_start_day, window.week_start_hour), (3, 9));
        assert_eq!((scope.families.as_slice(), scope.platforms.len()), (&["claude".to_owned()][..], 3));
        assert!(made[..3].iter().all(|limit| limit.scope.is_none()));
        let odd = Fields { weekly_reset_day: 0, weekly_reset_hour: 24, ..fields };
        let window = limits(&odd, &PLATFORMS).pop().unwrap().window.unwrap();
        assert_eq!((window.week_start_day, window.week_start_hour), (1, 0));
    }

    #[test]
    fn every_limit_is_one_that_a_key_may_have() {
        let fields = Fields {
            concurrency: 1,
            window_minutes: 1_000_000,
            window_requests: 1,
            window_cost: 1e30,
            window_tokens: 0,
            daily_cost: 1.0,
            total_cost: 1.0,
            weekly_opus_cost: 1.0,
            weekly_reset_day: 7,
            weekly_reset_hour: 23,
        };
        let made = super::super::from_wire(&limits(&fields, &PLATFORMS), &[], || "id".into());
        assert_eq!(made.unwrap().len(), 6);
    }
}
