//! By what a client says which conversation a request belongs to: the strongest evidence wins. The evidence is only
//! ever digested together with the key (`proto::rules::session`), so that no client steers onto another's account.
//! The relay's `choose` step calls it; the source's name stands in the request's explanation.

use http::HeaderMap;
use serde::Deserialize;

use crate::{Dialect, peek::Peek};

#[cfg(test)]
mod tests;

/// Headers that name a session, strongest first, with the source's name.
const HEADERS: &[(&str, &str)] = &[
    ("x-claude-code-session-id", "header:x-claude-code-session-id"),
    ("x-session-id", "header:x-session-id"),
    ("session-id", "header:session-id"),
    ("session_id", "header:session_id"),
    ("conversation_id", "header:conversation_id"),
];
/// Keeps sub-agents of one session apart.
const AGENT: &str = "x-claude-code-agent-id";
/// Longer values are not session ids.
const MAX_ID: usize = 512;

/// The source that was believed, and what it said.
pub type Evidence = (&'static str, Vec<u8>);

/// The session that a request belongs to; `None` when nothing tells.
///
/// Order: state that an upstream keeps, Claude Code's own header, `metadata.user_id`'s session, other clients' headers, a
/// session that the body names, `prompt_cache_key`, then how the conversation starts ([`crate::peek::Anchors`]).
pub fn identify(dialect: Dialect, headers: &HeaderMap, peek: &Peek) -> Option<Evidence> {
    if let Some(evidence) = kept_state(peek) {
        return Some(evidence);
    }
    let (first, others) = HEADERS.split_first()?;
    let (source, mut evidence) = header(headers, *first)
        .or_else(|| {
            let id = peek.user_id.as_deref().and_then(session_of_user_id)?;
            Some(("metadata.user_id", id.into_bytes()))
        })
        .or_else(|| others.iter().find_map(|&name| header(headers, name)))
        .or_else(|| Some(("body_session", plausible(peek.body_session.as_deref()?)?.into())))
        .or_else(|| Some(("prompt_cache_key", plausible(peek.prompt_cache_key.as_deref()?)?.into())))
        .or_else(|| anchor(dialect, peek))?;
    if let Some(agent) = headers.get(AGENT).and_then(|value| value.to_str().ok()).and_then(plausible) {
        evidence.push(0);
        evidence.extend_from_slice(agent.as_bytes());
    }
    Some((source, evidence))
}

/// State that an upstream keeps and the request builds on: only the account that has it can serve (distribution, rule
/// 21). The same evidence is made of an answer's id by [`kept_answer`], so that the next request finds its account.
pub fn kept_state(peek: &Peek) -> Option<Evidence> {
    let (field, id) = peek.kept_state.as_ref()?;
    let source = if *field == PREVIOUS { PREVIOUS } else { "conversation" };
    Some((source, plausible(id)?.into()))
}

/// The evidence by which a request will name an answer with this id.
pub fn kept_answer(id: &str) -> Option<Evidence> {
    Some((PREVIOUS, plausible(id)?.into()))
}

const PREVIOUS: &str = "previous_response_id";

/// Whether the headers alone name the session, so that the body's texts need no digest.
pub fn named_by_headers(headers: &HeaderMap) -> bool {
    HEADERS.iter().any(|&name| header(headers, name).is_some())
}

/// The session inside `metadata.user_id`: either JSON with a `session_id`, or the older
/// `user_<hex>_account_<uuid>_session_<uuid>`.
pub fn session_of_user_id(user_id: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Json {
        session_id: String,
    }
    if user_id.trim_start().starts_with('{') {
        let json: Json = serde_json::from_str(user_id).ok()?;
        return plausible(&json.session_id).map(str::to_owned);
    }
    let rest = user_id.strip_prefix("user_")?;
    let (_, session) = rest.rsplit_once("_session_")?;
    rest.contains("_account_").then_some(session).and_then(plausible).map(str::to_owned)
}

fn header(headers: &HeaderMap, (name, source): (&str, &'static str)) -> Option<Evidence> {
    let value = headers.get(name)?.to_str().ok()?;
    Some((source, plausible(value)?.as_bytes().to_vec()))
}

fn plausible(id: &str) -> Option<&str> {
    let id = id.trim();
    (!id.is_empty() && id.len() <= MAX_ID).then_some(id)
}

/// Version 1's order for Claude's conversations. Of others' the first message tells more than a system text, which all
/// conversations of an application share.
fn anchor(dialect: Dialect, peek: &Peek) -> Option<Evidence> {
    let anchors = &peek.anchors;
    let system = ("system_text", anchors.system);
    let first = ("first_message", anchors.first_message);
    let last = if dialect == Dialect::AnthropicMessages { [system, first] } else { [first, system] };
    [("cached_text", anchors.cached), last[0], last[1]]
        .into_iter()
        .find_map(|(source, digest)| Some((source, digest?.to_vec())))
}
