//! Golden: providers' usage blocks and what they cost. Properties: sums, monotony, no overflow.

use proptest::prelude::*;

use super::*;
use crate::types::TokenUsage;

fn price(model: &str) -> &'static Price {
    Table::shipped().find(model).unwrap_or_else(|| panic!("no price for {model}"))
}

fn real(model: &str, usage: TokenUsage) -> i64 {
    cost(price(model), &usage, &Context::default()).real
}

#[test]
fn the_shipped_table_can_be_read_and_has_what_is_sold() {
    let table = Table::shipped();
    assert_eq!(table.version(), "2026-11-27");
    assert!(table.models().len() > 400);
    for model in [
        "claude-opus-4-6",
        "claude-sonnet-4-6",
        "claude-haiku-4-5",
        "gpt-5.4",
        "gpt-6-sol",
        "gemini-3.8-flash",
    ] {
        assert!(table.find(model).is_some(), "{model}");
    }
}

/// In dollars per million tokens, as the provider's own pages say (checked on the day of the table).
#[test]
fn the_newest_models_cost_what_their_pages_say() {
    for (model, input, output, cache_read) in [
        ("claude-opus-5-5", 4.0, 20.0, 0.2),
        ("claude-sonnet-5-5", 2.0, 10.0, 0.1),
        ("claude-haiku-5-5", 0.1, 0.5, 0.01),
        ("claude-fable-5-1", 10.0, 50.0, 0.25),
        ("claude-opus-5", 5.0, 25.0, 0.5),
        ("claude-sonnet-5", 2.0, 10.0, 0.2),
    ] {
        let rates = price(model).standard.base;
        let dollars = [rates.input, rates.output, rates.cache_read].map(|pico| pico as f64 / 1e6);
        assert_eq!(dollars, [input, output, cache_read], "{model}");
    }
}

#[test]
fn every_shipped_claude_price_follows_the_providers_cache_rules() {
    for price in Table::shipped().models().iter().filter(|price| price.name.contains("claude")) {
        let all =
            std::iter::once(&price.standard.base).chain(price.standard.above.iter().map(|(_, rates)| rates));
        for rates in all {
            assert_eq!(rates.cache_write_1h, 2 * rates.input, "{}", price.name);
            assert!(rates.cache_read < rates.input && rates.cache_write_5m > rates.input, "{}", price.name);
        }
    }
}

#[test]
fn a_claude_answer_costs_what_the_price_page_says() {
    // {"input_tokens":12,"cache_creation_input_tokens":2048,"cache_read_input_tokens":10000,"output_tokens":503}
    let usage = TokenUsage {
        input: 12,
        output: 503,
        cache_read: 10_000,
        cache_write_5m: 2_048,
        ..TokenUsage::default()
    };
    let cost =
        cost(price("claude-opus-4-5-20251101"), &usage, &Context { multiplier: 1.2, ..Context::default() });
    assert_eq!((cost.input, cost.output), (12 * 5000, 503 * 25_000));
    assert_eq!((cost.cache_read, cost.cache_write), (10_000 * 500, 2_048 * 6_250));
    assert_eq!(cost.real, 60_000 + 12_575_000 + 5_000_000 + 12_800_000);
    assert_eq!(cost.rated, 36_522_000);
    assert_eq!((&*cost.price_model, &*cost.price_version), ("claude-opus-4-5-20251101", "2026-11-27"));
    assert_eq!(
        cost.formula,
        "claude-opus-4-5-20251101: 12 input × 5000 + 503 output × 25000 + 10000 cache read × 500 \
         + 2048 cache write 5m × 6250 = 30435000 n$, × 1.2 = 36522000 n$"
    );
}

#[test]
fn caches_of_an_hour_and_web_searches_have_prices_of_their_own() {
    let usage = TokenUsage { cache_write_1h: 1000, server_tool_calls: 3, ..TokenUsage::default() };
    let cost = cost(price("claude-sonnet-4-5"), &usage, &Context::default());
    assert_eq!(cost.cache_write, 1000 * 6000);
    assert_eq!(cost.other, 3 * 10_000_000);
}

#[test]
fn long_context_is_dearer_from_the_first_token_on_but_only_above_the_threshold() {
    let usage = |input, cache_read| TokenUsage { input, cache_read, output: 10, ..TokenUsage::default() };
    let model = "claude-haiku-5-5";
    assert_eq!(real(model, usage(100_000, 0)), 100_000 * 100 + 10 * 500);
    assert_eq!(real(model, usage(50_001, 50_000)), 50_001 * 500 + 50_000 * 50 + 10 * 2_500);
    // A model without long-context prices has one price for all.
    assert_eq!(real("claude-opus-4-6", usage(900_000, 0)), 900_000 * 5000 + 10 * 25_000);
    assert_eq!(real("gpt-5.4", usage(272_001, 0)), 272_001 * 5000 + 10 * 22_500);
}

#[test]
fn service_tiers_are_priced_where_the_provider_prices_them() {
    let usage = TokenUsage { input: 1000, output: 100, ..TokenUsage::default() };
    let at = |model, service_tier| {
        cost(price(model), &usage, &Context { service_tier, ..Context::default() }).real
    };
    assert_eq!(at("gpt-5", ""), 1000 * 1250 + 100 * 10_000);
    assert_eq!(at("gpt-5", "default"), at("gpt-5", ""));
    assert_eq!(at("gpt-5", "priority"), 1000 * 2500 + 100 * 20_000);
    assert_eq!(at("gpt-5", "flex"), 1000 * 625 + 100 * 5_000);
    assert_eq!(at("claude-opus-4-5", "priority"), at("claude-opus-4-5", "standard"));
}

#[test]
fn parts_of_nano_dollars_are_rounded_half_up_once_per_term() {
    let table = br#"{"format":1,"version":"t","models":{"m":{"input":37500,"output":500,"cache_read":499}}}"#;
    let table = Table::parse(table).unwrap();
    let usage = TokenUsage { input: 1, output: 1, cache_read: 1, ..TokenUsage::default() };
    let cost = cost(table.find("m").unwrap(), &usage, &Context::default());
    assert_eq!((cost.input, cost.output, cost.cache_read, cost.real), (38, 1, 0, 39));
    assert!(cost.formula.starts_with("m: 1 input × 37.5 + 1 output × 0.5 + 1 cache read × 0.499 ="));
}

#[test]
fn audio_and_images_are_taken_out_of_the_text() {
    let table =
        br#"{"format":1,"version":"t","models":{"m":{"input":1000,"output":2000,"audio_input":5000}}}"#;
    let table = Table::parse(table).unwrap();
    let usage = TokenUsage { input: 10, audio_input: 4, image_input: 9, output: 1, ..TokenUsage::default() };
    let cost = cost(table.find("m").unwrap(), &usage, &Context::default());
    // Six images at most: the input has ten tokens, of which four are audio. Images cost as input here.
    assert_eq!((cost.input, cost.other, cost.output), (0, 4 * 5 + 6, 2));
}

#[test]
fn a_model_is_found_under_the_names_it_goes_by() {
    for (asked, found) in [
        ("claude-opus-4-5-20251101", "claude-opus-4-5-20251101"),
        (" claude-opus-4-5 ", "claude-opus-4-5"),
        ("anthropic/claude-opus-4-5", "claude-opus-4-5"),
        ("Claude-Opus-4-5[1m]", "claude-opus-4-5"),
        ("claude-opus-4-5-latest", "claude-opus-4-5"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku-20241022"),
        ("claude-3-7-sonnet-latest", "claude-3-7-sonnet-20250219"),
        ("claude-opus-4-5-20991231", "claude-opus-4-5"),
        ("claude-opus-4-5@20251101", "claude-opus-4-5-20251101"),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", "us.anthropic.claude-opus-4-5-20251101-v1:0"),
        ("ca.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5-20251101"),
        ("anthropic.claude-v2:1", "anthropic.claude-v2:1"),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
        ("claude-opus-5-5[1m]", "claude-opus-5-5"),
        ("anthropic/claude-opus-5-5", "claude-opus-5-5"),
        ("claude-opus-5-5-20260915", "claude-opus-5-5"),
        ("claude-sonnet-5-5-latest", "claude-sonnet-5-5"),
        ("us.anthropic.claude-sonnet-5-5", "us.anthropic.claude-sonnet-5-5"),
        ("us.anthropic.claude-sonnet-5-5-20260928-v1:0", "claude-sonnet-5-5"),
        ("claude-sonnet-5-5@default", "claude-sonnet-5-5"),
        ("openai/gpt-5", "gpt-5"),
        ("azure/gpt-4o", "azure/gpt-4o"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
    ] {
        assert_eq!(&*price(asked).name, found, "{asked}");
    }
}

#[test]
fn an_unknown_model_has_no_price() {
    for model in
        ["", "claude", "gpt", "claude-opus", "claude-opus-4-5-turbo", "my-gpt-4o", "opus", "-20251101", "/"]
    {
        assert_eq!(Table::shipped().find(model).map(|price| price.name.clone()), None, "{model}");
    }
}

#[test]
fn a_table_that_cannot_be_right_is_refused() {
    for (json, expected) in [
        (r#"{"format":2,"version":"t","models":{}}"#, "format 2"),
        (r#"{"format":1,"version":"t","models":{"m":{"output":1}}}"#, "`input` is missing"),
        (r#"{"format":1,"version":"t","models":{"m":{"input":-1}}}"#, "invalid value"),
        (r#"{"format":1,"version":"t","models":{"m":{"input":1.5}}}"#, "invalid type"),
        (r#"{"format":1,"version":"t","models":{"m":{"input":1,"imput":1}}}"#, "unknown field"),
        (r#"{"format":1,"version":"t","models":{"m":{"input":1},"m":{"input":2}}}"#, "named twice"),
        (r#"{"format":1,"version":"t","models":{"m":{"input":2000000000000}}}"#, "dollar per token"),
        (
            r#"{"format":1,"version":"t","models":{"m":{"input":1,"above":[{"tokens":0,"input":1}]}}}"#,
            "thresholds",
        ),
        ("[]", "cannot be read"),
    ] {
        let why = Table::parse(json.as_bytes()).unwrap_err().to_string();
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn extremes_neither_wrap_nor_panic() {
    let usage = TokenUsage {
        input: i64::MAX,
        output: i64::MAX,
        cache_read: i64::MAX,
        cache_write_5m: i64::MIN,
        audio_input: i64::MAX,
        server_tool_calls: -1,
        ..TokenUsage::default()
    };
    for multiplier in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300] {
        let cost = cost(price("gpt-5"), &usage, &Context { service_tier: "", multiplier });
        assert_eq!((cost.real, cost.cache_write), (i64::MAX, 0));
        assert!(cost.rated >= 0);
    }
}

fn usages() -> impl Strategy<Value = TokenUsage> {
    let count = || prop_oneof![0..1000_i64, 0..1_000_000_i64];
    (count(), count(), count(), count(), count(), 0..50_i64).prop_map(
        |(input, output, cache_read, cache_write_5m, cache_write_1h, server_tool_calls)| TokenUsage {
            input,
            output,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            server_tool_calls,
            audio_input: input / 3,
            image_output: output / 5,
            ..TokenUsage::default()
        },
    )
}

proptest! {
    #[test]
    fn the_breakdown_adds_up_and_more_tokens_never_cost_less(
        at in any::<prop::sample::Index>(), usage in usages(), more in usages(), multiplier in 0.0..5.0_f64,
    ) {
        let price = at.get(Table::shipped().models());
        let context = Context { service_tier: "", multiplier };
        let first = cost(price, &usage, &context);
        prop_assert_eq!(first.real, first.input + first.output + first.cache_read + first.cache_write + first.other);
        // Text only: a token that turns from text into audio may well cost less.
        let text = |usage: TokenUsage| TokenUsage { audio_input: 0, image_output: 0, ..usage };
        let (usage, mut sum) = (text(usage), text(usage));
        sum.add(&text(more));
        prop_assert!(cost(price, &sum, &context).real >= cost(price, &usage, &context).real);
    }
}
