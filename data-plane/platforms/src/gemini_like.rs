//! What platforms that speak Google's generateContent have in common: the words in paths, the probe's body.

use dialects::Operation;

use crate::platform::{Call, PrepareError};

/// The word after the model that an operation has.
pub(crate) fn verb(call: &Call<'_>) -> Result<&'static str, PrepareError> {
    Ok(match (call.operation, call.verb) {
        (Operation::GenerateContent, _) if call.stream => "streamGenerateContent",
        (Operation::GenerateContent, _) => "generateContent",
        (Operation::CountTokens, _) => "countTokens",
        (Operation::Embeddings, "batchEmbedContents") => "batchEmbedContents",
        (Operation::Embeddings, _) => "embedContent",
        (other, _) => return Err(PrepareError::Unsupported(other)),
    })
}

/// The query: the client's own without what the relay decides, and `alt=sse` for a stream of events, the only form of a
/// stream that a relay can judge and meter event by event.
pub(crate) fn query(client: Option<String>, stream: bool) -> Option<String> {
    let kept = client.as_deref().unwrap_or_default();
    let pairs = kept.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("alt="));
    let query: Vec<&str> = pairs.chain(stream.then_some("alt=sse")).collect();
    (!query.is_empty()).then(|| query.join("&"))
}

/// A model's name as a path has it, without `models/` before it; none where it cannot stand in one.
pub(crate) fn model_in_path(model: &str) -> Result<String, PrepareError> {
    let name = model.strip_prefix("models/").unwrap_or(model);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte);
    if name.is_empty() || matches!(name, "." | "..") {
        return Err(PrepareError::BadModel);
    }
    Ok(name.bytes().fold(String::new(), |mut path, byte| {
        if plain(byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
        path
    }))
}

/// The body of a probe: the smallest request that a model answers.
pub(crate) fn probe_body() -> serde_json::Value {
    serde_json::json!({
        "contents": [{ "role": "user", "parts": [{ "text": "hi" }] }],
        "generationConfig": { "maxOutputTokens": 16 },
    })
}
