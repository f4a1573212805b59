//! The list of models, as clients of a dialect ask for it. What models there are is the caller's to say; what is not known
//! of one (its owner, its limits) is left out or told as the API's own description allows.

use bytes::Bytes;
use proto::rules::family;
use serde_json::{Value, json};

use crate::Dialect;

#[cfg(test)]
mod tests;

/// What a list is asked for: Anthropic's paging.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// At most so many; 20 when not said, 1,000 at most.
    pub limit: Option<usize>,
    /// Only those after this id.
    pub after_id: Option<String>,
    /// Only those before this id.
    pub before_id: Option<String>,
}

impl Page {
    /// From a query string; what cannot be read is left out.
    pub fn from_query(query: &str) -> Self {
        let mut page = Self::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "limit" => page.limit = value.parse().ok(),
                "after_id" => page.after_id = Some(value.to_owned()),
                "before_id" => page.before_id = Some(value.to_owned()),
                _ => {}
            }
        }
        page
    }
}

/// A list in a dialect's form.
pub fn list<S: AsRef<str>>(dialect: Dialect, ids: &[S], query: &str) -> Bytes {
    match dialect {
        Dialect::AnthropicMessages => anthropic(ids, &Page::from_query(query)),
        Dialect::OpenaiChat | Dialect::OpenaiResponses => {
            let data: Vec<_> = ids.iter().map(|id| openai(id.as_ref())).collect();
            json!({ "object": "list", "data": data }).to_string().into()
        }
        Dialect::Gemini => {
            let models: Vec<_> = ids.iter().map(|id| gemini(id.as_ref())).collect();
            json!({ "models": models }).to_string().into()
        }
    }
}

/// One model in a dialect's form.
pub fn one(dialect: Dialect, id: &str) -> Bytes {
    let model = match dialect {
        Dialect::AnthropicMessages => entry(id),
        Dialect::OpenaiChat | Dialect::OpenaiResponses => openai(id),
        Dialect::Gemini => gemini(id),
    };
    model.to_string().into()
}

fn openai(id: &str) -> Value {
    let owner = match family::permission(id) {
        Some("claude") => "anthropic",
        Some("gemini") => "google",
        Some(_) => "openai",
        None => "system",
    };
    json!({ "id": id, "object": "model", "created": 0, "owned_by": owner })
}

fn gemini(id: &str) -> Value {
    let methods: &[&str] = if id.contains("embedding") {
        &["embedContent", "batchEmbedContents"]
    } else {
        &["generateContent", "streamGenerateContent", "countTokens"]
    };
    json!({
        "name": format!("models/{id}"),
        "displayName": display_name(id),
        "supportedGenerationMethods": methods,
    })
}

/// A list in Anthropic's form.
pub fn anthropic<S: AsRef<str>>(ids: &[S], page: &Page) -> Bytes {
    let ids: Vec<&str> = ids.iter().map(AsRef::as_ref).collect();
    let position = |id: &Option<String>| ids.iter().position(|known| Some(*known) == id.as_deref());
    let start = position(&page.after_id).map_or(0, |at| at + 1);
    let end = position(&page.before_id).unwrap_or(ids.len()).max(start);
    let limit = page.limit.unwrap_or(20).clamp(1, 1000);
    let shown = &ids[start..end.min(start + limit)];
    let data: Vec<_> = shown.iter().map(|id| entry(id)).collect();
    json!({
        "data": data,
        "has_more": end > start + limit,
        "first_id": shown.first(),
        "last_id": shown.last(),
    })
    .to_string()
    .into()
}

/// One model in Anthropic's form.
pub fn entry(id: &str) -> Value {
    json!({ "type": "model", "id": id, "display_name": display_name(id), "created_at": created_at(id) })
}

/// A name for people, made from the id: `claude-opus-4-5-20251101` reads "Claude Opus 4.5".
fn display_name(id: &str) -> String {
    let mut name = String::new();
    let mut after_number = false;
    for part in id.split('-').filter(|part| date(part).is_none()) {
        let number = part.bytes().all(|byte| byte.is_ascii_digit());
        if !name.is_empty() {
            name.push(if number && after_number { '.' } else { ' ' });
        }
        let mut letters = part.chars();
        name.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        name.push_str(letters.as_str());
        after_number = number;
    }
    name
}

/// The date in the id, or the epoch, which the API's own description allows where a date is not known.
fn created_at(id: &str) -> String {
    let date = id.split('-').find_map(date).unwrap_or(("1970", "01", "01"));
    format!("{}-{}-{}T00:00:00Z", date.0, date.1, date.2)
}

fn date(part: &str) -> Option<(&str, &str, &str)> {
    let date = part.len() == 8 && part.starts_with("20") && part.bytes().all(|byte| byte.is_ascii_digit());
    date.then(|| (&part[..4], &part[4..6], &part[6..]))
}
