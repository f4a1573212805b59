//! Usage windows of subscriptions, as answers' headers tell of them: how far a window of hours or days is used up and
//! when it starts anew. Who schedules by them reads them here; nothing else knows the headers.

use http::HeaderMap;

use super::{text, when};

/// One window, as of one answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Its name: `5h`, `7d`, `7d_opus`, … by its length, with the model family that it is for.
    pub name: String,
    /// How far it is used up, hundredths of a percent; none: not told.
    pub used_bp: Option<u32>,
    /// When it starts anew, Unix milliseconds; none: not told.
    pub resets_at_ms: Option<i64>,
    /// What the upstream says of it: `allowed`, `allowed_warning`, `rejected`; empty: nothing.
    pub status: String,
}

/// The windows of a Claude subscription: `anthropic-ratelimit-unified-<window>-{status,reset,utilization}`.
pub fn unified(headers: &HeaderMap) -> Vec<Window> {
    const PREFIX: &str = "anthropic-ratelimit-unified-";
    let mut windows: Vec<Window> = Vec::new();
    for name in headers.keys() {
        let Some(rest) = name.as_str().strip_prefix(PREFIX) else { continue };
        let Some((window, what)) = rest.rsplit_once('-') else { continue };
        // `5h`, `7d`, `7d_opus`; not `representative-claim`, `overage-status` or `fallback-percentage`.
        if !window.starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        let value = text(headers, name.as_str()).unwrap_or_default();
        let at = windows.iter().position(|known| known.name == window).unwrap_or_else(|| {
            windows.push(Window { name: window.to_owned(), ..Window::default() });
            windows.len() - 1
        });
        match what {
            "status" => value.clone_into(&mut windows[at].status),
            "reset" => windows[at].resets_at_ms = when::instant(value),
            "utilization" => windows[at].used_bp = share(value, 10_000.0),
            _ => {}
        }
    }
    windows.sort_by(|a, b| a.name.cmp(&b.name));
    windows
}

/// The windows of a ChatGPT subscription: `x-codex-{primary,secondary}-{used-percent,reset-after-seconds,window-minutes}`.
pub fn codex(headers: &HeaderMap, now_ms: i64) -> Vec<Window> {
    ["primary", "secondary"]
        .iter()
        .filter_map(|which| {
            let value = |what: &str| text(headers, &format!("x-codex-{which}-{what}"));
            let used_bp = share(value("used-percent")?, 100.0);
            let seconds = value("reset-after-seconds").and_then(|text| text.parse::<i64>().ok());
            let at = value("reset-at").and_then(when::instant);
            let resets_at_ms = at.or_else(|| seconds.map(|s| now_ms.saturating_add(s.saturating_mul(1000))));
            let minutes = value("window-minutes").and_then(|text| text.parse::<u64>().ok());
            let name = minutes.map_or_else(|| (*which).to_owned(), of_minutes);
            Some(Window { name, used_bp, resets_at_ms, status: String::new() })
        })
        .collect()
}

/// A window's name by its length.
fn of_minutes(minutes: u64) -> String {
    match minutes {
        // Lengths are told a minute short or long at times.
        299..=301 => "5h".into(),
        10_079..=10_081 => "7d".into(),
        minutes => format!("{minutes}m"),
    }
}

/// A share, in hundredths of a percent; `whole` is what one of its units is worth.
fn share(text: &str, whole: f64) -> Option<u32> {
    let share: f64 = text.parse().ok()?;
    (share.is_finite() && share >= 0.0).then(|| (share * whole).round().min(1e6) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<HeaderMap>()
    }

    #[test]
    fn a_claude_subscriptions_windows() {
        let given = headers(&[
            ("anthropic-ratelimit-unified-status", "allowed"),
            ("anthropic-ratelimit-unified-reset", "1790000000"),
            ("anthropic-ratelimit-unified-representative-claim", "five_hour"),
            ("anthropic-ratelimit-unified-overage-status", "rejected"),
            ("anthropic-ratelimit-unified-5h-status", "allowed_warning"),
            ("anthropic-ratelimit-unified-5h-reset", "1790000000"),
            ("anthropic-ratelimit-unified-5h-utilization", "0.915"),
            ("anthropic-ratelimit-unified-7d-status", "allowed"),
            ("anthropic-ratelimit-unified-7d-utilization", "NaN"),
        ]);
        let five = Window {
            name: "5h".into(),
            used_bp: Some(9_150),
            resets_at_ms: Some(1_790_000_000_000),
            status: "allowed_warning".into(),
        };
        let seven = Window { name: "7d".into(), status: "allowed".into(), ..Window::default() };
        assert_eq!(unified(&given), [five, seven]);
        assert_eq!(unified(&HeaderMap::new()), []);
    }

    #[test]
    fn a_chatgpt_subscriptions_windows() {
        let given = headers(&[
            ("x-codex-primary-used-percent", "42.5"),
            ("x-codex-primary-window-minutes", "299"),
            ("x-codex-primary-reset-after-seconds", "60"),
            ("x-codex-secondary-used-percent", "7"),
            ("x-codex-secondary-window-minutes", "10080"),
            ("x-codex-secondary-reset-at", "1790000000"),
        ]);
        let windows = codex(&given, 1_000);
        let told: Vec<_> = windows.iter().map(|w| (w.name.as_str(), w.used_bp, w.resets_at_ms)).collect();
        assert_eq!(told, [("5h", Some(4_250), Some(61_000)), ("7d", Some(700), Some(1_790_000_000_000))]);
    }
}
