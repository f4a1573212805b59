use serde_json::{Value, json};

use super::*;

fn json_of(dialect: Dialect, problem: &Problem<'_>) -> Value {
    serde_json::from_slice(&body(dialect, problem).2).unwrap()
}

#[test]
fn anthropics_shape() {
    let problem = Problem::new(Kind::RateLimit, "too many \"requests\"", "req_1");
    assert_eq!(
        json_of(Dialect::AnthropicMessages, &problem),
        json!({"type": "error", "request_id": "req_1",
            "error": {"type": "rate_limit_error", "message": "too many \"requests\""}})
    );
    assert_eq!(body(Dialect::AnthropicMessages, &problem).0, 429);
    assert_eq!(Kind::Overloaded.status().as_u16(), 529);
}

#[test]
fn openais_shape() {
    let problem = Problem::new(Kind::Billing, "used up", "req_1").code("daily_cost_limit_exceeded");
    assert_eq!(
        json_of(Dialect::OpenaiChat, &problem),
        json!({"error": {"message": "used up", "type": "insufficient_quota", "param": null,
            "code": "daily_cost_limit_exceeded"}})
    );
}

#[test]
fn geminis_shape_tells_how_long_to_wait() {
    let problem = Problem::new(Kind::RateLimit, "wait", "").retry_after_ms(1500);
    let json = json_of(Dialect::Gemini, &problem);
    assert_eq!(json["error"]["code"], 429);
    assert_eq!(json["error"]["status"], "RESOURCE_EXHAUSTED");
    assert_eq!(json["error"]["details"][0]["retryDelay"], "1.5s");
}

#[test]
fn a_stream_ends_in_an_event_that_its_dialect_reads() {
    let problem = Problem::new(Kind::Api, "broke\noff", "r");
    for dialect in Dialect::ALL {
        let event = stream_event(dialect, &problem);
        let text = std::str::from_utf8(&event).unwrap();
        assert!(text.ends_with("\n\n"));
        let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        assert!(data.contains("broke\\noff"));
        assert_eq!(text.matches('\n').count(), if text.starts_with("event: error\n") { 3 } else { 2 });
    }
}

#[test]
fn a_bad_key_is_not_worth_a_retry_and_a_full_node_is() {
    assert!(!Kind::Authentication.waiting_helps());
    assert!(!Kind::Billing.waiting_helps());
    assert!(Kind::Unavailable.waiting_helps());
}
