//! The shipped price table from LiteLLM's public one, for the providers that our platforms speak to. Called by
//! `proto-gen prices <LiteLLM's JSON> <version> <table>`: what the source prices is taken from it, a model that has left
//! the source keeps the price that the table had (the past is re-priced with it), and what cannot be read is refused.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Number, Value};

/// Pico-dollars in a dollar.
const PICO: f64 = 1e12;
/// Providers of our platforms, as the source names them.
const PROVIDERS: [&str; 8] = [
    "anthropic",
    "azure",
    "bedrock",
    "bedrock_converse",
    "gemini",
    "openai",
    "vertex_ai-anthropic_models",
    "vertex_ai-language-models",
];
/// What is relayed, as the source names it.
const MODES: [&str; 3] = ["chat", "embedding", "responses"];
/// Our rates in the table's order, and the source's fields.
const RATES: [(&str, &str); 9] = [
    ("input", "input_cost_per_token"),
    ("output", "output_cost_per_token"),
    ("cache_read", "cache_read_input_token_cost"),
    ("cache_write_5m", "cache_creation_input_token_cost"),
    ("cache_write_1h", "cache_creation_input_token_cost_above_1hr"),
    ("audio_input", "input_cost_per_audio_token"),
    ("audio_output", "output_cost_per_audio_token"),
    ("image_input", "input_cost_per_image_token"),
    ("image_output", "output_cost_per_image_token"),
];
/// A web search by Claude, where the source does not say; pico-dollars.
const CLAUDE_SEARCH: u64 = 10_000_000_000;
/// Our service tiers, and the source's endings.
const TIERS: [(&str, &str); 3] = [("batch", "_batches"), ("flex", "_flex"), ("priority", "_priority")];

/// Order of a model's fields in the table, which is written for people who compare two of them.
const ORDER: [&str; 14] = [
    "context",
    "max_output",
    "tokens",
    "input",
    "output",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_input",
    "audio_output",
    "image_input",
    "image_output",
    "web_search",
    "above",
];

/// A model of the source, or of the table.
type Row = Map<String, Value>;

/// Writes the table anew.
pub fn write(source: &Path, version: &str, table: &Path) -> Result<()> {
    let read = |path: &Path| -> Result<Value> {
        let text = std::fs::read(path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| path.display().to_string())
    };
    let source: BTreeMap<String, Row> = serde_json::from_value(read(source)?)?;
    let mut models: BTreeMap<String, Value> = serde_json::from_value(read(table)?["models"].take())?;
    let (had, mut taken) = (models.len(), 0);
    for (name, row) in &source {
        if let Some(priced) = wanted(name, row).then(|| model(name, row)).flatten() {
            models.insert(name.clone(), priced);
            taken += 1;
        }
    }
    ensure!(taken > 100, "{taken} models of the source can be used: is it LiteLLM's table?");
    let mut text = format!(
        "{{\n\"format\":1,\n\"version\":{},\n\"unit\":\"pico-dollars per token or call (10^-12 US dollar)\",\n\"models\":{{\n",
        Value::from(version)
    );
    let rows = models.iter().map(|(name, priced)| format!("{}:{}", Value::from(name.as_str()), line(priced)));
    text.push_str(&rows.collect::<Vec<_>>().join(",\n"));
    text.push_str("\n}\n}\n");
    std::fs::write(table, text)?;
    report(&format!("{taken} models from the source, {} in all, {had} before", models.len()));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a tool of the repository talks to who runs it")]
fn report(line: &str) {
    println!("{line}");
}

/// Whether one of our platforms serves it. Names that move (`alias_of`) are left out: answers name the model that served.
/// Of Bedrock it is Claude, by use and not by commitment.
fn wanted(name: &str, row: &Row) -> bool {
    let text = |field| row.get(field).and_then(Value::as_str).unwrap_or_default();
    let provider = text("litellm_provider");
    let bedrock = provider.starts_with("bedrock");
    PROVIDERS.contains(&provider)
        && MODES.contains(&text("mode"))
        && (!bedrock || name.contains("anthropic.claude") && !name.contains("commitment"))
}

/// Its prices in our format; none without a price for input.
fn model(name: &str, row: &Row) -> Option<Value> {
    let mut priced = rates(row, "");
    priced.get("input")?;
    if name.contains("claude") {
        complete(&mut priced);
    }
    let mut whole = Row::new();
    for (ours, theirs) in [("context", "max_input_tokens"), ("max_output", "max_output_tokens")] {
        if let Some(tokens) = row.get(theirs).and_then(Value::as_f64).filter(|tokens| *tokens > 0.0) {
            whole.insert(ours.into(), Number::from(tokens as u64).into());
        }
    }
    if name.contains("claude") {
        let search =
            row.get("search_context_cost_per_query").and_then(|cost| cost.get("search_context_size_medium"));
        whole.insert("web_search".into(), search.and_then(pico).unwrap_or_else(|| CLAUDE_SEARCH.into()));
    }
    whole.append(&mut priced);
    let long = above(row, "", name.contains("claude"));
    if !long.is_empty() {
        whole.insert("above".into(), long.into());
    }
    let mut tiers = Row::new();
    for (ours, theirs) in TIERS {
        let mut tier = rates(row, theirs);
        if tier.contains_key("input") {
            let long = above(row, theirs, false);
            if !long.is_empty() {
                tier.insert("above".into(), long.into());
            }
            tiers.insert(ours.into(), tier.into());
        }
    }
    if !tiers.is_empty() {
        whole.insert("tiers".into(), tiers.into());
    }
    Some(whole.into())
}

/// The rates whose fields end so.
fn rates(row: &Row, ending: &str) -> Row {
    let stated = |(ours, theirs): (&str, &str)| {
        let pico = row.get(&format!("{theirs}{ending}")).and_then(pico)?;
        Some((ours.to_owned(), pico))
    };
    RATES.into_iter().filter_map(stated).collect()
}

/// Rates above a number of input tokens, by that number.
fn above(row: &Row, tier: &str, claude: bool) -> Vec<Value> {
    let threshold = |field: &String| -> Option<u64> {
        let rest = field.strip_prefix("input_cost_per_token_above_")?.strip_suffix(tier)?;
        rest.strip_suffix("k_tokens")?.parse().ok()
    };
    let mut thresholds: Vec<u64> = row.keys().filter_map(threshold).collect();
    thresholds.sort_unstable();
    let rates = |thousands: u64| {
        let mut rates = rates(row, &format!("_above_{thousands}k_tokens{tier}"));
        if claude {
            complete(&mut rates);
        }
        let mut whole = Row::from_iter([("tokens".to_owned(), Value::from(thousands * 1000))]);
        whole.append(&mut rates);
        Value::from(whole)
    };
    thresholds.into_iter().map(rates).collect()
}

/// What Anthropic publishes as multiples of the input's price, where the source leaves it out.
fn complete(rates: &mut Row) {
    let Some(input) = rates.get("input").and_then(Value::as_u64) else { return };
    for (name, hundredths) in [("cache_read", 10), ("cache_write_5m", 125), ("cache_write_1h", 200)] {
        rates.entry(name).or_insert_with(|| Value::from(input * hundredths / 100));
    }
}

/// A value in one line, fields in their order.
fn line(value: &Value) -> String {
    let list = |parts: Vec<String>| parts.join(",");
    match value {
        Value::Object(row) => {
            let known = ORDER.iter().filter_map(|name| row.get_key_value(*name));
            let other = row.iter().filter(|(name, _)| !ORDER.contains(&name.as_str()));
            let field =
                |(name, value): (&String, &Value)| format!("{}:{}", Value::from(name.as_str()), line(value));
            format!("{{{}}}", list(known.chain(other).map(field).collect()))
        }
        Value::Array(rows) => format!("[{}]", list(rows.iter().map(line).collect())),
        other => other.to_string(),
    }
}

fn pico(dollars: &Value) -> Option<Value> {
    let pico = (dollars.as_f64()? * PICO).round();
    (pico >= 0.0).then(|| Value::from(pico as u64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_of_the_source_becomes_a_row_of_ours() {
        let row = json!({
            "litellm_provider": "anthropic", "mode": "chat", "max_input_tokens": 1e6, "max_output_tokens": 128000,
            "input_cost_per_token": 1e-07, "output_cost_per_token": 5e-07,
            "input_cost_per_token_batches": 5e-08, "output_cost_per_token_batches": 2.5e-07,
            "input_cost_per_token_above_100k_tokens": 5e-07, "output_cost_per_token_above_100k_tokens": 2.5e-06,
            "cache_creation_input_token_cost_above_1hr_above_100k_tokens": 1e-06,
        });
        let Value::Object(row) = row else { panic!("an object") };
        assert!(wanted("claude-m", &row));
        assert_eq!(
            line(&model("claude-m", &row).unwrap()),
            "{\"context\":1000000,\"max_output\":128000,\"input\":100000,\"output\":500000,\"cache_read\":10000,\
             \"cache_write_5m\":125000,\"cache_write_1h\":200000,\"web_search\":10000000000,\"above\":[{\"tokens\":100000,\
             \"input\":500000,\"output\":2500000,\"cache_read\":50000,\"cache_write_5m\":625000,\"cache_write_1h\":1000000}],\
             \"tiers\":{\"batch\":{\"input\":50000,\"output\":250000}}}"
        );
    }

    #[test]
    fn what_no_platform_of_ours_serves_is_left_out() {
        let row = |provider: &str, mode: &str| {
            Row::from_iter([("litellm_provider".into(), provider.into()), ("mode".into(), mode.into())])
        };
        assert!(wanted("eu.anthropic.claude-m", &row("bedrock_converse", "chat")));
        assert!(!wanted("meta.llama", &row("bedrock", "chat")));
        assert!(!wanted("m", &row("somebody", "chat")));
        assert!(!wanted("m", &row("openai", "image_generation")));
        assert_eq!(model("m", &row("openai", "chat")), None);
    }
}
