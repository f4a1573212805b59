//! May this key do this: its standing, its rules, then its limits. The order is the one in which a person would ask:
//! who, from where, with what, for what, how much.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dialects::{Dialect, Operation, error::Kind, peek::Peek};
use limits::{Compiled, Demand, Meter, Permit};
use proto::{rules::window::Spec, types::LimitConsulted};
use smallvec::SmallVec;
use snapshot::{Key, Life, Settings, UnknownPrice};

use super::{
    demand::{self, Size},
    error::{Bounded, Refusal, malformed},
    node::{Asked, Node},
};
use crate::{metrics::Reason, routes};

/// How long a limited request waits for the control plane's word when the node holds no unit.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether the key is in force and its rules let this client in; all that can be said before the body is read.
///
/// # Errors
/// 401 for a key that is not in force, 403 for a rule.
pub fn standing(
    node: &Node,
    key: &Key,
    asked: &Asked,
    client_kind: Option<&str>,
    now_ms: i64,
) -> Result<(), Refusal> {
    let bad_key = |message| Refusal::new(Kind::Authentication, Reason::Key, message).closing();
    let forbidden = |reason, message: &'static str| Refusal::new(Kind::Permission, reason, message).closing();
    if !key.active {
        return Err(bad_key("this relay key is disabled"));
    }
    if let Life::Ended(_) = key.life(now_ms, node.activation.first_use(&key.id)) {
        return Err(bad_key("this relay key has expired"));
    }
    if !key.permits_address(asked.address) {
        return Err(forbidden(Reason::Network, "this relay key may not be used from this network"));
    }
    if !key.permits_client(client_kind) {
        return Err(forbidden(Reason::Client, "this relay key may not be used with this client"));
    }
    if asked.family != routes::BY_MODEL {
        family(key, asked.family)?;
    }
    Ok(())
}

/// Whether the key may use a platform family.
///
/// # Errors
/// 403.
pub fn family(key: &Key, family: &str) -> Result<(), Refusal> {
    if key.permits_family(family) {
        return Ok(());
    }
    let message = "this relay key has no permission for this service";
    Err(Refusal::new(Kind::Permission, Reason::Permission, message).closing())
}

/// Whether the key may ask for the model that the body names, and the body is one for this operation.
///
/// # Errors
/// 400 for a body that lacks what it must have or a model that has no price where that is refused; 403 for a rule.
pub fn model<'a>(
    node: &Node,
    key: &Key,
    settings: &Settings,
    peek: &'a Peek,
    asked: &Asked,
) -> Result<&'a str, Refusal> {
    let operation = asked.operation;
    let model = match peek.model.as_deref() {
        Some(model) if !model.is_empty() => model,
        // Of what Gemini CLI asks beside conversations little is of a model.
        _ if operation == Operation::CodeAssist => return Ok(""),
        _ => return Err(malformed("model: Field required")),
    };
    if let Some(field) = required(asked.dialect, operation).filter(|_| !peek.has_messages) {
        return Err(malformed(format!("{field}: Field required")));
    }
    if !key.permits_model(model) {
        return Err(Refusal::new(Kind::Permission, Reason::Model, "this relay key may not use this model")
            .code("model_not_allowed"));
    }
    let unpriced = || node.prices.find(model).is_none();
    if operation.is_charged() && settings.unknown_price == UnknownPrice::Refuse && unpriced() {
        let message = "this model has no price, and this deployment refuses such models";
        return Err(Refusal::new(Kind::InvalidRequest, Reason::Model, message).code("model_without_price"));
    }
    Ok(model)
}

/// The field that holds the conversation, where a request is none without it.
const fn required(dialect: Dialect, operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::Messages | Operation::ChatCompletions => Some("messages"),
        Operation::CountTokens if matches!(dialect, Dialect::AnthropicMessages) => Some("messages"),
        Operation::GenerateContent => Some("contents"),
        _ => None,
    }
}

/// What is asked for.
pub struct Wish<'a> {
    /// The model, as asked for.
    pub model: &'a str,
    /// Its family.
    pub model_family: &'a str,
    /// How large the request is.
    pub size: Size,
}

/// Whether a request falls under a limit. Operations that are only counted take no concurrency, and use no tokens, as in
/// version 1.
pub fn covers(limit: &Compiled, asked: &Asked, model_family: &str) -> bool {
    limit.covers(model_family, None, asked.operation.as_str())
        && (asked.operation.is_charged() || limit.kind == Meter::Requests)
}

/// Takes what the request needs of every limit it falls under. The first admission of a key whose life begins with it
/// is told on.
///
/// # Errors
/// 429 with the limit; 400 where a strict limit finds no bound; 503 when the control plane cannot be asked.
pub async fn permit(
    node: &Node,
    key: &Arc<Key>,
    settings: &Settings,
    asked: &Asked,
    wish: &Wish<'_>,
    now_ms: i64,
) -> Result<Permit, Refusal> {
    let mut demands: SmallVec<[Demand<'_>; 4]> = SmallVec::new();
    let mut rate = None;
    for limit in key.limits.iter().filter(|limit| covers(limit, asked, wish.model_family)) {
        if !limit.kind.settles_later() {
            demands.push(Demand::one(limit));
            continue;
        }
        let rate = *rate.get_or_insert_with(|| demand::Rate {
            price: demand::price(node.prices, settings, wish.model),
            multiplier: demand::largest_multiplier(key, settings),
        });
        demands.push(demand::of(limit, &wish.size, rate).map_err(|demand::NoBound| without_bound(limit))?);
    }
    let permit = match node.limits.admit(&demands, Instant::now() + PATIENCE).await {
        Ok(permit) => permit,
        Err(refusal) if refusal.meter == Meter::Concurrency && !refusal.control_lost => {
            queued(node, key, settings, &demands, refusal).await?
        }
        Err(refusal) => return Err(refused(&refusal)),
    };
    if let Life::Begins(_) = key.life(now_ms, node.activation.first_use(&key.id)) {
        node.activation.begin(&key.id, now_ms);
    }
    Ok(permit)
}

/// No slot is free: waits for one where the key or the deployment says so.
async fn queued(
    node: &Node,
    key: &Arc<Key>,
    settings: &Settings,
    demands: &[Demand<'_>],
    refusal: limits::Refusal,
) -> Result<Permit, Refusal> {
    let Some(queue) = key.queue_or(settings.queue) else { return Err(refused(&refusal)) };
    let Some(_place) = node.queues.enter(&key.id, queue.max_size) else { return Err(refused(&refusal)) };
    let deadline = Instant::now() + queue.timeout;
    node.limits.admit_queued(demands, deadline).await.map_err(|refusal| refused(&refusal))
}

/// A strict limit reserves the worst case, and there is none.
pub fn without_bound(limit: &Compiled) -> Refusal {
    let message = format!(
        "this relay key has a strict {} limit ({}), and nothing bounds what this request may use: set a cap on its \
         output, name a model whose context is known, and use no server tools",
        limit.kind.as_str(),
        limit.limit_id
    );
    Refusal::new(Kind::InvalidRequest, Reason::Limit, message).code("request_without_bound")
}

/// A limit's refusal, in the client's terms, with the limit's figures for the explanation.
pub fn refused(refusal: &limits::Refusal) -> Refusal {
    told(refusal).by(LimitConsulted {
        limit_id: refusal.limit_id.to_string(),
        meter: refusal.meter.as_str().to_owned(),
        amount: refusal.amount,
        refused: true,
        used: refusal.used,
        leased: refusal.leased,
        resets_in_ms: refusal.resets_in_ms.unwrap_or_default(),
        ..LimitConsulted::default()
    })
}

fn told(refusal: &limits::Refusal) -> Refusal {
    let wait = refusal.resets_in_ms.unwrap_or(refusal.retry_after_ms).max(1) as u64;
    if refusal.control_lost {
        let message = "this relay key has limits, and its budget cannot be asked for right now";
        return Refusal::new(Kind::Unavailable, Reason::Limit, message)
            .code("limits_unavailable")
            .later(refusal.retry_after_ms.max(1) as u64);
    }
    let message = match refusal.meter {
        Meter::Concurrency => format!(
            "concurrency limit reached: {} requests at once (limit {})",
            refusal.amount, refusal.limit_id
        ),
        Meter::Tokens | Meter::Cost => format!(
            "{} limit reached: {} used and {} reserved of {}, and this request needs {}; resets in {} s (limit {})",
            refusal.meter.as_str(),
            amount(refusal.meter, refusal.used),
            amount(refusal.meter, refusal.leased),
            amount(refusal.meter, refusal.amount),
            amount(refusal.meter, refusal.needed),
            wait.div_ceil(1000),
            refusal.limit_id
        ),
        Meter::Requests => format!(
            "request limit reached: {} of {} used, resets in {} s (limit {})",
            refusal.used.max(refusal.amount),
            refusal.amount,
            wait.div_ceil(1000),
            refusal.limit_id
        ),
    };
    let (kind, code) = match spent_budget(refusal) {
        Some(code) => (Kind::Billing, code),
        None => (Kind::RateLimit, "relay_limit_reached"),
    };
    let counted = match refusal.meter {
        Meter::Requests => Some("requests"),
        Meter::Tokens => Some("tokens"),
        Meter::Cost | Meter::Concurrency => None,
    };
    let bounded = counted.map(|what| Bounded { what, limit: refusal.amount, resets_in_ms: wait });
    Refusal { bounded, ..Refusal::new(kind, Reason::Limit, message).code(code).later(wait) }
}

/// Version 1's code for a budget of money over a calendar window, which it answered with 402; all other limits are 429.
fn spent_budget(refusal: &limits::Refusal) -> Option<&'static str> {
    if refusal.meter != Meter::Cost {
        return None;
    }
    match refusal.window? {
        Spec::Day => Some("daily_cost_limit_exceeded"),
        Spec::Week { .. } => Some("weekly_opus_cost_limit_exceeded"),
        Spec::Month => Some("monthly_cost_limit_exceeded"),
        Spec::Total => Some("total_cost_limit_exceeded"),
        Spec::Fixed { .. } | Spec::Sliding { .. } | Spec::Hour => None,
    }
}

/// An amount as people read it.
fn amount(meter: Meter, units: i64) -> String {
    if meter == Meter::Cost { format!("${:.4}", units as f64 / 1e9) } else { units.to_string() }
}
