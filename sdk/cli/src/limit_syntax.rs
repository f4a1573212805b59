//! How a limit is written on the command line: `METER:AMOUNT[/WINDOW][@SCOPE]`. Among the scope stand `strict` (never
//! exceed, reserve the worst case) and `real` (cost before multipliers) too: `cost:20usd/month@strict,real,family=opus`.
//!
//! `requests:100/10m` (ten minutes from first use), `requests:1000/day`, `concurrency:5`, `cost:20usd/month`,
//! `tokens:2m/~60m` (sliding), `requests:50/5h@family=opus,operation=messages`, `requests:10/week:1:8` (from Monday, 8 h).

use sdk::types::{Limit, LimitScope, Window};

use crate::failure::Usage;

/// Reads one limit.
pub fn parse(text: &str) -> Result<Limit, Usage> {
    let wrong = |why: &str| {
        Usage(format!("limit {text:?}: {why}; write METER:AMOUNT[/WINDOW][@SCOPE], such as requests:100/10m"))
    };
    let (head, scope) = text.split_once('@').map_or((text, None), |(head, scope)| (head, Some(scope)));
    let (meter, rest) = head.split_once(':').ok_or_else(|| wrong("no amount"))?;
    if !["requests", "tokens", "cost", "concurrency"].contains(&meter) {
        return Err(wrong("the meter is requests, tokens, cost or concurrency"));
    }
    let (amount, window) =
        rest.split_once('/').map_or((rest, None), |(amount, window)| (amount, Some(window)));
    let amount =
        parse_amount(meter, amount).ok_or_else(|| wrong("the amount is a number, for cost with `usd`"))?;
    let window = match window {
        Some(window) => Some(parse_window(window).ok_or_else(|| wrong("unknown window"))?),
        None if meter == "concurrency" => None,
        None => return Err(wrong("no window")),
    };
    let mut limit = Limit { meter: meter.to_owned(), amount, window, ..Limit::default() };
    for part in scope.unwrap_or_default().split(',').filter(|part| !part.is_empty()) {
        add_part(&mut limit, part).ok_or_else(|| wrong("unknown scope"))?;
    }
    Ok(limit)
}

/// Writes one limit as it would be read.
pub fn show(limit: &Limit) -> String {
    let mut text = format!("{}:", limit.meter);
    match limit.meter.as_str() {
        "cost" => text.push_str(&format!("{}usd", limit.amount as f64 / 1e9)),
        _ => text.push_str(&limit.amount.to_string()),
    }
    if let Some(window) = &limit.window {
        text.push('/');
        text.push_str(&show_window(window));
    }
    let mut parts = Vec::new();
    if limit.strict {
        parts.push("strict".to_owned());
    }
    if limit.cost_kind == "real" {
        parts.push("real".to_owned());
    }
    if let Some(scope) = &limit.scope {
        let named = |name: &str, values: &[String]| {
            values.iter().map(|value| format!("{name}={value}")).collect::<Vec<_>>()
        };
        parts.extend(named("family", &scope.families));
        parts.extend(named("platform", &scope.platforms));
        parts.extend(named("operation", &scope.operations));
    }
    if !parts.is_empty() {
        text.push_str(&format!("@{}", parts.join(",")));
    }
    text
}

fn parse_amount(meter: &str, text: &str) -> Option<i64> {
    if let Some(dollars) = text.strip_suffix("usd").or_else(|| text.strip_prefix('$')) {
        let nanos = dollars.parse::<f64>().ok().filter(|dollars| dollars.is_finite())? * 1e9;
        return (meter == "cost" && nanos >= 0.0).then_some(nanos.round() as i64);
    }
    if meter == "cost" {
        return None;
    }
    let (digits, factor) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 1_000),
        b'm' => (&text[..text.len() - 1], 1_000_000),
        _ => (text, 1),
    };
    digits.parse::<i64>().ok()?.checked_mul(factor)
}

fn parse_window(text: &str) -> Option<Window> {
    let plain = |kind: &str| Window { kind: kind.to_owned(), ..Window::default() };
    if let Some(rest) = text.strip_prefix('~') {
        return Some(Window { minutes: parse_minutes(rest)?, ..plain("sliding") });
    }
    if let Some(rest) = text.strip_prefix("week") {
        let mut parts = rest.strip_prefix(':').unwrap_or(rest).split(':').filter(|part| !part.is_empty());
        let week_start_day = parts.next().map_or(Some(1), |day| day.parse().ok())?;
        let week_start_hour = parts.next().map_or(Some(0), |hour| hour.parse().ok())?;
        return Some(Window { week_start_day, week_start_hour, ..plain("week") });
    }
    if ["hour", "day", "month", "total"].contains(&text) {
        return Some(plain(text));
    }
    Some(Window { minutes: parse_minutes(text)?, ..plain("fixed") })
}

fn parse_minutes(text: &str) -> Option<u32> {
    let (digits, factor) = match text.as_bytes().last()? {
        b'm' => (&text[..text.len() - 1], 1),
        b'h' => (&text[..text.len() - 1], 60),
        b'd' => (&text[..text.len() - 1], 24 * 60),
        _ => return None,
    };
    digits.parse::<u32>().ok()?.checked_mul(factor)
}

fn add_part(limit: &mut Limit, part: &str) -> Option<()> {
    match part {
        "strict" => limit.strict = true,
        "real" => limit.cost_kind = "real".to_owned(),
        _ => {
            let (name, value) = part.split_once('=')?;
            let scope = limit.scope.get_or_insert_with(LimitScope::default);
            let list = match name {
                "family" => &mut scope.families,
                "platform" => &mut scope.platforms,
                "operation" => &mut scope.operations,
                _ => return None,
            };
            list.push(value.to_owned());
        }
    }
    Some(())
}

fn show_window(window: &Window) -> String {
    let minutes = |minutes: u32| {
        if minutes.is_multiple_of(60) { format!("{}h", minutes / 60) } else { format!("{minutes}m") }
    };
    match window.kind.as_str() {
        "fixed" => minutes(window.minutes),
        "sliding" => format!("~{}", minutes(window.minutes)),
        "week" => format!("week:{}:{}", window.week_start_day.max(1), window.week_start_hour),
        kind => kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_again() {
        for text in [
            "requests:100/10m",
            "requests:1000/day",
            "concurrency:5",
            "cost:20.5usd/month",
            "tokens:2000000/~1h",
            "requests:50/5h@family=opus,operation=messages",
            "requests:10/week:1:8",
            "requests:7/total",
            "tokens:7/day@strict",
            "cost:1usd/day@strict,real,family=opus",
        ] {
            assert_eq!(show(&parse(text).unwrap()), text);
        }
    }

    #[test]
    fn short_forms() {
        assert_eq!(parse("tokens:2m/1d").unwrap().amount, 2_000_000);
        assert_eq!(parse("cost:$1.5/day").unwrap().amount, 1_500_000_000);
        assert_eq!(parse("requests:1/week").unwrap().window.unwrap().week_start_day, 1);
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for text in [
            "",
            "requests",
            "requests:x/day",
            "cost:5/day",
            "requests:5",
            "hits:5/day",
            "requests:5/year",
            "requests:5/day@color=red",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
