//! How much text an event brings, for streams that broke off before their usage was told. Searched for, not parsed: a
//! few such streams are estimated, never more than their last events.

use memchr::memmem;

use crate::Dialect;

/// Where a dialect's events have what the model said: its answer, its thinking, the input of a tool.
const fn keys(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::AnthropicMessages => &["\"text\"", "\"thinking\"", "\"partial_json\""],
        Dialect::OpenaiChat => &["\"content\"", "\"reasoning_content\"", "\"arguments\""],
        Dialect::OpenaiResponses => &["\"delta\""],
        Dialect::Gemini => &["\"text\""],
    }
}

/// Bytes of such text in an event; of one that was cut off, what there is of it.
pub(super) fn bytes(dialect: Dialect, event: &[u8]) -> u64 {
    let texts = keys(dialect)
        .iter()
        .flat_map(|key| memmem::find_iter(event, key.as_bytes()).map(|at| string(&event[at + key.len()..])));
    texts.sum()
}

/// The length of the string behind a key, a byte for each escape less; 0 where none stands there.
fn string(after: &[u8]) -> u64 {
    let value = after.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start);
    let Some(text) = value.and_then(|value| value.strip_prefix(b"\"")) else { return 0 };
    let (mut at, mut end, mut escapes) = (0, text.len(), 0);
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        if text[at + found] == b'"' {
            end = at + found;
            break;
        }
        at += found + 2;
        escapes += 1;
    }
    (end - escapes) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_model_said_is_measured_and_nothing_else() {
        for (dialect, event, expected) in [
            (Dialect::AnthropicMessages, r#"data: {"delta":{"type":"text_delta","text":"Hi there"}}"#, 8),
            (Dialect::AnthropicMessages, r#"data: {"delta":{"thinking" : "a\"b\\"}}"#, 4),
            (Dialect::AnthropicMessages, r#"data: {"delta":{"text":"it says \"text\": \"no\""}}"#, 20),
            (Dialect::AnthropicMessages, r#"data: {"delta":{"text":"cut o"#, 5),
            (Dialect::AnthropicMessages, r#"data: {"content_block":{"type":"text","text":""}}"#, 0),
            (Dialect::OpenaiChat, r#"data: {"choices":[{"delta":{"content":"Hi"}}]}"#, 2),
            (Dialect::OpenaiChat, r#"data: {"choices":[{"delta":{"content":null}}]}"#, 0),
            (Dialect::OpenaiResponses, r#"data: {"type":"response.output_text.delta","delta":"Hi"}"#, 2),
            (Dialect::Gemini, r#"data: {"candidates":[{"content":{"parts":[{"text": "Hi"}]}}]}"#, 2),
            (Dialect::Gemini, "data: {\"text\":\"\\", 0),
        ] {
            assert_eq!(bytes(dialect, event.as_bytes()), expected, "{event}");
        }
    }
}
