//! Our records against the mock's ledger: which belongs to which, and whether they say the same.

use std::{collections::HashMap, time::Duration};

use e2e::{
    mock::{Counted, Entry},
    sandbox::{Admin, eventually},
};
use serde_json::Value;

/// Nano-dollars per token of the model that tests use: input, output, cache read, cache write of 5 minutes, of an hour.
/// Written down here, so that the shipped table and its arithmetic are checked against something that is not theirs.
pub const SONNET: [i64; 5] = [3_000, 15_000, 300, 3_750, 6_000];
/// The same of the models that tests of other dialects use.
const OTHERS: [(&str, [i64; 5]); 3] = [
    ("gpt-4.1", [2_000, 8_000, 500, 0, 0]),
    ("gemini-2.5-flash", [300, 2_500, 30, 0, 0]),
    ("text-embedding-3-small", [20, 0, 0, 0, 0]),
];

/// What a call of that model must have cost, in nano-dollars.
pub fn cost(counted: &Counted) -> i64 {
    cost_of("", counted)
}

/// What a call of any of the models that tests use must have cost.
fn cost_of(model: &str, counted: &Counted) -> i64 {
    let prices = OTHERS.iter().find(|(name, _)| *name == model).map_or(SONNET, |(_, prices)| *prices);
    let tokens =
        [counted.input, counted.output, counted.cache_read, counted.cache_write_5m, counted.cache_write_1h];
    tokens.iter().zip(prices).map(|(tokens, price)| tokens * price).sum()
}

/// A number of a record; JSON may leave a zero out.
pub fn number(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}

/// The tokens that an attempt of ours says.
pub fn tokens(attempt: &Value) -> Counted {
    let usage = &attempt["usage"];
    Counted {
        input: number(&usage["input"]),
        output: number(&usage["output"]),
        cache_read: number(&usage["cache_read"]),
        cache_write_5m: number(&usage["cache_write_5m"]),
        cache_write_1h: number(&usage["cache_write_1h"]),
        reasoning: number(&usage["reasoning"]),
    }
}

/// Attempts of all records by the upstream's request id, with their record.
pub fn by_upstream_id(records: &[Value]) -> HashMap<String, (Value, Value)> {
    let mut found = HashMap::new();
    for record in records {
        for attempt in record["attempts"].as_array().into_iter().flatten() {
            let id = attempt["upstream_request_id"].as_str().unwrap_or_default();
            if !id.is_empty() {
                let twice = found.insert(id.to_owned(), (attempt.clone(), record.clone()));
                assert!(twice.is_none(), "two attempts claim the upstream's request {id}");
            }
        }
    }
    found
}

/// Waits for the record of a ledger entry: its attempt and the whole record.
pub async fn recorded(admin: &Admin, entry: &Entry) -> anyhow::Result<(Value, Value)> {
    eventually("the record of a request", Duration::from_secs(10), || async {
        let records = admin.requests().await.ok()?;
        by_upstream_id(&records).remove(&entry.request_id)
    })
    .await
}

/// Fails unless an attempt is unflagged and equal, to the token and to the nano-dollar, to what the mock counted.
pub fn equal(attempt: &Value, entry: &Entry) -> anyhow::Result<()> {
    let counted = entry.counted.unwrap_or_default();
    anyhow::ensure!(attempt["estimated"] != true, "flagged though all was told: {attempt}");
    anyhow::ensure!(
        tokens(attempt) == counted,
        "tokens: {:?}, the mock counted {counted:?}",
        tokens(attempt)
    );
    let real = number(&attempt["cost"]["real"]);
    let must = cost_of(&entry.model, &counted);
    anyhow::ensure!(real == must, "cost: {real}, must be {must}: {}", attempt["cost"]);
    Ok(())
}
