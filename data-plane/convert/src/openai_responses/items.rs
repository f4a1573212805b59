//! Items of the Responses API, as both requests and answers hold them.

use crate::{
    json::{Json, Object, object},
    neutral::Text,
};

/// A message of these parts.
pub(crate) fn message<'a>(role: &'static str, content: Vec<Json<'a>>) -> Json<'a> {
    object! { "type": "message", "role": role, "content": content }.into()
}

/// A summary of thoughts.
pub(crate) fn summary<'a>(text: Text<'a>) -> Vec<Json<'a>> {
    if text.is_empty() { Vec::new() } else { vec![object! { "type": "summary_text", "text": text }.into()] }
}

/// An answer's message of one text.
pub(crate) fn output_message<'a>(id: &str, status: &'static str, text: &'a str) -> Object<'a> {
    object! {
        "id": id.to_owned(),
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": vec![Json::from(output_text(text))],
    }
}

/// A part of an answer's message.
pub(crate) fn output_text(text: &str) -> Object<'_> {
    let none = Vec::<Json<'_>>::new();
    object! { "type": "output_text", "text": text, "annotations": none.clone(), "logprobs": none }
}

/// An answer's thoughts.
pub(crate) fn reasoning<'a>(id: &str, text: &'a str, sealed: Option<String>) -> Object<'a> {
    object! {
        "id": id.to_owned(),
        "type": "reasoning",
        "summary": summary(text.into()),
        "encrypted_content": sealed,
    }
}

/// A call as an answer tells it.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallItem {
    /// The item's own id.
    pub(crate) id: String,
    /// The call's.
    pub(crate) call_id: String,
    /// The tool.
    pub(crate) name: String,
    /// The name space that it stands in.
    pub(crate) namespace: Option<String>,
    /// Whether it takes any text.
    pub(crate) is_custom: bool,
}

impl CallItem {
    /// The item, with arguments or input so far.
    pub(crate) fn json<'a>(&self, status: &'static str, arguments: &'a str) -> Object<'a> {
        let (kind, field) =
            if self.is_custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
        let mut item = object! {
            "id": self.id.clone(),
            "type": kind,
            "status": status,
            "call_id": self.call_id.clone(),
            "name": self.name.clone(),
            "namespace": self.namespace.clone(),
        };
        item.put(field, arguments);
        item
    }
}
