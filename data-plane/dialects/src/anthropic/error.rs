//! Error bodies and error events, as Anthropic writes them and as gateways before it nearly do.

use serde::Deserialize;
use serde_json::Value;

pub use crate::error::Found;
use crate::{
    error::{MAX_MESSAGE, bounded},
    fields::Fields,
};

#[derive(Deserialize)]
#[serde(untagged)]
enum Error {
    Object {
        #[serde(rename = "type", default)]
        kind: Option<Value>,
        #[serde(default)]
        code: Option<Value>,
        #[serde(default)]
        status: Option<Value>,
        #[serde(default)]
        message: Option<Value>,
    },
    Text(String),
}

/// Reads the beginning of an error's JSON; it may be cut. What is no JSON tells nothing but its first line.
pub fn read(head: &[u8]) -> Found {
    let mut fields = Fields::new(&["error", "message", "code", "detail", "error_type"]);
    let whole = fields.push(head).is_ok();
    let field = |name| fields.get(name);
    let text = |name| field(name).and_then(|raw| serde_json::from_slice::<Value>(raw).ok());
    let mut found = match field("error").map(serde_json::from_slice::<Error>) {
        Some(Ok(Error::Object { kind, code, status, message })) => Found {
            error_type: [kind, status, code].into_iter().flatten().find_map(word),
            message: message.and_then(word),
        },
        Some(Ok(Error::Text(message))) => Found { error_type: None, message: Some(message) },
        _ => Found::default(),
    };
    found.error_type =
        found.error_type.or_else(|| ["error_type", "code"].into_iter().filter_map(text).find_map(word));
    found.message =
        found.message.or_else(|| ["message", "detail"].into_iter().filter_map(text).find_map(word));
    if !whole && found == Found::default() {
        found.message = first_line(head);
    }
    found.message = found.message.map(bounded);
    found.error_type = found.error_type.map(bounded);
    found
}

/// A string or number as a text.
fn word(value: Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn first_line(head: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&head[..head.len().min(MAX_MESSAGE)]);
    head.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}
