//! One line of the access log.

use std::io::Write as _;

use super::Entry;

/// Appends one JSON object and a newline.
pub fn append(into: &mut Vec<u8>, entry: &Entry<'_>) {
    into.extend_from_slice(b"{\"at_ms\":");
    number(into, entry.at_ms);
    text(into, "request_id", entry.request_id);
    if let Some(client) = entry.client {
        // An address writes digits, dots and colons only.
        let _ = write!(into, ",\"client\":\"{client}\"");
    }
    text(into, "method", entry.method);
    text(into, "path", entry.path);
    integer(into, "status", i64::from(entry.status));
    text(into, "outcome", entry.outcome);
    text(into, "reason", entry.reason);
    text(into, "key_id", entry.key_id);
    text(into, "key", entry.key);
    text(into, "account_id", entry.account_id);
    text(into, "model", entry.model);
    text(into, "client_kind", entry.client_kind);
    integer(into, "attempts", i64::from(entry.attempts));
    integer(into, "input_tokens", entry.input_tokens);
    integer(into, "output_tokens", entry.output_tokens);
    integer(into, "cost_nano_usd", entry.cost);
    integer(into, "request_bytes", entry.request_bytes as i64);
    integer(into, "response_bytes", entry.response_bytes as i64);
    integer(into, "first_byte_us", entry.first_byte_us as i64);
    integer(into, "total_us", entry.total_us as i64);
    into.extend_from_slice(b"}\n");
}

fn number(into: &mut Vec<u8>, value: i64) {
    // Writing into a Vec cannot fail.
    let _ = write!(into, "{value}");
}

fn integer(into: &mut Vec<u8>, name: &str, value: i64) {
    if value != 0 {
        field(into, name);
        number(into, value);
    }
}

fn text(into: &mut Vec<u8>, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    field(into, name);
    into.push(b'"');
    let bare = |byte: &u8| (0x20..0x7f).contains(byte) && !matches!(byte, b'"' | b'\\') || *byte >= 0x80;
    let plain = value.bytes().position(|byte| !bare(&byte)).unwrap_or(value.len());
    into.extend_from_slice(&value.as_bytes()[..plain]);
    for byte in value.bytes().skip(plain) {
        match byte {
            b'"' | b'\\' => into.extend_from_slice(&[b'\\', byte]),
            0..0x20 | 0x7f => {
                let _ = write!(into, "\\u{byte:04x}");
            }
            _ => into.push(byte),
        }
    }
    into.push(b'"');
}

fn field(into: &mut Vec<u8>, name: &str) {
    into.extend_from_slice(b",\"");
    into.extend_from_slice(name.as_bytes());
    into.extend_from_slice(b"\":");
}
