//! How one request was decided, for people.

use anyhow::Result;
use sdk::types::{Attempt, LimitConsulted, UsageRecord};

use super::{super::Context, outcome};
use crate::output::{self, Shown, count, money, time};

/// Shows a record with its explanation.
pub fn show(context: &Context, record: &UsageRecord) -> Result<()> {
    let json = context.json("crs.types.v1.UsageRecord", record)?;
    let names = vec![record.request_id.clone()];
    output::print(
        context.format,
        Shown { json, table: (vec!["WHAT", "HOW"], rows(record)), names, note: None },
    )
}

fn rows(record: &UsageRecord) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut line = |what: &str, value: String| {
        if !value.is_empty() {
            rows.push(vec![what.to_owned(), value]);
        }
    };
    let explanation = record.explanation.clone().unwrap_or_default();
    line("request", record.request_id.clone());
    line("at", time(record.started_at.as_ref()));
    line("key", record.key_id.clone());
    line("user", record.user_id.clone());
    line("client", record.client_kind.clone());
    line(
        "asked",
        format!("{} {} for {}", record.dialect, record.operation, or(&record.model, "no model yet")),
    );
    line("answered", format!("HTTP {}, {}, {} ms", record.status, outcome(record), record.total_us / 1000));
    if let Some(refusal) = &record.refusal {
        line("refused", format!("{}{}", refusal.message, coded(&refusal.code, refusal.retry_after_ms)));
    }
    line("node", record.node_id.clone());
    line("config", explanation.revision.clone());
    line("session", explanation.session_source.clone());
    line("choice", explanation.choice.clone());
    for consulted in &explanation.limits {
        line("limit", limit(consulted));
    }
    for candidate in &explanation.candidates {
        line("account", format!("{}: {}", candidate.account_id, or(&candidate.reason, "chosen")));
    }
    for (reason, number) in &explanation.passed_over {
        line("accounts", format!("{number} more: {reason}"));
    }
    for (number, tried) in record.attempts.iter().enumerate() {
        line(&format!("attempt {}", number + 1), attempt(tried));
    }
    rows
}

fn or<'t>(text: &'t str, else_: &'t str) -> &'t str {
    if text.is_empty() { else_ } else { text }
}

fn coded(code: &str, retry_after_ms: i64) -> String {
    let code = if code.is_empty() { String::new() } else { format!(" [{code}]") };
    let again = if retry_after_ms == 0 { String::new() } else { format!("; again in {} ms", retry_after_ms) };
    format!("{code}{again}")
}

fn limit(limit: &LimitConsulted) -> String {
    let window =
        if limit.window_id.is_empty() { String::new() } else { format!(", window {}", limit.window_id) };
    if limit.refused {
        let resets = match limit.resets_in_ms {
            0 => String::new(),
            ms => format!(", resets in {} s", ms / 1000),
        };
        return format!(
            "{}: refused: {} used and {} held of {} {}{resets}{window}",
            limit.limit_id,
            count(limit.used),
            count(limit.leased),
            count(limit.amount),
            limit.meter,
        );
    }
    format!(
        "{}: took {} of {} {}; {} left in the node's lease{window}",
        limit.limit_id,
        count(limit.taken),
        count(limit.amount),
        limit.meter,
        count(limit.lease_left),
    )
}

fn attempt(attempt: &Attempt) -> String {
    let cost = attempt.cost.clone().unwrap_or_default();
    let chosen = if attempt.choice.is_empty() { String::new() } else { format!(" ({})", attempt.choice) };
    let price = match cost.formula.as_str() {
        _ if attempt.is_unpriced() => {
            "no price for this model (see `crsctl settings get`, unknown_price)".to_owned()
        }
        "" => "nothing used".to_owned(),
        formula => format!("{formula} = {}", money(cost.rated)),
    };
    format!(
        "{} at {}{chosen} as {}: HTTP {}, {}, verdict {}, first event {} ms, {} ms in all\n{price}",
        attempt.id,
        attempt.account_id,
        attempt.model_sent,
        attempt.status,
        attempt.outcome,
        or(&attempt.verdict, "none"),
        attempt.first_event_us / 1000,
        attempt.total_us / 1000,
    )
}

#[cfg(test)]
mod tests {
    use sdk::types::{Candidate, Explanation, Refusal};

    use super::*;

    #[test]
    fn a_refusal_is_explained_with_its_numbers() {
        let consulted = LimitConsulted {
            limit_id: "l1".into(),
            meter: "requests".into(),
            amount: 1_000,
            refused: true,
            used: 990,
            leased: 10,
            resets_in_ms: 60_000,
            ..LimitConsulted::default()
        };
        let explanation = Explanation {
            limits: vec![consulted],
            candidates: vec![Candidate { account_id: "a1".into(), reason: "busy".into() }],
            ..Explanation::default()
        };
        let refusal =
            Refusal { message: "too many".into(), code: "c".into(), retry_after_ms: 5, ..Refusal::default() };
        let record = UsageRecord {
            status: 429,
            explanation: Some(explanation),
            refusal: Some(refusal),
            ..UsageRecord::default()
        };
        let text: Vec<String> = rows(&record).into_iter().map(|row| row.join(" ")).collect();
        assert!(text.contains(&"refused too many [c]; again in 5 ms".to_owned()), "{text:?}");
        assert!(
            text.contains(
                &"limit l1: refused: 990 used and 10 held of 1,000 requests, resets in 60 s".to_owned()
            ),
            "{text:?}"
        );
        assert!(text.contains(&"account a1: busy".to_owned()), "{text:?}");
    }
}
