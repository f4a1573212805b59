//! Error bodies and error chunks as OpenAI writes them, in both of its dialects, and as servers like it nearly do.

use serde_json::Value;

use crate::{anthropic, error::Found, fields::Fields};

const KEYS: &[&str] = &["error.type", "error.code", "error.message"];

/// Reads the beginning of an error's JSON; it may be cut. OpenAI's `type` is coarse (`invalid_request_error` for a bad key,
/// `tokens` for a rate limit) and its `code` fine, so the code counts; but of a request that is wrong in one of a hundred
/// ways, that it is wrong.
pub fn read(head: &[u8]) -> Found {
    let mut fields = Fields::new(KEYS);
    // What came whole before a cut counts.
    let _ = fields.push(head);
    let word = |key| fields.get(key).and_then(word);
    let (kind, code, message) = (word("error.type"), word("error.code"), word("error.message"));
    if kind.is_none() && code.is_none() && message.is_none() {
        return anthropic::error::read(head);
    }
    Found { error_type: chosen(kind, code), message: message.map(crate::error::bounded) }
}

/// Of type and code the one that tells more.
pub(crate) fn chosen(kind: Option<String>, code: Option<String>) -> Option<String> {
    let wrong = kind.as_deref() == Some("invalid_request_error");
    match code {
        Some(code) if !wrong || code == "invalid_api_key" => Some(crate::error::bounded(code)),
        _ => kind.map(crate::error::bounded),
    }
}

/// A string or number as a text.
pub(crate) fn word(raw: &[u8]) -> Option<String> {
    match serde_json::from_slice(raw).ok()? {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(body: &str) -> (Option<String>, Option<String>) {
        let found = read(body.as_bytes());
        (found.error_type, found.message)
    }

    #[test]
    fn the_finer_word_counts() {
        for (body, kind) in [
            (
                r#"{"error":{"message":"m","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
                "invalid_api_key",
            ),
            (
                r#"{"error":{"message":"m","type":"tokens","code":"rate_limit_exceeded"}}"#,
                "rate_limit_exceeded",
            ),
            (
                r#"{"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}}"#,
                "insufficient_quota",
            ),
            (
                r#"{"error":{"message":"m","type":"invalid_request_error","code":"unknown_parameter"}}"#,
                "invalid_request_error",
            ),
            (r#"{"error":{"message":"m","type":"server_error","code":null}}"#, "server_error"),
            (r#"{"error":{"message":"m","code":502}}"#, "502"),
        ] {
            assert_eq!(found(body), (Some(kind.into()), Some("m".into())), "{body}");
        }
    }

    #[test]
    fn other_forms_are_read_as_far_as_they_go() {
        assert_eq!(found(r#"{"error":"no"}"#), (None, Some("no".into())));
        assert_eq!(found(r#"{"detail":"Unauthorized"}"#), (None, Some("Unauthorized".into())));
        assert_eq!(found("<html>\n502\n"), (None, Some("<html>".into())));
        assert_eq!(found(r#"{"error":{"message":"cut","type":"server_error","par"#).1, Some("cut".into()));
    }
}
