//! ★ The life of a request: a column of verbs, the same for every dialect and platform.
//!
//! `authenticate` → `read` → `admit` → `choose` → `exchange` → `stream` → `settle`; any error → `respond`. Every step is
//! a room of its own that takes the parts it needs. What a request owes (permit, slot, intents, record) is held by its
//! [`settle::Settlement`], which pays on every way out, also when the client leaves and the future is dropped.

pub mod admit;
pub mod affinity;
pub mod authenticate;
pub mod choose;
pub mod demand;
pub mod error;
pub mod exchange;
pub mod failed;
pub mod node;
pub mod own;
pub mod read;
pub mod respond;
pub mod settle;
pub mod stream;
pub mod verdict;

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use dialects::{Dialect, client};
use http::Response;
use hyper::body::Incoming;
use proto::rules::family;
use snapshot::Snapshot;

use self::{
    choose::{Search, Session},
    error::Refusal,
    exchange::{Answered, Attempted, Kept, Wanted},
    node::{Asked, Worker},
    respond::Body,
    settle::Settlement,
};
use crate::routes;

/// The whole time that a request's attempts may take until the first event.
const ALL_ATTEMPTS: Duration = Duration::from_secs(600);

/// Relays a request.
pub async fn relay(worker: &Arc<Worker>, asked: Box<Asked>, incoming: Incoming) -> Response<Body> {
    let snapshot = worker.node.snapshot.current();
    let head = &asked.head;
    let secret = authenticate::presented(&head.headers, head.uri.query()).map(Cow::into_owned);
    let now_ms = asked.started_us / 1000;
    let throttle = &worker.node.throttle;
    let key = match authenticate::key(&snapshot, secret.as_deref(), throttle, asked.address, now_ms) {
        Ok(key) => key,
        Err(refusal) => {
            settle::turned_away(worker, &asked, &refusal);
            return respond::refusal(asked.dialect, &refusal, &asked.id);
        }
    };
    let mut life = Settlement::begin(worker, asked, key, &snapshot);
    match serve(&mut life, &snapshot, secret.as_deref(), incoming).await {
        Ok(answered) => stream::response(life, answered),
        Err(refusal) => {
            life.refuse(&refusal);
            respond::refusal(life.asked.dialect, &refusal, &life.asked.id)
        }
    }
}

/// From a good key to an answer.
async fn serve(
    life: &mut Settlement,
    snapshot: &Snapshot,
    secret: Option<&str>,
    incoming: Incoming,
) -> Result<Box<Answered>, Refusal> {
    let worker = Arc::clone(&life.worker);
    let (node, key, settings) = (&worker.node, Arc::clone(&life.key), snapshot.settings());
    let now_ms = life.asked.started_us / 1000;
    life.client_kind = client::kind(&life.asked.head.headers, None);
    admit::standing(node, &key, &life.asked, life.client_kind, now_ms)?;
    let bounds = read::Bounds { longest: node.config.max_body, silence: node.config.body_timeout };
    let anchors = !dialects::session::named_by_headers(&life.asked.head.headers);
    let coding = read::coding(&mut life.asked.head.headers)?;
    let taken = read::body(incoming, coding, life.asked.dialect, anchors, &node.budget, bounds).await?;
    let (mut peek, named) = (taken.peek, routes::named(life.asked.says, life.asked.head.uri.path()));
    if let Some(model) = named.model {
        peek.model = Some(model.into_owned());
    }
    life.reserved = Some(taken.reserved);
    life.request_bytes = taken.length;
    life.streaming = named.streams.or(peek.stream).unwrap_or(false);
    life.input_estimate = i64::try_from(peek.input_tokens()).unwrap_or(i64::MAX);
    life.output_cap = peek.max_output.and_then(|cap| i64::try_from(cap).ok()).unwrap_or(0);
    let model = admit::model(node, &key, settings, &peek, &life.asked)?;
    life.model = model.to_owned();
    if life.asked.family == routes::BY_MODEL {
        life.asked.family = routes::family_of(model);
        admit::family(&key, life.asked.family)?;
    }
    let model_family = family::of(model);
    if key.limits.iter().any(|limit| limit.strict && admit::covers(limit, &life.asked, model_family)) {
        life.bound = demand::Bound::of(&taken.pieces, taken.length);
    }
    let wish = admit::Wish { model, model_family, size: life.size() };
    life.permit = Some(admit::permit(node, &key, settings, &life.asked, &wish, now_ms).await?);
    life.session = Session::identify(&key, &life.asked, &peek);
    life.is_kept = life.asked.dialect == Dialect::OpenaiResponses && peek.store != Some(false);
    let search = Search {
        snapshot,
        key: &key,
        family: life.asked.family,
        // Where it can be converted, any account of the family may serve.
        dialect: if exchange::convert::can(&life.asked, named.verb) {
            ""
        } else {
            life.asked.dialect.as_str()
        },
        model,
        model_family,
        session: life.session,
        tried: Vec::new(),
    };
    let body = Kept::new(taken.pieces);
    let wanted = Wanted { body: &body, model, peek: &peek, secret, deadline: Instant::now() };
    attempts(life, search, wanted).await
}

/// The only loop: account after account until one answers.
async fn attempts(
    life: &mut Settlement,
    mut search: Search<'_>,
    mut wanted: Wanted<'_>,
) -> Result<Box<Answered>, Refusal> {
    let settings = search.snapshot.settings();
    let worker = Arc::clone(&life.worker);
    // Whoever answers in one piece answers when all is done: only a stream's first event can be waited for.
    let counts = !life.asked.operation.is_charged();
    let (share, all) = match life.streaming {
        _ if counts => (settings.count_timeout, settings.count_timeout * settings.max_attempts),
        true => (settings.first_event_timeout, ALL_ATTEMPTS),
        false => (settings.answer_timeout, ALL_ATTEMPTS.max(settings.answer_timeout)),
    };
    let last_of_all = Instant::now() + all;
    let mut failed: Option<Refusal> = None;
    let mut stale = false;
    for number in 1..=settings.max_attempts.max(1) {
        let choice = match search.at_once(&worker) {
            Some(choice) => choice,
            // Boxed: seldom needed, and large.
            None => match Box::pin(search.account(&worker)).await {
                Ok(choice) => choice,
                Err((nobody, why)) => {
                    life.nobody(why.considered);
                    return Err(failed.map_or(nobody.clone(), |failed| failed.or_sooner(&nobody)));
                }
            },
        };
        // The last attempt gets all the time that is left; a count is not worth it.
        let is_last = number == settings.max_attempts && !counts;
        wanted.deadline = if is_last { last_of_all } else { (Instant::now() + share).min(last_of_all) };
        let account = choice.account.id.clone();
        match exchange::attempt(life, choice, &wanted).await? {
            Attempted::Answered(answered) => return Ok(answered),
            Attempted::Failed(failure) => {
                if !failure.retry {
                    return Err(failure.refusal);
                }
                if !failure.stale || std::mem::replace(&mut stale, true) {
                    search.tried.push(account);
                }
                failed = Some(failure.refusal);
            }
        }
    }
    Err(failed.unwrap_or_else(|| failed::unusable().refusal))
}
