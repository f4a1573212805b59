//! What models take, told by their names: providers refuse parameters that an earlier model of theirs took. Names that
//! are not known count as the newest, since it is new ones that are not known yet.

use crate::{
    loss::{Feature, Losses, Refused},
    neutral::Effort,
};

/// A version in a model's name.
type Version = (u32, u32);

const NEWEST: Version = (u32::MAX, 0);

/// What a Claude model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claude {
    /// Whether it thinks.
    pub thinks: bool,
    /// Whether it decides itself how much, and takes an effort.
    pub adaptive: bool,
    /// Whether it takes temperature and the like.
    pub samples: bool,
    /// Whether it takes temperature and nucleus together.
    pub samples_both: bool,
    /// Whether it answers in a schema.
    pub structured: bool,
    /// Whether a conversation may end with the model's own words.
    pub continues: bool,
}

/// What the Claude model of this name takes.
pub fn claude(model: &str) -> Claude {
    let version = model.find("claude").map_or(NEWEST, |at| version(&model[at + "claude".len()..]));
    Claude {
        thinks: version >= (3, 7),
        adaptive: version >= (4, 6),
        samples: version < (4, 7),
        samples_both: version < (4, 1),
        structured: version >= (4, 5),
        continues: version < (4, 6),
    }
}

/// What a model behind OpenAI's dialects takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gpt {
    /// Whether it is OpenAI's own, rather than one behind an API like OpenAI's.
    pub openai: bool,
    /// Whether it thinks, and so takes no sampling parameters.
    pub thinks: bool,
    version: Version,
}

/// What the model of this name behind OpenAI's dialects takes.
pub fn gpt(model: &str) -> Gpt {
    let name = model.rsplit('/').next().unwrap_or(model);
    let mut letters = name.chars();
    let o_series = letters.next() == Some('o') && letters.next().is_some_and(|c| c.is_ascii_digit());
    let gpt = name.strip_prefix("gpt-").filter(|rest| !rest.starts_with("oss"));
    let version = gpt.map_or((0, 0), version);
    let codex = name.starts_with("codex");
    Gpt {
        openai: o_series || gpt.is_some() || codex || name.starts_with("chatgpt"),
        thinks: o_series || codex || (version >= (5, 0) && version != NEWEST && !name.contains("chat")),
        version,
    }
}

impl Gpt {
    /// OpenAI's word for an effort, as this model takes it.
    pub fn effort(&self, effort: Effort) -> &'static str {
        match effort {
            Effort::None if self.version >= (5, 1) => "none",
            Effort::None | Effort::Minimal if self.version == (5, 0) => "minimal",
            Effort::None | Effort::Minimal | Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::Max if self.version >= (5, 2) => "xhigh",
            Effort::High | Effort::Max => "high",
        }
    }
}

/// Whether the Gemini model of this name takes levels of thinking rather than numbers of tokens.
pub fn gemini_levels(model: &str) -> bool {
    model.find("gemini-").map_or(NEWEST, |at| version(&model[at + "gemini-".len()..])) >= (3, 0)
}

/// Whether the Gemini model of this name thinks.
pub fn gemini_thinks(model: &str) -> bool {
    model.find("gemini-").map_or(NEWEST, |at| version(&model[at + "gemini-".len()..])) >= (2, 5)
}

/// The most output tokens that the model of this name takes to be asked for; none: not known.
fn max_output(model: &str) -> Option<u64> {
    if let Some(at) = model.find("claude") {
        let (rest, opus) = (&model[at + "claude".len()..], model.contains("opus"));
        return Some(match version(rest) {
            NEWEST => return None,
            (0..=2, _) | (3, 0) => 4_096,
            (3, 1..=6) => 8_192,
            (4, 0..=1) if opus => 32_000,
            (3, _) | (4, 0..=5) => 64_000,
            _ => 128_000,
        });
    }
    if let Some(at) = model.find("gemini-") {
        return Some(if version(&model[at + "gemini-".len()..]) >= (2, 5) { 65_536 } else { 8_192 });
    }
    let name = model.rsplit('/').next().unwrap_or(model);
    let gpt = name.strip_prefix("gpt-").filter(|rest| !rest.starts_with("oss"))?;
    match version(gpt) {
        _ if gpt.starts_with("4o") => Some(16_384),
        (4, 1) => Some(32_768),
        (0..=4, _) => Some(4_096),
        (5, _) if !gpt.contains("chat") => Some(128_000),
        _ => None,
    }
}

/// The client's cap, or the model's where that is less.
///
/// # Errors
/// Never on its own; what it declares may be.
pub(crate) fn capped(model: &str, asked: Option<u64>, losses: &mut Losses) -> Result<Option<u64>, Refused> {
    let (Some(asked), Some(most)) = (asked, max_output(model)) else { return Ok(asked) };
    if asked > most {
        losses.declare(Feature::MaxOutput)?;
    }
    Ok(Some(asked.min(most)))
}

/// The first one or two short numbers in a name; a date is none.
fn version(rest: &str) -> Version {
    let mut numbers = rest
        .split(|c: char| !c.is_ascii_alphanumeric())
        .take(5)
        .map(|word| {
            let digits: String = word.chars().take_while(char::is_ascii_digit).collect();
            if digits.is_empty() || digits.len() > 2 { None } else { digits.parse::<u32>().ok() }
        })
        .skip_while(Option::is_none);
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), minor) => (major, minor.unwrap_or(0)),
        (None, _) => NEWEST,
    }
}

/// An effort for a number of tokens.
pub fn effort_of(budget: u64) -> Effort {
    match budget {
        0 => Effort::None,
        1..=2_048 => Effort::Low,
        2_049..=16_384 => Effort::Medium,
        _ => Effort::High,
    }
}

/// A number of tokens for an effort, as Google documents it for OpenAI's words.
pub fn budget_of(effort: Effort) -> u64 {
    match effort {
        Effort::None => 0,
        Effort::Minimal | Effort::Low => 1_024,
        Effort::Medium => 8_192,
        Effort::High => 24_576,
        Effort::Max => 32_000,
    }
}

impl Effort {
    /// The effort of this word, in any dialect.
    pub fn of(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "none" | "off" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "max" | "xhigh" => Self::Max,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_by_names() {
        for (model, expected) in [
            ("claude-3-5-sonnet-20241022", (3, 5)),
            ("claude-3-opus-20240229", (3, 0)),
            ("claude-3-7-sonnet-latest", (3, 7)),
            ("claude-sonnet-4-20250514", (4, 0)),
            ("claude-opus-4@20250514", (4, 0)),
            ("claude-opus-4-5-20251101", (4, 5)),
            ("us.anthropic.claude-opus-4-1-20250805-v1:0", (4, 1)),
            ("claude-opus-5-5", (5, 5)),
            ("claude-new", NEWEST),
        ] {
            assert_eq!(version(model.rsplit("claude").next().unwrap()), expected, "{model}");
        }
        assert!(!claude("claude-3-5-haiku-20241022").thinks);
        assert!(claude("claude-sonnet-4-5").thinks && !claude("claude-sonnet-4-5").adaptive);
        assert!(claude("claude-opus-5-5").adaptive && !claude("claude-opus-5-5").samples);
    }

    #[test]
    fn gpt_names() {
        for (model, openai, thinks) in [
            ("gpt-4o", true, false),
            ("gpt-4.1-mini", true, false),
            ("gpt-5", true, true),
            ("gpt-5.1-codex", true, true),
            ("gpt-5-chat-latest", true, false),
            ("gpt-6", true, true),
            ("o3-mini", true, true),
            ("openai/o4-mini", true, true),
            ("gpt-oss-120b", false, false),
            ("deepseek-chat", false, false),
            ("olmo", false, false),
        ] {
            let gpt = gpt(model);
            assert_eq!((gpt.openai, gpt.thinks), (openai, thinks), "{model}");
        }
        assert_eq!(gpt("gpt-5.1").effort(Effort::None), "none");
        assert_eq!(gpt("gpt-5").effort(Effort::None), "minimal");
        assert_eq!(gpt("gpt-5.4").effort(Effort::Max), "xhigh");
        assert!(gemini_levels("gemini-3-pro-preview") && !gemini_levels("gemini-2.5-flash"));
        assert!(!gemini_thinks("gemini-2.0-flash"));
        for (model, most) in [
            ("gpt-4o-mini", Some(16_384)),
            ("gpt-4.1", Some(32_768)),
            ("gpt-5.1", Some(128_000)),
            ("claude-3-haiku-20240307", Some(4_096)),
            ("claude-opus-4-1", Some(32_000)),
            ("gemini-2.5-pro", Some(65_536)),
            ("deepseek-chat", None),
        ] {
            assert_eq!(max_output(model), most, "{model}");
        }
    }
}
