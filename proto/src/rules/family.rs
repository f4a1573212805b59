//! The family of a model: what limits and account blocks speak of (`opus`, `sonnet`, …), and the platform family that a
//! key's permissions speak of (`claude`, `gemini`, `openai`).
//!
//! Names are read word by word (runs of letters and digits), so provider and region prefixes, version suffixes and
//! `[1m]` do not matter, and `magnum-opus` is no Claude model. It is not a price look-up: see [`super::price`].

/// The families of Claude models that upstreams limit apart, and the word by which each is known.
const CLAUDE_FAMILIES: [&str; 4] = ["opus", "sonnet", "haiku", "fable"];
/// Claude models of no family of their own, such as `claude-2.1` and `claude-instant`.
pub const CLAUDE_OTHER: &str = "claude-other";
/// OpenAI's chat and embedding models.
pub const GPT: &str = "gpt";
/// Google's Gemini models.
pub const GEMINI: &str = "gemini";
/// Everything else.
pub const OTHER: &str = "other";
/// In a limit's scope: every Claude family at once.
pub const CLAUDE: &str = "claude";

/// The family of a model name: `opus`, `sonnet`, `haiku`, `fable`, [`CLAUDE_OTHER`], [`GPT`], [`GEMINI`] or [`OTHER`].
pub fn of(model: &str) -> &'static str {
    // The name proper is after the last slash: `anthropic/claude-…`, `projects/p/models/gemini-…`, an ARN.
    let name = model.rsplit('/').next().unwrap_or(model);
    let first = words(name).next();
    if words(name).any(|word| starts_with_word(word, "claude")) {
        return claude_family(name).unwrap_or(CLAUDE_OTHER);
    }
    if let Some(family) =
        first.and_then(|word| CLAUDE_FAMILIES.into_iter().find(|f| word.eq_ignore_ascii_case(f)))
    {
        return family; // The clients' short names: `opus`, `sonnet`.
    }
    if words(name).any(|word| word.eq_ignore_ascii_case("gemini")) {
        return GEMINI;
    }
    if first.is_some_and(is_gpt_word) || name.to_ascii_lowercase().starts_with("text-embedding-") {
        return GPT;
    }
    OTHER
}

/// Whether the model is one of Anthropic's.
pub fn is_claude(model: &str) -> bool {
    is_claude_family(of(model))
}

/// Whether a family, as [`of`] names it, is one of Anthropic's.
pub fn is_claude_family(family: &str) -> bool {
    family == CLAUDE_OTHER || CLAUDE_FAMILIES.contains(&family)
}

/// The platform family that key permissions speak of: `claude`, `gemini` or `openai`; `None` for a model that we do not
/// know, where the dialect of the request decides.
pub fn permission(model: &str) -> Option<&'static str> {
    match of(model) {
        GPT => Some("openai"),
        GEMINI => Some("gemini"),
        family if is_claude_family(family) => Some("claude"),
        _ => None,
    }
}

/// Whether a family named in a limit's scope covers the family of a model: equal, or [`CLAUDE`] over any Claude family.
pub fn covers(scope: &str, family: &str) -> bool {
    scope.eq_ignore_ascii_case(family) || (scope.eq_ignore_ascii_case(CLAUDE) && is_claude_family(family))
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

/// `claude`, `Claude3`: the word, alone or followed by a digit.
fn starts_with_word(word: &str, expected: &str) -> bool {
    let Some((head, tail)) = word.split_at_checked(expected.len()) else { return false };
    head.eq_ignore_ascii_case(expected) && tail.bytes().next().is_none_or(|b| b.is_ascii_digit())
}

fn claude_family(name: &str) -> Option<&'static str> {
    words(name).find_map(|word| CLAUDE_FAMILIES.into_iter().find(|family| starts_with_word(word, family)))
}

/// `gpt`, `gpt4`, `chatgpt`, `codex`, `o1` to `o9`, and the older `davinci`, `babbage`.
fn is_gpt_word(word: &str) -> bool {
    let reasoning = word.len() == 2
        && word.as_bytes()[0].eq_ignore_ascii_case(&b'o')
        && word.as_bytes()[1].is_ascii_digit();
    reasoning
        || ["gpt", "chatgpt", "codex", "davinci", "babbage"].iter().any(|known| starts_with_word(word, known))
        || word.eq_ignore_ascii_case("ft") // A fine-tuned model: `ft:gpt-4o:…`.
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_of_every_shape() {
        for (model, family) in [
            ("claude-opus-4-5-20251101", "opus"),
            ("us.anthropic.claude-opus-4-5-20251101-v1:0", "opus"),
            ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "sonnet"),
            ("claude-3-5-haiku-latest[1m]", "haiku"),
            ("CLAUDE-3-Opus@20240229", "opus"),
            ("anthropic/claude-sonnet-4", "sonnet"),
            ("vertex_ai/claude-3-5-sonnet-v2@20241022", "sonnet"),
            ("arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-haiku-4-5-v1:0", "haiku"),
            ("claude-fable-5", "fable"),
            ("claude-2.1", "claude-other"),
            ("claude-instant-1.2", "claude-other"),
            ("claude-newfamily-9", "claude-other"),
            ("sonnet", "sonnet"),
            ("opus[1m]", "opus"),
            ("gpt-5.4", "gpt"),
            ("openai/gpt-4o-mini", "gpt"),
            ("azure/gpt-4o", "gpt"),
            ("o3-mini", "gpt"),
            ("o1", "gpt"),
            ("chatgpt-4o-latest", "gpt"),
            ("codex-mini-latest", "gpt"),
            ("text-embedding-3-small", "gpt"),
            ("ft:gpt-4o-2024-08-06:org::id", "gpt"),
            ("models/gemini-2.5-pro", "gemini"),
            ("gemini-2.5-flash-lite", "gemini"),
            ("deepseek-chat", "other"),
            ("magnum-opus-13b", "other"),
            ("octopus", "other"),
            ("", "other"),
            ("/", "other"),
            ("claudette", "other"),
        ] {
            assert_eq!(of(model), family, "{model}");
        }
    }

    #[test]
    fn claude_in_a_scope_is_every_claude_family() {
        assert!(covers("claude", "opus") && covers("claude", CLAUDE_OTHER) && covers("opus", "opus"));
        assert!(!covers("claude", "gpt") && !covers("opus", "sonnet") && !covers("opus", CLAUDE_OTHER));
    }

    #[test]
    fn permissions_speak_of_platform_families() {
        assert_eq!(permission("claude-opus-4-5"), Some("claude"));
        assert_eq!(permission("gpt-5"), Some("openai"));
        assert_eq!(permission("gemini-2.5-pro"), Some("gemini"));
        assert_eq!(permission("llama-4"), None);
        assert!(is_claude("claude-2") && !is_claude("gpt-4"));
    }
}
