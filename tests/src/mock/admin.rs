//! The mock's own paths under `/_mock/`, for tests and people in another process.
//!
//! `PUT /_mock/scenarios/{name}` and `PUT /_mock/keys/{key}` take a [`Scenario`] or a [`Behaviour`] as JSON;
//! `GET /_mock/ledger?after=N` gives the book from entry N; `GET /_mock/health` answers when it is up.

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    scenario::{Behaviour, Scenario},
    server::State,
    writer::{After, Writer},
};
use crate::wire::{Conn, Head};

/// Serves one of the mock's own requests.
pub async fn serve(state: &State, conn: &mut Conn, head: &Head, body: &[u8]) -> Result<After> {
    let (status, answer) = match (head.method.as_str(), head.path().trim_start_matches("/_mock/")) {
        ("GET", "health") => (200, json!({"connections": state.ledger.connections()})),
        ("GET", "ledger") => {
            let after = head.query().strip_prefix("after=").and_then(|n| n.parse().ok()).unwrap_or(0);
            (200, json!(state.ledger.matching(|entry| entry.number >= after)))
        }
        ("PUT", path) => match (path.split_once('/'), scenario(body)) {
            (Some(("scenarios", name)), Ok(scenario)) => {
                state.scenarios.name(name, scenario);
                (200, json!({}))
            }
            (Some(("keys", key)), Ok(scenario)) => {
                state.scenarios.key(key, scenario);
                (200, json!({}))
            }
            (Some(("scenarios" | "keys", _)), Err(error)) => (400, json!({"error": error.to_string()})),
            _ => (404, Value::Null),
        },
        _ => (404, Value::Null),
    };
    let head = format!("HTTP/1.1 {status} Mock\r\ncontent-type: application/json\r\n");
    Writer::new(conn, None).whole(&head, answer.to_string().as_bytes(), &Behaviour::default()).await
}

fn scenario(body: &[u8]) -> Result<Scenario> {
    let value: Value = serde_json::from_slice(body)?;
    if value.get("steps").is_some() {
        return Ok(serde_json::from_value(value)?);
    }
    Ok(serde_json::from_value::<Behaviour>(value)?.into())
}
