//! Usage windows in the headers of answers: Anthropic's unified limits, and what OpenAI tells Codex.

use http::HeaderMap;
use proto::rules::upstream_window::{Status, Window};

use super::{claimed_family, text, when};

const UNIFIED: &str = "anthropic-ratelimit-unified-";
const HOUR_MS: i64 = 3_600_000;

/// The windows that an answer of Anthropic's tells of, such as `anthropic-ratelimit-unified-7d_opus-utilization`; none
/// where it tells of none, which costs a look at each header's name. When they were seen is for the caller to say.
pub fn unified(headers: &HeaderMap) -> Vec<Window> {
    let mut windows = Vec::new();
    for name in headers.keys() {
        // Every window states its end, so each is met once.
        let Some(window) = name.as_str().strip_prefix(UNIFIED).and_then(|rest| rest.strip_suffix("-reset"))
        else {
            continue;
        };
        let field = |field: &str| text(headers, &format!("{UNIFIED}{window}-{field}"));
        let Some(resets_at_ms) = text(headers, name.as_str()).and_then(when::instant) else { continue };
        // `overage-reset` and the like are of no window: a window is named by its length.
        let Some(length_ms) = length(window) else { continue };
        windows.push(Window {
            name: window.to_owned(),
            family: claimed_family(window).map(str::to_owned),
            status: field("status").map_or(Status::Allowed, Status::parse),
            used_permille: field("utilization").and_then(share),
            resets_at_ms,
            length_ms,
            seen_at_ms: 0,
            overage: false,
        });
    }
    let served = text(headers, "anthropic-ratelimit-unified-status").is_some_and(|word| word != "rejected");
    for window in windows.iter_mut().filter(|window| window.status == Status::Rejected) {
        window.overage = served;
    }
    windows
}

/// The windows of a ChatGPT subscription: `x-codex-{primary,secondary}-{used-percent,reset-after-seconds,window-minutes}`.
/// When they were seen is for the caller to say, as of [`unified`]'s.
pub fn codex(headers: &HeaderMap, now_ms: i64) -> Vec<Window> {
    let window = |which: &&str| {
        let value = |what: &str| text(headers, &format!("x-codex-{which}-{what}"));
        let used: f64 = value("used-percent")?.parse().ok()?;
        let seconds = value("reset-after-seconds").and_then(|text| text.parse::<i64>().ok());
        let at = value("reset-at").and_then(when::instant);
        let after = |seconds: i64| now_ms.saturating_add(seconds.saturating_mul(1000));
        let minutes = value("window-minutes").and_then(|text| text.parse::<u32>().ok());
        (used.is_finite() && used >= 0.0).then_some(Window {
            name: minutes.map_or_else(|| (*which).to_owned(), of_minutes),
            family: None,
            status: if used >= 100.0 { Status::Rejected } else { Status::Allowed },
            used_permille: Some((used * 10.0).min(10_000.0) as u32),
            resets_at_ms: at.or_else(|| seconds.map(after))?,
            length_ms: i64::from(minutes.unwrap_or(0)) * 60_000,
            seen_at_ms: 0,
            overage: false,
        })
    };
    ["primary", "secondary"].iter().filter_map(window).collect()
}

/// A window's name by its length.
fn of_minutes(minutes: u32) -> String {
    match minutes {
        // Lengths are told a minute short or long at times.
        299..=301 => "5h".into(),
        10_079..=10_081 => "7d".into(),
        minutes => format!("{minutes}m"),
    }
}

/// The length that a window's name states: `5h`, `7d`, `7d_opus`.
fn length(name: &str) -> Option<i64> {
    let span = name.split('_').next()?;
    let (number, unit) = span.split_at_checked(span.len().checked_sub(1)?)?;
    let unit_ms = match unit {
        "h" => HOUR_MS,
        "d" => 24 * HOUR_MS,
        _ => return None,
    };
    let number: i64 = number.parse().ok()?;
    (1..=1000).contains(&number).then(|| number * unit_ms)
}

/// `0.73` in thousandths.
fn share(text: &str) -> Option<u32> {
    let share: f64 = text.parse().ok()?;
    (share.is_finite() && share >= 0.0).then(|| (share * 1000.0).min(10_000.0).round() as u32)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        list.iter().map(pair).collect()
    }

    #[test]
    fn unified_limits_are_read_window_by_window() {
        let told = headers(&[
            ("anthropic-ratelimit-unified-status", "allowed_warning"),
            ("anthropic-ratelimit-unified-reset", "1790003600"),
            ("anthropic-ratelimit-unified-representative-claim", "five_hour"),
            ("anthropic-ratelimit-unified-5h-status", "allowed_warning"),
            ("anthropic-ratelimit-unified-5h-reset", "1790003600"),
            ("anthropic-ratelimit-unified-5h-utilization", "0.913"),
            ("anthropic-ratelimit-unified-7d_opus-status", "rejected"),
            ("anthropic-ratelimit-unified-7d_opus-reset", "1790600000"),
            ("anthropic-ratelimit-unified-7d_opus-utilization", "1.02"),
            ("anthropic-ratelimit-unified-overage-reset", "1790600000"),
            ("anthropic-ratelimit-unified-7d-utilization", "0.5"),
        ]);
        let mut windows = unified(&told);
        windows.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(windows.len(), 2, "one without an end is no window: {windows:?}");
        let five = &windows[0];
        assert_eq!((five.name.as_str(), five.status, five.used_permille), ("5h", Status::Warning, Some(913)));
        assert_eq!((five.resets_at_ms, five.length_ms), (1_790_003_600_000, 5 * HOUR_MS));
        let opus = &windows[1];
        assert_eq!(
            (opus.family.as_deref(), opus.status, opus.used_permille),
            (Some("opus"), Status::Rejected, Some(1020))
        );
        assert!(opus.overage, "the answer was served all the same");
        assert!(unified(&headers(&[("content-type", "x")])).is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        for (name, value) in [
            ("anthropic-ratelimit-unified-5h-reset", "soon"),
            ("anthropic-ratelimit-unified-h-reset", "1790003600"),
            ("anthropic-ratelimit-unified-0h-reset", "1790003600"),
            ("anthropic-ratelimit-unified-é-reset", "1790003600"),
            ("x-codex-primary-used-percent", "NaN"),
        ] {
            let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
            let told: HeaderMap = [(name, HeaderValue::from_str(value).unwrap())].into_iter().collect();
            assert!(unified(&told).is_empty() && codex(&told, 0).is_empty(), "{told:?}");
        }
    }

    #[test]
    fn codex_windows_are_read() {
        let told = headers(&[
            ("x-codex-primary-used-percent", "12.5"),
            ("x-codex-primary-reset-after-seconds", "60"),
            ("x-codex-primary-window-minutes", "300"),
            ("x-codex-secondary-used-percent", "100"),
            ("x-codex-secondary-window-minutes", "10079"),
            ("x-codex-secondary-reset-at", "1790000000"),
        ]);
        let windows = codex(&told, 1000);
        assert_eq!((windows[0].used_permille, windows[0].resets_at_ms), (Some(125), 61_000));
        assert_eq!((windows[1].status, windows[1].resets_at_ms), (Status::Rejected, 1_790_000_000_000));
        assert_eq!([windows[0].name.as_str(), &windows[1].name], ["5h", "7d"]);
    }
}
