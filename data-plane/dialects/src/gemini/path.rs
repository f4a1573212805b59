//! What a path says: Gemini's clients name model and verb there, not in the body. `…/models/{model}:{verb}`, or
//! `…/v1internal:{verb}` for Gemini CLI's own API, whose model stands in the body.

use std::borrow::Cow;

use crate::Operation;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// The model; `None`: the body names it.
    pub model: Option<Cow<'a, str>>,
    /// What is asked for.
    pub operation: Operation,
    /// Whether the answer is a stream.
    pub streams: bool,
    /// The verb itself.
    pub verb: &'a str,
}

/// Reads a path's last segment (`{model}:{verb}` or `v1internal:{verb}`); `None` where it names no verb that is served.
pub fn named(segment: &str) -> Option<Named<'_>> {
    let (name, verb) = split(segment)?;
    let internal = name == INTERNAL;
    let (operation, streams) = match verb {
        "generateContent" => (Operation::GenerateContent, false),
        "streamGenerateContent" => (Operation::GenerateContent, true),
        "countTokens" => (Operation::CountTokens, false),
        "embedContent" | "batchEmbedContents" if !internal => (Operation::Embeddings, false),
        _ if internal && is_word(verb) => (Operation::CodeAssist, false),
        _ => return None,
    };
    let model = (!internal).then(|| unescaped(name));
    if model.as_deref().is_some_and(|model| !is_model(model)) {
        return None;
    }
    Some(Named { model, operation, streams, verb })
}

/// What stands before the verb in Gemini CLI's own API.
pub const INTERNAL: &str = "v1internal";

/// At the last colon, which some clients escape.
fn split(segment: &str) -> Option<(&str, &str)> {
    segment.rsplit_once(':').or_else(|| segment.rsplit_once("%3A")).or_else(|| segment.rsplit_once("%3a"))
}

fn is_word(verb: &str) -> bool {
    (1..=64).contains(&verb.len()) && verb.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Whether it can stand in a path of ours as it is: names of models do.
fn is_model(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._@:[]".contains(&byte);
    (1..=256).contains(&name.len()) && name.bytes().all(plain)
}

/// The segment with its escapes read. What is not plain then is no model.
fn unescaped(name: &str) -> Cow<'_, str> {
    if !name.contains('%') {
        return Cow::Borrowed(name);
    }
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = |at: usize| after.get(at).and_then(|&byte| char::from(byte).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (byte, hex(0), hex(1)) {
            bytes.push((high << 4 | low) as u8);
            rest = &after[2..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(segment: &str) -> Option<(Option<String>, Operation, bool)> {
        let Named { model, operation, streams, .. } = named(segment)?;
        Some((model.map(Cow::into_owned), operation, streams))
    }

    #[test]
    fn model_and_verb() {
        let model = Some("gemini-2.5-pro".to_owned());
        for (segment, expected) in [
            ("gemini-2.5-pro:generateContent", Some((model.clone(), Operation::GenerateContent, false))),
            ("gemini-2.5-pro:streamGenerateContent", Some((model.clone(), Operation::GenerateContent, true))),
            ("gemini-2.5-pro%3AcountTokens", Some((model.clone(), Operation::CountTokens, false))),
            ("gemini%2D2.5-pro:countTokens", Some((model, Operation::CountTokens, false))),
            ("v1internal:streamGenerateContent", Some((None, Operation::GenerateContent, true))),
            ("v1internal:loadCodeAssist", Some((None, Operation::CodeAssist, false))),
            ("gemini-2.5-pro:loadCodeAssist", None),
            ("gemini-2.5-pro", None),
            (":generateContent", None),
            ("a%20b:generateContent", None),
            ("a%ff:generateContent", None),
            ("v1internal:a-b", None),
        ] {
            assert_eq!(found(segment), expected, "{segment}");
        }
    }
}
