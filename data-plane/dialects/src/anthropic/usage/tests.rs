use serde_json::json;

use proto::types::TokenUsage;

use super::*;

fn tokens(usage: Value) -> (TokenUsage, bool) {
    let counts = Counts::read(&usage);
    (counts.tokens(), counts.irregular)
}

#[test]
fn every_kind() {
    let (tokens, irregular) = tokens(json!({
        "input_tokens": 3, "output_tokens": 50, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        "output_tokens_details": {"thinking_tokens": 40},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 9}, "service_tier": "priority",
    }));
    let expected = TokenUsage {
        input: 3,
        output: 50,
        cache_read: 7,
        cache_write_5m: 10,
        cache_write_1h: 20,
        reasoning: 40,
        server_tool_calls: 2,
        ..TokenUsage::default()
    };
    assert_eq!((tokens, irregular), (expected, false));
}

#[test]
fn cache_writes_of_unknown_life_are_five_minutes() {
    assert_eq!(tokens(json!({"cache_creation_input_tokens": 30})).0.cache_write_5m, 30);
    let (split, _) = tokens(json!({"cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_1h_input_tokens": 20}}));
    assert_eq!((split.cache_write_5m, split.cache_write_1h), (10, 20));
    let (split, _) = tokens(json!({"cache_creation": {"ephemeral_5m_input_tokens": 4}}));
    assert_eq!((split.cache_write_5m, split.cache_write_1h), (4, 0));
}

#[test]
fn what_is_off_is_flagged_and_counted_as_far_as_it_makes_sense() {
    for (usage, input, off) in [
        (json!({}), 0, false),
        (json!({"input_tokens": null}), 0, false),
        (json!({"input_tokens": "12"}), 12, true),
        (json!({"input_tokens": "many"}), 0, true),
        (json!({"input_tokens": -5}), 0, true),
        (json!({"input_tokens": 12.0}), 12, true),
        (json!({"input_tokens": 1e30}), i64::MAX, true),
        (json!({"input_tokens": [1]}), 0, true),
        (json!("none"), 0, true),
        (json!(null), 0, true),
    ] {
        let (tokens, irregular) = tokens(usage.clone());
        assert_eq!((tokens.input, irregular), (input, off), "{usage}");
    }
}

#[test]
fn later_figures_replace_earlier_ones() {
    let mut counts =
        Counts::read(&json!({"input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 5}));
    counts.update(Counts::read(&json!({"output_tokens": 20})));
    counts.update(Counts::read(&json!({"input_tokens": 12, "output_tokens": 40})));
    let tokens = counts.tokens();
    assert_eq!((tokens.input, tokens.output, tokens.cache_read, counts.irregular), (12, 40, 5, false));
}

#[test]
fn an_input_that_falls_to_nothing_is_an_omission_unless_it_moved() {
    let start = json!({"input_tokens": 100, "output_tokens": 1});
    let mut counts = Counts::read(&start);
    counts
        .update(Counts::read(&json!({"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 9})));
    assert_eq!((counts.tokens().input, counts.tokens().output, counts.irregular), (100, 9, true));
    let mut counts = Counts::read(&start);
    counts.update(Counts::read(
        &json!({"input_tokens": 0, "cache_read_input_tokens": 100, "output_tokens": 9}),
    ));
    assert_eq!((counts.tokens().input, counts.tokens().cache_read, counts.irregular), (0, 100, false));
}
