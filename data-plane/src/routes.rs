//! The public surface in one table: method and path to what is asked for. Dialects are told by path, never by the
//! credential header; `GET /v1/models` alone, which three APIs share, is told by which headers come.
//!
//! The router and all that follows take the same parsed value. A path that two readers could take differently is
//! refused before anything else is looked at. What a path says beyond its route (a model, a verb) is read by [`named`].

use dialects::{Dialect, Operation, gemini};
use http::{HeaderMap, Method};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To be relayed.
    Relay {
        /// The client's dialect.
        dialect: Dialect,
        /// What it asks for.
        operation: Operation,
        /// Platform family that serves it; [`BY_MODEL`]: the one of the model that is asked for.
        family: &'static str,
        /// What of it the path says.
        says: Says,
    },
    /// The list of models, in a dialect's form.
    Models {
        /// The form.
        dialect: Dialect,
        /// Of the accounts of this platform family; [`BY_MODEL`]: of all.
        family: &'static str,
    },
    /// What a key's bearer may know of it.
    Own(Own),
    /// Whether the node can relay.
    Health,
    /// A client's look whether anyone is there.
    Hello,
    /// A client's telemetry, which ends here.
    Telemetry,
    /// Part of the surface, but not served by this release.
    Absent(Dialect),
    /// The path is there for other methods.
    WrongMethod(Dialect),
    /// No such path.
    Unknown(Dialect),
}

/// The family that a model belongs to decides.
pub const BY_MODEL: &str = "";

/// The family that serves a model where the route leaves it open. A name that no maker's models have is asked for at
/// OpenAI-compatible addresses, the only ones that speak for other makers.
pub fn family_of(model: &str) -> &'static str {
    proto::rules::family::permission(model).unwrap_or("openai")
}

/// What a path says beyond its route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Nothing: the body says it all.
    Nothing,
    /// This word more.
    Verb(&'static str),
    /// Gemini's `{model}:{verb}`, or `v1internal:{verb}`, in the last segment. Whether the answer streams is known.
    Gemini {
        /// Whether it does.
        streams: bool,
    },
    /// Azure's deployment, which is the model, in the fourth segment.
    Deployment,
}

/// What a path names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Named<'a> {
    /// The model.
    pub model: Option<std::borrow::Cow<'a, str>>,
    /// Whether the answer streams.
    pub streams: Option<bool>,
    /// The word that says more than the operation does; empty: none.
    pub verb: &'a str,
}

/// Reads what a path says beyond its route.
pub fn named(says: Says, path: &str) -> Named<'_> {
    match says {
        Says::Nothing => Named::default(),
        Says::Verb(verb) => Named { verb, ..Named::default() },
        Says::Gemini { streams } => {
            let found = gemini::path::named(last(path));
            let (model, verb) = found.map(|found| (found.model, found.verb)).unwrap_or_default();
            Named { model, streams: Some(streams), verb }
        }
        Says::Deployment => {
            Named { model: path.split('/').nth(4).map(std::borrow::Cow::Borrowed), ..Named::default() }
        }
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// What a key's bearer asks about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// Who it is.
    Me,
    /// What it used.
    Usage,
    /// What it is and used.
    KeyInfo,
}

impl Route {
    /// The dialect in whose shape answers and errors are told.
    pub fn dialect(&self) -> Dialect {
        match *self {
            Self::Relay { dialect, .. }
            | Self::Models { dialect, .. }
            | Self::Absent(dialect)
            | Self::WrongMethod(dialect)
            | Self::Unknown(dialect) => dialect,
            _ => Dialect::AnthropicMessages,
        }
    }
}

const fn relay(dialect: Dialect, operation: Operation, family: &'static str) -> Route {
    Route::Relay { dialect, operation, family, says: Says::Nothing }
}

const MESSAGES: Route = relay(Dialect::AnthropicMessages, Operation::Messages, "claude");
const COUNT_TOKENS: Route = relay(Dialect::AnthropicMessages, Operation::CountTokens, "claude");
const MESSAGES_BY_GEMINI: Route = relay(Dialect::AnthropicMessages, Operation::Messages, "gemini");
const CHAT: Route = relay(Dialect::OpenaiChat, Operation::ChatCompletions, BY_MODEL);
const CHAT_BY_CLAUDE: Route = relay(Dialect::OpenaiChat, Operation::ChatCompletions, "claude");
const CHAT_BY_GEMINI: Route = relay(Dialect::OpenaiChat, Operation::ChatCompletions, "gemini");
const CHAT_BY_OPENAI: Route = relay(Dialect::OpenaiChat, Operation::ChatCompletions, "openai");
const RESPONSES: Route = relay(Dialect::OpenaiResponses, Operation::Responses, "openai");
const COMPACT: Route = Route::Relay {
    dialect: Dialect::OpenaiResponses,
    operation: Operation::Responses,
    family: "openai",
    says: Says::Verb("compact"),
};
const EMBEDDINGS: Route = relay(Dialect::OpenaiChat, Operation::Embeddings, "openai");
/// The last segment says what is asked for.
const GEMINI: Route = Route::Relay {
    dialect: Dialect::Gemini,
    operation: Operation::GenerateContent,
    family: "gemini",
    says: Says::Gemini { streams: false },
};
/// What follows the deployment says what is asked for.
const DEPLOYMENT: Route = Route::Relay {
    dialect: Dialect::OpenaiChat,
    operation: Operation::ChatCompletions,
    family: "openai",
    says: Says::Deployment,
};
const BEDROCK: Route = Route::Absent(Dialect::AnthropicMessages);
const STATS: Route = Route::Absent(Dialect::AnthropicMessages);

const fn models(dialect: Dialect, family: &'static str) -> Route {
    Route::Models { dialect, family }
}

const CLAUDE_MODELS: Route = models(Dialect::AnthropicMessages, "claude");
const GEMINI_MODELS: Route = models(Dialect::Gemini, "gemini");
const OPENAI_MODELS: Route = models(Dialect::OpenaiChat, BY_MODEL);

/// Every path, most asked for first. A final `*` stands for the rest, which must not be empty.
const TABLE: &[(Method, &str, Route)] = &[
    (Method::POST, "/v1/messages", MESSAGES),
    (Method::POST, "/api/v1/messages", MESSAGES),
    (Method::POST, "/claude/v1/messages", MESSAGES),
    (Method::POST, "/v1/chat/completions", CHAT),
    (Method::POST, "/openai/v1/chat/completions", CHAT),
    (Method::POST, "/api/v1/chat/completions", CHAT),
    (Method::POST, "/openai/claude/v1/chat/completions", CHAT_BY_CLAUDE),
    (Method::POST, "/openai/gemini/v1/chat/completions", CHAT_BY_GEMINI),
    (Method::POST, "/openai/v1/responses", RESPONSES),
    (Method::POST, "/openai/responses", RESPONSES),
    (Method::POST, "/v1/responses", RESPONSES),
    (Method::POST, "/gemini/v1beta/models/*", GEMINI),
    (Method::POST, "/gemini/v1/models/*", GEMINI),
    (Method::POST, "/v1beta/models/*", GEMINI),
    (Method::POST, "/gemini/v1internal:*", GEMINI),
    (Method::POST, "/v1/messages/count_tokens", COUNT_TOKENS),
    (Method::POST, "/api/v1/messages/count_tokens", COUNT_TOKENS),
    (Method::POST, "/claude/v1/messages/count_tokens", COUNT_TOKENS),
    (Method::GET, "/health", Route::Health),
    (Method::GET, "/api/hello", Route::Hello),
    (Method::GET, "/v1/models", OPENAI_MODELS),
    (Method::GET, "/v1/models/*", OPENAI_MODELS),
    (Method::GET, "/api/v1/models", CLAUDE_MODELS),
    (Method::GET, "/claude/v1/models", CLAUDE_MODELS),
    (Method::GET, "/openai/v1/models", OPENAI_MODELS),
    (Method::GET, "/openai/v1/models/*", OPENAI_MODELS),
    (Method::GET, "/openai/claude/v1/models", models(Dialect::OpenaiChat, "claude")),
    (Method::GET, "/openai/gemini/v1/models", models(Dialect::OpenaiChat, "gemini")),
    (Method::GET, "/gemini/v1beta/models", GEMINI_MODELS),
    (Method::GET, "/gemini/v1beta/models/*", GEMINI_MODELS),
    (Method::GET, "/gemini/v1/models", GEMINI_MODELS),
    (Method::GET, "/gemini/v1/models/*", GEMINI_MODELS),
    (Method::GET, "/v1beta/models", GEMINI_MODELS),
    (Method::GET, "/v1beta/models/*", GEMINI_MODELS),
    (Method::GET, "/api/v1/me", Route::Own(Own::Me)),
    (Method::GET, "/api/v1/usage", Route::Own(Own::Usage)),
    (Method::GET, "/api/v1/key-info", Route::Own(Own::KeyInfo)),
    (Method::POST, "/api/event_logging/batch", Route::Telemetry),
    (Method::POST, "/api/api/event_logging/batch", Route::Telemetry),
    (Method::POST, "/openai/v1/responses/compact", COMPACT),
    (Method::POST, "/openai/responses/compact", COMPACT),
    (Method::POST, "/v1/responses/compact", COMPACT),
    (Method::POST, "/openai/v1/embeddings", EMBEDDINGS),
    (Method::POST, "/v1/embeddings", EMBEDDINGS),
    (Method::POST, "/gemini/v1/messages", MESSAGES_BY_GEMINI),
    (Method::POST, "/gemini/messages", MESSAGES_BY_GEMINI),
    (Method::POST, "/azure/openai/deployments/*", DEPLOYMENT),
    (Method::POST, "/azure/openai/v1/chat/completions", CHAT_BY_OPENAI),
    (Method::POST, "/azure/openai/v1/responses", RESPONSES),
    (Method::POST, "/azure/openai/v1/embeddings", EMBEDDINGS),
    (Method::POST, "/azure/openai/responses", RESPONSES),
    (Method::POST, "/azure/chat/completions", CHAT_BY_OPENAI),
    (Method::POST, "/azure/responses", RESPONSES),
    (Method::POST, "/azure/embeddings", EMBEDDINGS),
    (Method::POST, "/bedrock/model/*", BEDROCK),
    (Method::GET, "/apiStats/*", STATS),
    (Method::POST, "/apiStats/*", STATS),
];

/// What a method and a path ask for. `path` must have passed [`is_plain`].
pub fn find(method: &Method, path: &str, query: Option<&str>, headers: &HeaderMap) -> Route {
    if method == Method::HEAD {
        return Route::Hello;
    }
    let mut elsewhere = None;
    for (of, pattern, route) in TABLE {
        if !matches(pattern, path) {
            continue;
        }
        if of == method {
            return match *route {
                Route::Models { .. } if path.starts_with("/v1/models") => shared_models(query, headers),
                Route::Relay { says: Says::Gemini { .. }, .. } => by_verb(path),
                Route::Relay { says: Says::Deployment, .. } => by_deployment(path),
                route => route,
            };
        }
        elsewhere = Some(Route::WrongMethod(route.dialect()));
    }
    elsewhere.unwrap_or_else(|| Route::Unknown(by_prefix(path)))
}

fn matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => path.len() > start.len() && path.starts_with(start),
        None => pattern == path,
    }
}

/// `GET /v1/models` is three APIs' path.
fn shared_models(query: Option<&str>, headers: &HeaderMap) -> Route {
    let key_in_query = query.is_some_and(|query| query.split('&').any(|pair| pair.starts_with("key=")));
    if headers.contains_key("x-goog-api-key") || key_in_query {
        GEMINI_MODELS
    } else if headers.contains_key("anthropic-version") {
        CLAUDE_MODELS
    } else {
        OPENAI_MODELS
    }
}

/// Gemini's last segment: a model and a verb.
fn by_verb(path: &str) -> Route {
    let rest = path.split_once("/models/").map_or_else(|| last(path), |(_, rest)| rest);
    match gemini::path::named(rest).filter(|_| !rest.contains('/')) {
        Some(found) => Route::Relay {
            dialect: Dialect::Gemini,
            operation: found.operation,
            family: "gemini",
            says: Says::Gemini { streams: found.streams },
        },
        None => Route::Unknown(Dialect::Gemini),
    }
}

/// `/azure/openai/deployments/{deployment}/{chat/completions,embeddings}`.
fn by_deployment(path: &str) -> Route {
    let mut segments = path.split('/').skip(4);
    let name = segments.next().unwrap_or_default();
    let operation = match (segments.next(), segments.next(), segments.next()) {
        (Some("chat"), Some("completions"), None) => Operation::ChatCompletions,
        (Some("embeddings"), None, None) => Operation::Embeddings,
        _ => return Route::Unknown(Dialect::OpenaiChat),
    };
    if name.is_empty() || name.contains('%') {
        return Route::Unknown(Dialect::OpenaiChat);
    }
    Route::Relay { dialect: Dialect::OpenaiChat, operation, family: "openai", says: Says::Deployment }
}

/// The methods that a path is there for, as the `Allow` header lists them.
pub fn allowed(path: &str) -> &'static str {
    let knows = |method| TABLE.iter().any(|(of, pattern, _)| of == method && matches(pattern, path));
    match (knows(&Method::GET), knows(&Method::POST)) {
        (true, false) => "GET, HEAD",
        (false, _) => "POST, HEAD",
        (true, true) => "GET, POST, HEAD",
    }
}

/// In whose shape an unknown path is told of.
pub fn by_prefix(path: &str) -> Dialect {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    match first {
        "openai" if path.contains("/responses") => Dialect::OpenaiResponses,
        "openai" | "azure" => Dialect::OpenaiChat,
        "gemini" | "v1beta" => Dialect::Gemini,
        _ => Dialect::AnthropicMessages,
    }
}

/// Whether a path can be read in one way only: no empty or dot segments, no backslash, no escaped slash, dot or NUL.
pub fn is_plain(path: &str) -> bool {
    if !path.starts_with('/') || path.contains("//") || path.contains('\\') || path.contains(';') {
        return false;
    }
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return false;
    }
    let escapes = memchr::memchr_iter(b'%', path.as_bytes());
    escapes.map(|at| path.as_bytes().get(at + 1..at + 3)).all(|digits| {
        let Some(digits) = digits else { return false };
        let escaped = std::str::from_utf8(digits).ok().and_then(|text| u8::from_str_radix(text, 16).ok());
        escaped.is_some_and(|byte| byte >= 0x20 && !matches!(byte, b'/' | b'\\' | b'.' | b'%' | 0x7f))
    })
}

#[cfg(test)]
mod tests;
