use std::collections::BTreeMap;

use dialects::Operation;

use super::*;
use crate::{Credentials, recorded};

#[test]
fn recorded_pairs() {
    recorded::check(&ClaudeConsole, "claude_console");
}

fn account(credentials: &Credentials, test: impl FnOnce(&AccountView<'_>)) {
    let view = AccountView { base_url: "", credentials, user_agent: "", model_mapping: &BTreeMap::new() };
    test(&view);
}

fn with_key(key: &str) -> Credentials {
    [("api_key".to_owned(), key.into())].into()
}

#[test]
fn a_probe_is_the_smallest_request_of_the_platform_itself() {
    account(&with_key("sk-ant-1"), |view| {
        let probe = ClaudeConsole.probe(view, "claude-haiku-4-5", 0).unwrap();
        assert_eq!(probe.uri, "https://api.anthropic.com/v1/messages");
        assert_eq!(probe.headers["x-api-key"], "sk-ant-1");
        assert!(probe.headers["x-api-key"].is_sensitive());
        assert_eq!(probe.model_sent, "claude-haiku-4-5");
        let body: serde_json::Value = serde_json::from_slice(&recorded::sent(b"", &probe.body)).unwrap();
        assert_eq!(
            (body["model"].as_str(), body["max_tokens"].as_i64()),
            (Some("claude-haiku-4-5"), Some(1))
        );
    });
}

#[test]
fn what_an_account_lacks_is_named_without_its_value() {
    let (headers, peek) = (HeaderMap::new(), Default::default());
    let call = recorded::call(Operation::Messages, &headers, &peek);
    account(&Credentials::new(), |view| {
        assert_eq!(ClaudeConsole.prepare(view, &call).err(), Some(PrepareError::NoCredential("api_key")));
    });
    account(&with_key("new\nline"), |view| {
        assert_eq!(ClaudeConsole.prepare(view, &call).err(), Some(PrepareError::BadCredential("api_key")));
        assert!(!format!("{view:?}").contains("line"));
    });
    account(&with_key("k"), |view| {
        let call = Call { operation: Operation::Embeddings, ..call };
        assert_eq!(
            ClaudeConsole.prepare(view, &call).err(),
            Some(PrepareError::Unsupported(Operation::Embeddings))
        );
    });
}

#[test]
fn forms_are_drawn_from_the_schema() {
    let wire = ClaudeConsole.info().to_wire();
    assert_eq!(wire.credential_fields[0].kind, "secret");
    assert_eq!(wire.credential_fields[1].choices, ["auto", "x-api-key", "bearer"]);
    assert_eq!((wire.family.as_str(), wire.dialect.as_str()), ("claude", "anthropic_messages"));
}
