//! The public surface in one table: method and path to what is asked for. Dialects are told by path, never by the
//! credential header; `GET /v1/models` alone, which three APIs share, is told by which headers come.
//!
//! The router and all that follows take the same parsed value. A path that two readers could take differently is
//! refused before anything else is looked at.

use dialects::{Dialect, Operation};
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
        /// Platform family that serves it.
        family: &'static str,
    },
    /// The list of models, in a dialect's form.
    Models(Dialect),
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
            | Self::Models(dialect)
            | Self::Absent(dialect)
            | Self::WrongMethod(dialect)
            | Self::Unknown(dialect) => dialect,
            _ => Dialect::AnthropicMessages,
        }
    }
}

const MESSAGES: Route =
    Route::Relay { dialect: Dialect::AnthropicMessages, operation: Operation::Messages, family: "claude" };
const COUNT_TOKENS: Route =
    Route::Relay { dialect: Dialect::AnthropicMessages, operation: Operation::CountTokens, family: "claude" };
const CHAT: Route = Route::Absent(Dialect::OpenaiChat);
const RESPONSES: Route = Route::Absent(Dialect::OpenaiResponses);
const GEMINI: Route = Route::Absent(Dialect::Gemini);
const MESSAGES_BY_OTHERS: Route = Route::Absent(Dialect::AnthropicMessages);

/// Every path, most asked for first. A final `*` stands for the rest, which must not be empty.
const TABLE: &[(Method, &str, Route)] = &[
    (Method::POST, "/v1/messages", MESSAGES),
    (Method::POST, "/api/v1/messages", MESSAGES),
    (Method::POST, "/claude/v1/messages", MESSAGES),
    (Method::POST, "/v1/messages/count_tokens", COUNT_TOKENS),
    (Method::POST, "/api/v1/messages/count_tokens", COUNT_TOKENS),
    (Method::POST, "/claude/v1/messages/count_tokens", COUNT_TOKENS),
    (Method::GET, "/health", Route::Health),
    (Method::GET, "/api/hello", Route::Hello),
    (Method::GET, "/v1/models", Route::Models(Dialect::OpenaiChat)),
    (Method::GET, "/api/v1/models", Route::Models(Dialect::AnthropicMessages)),
    (Method::GET, "/claude/v1/models", Route::Models(Dialect::AnthropicMessages)),
    (Method::GET, "/api/v1/me", Route::Own(Own::Me)),
    (Method::GET, "/api/v1/usage", Route::Own(Own::Usage)),
    (Method::GET, "/api/v1/key-info", Route::Own(Own::KeyInfo)),
    (Method::POST, "/api/event_logging/batch", Route::Telemetry),
    (Method::POST, "/api/api/event_logging/batch", Route::Telemetry),
    (Method::POST, "/openai/v1/chat/completions", CHAT),
    (Method::POST, "/api/v1/chat/completions", CHAT),
    (Method::POST, "/v1/chat/completions", CHAT),
    (Method::POST, "/openai/claude/v1/chat/completions", CHAT),
    (Method::POST, "/openai/gemini/v1/chat/completions", CHAT),
    (Method::POST, "/openai/v1/responses", RESPONSES),
    (Method::POST, "/openai/responses", RESPONSES),
    (Method::POST, "/v1/responses", RESPONSES),
    (Method::POST, "/openai/v1/responses/compact", RESPONSES),
    (Method::POST, "/openai/responses/compact", RESPONSES),
    (Method::POST, "/v1/responses/compact", RESPONSES),
    (Method::POST, "/openai/v1/embeddings", CHAT),
    (Method::POST, "/v1/embeddings", CHAT),
    (Method::GET, "/openai/v1/models", CHAT),
    (Method::GET, "/openai/claude/v1/models", CHAT),
    (Method::GET, "/openai/gemini/v1/models", CHAT),
    (Method::POST, "/gemini/v1beta/models/*", GEMINI),
    (Method::POST, "/gemini/v1/models/*", GEMINI),
    (Method::POST, "/v1beta/models/*", GEMINI),
    (Method::GET, "/gemini/v1beta/models", GEMINI),
    (Method::GET, "/gemini/v1/models", GEMINI),
    (Method::GET, "/v1beta/models", GEMINI),
    (Method::POST, "/gemini/v1internal:*", GEMINI),
    (Method::POST, "/gemini/v1/messages", MESSAGES_BY_OTHERS),
    (Method::POST, "/gemini/messages", MESSAGES_BY_OTHERS),
    (Method::POST, "/azure/openai/deployments/*", CHAT),
    (Method::POST, "/azure/openai/v1/*", CHAT),
    (Method::POST, "/azure/chat/completions", CHAT),
    (Method::POST, "/azure/responses", RESPONSES),
    (Method::POST, "/azure/embeddings", CHAT),
    (Method::POST, "/bedrock/model/*", MESSAGES_BY_OTHERS),
    (Method::GET, "/apiStats/*", MESSAGES_BY_OTHERS),
    (Method::POST, "/apiStats/*", MESSAGES_BY_OTHERS),
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
            return match route {
                Route::Models(_) if path == "/v1/models" => shared_models(query, headers),
                route => *route,
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
        GEMINI
    } else if headers.contains_key("anthropic-version") {
        Route::Models(Dialect::AnthropicMessages)
    } else {
        CHAT
    }
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
mod tests {
    use super::*;

    fn get(path: &str, header: Option<(&'static str, &str)>) -> Route {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(name, value.parse().unwrap());
        }
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        find(&Method::GET, path, query, &headers)
    }

    fn post(path: &str) -> Route {
        find(&Method::POST, path, None, &HeaderMap::new())
    }

    #[test]
    fn three_prefixes_lead_to_the_same() {
        for prefix in ["", "/api", "/claude"] {
            assert_eq!(post(&format!("{prefix}/v1/messages")), MESSAGES);
            assert_eq!(post(&format!("{prefix}/v1/messages/count_tokens")), COUNT_TOKENS);
        }
    }

    #[test]
    fn models_are_told_by_headers_where_three_apis_share_the_path() {
        assert_eq!(get("/v1/models", Some(("x-goog-api-key", "k"))), GEMINI);
        assert_eq!(get("/v1/models?key=k", None), GEMINI);
        assert_eq!(
            get("/v1/models?limit=1000", Some(("anthropic-version", "2023-06-01"))),
            Route::Models(Dialect::AnthropicMessages)
        );
        assert_eq!(get("/v1/models", Some(("authorization", "Bearer k"))), CHAT);
        assert_eq!(get("/api/v1/models", None), Route::Models(Dialect::AnthropicMessages));
    }

    #[test]
    fn what_is_not_there_is_told_in_its_dialect() {
        assert_eq!(get("/v1/messages", None), Route::WrongMethod(Dialect::AnthropicMessages));
        assert_eq!(allowed("/v1/messages"), "POST, HEAD");
        assert_eq!(allowed("/health"), "GET, HEAD");
        assert_eq!(post("/v1/messages/"), Route::Unknown(Dialect::AnthropicMessages));
        assert_eq!(post("/openai/v1/nothing"), Route::Unknown(Dialect::OpenaiChat));
        assert_eq!(post("/gemini/x"), Route::Unknown(Dialect::Gemini));
        assert_eq!(post("/gemini/v1beta/models/m:generateContent"), GEMINI);
        assert_eq!(post("/gemini/v1beta/models/"), Route::Unknown(Dialect::Gemini));
        assert_eq!(find(&Method::HEAD, "/anything", None, &HeaderMap::new()), Route::Hello);
    }

    #[test]
    fn paths_that_can_be_read_in_two_ways_are_refused() {
        for path in [
            "v1",
            "",
            "//v1/messages",
            "/v1//messages",
            "/v1/../admin",
            "/v1/./messages",
            "/v1/messages/..",
            "/v1%2fmessages",
            "/v1%2Fmessages",
            "/%2e%2e/x",
            "/v1%5cmessages",
            "/v1\\messages",
            "/x%00",
            "/x%",
            "/x%2",
            "/x%zz",
            "/v1/messages;x=1",
            "/%252e",
        ] {
            assert!(!is_plain(path), "{path}");
        }
        for path in
            ["/", "/v1/messages", "/bedrock/model/us.anthropic.claude-opus-v1%3A0/invoke", "/a.b/c..d"]
        {
            assert!(is_plain(path), "{path}");
        }
    }
}
