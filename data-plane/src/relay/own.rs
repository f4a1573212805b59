//! Answers of our own for a key's bearer: which models it may ask for, who it is, what it used. The last comes from the
//! control plane; while it is away, 503.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use dialects::{Dialect, error::Kind, models};
use http::{Response, StatusCode};
use process::clock;
use proto::{
    node::{KeyInfoRequest, KeyInfoResponse, KeyUsage, key_info_service_client::KeyInfoServiceClient},
    types::{TokenUsage, UsageRecord},
};
use serde_json::{Value, json};
use snapshot::{Account, Key, Snapshot};

use super::{
    admit, authenticate,
    error::Refusal,
    node::{Asked, Worker},
    respond::{self, Body},
    settle,
};
use crate::{
    metrics::{Outcome, Reason},
    routes::{BY_MODEL, Own, Route},
};

/// How long the control plane's answer is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Answers a request that goes to no upstream.
pub async fn answer(worker: &Arc<Worker>, asked: Box<Asked>, route: Route) -> Response<Body> {
    let snapshot = worker.node.snapshot.current();
    match answered(worker, &asked, &snapshot, route).await {
        Ok(body) => {
            worker.node.metrics.request_ended(Outcome::Ok);
            settle::answered(worker, &asked, StatusCode::OK);
            respond::json(StatusCode::OK, body)
        }
        Err(refusal) => {
            settle::turned_away(worker, &asked, &refusal);
            respond::refusal(asked.dialect, &refusal, &asked.id)
        }
    }
}

async fn answered(
    worker: &Arc<Worker>,
    asked: &Asked,
    snapshot: &Snapshot,
    route: Route,
) -> Result<bytes::Bytes, Refusal> {
    let (head, now_ms) = (&asked.head, asked.started_us / 1000);
    let secret = authenticate::presented(&head.headers, head.uri.query());
    let throttle = &worker.node.throttle;
    let key = authenticate::key(snapshot, secret.as_deref(), throttle, asked.address, now_ms)?;
    let client_kind = dialects::client::kind(&head.headers, None);
    admit::standing(&worker.node, &key, asked, client_kind, now_ms)?;
    Ok(match route {
        Route::Models { dialect, .. } => {
            let known = permitted_models(snapshot, &key, asked);
            match one_of_them(head.uri.path()) {
                None => models::list(dialect, &known, head.uri.query().unwrap_or_default()),
                Some(id) if known.iter().any(|known| known == id) => models::one(dialect, id),
                Some(_) => {
                    let refusal = Refusal::new(Kind::NotFound, Reason::Model, "there is no such model");
                    return Err(refusal.code("model_not_found"));
                }
            }
        }
        Route::Own(Own::Me) => json!({
            "id": format!("user_{}", key.id),
            "type": "user",
            "display_name": &*key.name,
            "created_at": timestamp(now_ms),
        })
        .to_string()
        .into(),
        Route::Own(own) => {
            let info = info(worker, &key).await?;
            let body = if own == Own::Usage { usage(&info, now_ms) } else { key_info(&info, &key, now_ms) };
            body.to_string().into()
        }
        _ => return Err(Refusal::new(Kind::NotFound, Reason::Malformed, "there is nothing here")),
    })
}

/// Models of the platforms whose accounts could serve this key, and names that accounts map, by the key's rule.
fn permitted_models(snapshot: &Snapshot, key: &Key, asked: &Asked) -> Vec<String> {
    let mut models = BTreeSet::new();
    let families = FAMILIES.iter().filter(|family| asked.family == BY_MODEL || asked.family == **family);
    let families = families.filter(|family| key.permits_family(family));
    let accounts =
        families.flat_map(|family| snapshot.accounts(family)).filter(|account| serves(account, asked));
    let mut platforms = BTreeSet::new();
    for account in accounts {
        let named = account.model_mapping.keys().filter(|name| !name.contains('*'));
        models.extend(named.cloned());
        platforms.insert(account.platform.as_str());
    }
    let known = platforms.into_iter().filter_map(platforms::registry::find);
    models.extend(known.flat_map(|platform| platform.info().models).map(|&model| model.to_owned()));
    models.retain(|model| key.permits_model(model));
    models.into_iter().collect()
}

/// Platform families, as key permissions speak of them.
const FAMILIES: [&str; 3] = ["claude", "gemini", "openai"];

/// Whether an account can serve clients of the dialect in which the list is asked for.
fn serves(account: &Account, asked: &Asked) -> bool {
    // Whoever asks in this dialect is led to any family by the model, and converted for where need be.
    asked.dialect == Dialect::OpenaiChat || account.speaks(asked.dialect.as_str())
}

/// The model that a path asks about, where it asks about one.
fn one_of_them(path: &str) -> Option<&str> {
    path.split_once("/models/").map(|(_, id)| id).filter(|id| !id.is_empty())
}

async fn info(worker: &Arc<Worker>, key: &Key) -> Result<KeyInfoResponse, Refusal> {
    let mut client = KeyInfoServiceClient::new(worker.node.channel.clone());
    let call = client.get(KeyInfoRequest { key_id: key.id.as_str().to_owned() });
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        _ => {
            let message = "usage figures are not available right now";
            Err(Refusal::new(Kind::Unavailable, Reason::NotReady, message).later(5_000))
        }
    }
}

fn key_info(info: &KeyInfoResponse, key: &Key, now_ms: i64) -> Value {
    json!({
        "keyInfo": {
            "id": key.id.as_str(),
            "name": &*key.name,
            "tokenLimit": token_limit(info),
            "usage": figures(info),
        },
        "timestamp": timestamp(now_ms),
    })
}

fn usage(info: &KeyInfoResponse, now_ms: i64) -> Value {
    json!({
        "usage": figures(info),
        "limits": { "tokens": token_limit(info), "requests": 0 },
        "timestamp": timestamp(now_ms),
    })
}

/// Version 1's token limit: per window, 0 for none.
fn token_limit(info: &KeyInfoResponse) -> i64 {
    let limits = info.key.iter().flat_map(|key| &key.limits);
    limits.filter(|limit| limit.meter == "tokens").map(|limit| limit.amount).min().unwrap_or(0)
}

fn figures(info: &KeyInfoResponse) -> Value {
    json!({
        "total": sums(info.total.as_ref()),
        "daily": sums(info.daily.as_ref()),
        "monthly": sums(info.monthly.as_ref()),
        "recentRecords": info.recent.iter().map(record).collect::<Vec<_>>(),
    })
}

fn sums(usage: Option<&KeyUsage>) -> Value {
    let tokens = usage.and_then(|usage| usage.tokens).unwrap_or_default();
    json!({
        "tokens": tokens.input.saturating_add(tokens.output),
        "inputTokens": tokens.input,
        "outputTokens": tokens.output,
        "cacheCreateTokens": writes(&tokens),
        "cacheReadTokens": tokens.cache_read,
        "allTokens": tokens.all(),
        "requests": usage.map_or(0, |usage| usage.requests),
        "cost": dollars(usage.map_or(0, |usage| usage.rated_cost)),
    })
}

fn record(record: &UsageRecord) -> Value {
    let (mut tokens, mut cost) = (TokenUsage::default(), 0);
    for attempt in &record.attempts {
        tokens.add(&attempt.usage.unwrap_or_default());
        cost += attempt.cost.as_ref().map_or(0, |cost| cost.rated);
    }
    json!({
        "timestamp": record.started_at.map(|at| timestamp(at.seconds * 1000)),
        "model": record.model,
        "inputTokens": tokens.input,
        "outputTokens": tokens.output,
        "cacheCreateTokens": writes(&tokens),
        "cacheReadTokens": tokens.cache_read,
        "totalTokens": tokens.all(),
        "cost": dollars(cost),
        "status": record.status,
    })
}

fn writes(tokens: &TokenUsage) -> i64 {
    tokens.cache_write_5m.saturating_add(tokens.cache_write_1h)
}

fn dollars(nano: i64) -> f64 {
    proto::rules::money::NanoDollars(nano).dollars()
}

fn timestamp(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map(|at| at.to_string()).unwrap_or_default()
}

/// Version 1's health answer, for balancers that know it.
pub fn health(worker: &Worker, unready: &[&'static str], started_ms: i64) -> Response<Body> {
    let now_ms = clock::unix_ms();
    let healthy = unready.is_empty();
    let snapshot = worker.node.snapshot.current();
    let (keys, accounts, _) = snapshot.counts();
    let body = json!({
        "status": if healthy { "healthy" } else { "unhealthy" },
        "service": "claude-relay-service",
        "version": proto::VERSION,
        "timestamp": timestamp(now_ms),
        "uptime": (now_ms - started_ms).max(0) / 1000,
        "components": {
            "config": { "status": if snapshot.revision().is_some() { "healthy" } else { "unhealthy" } },
        },
        "stats": { "keys": keys, "accounts": accounts },
        "waiting_for": unready,
    });
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    respond::json(status, body.to_string())
}
