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

fn openai(dialect: Dialect, headers: &[(&'static str, &str)], body: &str) -> Option<Evidence> {
    let map = headers
        .iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
        .collect();
    identify(dialect, &map, &peek::peek(dialect, body.as_bytes()).unwrap())
}

#[test]
fn rule_21_kept_state_is_the_strongest() {
    let dialect = Dialect::OpenaiResponses;
    let body = r#"{"model":"m","previous_response_id":"resp_1","prompt_cache_key":"k","input":"hi"}"#;
    assert_eq!(openai(dialect, &[("session-id", "s")], body), kept_answer("resp_1"));
    for body in [r#"{"conversation":"conv_1"}"#, r#"{"conversation":{"id":"conv_1"}}"#] {
        assert_eq!(openai(dialect, &[], body), Some(("conversation", b"conv_1".to_vec())));
    }
    let body = r#"{"previous_response_id":null,"conversation_id":"c","prompt_cache_key":"k"}"#;
    assert_eq!(openai(dialect, &[], body), Some(("body_session", b"c".to_vec())));
    assert_eq!(openai(dialect, &[("session-id", "s")], body), Some(("header:session-id", b"s".to_vec())));
}

#[test]
fn conversations_of_one_application_are_told_apart_by_their_first_message() {
    let chat = |system: &str, user: &str, more: &str| {
        let body = format!(
            r#"{{"messages":[{{"role":"system","content":"{system}"}},{{"content":[{{"type":"text","text":"{user}"}}],"role":"user"}}{more}]}}"#
        );
        openai(Dialect::OpenaiChat, &[], &body).unwrap()
    };
    let one = chat("be nice", "hello", "");
    assert_eq!(one.0, "first_message");
    assert_eq!(one, chat("be nice", "hello", r#",{"role":"assistant","content":"hi"}"#));
    assert_ne!(one, chat("be nice", "good day", ""));
    let gemini = |first: &str| {
        let body = format!(
            r#"{{"systemInstruction":{{"parts":[{{"text":"s"}}]}},"contents":[{{"role":"user","parts":[{{"text":"{first}"}}]}}]}}"#
        );
        openai(Dialect::Gemini, &[], &body).unwrap()
    };
    assert_eq!(gemini("a").0, "first_message");
    assert_ne!(gemini("a"), gemini("b"));
    let within = openai(
        Dialect::Gemini,
        &[],
        r#"{"model":"m","request":{"contents":[{"role":"user","parts":[{"text":"a"}]}]}}"#,
    );
    assert_eq!(within.unwrap(), gemini("a"));
}
