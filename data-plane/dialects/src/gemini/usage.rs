//! Gemini's `usageMetadata`: totals so far, the prompt with what of it was cached, thoughts beside the candidates.

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};

use crate::{
    figure::{Figure, Lenient, Text},
    usage::Counts,
};

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Said {
    prompt_token_count: Figure,
    cached_content_token_count: Figure,
    candidates_token_count: Figure,
    thoughts_token_count: Figure,
    tool_use_prompt_token_count: Figure,
    prompt_tokens_details: Shares,
    cache_tokens_details: Shares,
    candidates_tokens_details: Shares,
}

/// Tokens by kind of content.
#[derive(Clone, Copy, Default)]
struct Shares {
    audio: i64,
    image: i64,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Share {
    modality: Text,
    token_count: Figure,
}

impl<'de> Deserialize<'de> for Shares {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Shares;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }
            fn visit_unit<E>(self) -> Result<Shares, E> {
                Ok(Shares::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shares, A::Error> {
                let mut shares = Shares::default();
                while let Some(Lenient(Share { modality, token_count })) = seq.next_element()? {
                    let place = match modality.0.as_deref() {
                        Some("AUDIO") => &mut shares.audio,
                        Some("IMAGE") => &mut shares.image,
                        _ => continue,
                    };
                    *place = place.saturating_add(token_count.value());
                }
                Ok(shares)
            }
        }
        from.deserialize_any(List)
    }
}

/// Reads a `usageMetadata` value from its text; what is no such object counts nothing and is irregular.
pub fn parse(usage: &[u8]) -> Counts {
    match serde_json::from_slice(usage) {
        Ok(said) if usage.trim_ascii_start().starts_with(b"{") => counts(&said),
        _ => Counts::nothing(),
    }
}

fn counts(said: &Said) -> Counts {
    let (prompt, cached) = (said.prompt_token_count, said.cached_content_token_count);
    let (candidates, thoughts) = (said.candidates_token_count, said.thoughts_token_count);
    let tools = said.tool_use_prompt_token_count;
    let figures = [prompt, cached, candidates, thoughts, tools];
    let odd = figures.iter().any(|figure| figure.irregular) || cached.value() > prompt.value();
    let uncached =
        |whole: i64, cached: i64| Some(whole.saturating_sub(cached).max(0)).filter(|&left| left > 0);
    let (whole, old) = (said.prompt_tokens_details, said.cache_tokens_details);
    let output = candidates.number.is_some() || thoughts.number.is_some();
    Counts {
        input: prompt
            .number
            .map(|prompt| prompt.saturating_sub(cached.value()).max(0).saturating_add(tools.value())),
        output: output.then(|| candidates.value().saturating_add(thoughts.value())),
        cache_read: cached.number,
        reasoning: thoughts.number,
        audio_input: uncached(whole.audio, old.audio),
        image_input: uncached(whole.image, old.image),
        audio_output: Some(said.candidates_tokens_details.audio).filter(|&count| count > 0),
        image_output: Some(said.candidates_tokens_details.image).filter(|&count| count > 0),
        irregular: odd || (prompt.number.is_none() && !output),
        ..Counts::default()
    }
}

#[cfg(test)]
mod tests {
    use proto::types::TokenUsage;

    use super::*;

    #[test]
    fn kinds_do_not_overlap() {
        let counts = parse(
            br#"{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":20,"thoughtsTokenCount":30,
            "toolUsePromptTokenCount":5,"totalTokenCount":155,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":70},{"tokenCount":20,"modality":"AUDIO"},{"modality":"IMAGE","tokenCount":10}],
            "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":8}],
            "candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":9}]}"#,
        );
        let expected = TokenUsage {
            input: 65,
            output: 50,
            cache_read: 40,
            reasoning: 30,
            audio_input: 12,
            image_input: 10,
            image_output: 9,
            ..TokenUsage::default()
        };
        assert_eq!((counts.tokens(), counts.irregular), (expected, false));
    }

    #[test]
    fn what_is_off_is_flagged() {
        for usage in [
            &br#"{"promptTokenCount":-1,"candidatesTokenCount":2}"#[..],
            br#"{"promptTokenCount":"7","candidatesTokenCount":2}"#,
            br#"{"promptTokenCount":1,"cachedContentTokenCount":2}"#,
            b"{}",
            b"[]",
        ] {
            let counts = parse(usage);
            assert!(counts.irregular, "{}", String::from_utf8_lossy(usage));
            assert!(counts.tokens().input >= 0);
        }
        let counts = parse(br#"{"promptTokenCount":3,"totalTokenCount":3}"#);
        assert_eq!((counts.input, counts.output, counts.irregular), (Some(3), None, false));
    }
}
