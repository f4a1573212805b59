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
    assert_eq!(get("/v1/models", Some(("x-goog-api-key", "k"))), GEMINI_MODELS);
    assert_eq!(get("/v1/models?key=k", None), GEMINI_MODELS);
    assert_eq!(get("/v1/models?limit=1000", Some(("anthropic-version", "2023-06-01"))), CLAUDE_MODELS);
    assert_eq!(get("/v1/models", Some(("authorization", "Bearer k"))), OPENAI_MODELS);
    assert_eq!(get("/v1/models/gpt-5", Some(("authorization", "Bearer k"))), OPENAI_MODELS);
    assert_eq!(get("/api/v1/models", None), CLAUDE_MODELS);
    assert_eq!(get("/v1beta/models", None), GEMINI_MODELS);
}

#[test]
fn geminis_paths_name_model_and_verb() {
    for prefix in ["/gemini/v1beta", "/gemini/v1", "/v1beta"] {
        for (verb, operation, streams) in [
            ("generateContent", Operation::GenerateContent, false),
            ("streamGenerateContent", Operation::GenerateContent, true),
            ("countTokens", Operation::CountTokens, false),
            ("batchEmbedContents", Operation::Embeddings, false),
        ] {
            let path = format!("{prefix}/models/gemini-2.5-pro:{verb}");
            let says = Says::Gemini { streams };
            let expected = Route::Relay { dialect: Dialect::Gemini, operation, family: "gemini", says };
            assert_eq!(post(&path), expected, "{path}");
            let named = named(says, &path);
            assert_eq!((named.model.as_deref(), named.verb), (Some("gemini-2.5-pro"), verb), "{path}");
            assert_eq!(named.streams, Some(streams));
        }
    }
    let path = "/gemini/v1internal:loadCodeAssist";
    let Route::Relay { operation: Operation::CodeAssist, says, .. } = post(path) else { panic!() };
    assert_eq!(named(says, path).model, None);
    for path in [
        "/gemini/v1beta/models/m",
        "/gemini/v1beta/models/m:nothing",
        "/gemini/v1beta/models/m:generateContent/x",
        "/gemini/v1beta/models/a:b/c:generateContent",
        "/gemini/v1internal:",
    ] {
        assert_eq!(post(path), Route::Unknown(Dialect::Gemini), "{path}");
    }
}

#[test]
fn azures_paths_name_the_deployment() {
    let path = "/azure/openai/deployments/my-gpt/chat/completions";
    let Route::Relay { dialect: Dialect::OpenaiChat, operation, says, .. } = post(path) else { panic!() };
    assert_eq!(operation, Operation::ChatCompletions);
    assert_eq!(named(says, path).model.as_deref(), Some("my-gpt"));
    let path = "/azure/openai/deployments/e/embeddings";
    assert!(matches!(post(path), Route::Relay { operation: Operation::Embeddings, .. }));
    for path in ["/azure/openai/deployments/e/images", "/azure/openai/deployments/e", "/azure/openai/v1/x"] {
        assert_eq!(post(path), Route::Unknown(Dialect::OpenaiChat), "{path}");
    }
}

#[test]
fn families_are_forced_or_chosen_by_model() {
    let family = |path: &str| match post(path) {
        Route::Relay { family, .. } => family,
        other => panic!("{path}: {other:?}"),
    };
    for path in ["/v1/chat/completions", "/openai/v1/chat/completions", "/api/v1/chat/completions"] {
        assert_eq!(family(path), BY_MODEL);
    }
    assert_eq!(family("/openai/claude/v1/chat/completions"), "claude");
    assert_eq!(family("/openai/gemini/v1/chat/completions"), "gemini");
    for (model, family) in [
        ("gpt-5.4", "openai"),
        ("claude-opus-5-5", "claude"),
        ("gemini-2.5-pro", "gemini"),
        ("glm-5", "openai"),
    ] {
        assert_eq!(family_of(model), family, "{model}");
    }
    assert_eq!(named(Says::Verb("compact"), "/v1/responses/compact").verb, "compact");
    assert!(matches!(post("/v1/responses/compact"), Route::Relay { says: Says::Verb("compact"), .. }));
}

#[test]
fn what_is_not_there_is_told_in_its_dialect() {
    assert_eq!(get("/v1/messages", None), Route::WrongMethod(Dialect::AnthropicMessages));
    assert_eq!(allowed("/v1/messages"), "POST, HEAD");
    assert_eq!(allowed("/health"), "GET, HEAD");
    assert_eq!(post("/v1/messages/"), Route::Unknown(Dialect::AnthropicMessages));
    assert_eq!(post("/openai/v1/nothing"), Route::Unknown(Dialect::OpenaiChat));
    assert_eq!(post("/gemini/x"), Route::Unknown(Dialect::Gemini));
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
    for path in ["/", "/v1/messages", "/bedrock/model/us.anthropic.claude-opus-v1%3A0/invoke", "/a.b/c..d"] {
        assert!(is_plain(path), "{path}");
    }
}
