//! OpenAI's `usage` object, of chat, Responses and embeddings: its totals include what was cached, and its parts are told
//! beside. Servers like it write some of it elsewhere; what is off is counted as far as it makes sense and flagged.

use serde::Deserialize;

use crate::{
    figure::{Figure, Lenient},
    usage::Counts,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    prompt_tokens: Figure,
    input_tokens: Figure,
    completion_tokens: Figure,
    output_tokens: Figure,
    total_tokens: Figure,
    prompt_tokens_details: Lenient<Input>,
    input_tokens_details: Lenient<Input>,
    completion_tokens_details: Lenient<Output>,
    output_tokens_details: Lenient<Output>,
    /// DeepSeek's place for what was cached,
    prompt_cache_hit_tokens: Figure,
    /// and Moonshot's.
    cached_tokens: Figure,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Input {
    cached_tokens: Figure,
    cache_write_tokens: Figure,
    cache_creation_tokens: Figure,
    audio_tokens: Figure,
    image_tokens: Figure,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Output {
    reasoning_tokens: Figure,
    audio_tokens: Figure,
    image_tokens: Figure,
}

/// Reads a `usage` value from its text; what is no such object counts nothing and is irregular.
pub fn parse(usage: &[u8]) -> Counts {
    match serde_json::from_slice(usage) {
        Ok(Said { .. }) if !usage.trim_ascii_start().starts_with(b"{") => Counts::nothing(),
        Ok(said) => counts(said),
        Err(_) => Counts::nothing(),
    }
}

fn counts(said: Said) -> Counts {
    let whole = said.prompt_tokens.or(said.input_tokens);
    let put_out = said.completion_tokens.or(said.output_tokens);
    let (old, new) = (said.prompt_tokens_details.0, said.input_tokens_details.0);
    let cached =
        old.cached_tokens.or(new.cached_tokens).or(said.prompt_cache_hit_tokens).or(said.cached_tokens);
    let written = old.cache_write_tokens.or(new.cache_write_tokens);
    let written = written.or(old.cache_creation_tokens).or(new.cache_creation_tokens);
    let (audio_in, image_in) = (old.audio_tokens.or(new.audio_tokens), old.image_tokens.or(new.image_tokens));
    let (old, new) = (said.completion_tokens_details.0, said.output_tokens_details.0);
    let reasoning = old.reasoning_tokens.or(new.reasoning_tokens);
    let (audio_out, image_out) =
        (old.audio_tokens.or(new.audio_tokens), old.image_tokens.or(new.image_tokens));

    let parts = cached.value().saturating_add(written.value());
    let figures = [whole, put_out, cached, written, audio_in, image_in, reasoning, audio_out, image_out];
    let odd = figures.iter().any(|figure| figure.irregular) || parts > whole.value();
    let output = put_out
        .number
        .map(|output| output.saturating_add(apart(&said.total_tokens, whole, put_out, reasoning)));
    Counts {
        input: whole.number.map(|whole| whole.saturating_sub(parts).max(0)),
        output,
        cache_read: cached.number,
        cache_write: written.number,
        reasoning: reasoning.number,
        audio_input: audio_in.number,
        audio_output: audio_out.number,
        image_input: image_in.number,
        image_output: image_out.number,
        irregular: odd || (whole.number.is_none() && put_out.number.is_none()),
        ..Counts::default()
    }
}

/// Reasoning that a server counts beside its output instead of within it, as only its total tells.
fn apart(total: &Figure, whole: Figure, output: Figure, reasoning: Figure) -> i64 {
    let told = whole.value().saturating_add(output.value());
    let beside = reasoning.value() > 0 && total.number == Some(told.saturating_add(reasoning.value()));
    if beside { reasoning.value() } else { 0 }
}

#[cfg(test)]
mod tests {
    use proto::types::TokenUsage;

    use super::*;

    fn tokens(usage: &str) -> (TokenUsage, bool) {
        let counts = parse(usage.as_bytes());
        (counts.tokens(), counts.irregular)
    }

    #[test]
    fn kinds_do_not_overlap() {
        let (told, irregular) = tokens(
            r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
            "prompt_tokens_details":{"cached_tokens":60,"audio_tokens":7},
            "completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":5,"accepted_prediction_tokens":1}}"#,
        );
        let expected = TokenUsage {
            input: 40,
            output: 50,
            cache_read: 60,
            reasoning: 30,
            audio_input: 7,
            audio_output: 5,
            ..TokenUsage::default()
        };
        assert_eq!((told, irregular), (expected, false));
    }

    #[test]
    fn responses_and_embeddings_say_the_same_in_other_words() {
        let (told, irregular) = tokens(
            r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":60},"output_tokens":50,
            "output_tokens_details":{"reasoning_tokens":30},"total_tokens":150}"#,
        );
        let expected =
            TokenUsage { input: 40, output: 50, cache_read: 60, reasoning: 30, ..TokenUsage::default() };
        assert_eq!((told, irregular), (expected, false));
        let (told, irregular) = tokens(r#"{"prompt_tokens":8,"total_tokens":8}"#);
        assert_eq!((told.input, told.output, irregular), (8, 0, false));
    }

    #[test]
    fn servers_that_write_it_elsewhere() {
        assert_eq!(
            tokens(r#"{"prompt_tokens":10,"prompt_cache_hit_tokens":4,"completion_tokens":1}"#).0.input,
            6
        );
        assert_eq!(tokens(r#"{"prompt_tokens":10,"cached_tokens":4,"completion_tokens":1}"#).0.cache_read, 4);
        // Reasoning beside the output, as the total tells.
        let beside = r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":35,"completion_tokens_details":{"reasoning_tokens":20}}"#;
        assert_eq!((tokens(beside).0.output, tokens(beside).0.reasoning), (25, 20));
    }

    #[test]
    fn what_is_off_is_flagged_and_never_negative() {
        for usage in [
            r#"{"prompt_tokens":-3,"completion_tokens":5}"#,
            r#"{"prompt_tokens":"3","completion_tokens":5}"#,
            r#"{"prompt_tokens":3,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":9}}"#,
            r#"{"prompt_tokens":3,"completion_tokens":{}}"#,
            r#"{"prompt_tokens":3,"prompt_tokens":4}"#,
            "[1]",
            "7",
            "{}",
        ] {
            let (told, irregular) = tokens(usage);
            assert!(irregular, "{usage}");
            assert!(told.input >= 0 && told.output >= 0, "{usage}");
        }
        assert!(!tokens(r#"{"prompt_tokens":3,"completion_tokens":5,"prompt_tokens_details":null}"#).1);
    }
}
