use super::*;
use crate::peek;

const UUID: &str = "0f6b5a1e-3c1d-4f8e-9a51-2f6b7f0c9d11";

fn request(headers: &[(&'static str, &str)], body: &str) -> Option<Evidence> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, value.parse().unwrap());
    }
    identify(
        Dialect::AnthropicMessages,
        &map,
        &peek::peek(Dialect::AnthropicMessages, body.as_bytes()).unwrap(),
    )
}

fn user_id(user_id: &str) -> String {
    serde_json::json!({ "model": "m", "metadata": { "user_id": user_id }, "system": "s" }).to_string()
}

#[test]
fn claude_codes_header_is_the_strongest() {
    let body = user_id(&format!("user_{}_account__session_{UUID}", "a".repeat(64)));
    let found = request(&[("x-claude-code-session-id", "abc"), ("x-session-id", "other")], &body);
    assert_eq!(found, Some(("header:x-claude-code-session-id", b"abc".to_vec())));
    let found = request(&[("x-session-id", "other")], &body);
    assert_eq!(found, Some(("metadata.user_id", UUID.as_bytes().to_vec())));
}

#[test]
fn both_forms_of_user_id_name_the_same_session() {
    let old = format!("user_{}_account_{UUID}_session_{UUID}", "0".repeat(64));
    let new = format!(r#"{{"device_id":"d","account_uuid":"","session_id":"{UUID}"}}"#);
    assert_eq!(request(&[], &user_id(&old)), request(&[], &user_id(&new)));
    assert_eq!(session_of_user_id("user_x_session_y"), None, "no account part: some other text");
    assert_eq!(session_of_user_id("{\"session_id\":7}"), None);
    assert_eq!(session_of_user_id("customer-17"), None);
}

#[test]
fn sub_agents_of_a_session_are_kept_apart() {
    let main = request(&[("x-claude-code-session-id", "abc")], "{}").unwrap();
    let agent =
        |id| request(&[("x-claude-code-session-id", "abc"), ("x-claude-code-agent-id", id)], "{}").unwrap();
    assert_ne!(main, agent("a0"));
    assert_ne!(agent("a0"), agent("a1"));
    assert_eq!(agent("a0").0, main.0);
}

#[test]
fn other_clients_headers_come_before_how_the_conversation_starts() {
    let body = r#"{"model":"m","system":"be kind","messages":[{"role":"user","content":"hi"}]}"#;
    for name in ["x-session-id", "session-id", "session_id", "conversation_id"] {
        assert_eq!(request(&[(name, "s1")], body).unwrap().1, b"s1");
    }
    assert_eq!(request(&[], body).unwrap().0, "system_text");
    assert_eq!(request(&[("session-id", "  ")], body).unwrap().0, "system_text", "blank is nothing");
}

#[test]
fn what_starts_alike_is_one_session_and_else_not() {
    let with = |system: &str, first: &str, last: &str| {
        let body = serde_json::json!({"model":"m","system":[{"type":"text","text":system,
            "cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":first},
            {"role":"assistant","content":"ok"},{"role":"user","content":last}]});
        request(&[], &body.to_string()).unwrap()
    };
    assert_eq!(with("a", "b", "c"), with("a", "b", "d"));
    assert_eq!(with("a", "b", "c").0, "cached_text");
    assert_ne!(with("a", "b", "c"), with("x", "b", "c"));
    assert_eq!(request(&[], r#"{"model":"m","messages":[{"content":[{"type":"image"}]}]}"#), None);
}
