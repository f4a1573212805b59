//! Which program sent a request, told by traits that hold over versions: names in headers, never prompt texts. A
//! statement about good faith, not a proof: headers can be copied. Keys restricted to client kinds and usage records
//! use it.

use http::HeaderMap;

use crate::peek::Peek;

#[cfg(test)]
mod tests;

/// A trait of a client.
enum Sign {
    /// The user agent starts so (without case).
    Agent(&'static str),
    /// The user agent contains this (without case).
    AgentHas(&'static str),
    /// The header is there and not blank.
    Has(&'static str),
    /// The header starts so (without case).
    Header(&'static str, &'static str),
}

/// A client kind, if all signs of one of its rows are seen.
struct Row {
    kind: &'static str,
    signs: &'static [Sign],
}

use Sign::{Agent, AgentHas, Has, Header};

const fn row(kind: &'static str, signs: &'static [Sign]) -> Row {
    Row { kind, signs }
}

/// The first row that fits wins, so the particular stands before the general.
const TABLE: &[Row] = &[
    row("claude_code", &[Agent("claude-cli/"), Has("x-app"), Has("anthropic-version")]),
    // Its look-up of models through a gateway.
    row("claude_code", &[Agent("claude-code/"), Has("anthropic-version")]),
    row("codex_cli", &[Agent("codex_cli_rs/")]),
    row("codex_cli", &[Agent("codex_exec/")]),
    row("codex_cli", &[Agent("codex_vscode/")]),
    row("codex_cli", &[Agent("codex-tui/")]),
    row("codex_cli", &[Header("originator", "codex")]),
    row("gemini_cli", &[Agent("GeminiCLI")]),
    row("droid_cli", &[AgentHas("factory-cli/")]),
    row("droid_cli", &[Header("x-factory-client", "cli"), Has("x-session-id")]),
    row("droid_cli", &[Header("x-factory-client", "droid")]),
    row("droid_cli", &[Header("x-factory-client", "factory-cli")]),
    row("opencode", &[Agent("opencode/")]),
    row("qwen_code", &[Agent("QwenCode/")]),
    row("litellm", &[Agent("litellm/")]),
    row("langchain", &[Agent("langchain")]),
    row("anthropic_sdk", &[Agent("Anthropic/")]),
    row("anthropic_sdk", &[Agent("AsyncAnthropic")]),
    row("anthropic_sdk", &[Agent("Anthropic")]),
    row("openai_sdk", &[Agent("OpenAI/")]),
    row("openai_sdk", &[Agent("AsyncOpenAI")]),
    row("openai_sdk", &[Agent("AzureOpenAI")]),
    row("google_genai_sdk", &[Agent("google-genai-sdk/")]),
    row("curl", &[Agent("curl/")]),
];

/// The kinds that a key can be restricted to, and others that records may name.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    let mut last = "";
    TABLE.iter().map(|row| row.kind).filter(move |kind| std::mem::replace(&mut last, kind) != *kind)
}

/// The client's kind; `None` when no row of the table fits. The body is asked nothing today; it stands here because
/// a client may come to be told by its shape.
pub fn kind(headers: &HeaderMap, _peek: Option<&Peek>) -> Option<&'static str> {
    let agent = text(headers, "user-agent");
    TABLE.iter().find(|row| row.signs.iter().all(|sign| sign.seen(agent, headers))).map(|row| row.kind)
}

/// Whether a client of this kind may come in where only these kinds may; an empty list lets all in.
pub fn matches<S: AsRef<str>>(allowed: &[S], kind: Option<&str>) -> bool {
    allowed.is_empty() || kind.is_some_and(|kind| allowed.iter().any(|name| name.as_ref() == kind))
}

impl Sign {
    fn seen(&self, agent: &str, headers: &HeaderMap) -> bool {
        match self {
            Self::Agent(start) => starts(agent, start),
            Self::AgentHas(part) => agent
                .as_bytes()
                .windows(part.len())
                .any(|window| window.eq_ignore_ascii_case(part.as_bytes())),
            Self::Has(name) => !text(headers, name).is_empty(),
            Self::Header(name, start) => starts(text(headers, name), start),
        }
    }
}

fn starts(text: &str, start: &str) -> bool {
    text.as_bytes().get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim()
}
