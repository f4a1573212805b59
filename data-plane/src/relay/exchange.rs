//! One attempt: the platform's request, the upstream, and what its answer says until its first event. While nothing
//! was sent to the client, a failure may lead back to `choose`.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use dialects::{Operation, framing::Framing, openai_chat::include_usage::Strip, peek::Peek, tap::UsageTap};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use platforms::{AccountView, Call, Platform, PrepareError, Prepared, Seen, Splice};
use proto::rules::{failure, verdict::Verdict};
use scheduler::Choice;
use secrecy::ExposeSecret as _;
use snapshot::Account;
use upstream::{Answer, Pieces, Proxy, Route, Target};

use self::convert::{Foreign, Way};
use super::{
    error::Refusal,
    failed::{self, Failure},
    settle::{Ended, Settlement, Usage},
    verdict::{judge, observe},
};
use crate::routes;

mod body;
pub mod convert;
mod first;
mod rewrite;
mod source;

pub use body::Kept;
pub use rewrite::Rewrite;
pub use source::Source;

/// What an attempt came to.
pub enum Attempted {
    /// An answer for the client.
    Answered(Box<Answered>),
    /// A failure that another account may not have.
    Failed(Failure),
}

/// An answer that goes to the client.
pub struct Answered {
    /// Status.
    pub status: StatusCode,
    /// Headers, as far as they are the client's.
    pub headers: HeaderMap,
    /// Pieces that came before it was known to be one.
    pub held: Vec<Bytes>,
    /// The rest.
    pub body: Source,
    /// Reads its usage; none: it has none.
    pub tap: Option<UsageTap>,
    /// How it is divided.
    pub framing: Framing,
    /// What is done to its bytes; none: nothing is.
    pub rewrite: Option<Rewrite>,
    /// Whether its bytes may be followed by an event of ours.
    pub is_plain: bool,
    /// What it says of the account.
    pub verdict: Verdict,
    /// The upstream's own request id.
    pub upstream_request_id: String,
    /// Whose answer it is.
    pub platform: &'static dyn Platform,
}

/// What is sent, whichever account is tried.
pub struct Wanted<'a> {
    /// The client's body.
    pub body: &'a Kept,
    /// Model asked for.
    pub model: &'a str,
    /// What was seen in the body.
    pub peek: &'a Peek,
    /// The key as it was presented.
    pub secret: Option<&'a str>,
    /// When the first event must have come.
    pub deadline: Instant,
    /// Whether accounts that are somebody's subscription may serve.
    pub subscriptions: bool,
}

/// Tries one account.
///
/// # Errors
/// The spool has no room, or a strict limit: nothing was sent.
pub async fn attempt(
    life: &mut Settlement,
    choice: Choice,
    wanted: &Wanted<'_>,
) -> Result<Attempted, Refusal> {
    let account = Arc::clone(&choice.account);
    let Some(platform) = platforms::registry::find(account.platform.as_str()) else {
        tracing::warn!(account = %account.id, "an account's platform is not known to this release");
        return Ok(Attempted::Failed(failed::unusable()));
    };
    let foreign = match convert::request(life, platform, &view(&account), wanted).await {
        Ok(foreign) => foreign,
        Err(failure) => return Ok(Attempted::Failed(failure)),
    };
    let prepared = match prepare(life, platform, &account, wanted, foreign.as_deref()) {
        Ok(prepared) => prepared,
        Err(why) => {
            tracing::warn!(account = %account.id, %why, "an account cannot be used");
            return Ok(Attempted::Failed(failed::unusable()));
        }
    };
    let body = foreign.as_deref().map_or(wanted.body, |foreign| &foreign.body);
    let (route, request) = match address(platform, &account, prepared, body) {
        Ok(addressed) => addressed,
        Err(why) => {
            tracing::warn!(account = %account.id, why, "an account cannot be reached");
            return Ok(Attempted::Failed(failed::unusable()));
        }
    };
    let (route, request, model_sent) = (route, request.0, request.1);
    life.attempt(choice, model_sent).await?;
    // One timer for the head of the answer and for its first event: what it runs out on is given up either way.
    let strips = foreign.is_none() && usage_splice(life, wanted.peek).is_some();
    let way = foreign.map(|foreign| foreign.way);
    let exchanged = exchange(life, platform, &account, &route, request, way);
    match tokio::time::timeout_at(wanted.deadline.into(), exchanged).await {
        Ok(Attempted::Answered(mut answered)) => {
            if strips && answered.framing == Framing::Sse && answered.is_plain {
                answered.rewrite = Some(Rewrite::Strip(Strip::default()));
            }
            Ok(Attempted::Answered(answered))
        }
        Ok(failed) => Ok(failed),
        Err(_) => {
            let now_ms = process::clock::unix_ms();
            let seen = Seen { error_type: Some(failure::NO_FIRST_EVENT.into()), now_ms, ..Seen::default() };
            Ok(Attempted::Failed(end(life, platform, &seen, Usage::Unknown, String::new())))
        }
    }
}

async fn exchange(
    life: &mut Settlement,
    platform: &'static dyn Platform,
    account: &Arc<Account>,
    route: &Arc<Route>,
    request: Request<Pieces>,
    way: Option<Way>,
) -> Attempted {
    let worker = Arc::clone(&life.worker);
    match worker.exchange.send(route, request).await {
        Ok(response) => answered(life, platform, account, response, way).await,
        Err(error) => Attempted::Failed(unreachable(life, platform, &error)),
    }
}

fn prepare(
    life: &Settlement,
    platform: &'static dyn Platform,
    account: &Account,
    wanted: &Wanted<'_>,
    foreign: Option<&Foreign>,
) -> Result<Prepared, PrepareError> {
    if !wanted.subscriptions && platform.is_subscription(&view(account)) {
        return Err(PrepareError::Subscription);
    }
    let head = &life.asked.head;
    let mut call = Call {
        dialect: life.asked.dialect,
        operation: life.asked.operation,
        verb: routes::named(life.asked.says, head.uri.path()).verb,
        stream: life.streaming,
        method: &head.method,
        query: head.uri.query(),
        headers: &head.headers,
        relay_secret: wanted.secret,
        model: Some(wanted.model).filter(|model| !model.is_empty()),
        peek: wanted.peek,
        now_ms: process::clock::unix_ms(),
    };
    if let Some(foreign) = foreign {
        call.dialect = foreign.dialect;
        call.operation = foreign.operation;
        // What the client's path and query say, they say in its own dialect.
        (call.verb, call.query) = ("", None);
        call.peek = &foreign.peek;
        return platform.prepare(&view(account), &call);
    }
    let mut prepared = platform.prepare(&view(account), &call)?;
    if let Some((range, with)) = usage_splice(life, wanted.peek) {
        prepared.body = prepared.body.and(Splice { range, with: Bytes::from_static(with.as_bytes()) });
    }
    Ok(prepared)
}

/// What makes a chat stream tell its usage where the client does not ask for it. Then the chunk that tells it is taken out
/// again: a documented rewrite of both ways (ARCHITECTURE, Decisions).
fn usage_splice(life: &Settlement, peek: &Peek) -> Option<(std::ops::Range<usize>, &'static str)> {
    let streams = life.asked.operation == Operation::ChatCompletions && life.streaming;
    peek.usage_splice.clone().filter(|_| streams)
}

/// What the platform must know of the account.
pub fn view(account: &Account) -> AccountView<'_> {
    AccountView {
        base_url: &account.base_url,
        credentials: &account.credentials,
        user_agent: account.user_agent.as_deref().unwrap_or_default(),
        model_mapping: &account.model_mapping,
    }
}

/// A request with the model as sent.
type Addressed = (Arc<Route>, (Request<Pieces>, String));

fn address(
    platform: &dyn Platform,
    account: &Account,
    mut prepared: Prepared,
    kept: &Kept,
) -> Result<Addressed, String> {
    let target = Target::of(&prepared.uri).map_err(|error| error.to_string())?;
    let proxy = match &account.proxy_url {
        None => None,
        Some(url) => Some(Arc::new(Proxy::parse(url.expose_secret()).map_err(|error| error.to_string())?)),
    };
    let body = kept.by(std::mem::replace(&mut prepared.body, platforms::BodyPlan::AsIs));
    if prepared.to_sign {
        let now_ms = process::clock::unix_ms();
        let signed = platform.sign(&view(account), &mut prepared, &body.sha256(), now_ms);
        signed.map_err(|error| error.to_string())?;
    }
    let mut request = Request::new(body.pieces());
    *request.method_mut() = prepared.method;
    *request.uri_mut() = prepared.uri;
    *request.headers_mut() = prepared.headers;
    Ok((Arc::new(Route { target, proxy }), (request, prepared.model_sent)))
}

/// No answer came.
fn unreachable(life: &mut Settlement, platform: &'static dyn Platform, error: &upstream::Error) -> Failure {
    tracing::debug!(%error, kind = error.name(), "an upstream could not be reached");
    let seen = Seen {
        error_type: Some(failure::CONNECT.into()),
        error_message: Some(error.to_string()),
        now_ms: process::clock::unix_ms(),
        ..Seen::default()
    };
    if matches!(error, upstream::Error::Stale) {
        // The connection's end says nothing of the account: the same one is asked once more.
        let verdict = Verdict::Unreachable { until_ms: None };
        end_attempt(life, 0, &verdict, Usage::None, String::new());
        return Failure { stale: true, ..failed::of(&verdict, &seen) };
    }
    end(life, platform, &seen, Usage::None, String::new())
}

async fn answered(
    life: &mut Settlement,
    platform: &'static dyn Platform,
    account: &Arc<Account>,
    response: http::Response<Answer>,
    way: Option<Way>,
) -> Attempted {
    let spoken = way.as_ref().map_or(life.asked.dialect, |way| way.dialect);
    let (mut head, body) = response.into_parts();
    let wrapping = platform.unwrap(head.status, &head.headers);
    if let Some(wrapping) = &wrapping {
        // From here on the answer is what comes out.
        head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(wrapping.content_type()));
    }
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let id = platforms::headers::upstream_request_id(&head.headers);
    let upstream_request_id = id.unwrap_or_default().chars().take(128).collect();
    let encoding = text("content-encoding");
    let framing = Framing::of(spoken, life.streaming, text("content-type"));
    let mut answered = Box::new(Answered {
        status: head.status,
        headers: HeaderMap::new(),
        held: Vec::new(),
        body: Source::new(body, wrapping),
        tap: None,
        framing,
        rewrite: None,
        is_plain: encoding.is_none_or(|encoding| encoding.eq_ignore_ascii_case("identity")),
        verdict: Verdict::Fine,
        upstream_request_id,
        platform,
    });
    let (mut seen, failed) = if head.status.is_success() {
        first::first_event(&mut answered, spoken, platform, &head).await
    } else {
        (first::refused(&mut answered, platform, &head).await, Some(Usage::None))
    };
    observe(life, account, std::mem::take(&mut seen.windows), seen.now_ms);
    if let Some(usage) = failed {
        let verdict = platform.failures().judge(&seen.view());
        if let Some(failure) = failure(life, account, &mut answered, &mut seen, usage, &verdict) {
            return Attempted::Failed(failure);
        }
        judge(life, account, &verdict, head.status.as_u16(), "");
        answered.verdict = verdict;
    } else {
        life.first_event();
        judge(life, account, &Verdict::Fine, head.status.as_u16(), "");
        if life.asked.operation.is_charged() {
            let mut tap = UsageTap::of(spoken, life.streaming, &head.headers);
            answered.held.iter().for_each(|piece| tap.push(piece));
            answered.tap = Some(tap);
        }
    }
    answered.headers = platform.response_headers(&view(account), &head.headers);
    answered.headers.remove(header::CONTENT_LENGTH);
    let Some(way) = way else { return Attempted::Answered(answered) };
    match way.back(&mut answered, encoding).await {
        Ok(()) => Attempted::Answered(answered),
        Err(why) => Attempted::Failed(unreadable(life, platform, &mut answered, &head, why)),
    }
}

/// What a failed answer is to the request; none: it is the client's own fault, and the answer is the client's.
fn failure(
    life: &mut Settlement,
    account: &Arc<Account>,
    answered: &mut Answered,
    seen: &mut Seen,
    usage: Usage,
    verdict: &Verdict,
) -> Option<Failure> {
    let leaks = carries_credential(account, &answered.held);
    if leaks {
        seen.error_message = None;
    }
    if !leaks && *verdict == Verdict::ClientFault && !answered.status.is_success() {
        return None;
    }
    let id = std::mem::take(&mut answered.upstream_request_id);
    if account.token_generation > 0 && matches!(verdict, Verdict::Unauthorized { .. }) {
        // A fresh token may put it right: nothing is held against the account yet.
        end_attempt(life, seen.status, verdict, usage, id);
        let refused = Some((Arc::clone(account), verdict.clone()));
        return Some(Failure { refused, ..failed::of(verdict, seen) });
    }
    Some(end(life, answered.platform, seen, usage, id))
}

/// An answer that cannot be put into the client's dialect.
fn unreadable(
    life: &mut Settlement,
    platform: &'static dyn Platform,
    answered: &mut Answered,
    head: &http::response::Parts,
    why: &'static str,
) -> Failure {
    let mut seen = platform.seen(head.status, &head.headers, &[], process::clock::unix_ms());
    seen.error_type = Some(failure::EMPTY_STREAM.into());
    seen.error_message = Some(why.to_owned());
    let usage = answered.tap.take().map_or(Usage::Unknown, |tap| Usage::Tapped(Box::new(tap.finish())));
    let id = std::mem::take(&mut answered.upstream_request_id);
    end(life, platform, &seen, usage, id)
}

/// Whether an error's text names the account's credential, as some gateways' do.
fn carries_credential(account: &Account, held: &[Bytes]) -> bool {
    let text = held.concat();
    platforms::credentials::secrets(&account.credentials)
        .any(|secret| memchr::memmem::find(&text, secret.as_bytes()).is_some())
}

/// Ends a failed attempt: judged, recorded, and told on.
fn end(
    life: &mut Settlement,
    platform: &'static dyn Platform,
    seen: &Seen,
    usage: Usage,
    upstream_request_id: String,
) -> Failure {
    let verdict = platform.failures().judge(&seen.view());
    if let Some(account) = life.account().cloned() {
        judge(life, &account, &verdict, seen.status, seen.error_type.as_deref().unwrap_or_default());
    }
    end_attempt(life, seen.status, &verdict, usage, upstream_request_id);
    failed::of(&verdict, seen)
}

fn end_attempt(
    life: &mut Settlement,
    status: u16,
    verdict: &Verdict,
    usage: Usage,
    upstream_request_id: String,
) {
    life.attempt_ended(Ended { status, outcome: "upstream_error", verdict, usage, upstream_request_id });
}
