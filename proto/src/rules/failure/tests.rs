//! One test per row and more: each row is reached by an answer of its own, and says what it should.

use super::*;
use crate::rules::verdict::{Retry, Verdict};

const NOW: i64 = 1_800_000_000_000;
const MINUTE: i64 = 60_000;

fn seen(status: u16) -> Seen<'static> {
    Seen { status, now_ms: NOW, ..Seen::default() }
}

fn with(status: u16, error_type: &'static str, message: &'static str) -> Seen<'static> {
    let some = |text: &'static str| (!text.is_empty()).then_some(text);
    Seen { error_type: some(error_type), error_message: some(message), ..seen(status) }
}

/// The row that an answer falls under, and its verdict's word.
fn judged(seen: &Seen<'_>) -> (&'static str, &'static str) {
    let table = Table::standard();
    (table.row(seen).name, table.judge(seen).name())
}

/// An answer, the row that it reaches, and the verdict.
type Case = (Seen<'static>, &'static str, &'static str);

fn every_row() -> Vec<Case> {
    [up_to_399(), from_400(), from_408()].concat()
}

fn up_to_399() -> Vec<Case> {
    vec![
        (Seen::no_first_event(NOW), "no_first_event", "unreachable"),
        (Seen::empty_stream(200, NOW), "empty_stream", "broken"),
        (Seen::connect_error("connection refused", NOW), "connect", "unreachable"),
        (seen(0), "no_answer", "unreachable"),
        (
            with(200, "invalid_request_error", "This organization has been disabled."),
            "first_event_dead",
            "dead",
        ),
        (with(200, "billing_error", ""), "first_event_money", "payment_required"),
        (with(200, "overloaded_error", "Overloaded"), "first_event_room", "overloaded"),
        (with(200, "authentication_error", ""), "first_event_auth", "unauthorized"),
        (with(200, "permission_error", ""), "first_event_permission", "forbidden"),
        (with(200, "rate_limit_error", ""), "first_event_rate", "limited"),
        (with(200, "timeout_error", ""), "first_event_time", "unreachable"),
        (with(200, "invalid_request_error", "messages: required"), "first_event_request", "client_fault"),
        (with(200, "api_error", "Internal server error"), "first_event_other", "broken"),
        (seen(200), "fine", "fine"),
        (seen(302), "redirect", "broken"),
    ]
}

fn from_400() -> Vec<Case> {
    vec![
        (with(400, "invalid_request_error", "This Organization has been DISABLED."), "closed_400", "dead"),
        (with(400, "", "too many active sessions"), "unusable_400", "forbidden"),
        (
            with(400, "invalid_request_error", "Your credit balance is too low"),
            "money_400",
            "payment_required",
        ),
        (with(400, "INVALID_ARGUMENT", "API key not valid."), "invalid_key_400", "unauthorized"),
        (with(400, "invalid_request_error", "max_tokens: required"), "invalid_request", "client_fault"),
        (with(401, "", "account has been deactivated"), "closed_401", "dead"),
        (with(401, "authentication_error", "invalid x-api-key"), "unauthorized", "unauthorized"),
        (seen(402), "payment_required", "payment_required"),
        (
            with(403, "permission_error", "OAuth authentication is currently not allowed"),
            "closed_403",
            "dead",
        ),
        (with(403, "billing_error", ""), "money_403", "payment_required"),
        (with(403, "permission_error", "no access to the model opus"), "model_403", "busy"),
        (with(403, "permission_error", "denied"), "forbidden", "forbidden"),
        (with(404, "not_found_error", "model: claude-9"), "model_not_found", "client_fault"),
        (seen(404), "path_not_found", "client_fault"),
        (seen(405), "method_not_allowed", "client_fault"),
        (seen(407), "proxy_authentication", "unreachable"),
    ]
}

fn from_408() -> Vec<Case> {
    vec![
        (seen(408), "request_timeout", "busy"),
        (seen(409), "conflict", "busy"),
        (with(413, "request_too_large", ""), "too_large", "client_fault"),
        (seen(422), "unprocessable", "client_fault"),
        (seen(423), "locked", "busy"),
        (seen(425), "too_early", "busy"),
        (with(429, "rate_limit_error", "Extra usage is required"), "extra_usage_429", "client_fault"),
        (with(429, "insufficient_quota", ""), "money_429", "payment_required"),
        (with(429, "", "Too many concurrent requests"), "concurrency_429", "busy"),
        (with(429, "overloaded_error", ""), "over_capacity_429", "overloaded"),
        (Seen { family: Some("opus"), ..seen(429) }, "family_429", "family_limited"),
        (Seen { reset_at_ms: Some(NOW + MINUTE), ..seen(429) }, "window_429", "limited"),
        (with(429, "rate_limit_error", ""), "per_minute_429", "limited"),
        (seen(499), "closed_request", "busy"),
        (seen(418), "other_4xx", "client_fault"),
        (with(500, "overloaded_error", ""), "overloaded_5xx", "overloaded"),
        (with(500, "api_error", ""), "internal", "broken"),
        (seen(501), "not_implemented", "client_fault"),
        (seen(502), "bad_gateway", "broken"),
        (seen(503), "unavailable", "broken"),
        (seen(504), "gateway_timeout", "unreachable"),
        (seen(529), "overloaded", "overloaded"),
        (seen(599), "other_5xx", "broken"),
        (seen(700), "other", "broken"),
    ]
}

#[test]
fn every_row_is_reached_by_an_answer_of_its_own() {
    let cases = every_row();
    for (seen, row, verdict) in &cases {
        assert_eq!(judged(seen), (*row, *verdict), "{seen:?}");
    }
    let table = Table::standard();
    for row in table.rows() {
        assert!(cases.iter().any(|(_, name, _)| *name == row.name), "no test for the row {}", row.name);
        assert_eq!(
            table.rows().filter(|other| other.name == row.name).count(),
            1,
            "{} stands twice",
            row.name
        );
    }
}

#[test]
fn g7_every_account_failure_moves_on_and_no_client_fault_does() {
    for status in [401, 402, 403, 408, 409, 429, 500, 502, 503, 504, 520, 529] {
        assert_eq!(Table::standard().judge(&seen(status)).retry(), Retry::AnotherAccount, "{status}");
    }
    for status in [400, 404, 405, 413, 422] {
        let verdict = Table::standard().judge(&seen(status));
        assert_eq!((verdict.retry(), verdict.account_state()), (Retry::Never, None), "{status}");
    }
}

#[test]
fn every_status_has_a_verdict_and_every_pause_a_bound() {
    let eight_days = 8 * 24 * 60 * MINUTE;
    let asked = [None, Some(-5), Some(0), Some(30_000), Some(i64::MAX)];
    for status in 0..=999 {
        for retry_after_ms in asked {
            for reset_at_ms in [None, Some(NOW - 1), Some(NOW + MINUTE), Some(i64::MAX)] {
                let seen = Seen { retry_after_ms, reset_at_ms, ..seen(status) };
                let verdict = Table::standard().judge(&seen);
                if let Some((_, Some(until))) = verdict.account_state() {
                    assert!((NOW..=NOW + eight_days).contains(&until), "{seen:?}: {verdict:?}");
                }
            }
        }
    }
}

#[test]
fn a_429_blocks_only_what_it_speaks_of_until_the_time_it_states() {
    let judge = |seen: &Seen<'_>| Table::standard().judge(seen);
    let minute = Seen { retry_after_ms: Some(7_000), ..seen(429) };
    assert_eq!(judge(&minute), Verdict::Limited { until_ms: NOW + 7_000 });
    let reset = Seen { reset_at_ms: Some(NOW + 5 * 3_600_000), retry_after_ms: Some(7_000), ..seen(429) };
    assert_eq!(judge(&reset), Verdict::Limited { until_ms: NOW + 5 * 3_600_000 });
    let past = Seen { reset_at_ms: Some(NOW - 1), ..seen(429) };
    assert_eq!(judge(&past), Verdict::Limited { until_ms: NOW + MINUTE });
    let family = Seen { family: Some("opus"), ..reset };
    let until_ms = NOW + 5 * 3_600_000;
    assert_eq!(judge(&family), Verdict::FamilyLimited { family: "opus".into(), until_ms });
    let crowded = Seen { retry_after_ms: Some(3_000), ..with(429, "overloaded_error", "") };
    assert_eq!(judge(&crowded), Verdict::Overloaded { until_ms: NOW + 3_000 });
}

#[test]
fn a_disabled_text_is_only_believed_with_a_status_that_means_the_account() {
    // An upstream that repeats the client's words in a 404 or 422 closes nothing.
    for status in [404, 413, 422, 429, 500] {
        let verdict = Table::standard().judge(&with(status, "", "organization has been disabled"));
        assert_ne!(verdict, Verdict::Dead, "{status}");
    }
}

#[test]
fn a_platform_puts_its_own_row_in_front_or_replaces_one() {
    let own = Row::new("teapot", Status::Is(418), When::Always, Then::Busy);
    let table = Table::standard().with_override(own);
    assert_eq!(table.judge(&seen(418)).name(), "busy");
    assert_eq!(table.judge(&seen(500)).name(), "broken");

    let replaced = Row::new("overloaded", Status::Is(529), When::Always, Then::Overloaded(Pause::new(1, 2)));
    let table = Table::standard().with_override(replaced);
    assert_eq!(table.judge(&seen(529)), Verdict::Overloaded { until_ms: NOW + 1 });
    assert_eq!(table.rows().filter(|row| row.name == "overloaded").count(), 1);
}

#[test]
fn a_client_is_never_told_of_an_accounts_401() {
    for (seen, row, _) in every_row() {
        let verdict = Table::standard().judge(&seen);
        let Some(told) = told(&verdict, &seen) else {
            assert_eq!(verdict, Verdict::Fine, "{row}");
            continue;
        };
        assert_ne!(told.status, 401, "{row}");
        if verdict != Verdict::ClientFault {
            assert!([429, 502, 503, 504].contains(&told.status), "{row}: {told:?}");
        }
        assert!(told.retry_after_ms.is_none_or(|ms| ms >= 0), "{row}");
    }
}

#[test]
fn a_clients_fault_is_told_as_the_upstream_told_it() {
    let told_of = |seen: &Seen<'_>| told(&Table::standard().judge(seen), seen).unwrap();
    assert_eq!(told_of(&seen(413)).status, 413);
    assert_eq!(told_of(&with(200, "invalid_request_error", "")).status, 400);
    let limited = told_of(&Seen { retry_after_ms: Some(9_000), ..seen(429) });
    assert_eq!((limited.status, limited.retry_after_ms), (429, Some(9_000)));
    assert_eq!(told_of(&Seen::no_first_event(NOW)).status, 504);
}
