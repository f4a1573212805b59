use std::collections::BTreeMap;

use super::*;
use crate::{Credentials, recorded};

#[test]
fn recorded_pairs() {
    recorded::check(&Openai, "openai");
}

fn account(base_url: &str, responses: &str, test: impl FnOnce(&AccountView<'_>)) {
    let credentials: Credentials =
        [("api_key".to_owned(), "sk-1".into()), ("responses".to_owned(), responses.into())].into();
    test(&AccountView {
        base_url,
        credentials: &credentials,
        user_agent: "",
        model_mapping: &BTreeMap::new(),
    });
}

#[test]
fn responses_are_asked_for_where_they_are_offered() {
    let wanted = |base, responses| {
        let mut dialect = Dialect::Gemini;
        account(base, responses, |view| dialect = Openai.dialect(view, Dialect::OpenaiResponses, "gpt-5"));
        dialect
    };
    assert_eq!(wanted("", ""), Dialect::OpenaiResponses);
    assert_eq!(wanted("https://api.openai.com/v1", "auto"), Dialect::OpenaiResponses);
    assert_eq!(wanted("https://gateway.example", "auto"), Dialect::OpenaiChat);
    assert_eq!(wanted("https://gateway.example", "yes"), Dialect::OpenaiResponses);
    assert_eq!(wanted("", "no"), Dialect::OpenaiChat);
    account("https://gateway.example", "", |view| {
        let (headers, peek) = (HeaderMap::new(), Default::default());
        let call = recorded::call(Operation::Responses, &headers, &peek);
        let refused = Openai.prepare(view, &call).err();
        assert_eq!(refused, Some(PrepareError::Unsupported(Operation::Responses)));
        assert_eq!(Openai.dialect(view, Dialect::AnthropicMessages, "gpt-5"), Dialect::OpenaiChat);
    });
}

#[test]
fn a_probe_is_a_chat() {
    account("https://gateway.example/api/paas/v4", "", |view| {
        let probe = Openai.probe(view, "glm-4.6", 0).unwrap();
        assert_eq!(probe.uri, "https://gateway.example/api/paas/v4/chat/completions");
        assert_eq!(probe.headers["authorization"], "Bearer sk-1");
        assert!(probe.headers["authorization"].is_sensitive());
        let body: serde_json::Value = serde_json::from_slice(&recorded::sent(b"", &probe.body)).unwrap();
        assert_eq!(body["model"], "glm-4.6");
    });
}
