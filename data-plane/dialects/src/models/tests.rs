use serde_json::{Value, json};

use super::*;

const IDS: &[&str] = &["claude-opus-4-5-20251101", "claude-3-5-haiku-20241022", "claude-sonnet-5"];

fn list(query: &str) -> Value {
    serde_json::from_slice(&anthropic(IDS, &Page::from_query(query))).unwrap()
}

#[test]
fn an_entry_says_what_its_id_says() {
    assert_eq!(
        list("")["data"][0],
        json!({"type": "model", "id": "claude-opus-4-5-20251101", "display_name": "Claude Opus 4.5",
            "created_at": "2025-11-01T00:00:00Z"})
    );
    assert_eq!(list("")["data"][1]["display_name"], "Claude 3.5 Haiku");
    assert_eq!(list("")["data"][2]["created_at"], "1970-01-01T00:00:00Z");
}

#[test]
fn pages() {
    let first = list("limit=2");
    assert_eq!(first["has_more"], true);
    assert_eq!(first["first_id"], IDS[0]);
    assert_eq!(first["last_id"], IDS[1]);
    let second = list("limit=2&after_id=claude-3-5-haiku-20241022");
    assert_eq!(second["data"].as_array().unwrap().len(), 1);
    assert_eq!(second["has_more"], false);
    assert_eq!(list("before_id=claude-3-5-haiku-20241022")["last_id"], IDS[0]);
    assert_eq!(list("limit=0")["data"].as_array().unwrap().len(), 1);
    assert_eq!(list("after_id=claude-sonnet-5")["first_id"], Value::Null);
}

#[test]
fn openais_and_geminis_lists() {
    let read = |bytes: Bytes| serde_json::from_slice::<Value>(&bytes).unwrap();
    let openai = read(super::list(Dialect::OpenaiChat, &["gpt-5.4", "claude-opus-5-5", "glm-5"], ""));
    assert_eq!(openai["object"], "list");
    let owners: Vec<_> = openai["data"].as_array().unwrap().iter().map(|model| &model["owned_by"]).collect();
    assert_eq!(owners, ["openai", "anthropic", "system"]);
    let gemini =
        read(super::list(Dialect::Gemini, &["gemini-2.5-pro", "gemini-embedding-001"], "pageSize=9"));
    assert_eq!(gemini["models"][0]["name"], "models/gemini-2.5-pro");
    assert_eq!(gemini["models"][0]["displayName"], "Gemini 2.5 Pro");
    assert_eq!(gemini["models"][1]["supportedGenerationMethods"][0], "embedContent");
    assert_eq!(read(one(Dialect::Gemini, "m"))["name"], "models/m");
    assert_eq!(read(one(Dialect::OpenaiChat, "m"))["id"], "m");
}
