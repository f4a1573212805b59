//! The mock's listener and its routes: what the Messages API accepts and refuses.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{
    admin, answer, count, events,
    ledger::{Entry, Ledger},
    now_us,
    scenario::{self, Behaviour, Fault, Registry},
    writer::{After, Writer},
};
use crate::wire::{Conn, Head};

/// The most that a body may take: the real API's 32 MB, and our relay's 64 MiB.
const BODY_LIMIT: usize = 64 * 1024 * 1024 + 1;

/// How a mock runs.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where it listens; `None`: any free port of the loopback.
    pub listen: Option<SocketAddr>,
    /// Upstream keys it accepts; none: any.
    pub keys: Vec<String>,
    /// Whether bodies are kept in the ledger.
    pub keep_bodies: bool,
    /// No ledger and no digests: for measuring others.
    pub lean: bool,
}

/// What every connection shares.
#[derive(Debug, Default)]
pub struct State {
    /// How it runs.
    pub options: Options,
    /// The book.
    pub ledger: Ledger,
    /// What it is told to do.
    pub scenarios: Registry,
    counter: std::sync::atomic::AtomicU64,
    streams: parking_lot::Mutex<std::collections::HashMap<String, Arc<Vec<bytes::Bytes>>>>,
}

/// A running mock. Dropping it closes the listener and its connections.
#[derive(Debug)]
pub struct Mock {
    /// Where it listens.
    pub address: SocketAddr,
    /// What its connections share.
    pub state: Arc<State>,
    task: JoinHandle<()>,
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Mock {
    /// Starts a mock on the current runtime.
    pub async fn start(options: Options) -> Result<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind(options.listen.unwrap_or(any)).await.context("mock listener")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State { options, ..State::default() });
        let shared = state.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((io, peer)) = listener.accept().await {
                shared.ledger.connected();
                let state = shared.clone();
                connections.spawn(async move { drop(connection(state, io, peer).await) });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, state, task })
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The book.
    pub fn ledger(&self) -> &Ledger {
        &self.state.ledger
    }

    /// What it is told to do.
    pub fn scenarios(&self) -> &Registry {
        &self.state.scenarios
    }

    /// Waits until the task ends, which only an error of the listener makes it do.
    pub async fn run(mut self) {
        let _ = (&mut self.task).await;
    }
}

async fn connection(state: Arc<State>, io: TcpStream, peer: SocketAddr) -> Result<()> {
    io.set_nodelay(true)?;
    let mut conn = Conn::new(io);
    while let Some(head) = conn.head().await? {
        let mut framing = head.framing()?;
        if head.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            conn.send(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let mut body = Vec::new();
        while let Some(piece) = conn.piece(&mut framing).await? {
            body.extend_from_slice(&piece);
            anyhow::ensure!(body.len() <= BODY_LIMIT, "body too large");
        }
        let close = head.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let after = serve(&state, &mut conn, &head, body, peer).await?;
        if close || after == After::Close {
            break;
        }
    }
    Ok(())
}

async fn serve(
    state: &State,
    conn: &mut Conn,
    head: &Head,
    body: Vec<u8>,
    peer: SocketAddr,
) -> Result<After> {
    if head.path().starts_with("/_mock/") {
        return admin::serve(state, conn, head, &body).await;
    }
    let mut asked = Asked { request_id: format!("req_mock_{:08x}", next(state)), ..Asked::default() };
    (asked.scenario, asked.tag) = scenario::marker(&body);
    asked.key = presented_key(head);
    asked.behaviour = state.scenarios.next(&asked.scenario, &asked.key);
    asked.body = body;
    if !state.options.lean {
        asked.json = serde_json::from_slice(&asked.body).unwrap_or_default();
        asked.number = Some(state.ledger.open(asked.entry(state, head, peer)));
    }
    let mut writer = Writer::new(conn, asked.number.map(|number| (&state.ledger, number)));
    match asked.behaviour.fault {
        Some(Fault::Silent) => {
            writer.pause(3_600_000).await?;
            Ok(After::Close)
        }
        Some(Fault::Garbage) => {
            writer.raw(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n").await?;
            Ok(After::Close)
        }
        _ => {
            writer.pause(asked.behaviour.delay_ms).await?;
            respond(state, writer, head, &asked).await
        }
    }
}

/// A request as the mock understands it.
#[derive(Default)]
struct Asked {
    request_id: String,
    number: Option<usize>,
    key: String,
    scenario: String,
    tag: String,
    behaviour: Behaviour,
    body: Vec<u8>,
    json: Value,
}

impl Asked {
    fn entry(&self, state: &State, head: &Head, peer: SocketAddr) -> Entry {
        Entry {
            request_id: self.request_id.clone(),
            at_us: now_us(),
            method: head.method.clone(),
            target: head.target.clone(),
            peer: peer.to_string(),
            key: self.key.clone(),
            headers: head.headers.clone(),
            body_sha256: hex::encode(count::digest(&self.body)),
            body_bytes: self.body.len(),
            body: if state.options.keep_bodies { self.body.clone() } else { Vec::new() },
            scenario: self.scenario.clone(),
            tag: self.tag.clone(),
            model: self.json["model"].as_str().unwrap_or_default().to_owned(),
            ..Entry::default()
        }
    }
}

async fn respond(state: &State, writer: Writer<'_>, head: &Head, asked: &Asked) -> Result<After> {
    let behaviour = &asked.behaviour;
    let mark = |status: u16| {
        if let Some(number) = asked.number {
            state.ledger.amend(number, |entry| entry.status = status);
        }
    };
    let json = |status: u16| head_of(status, "application/json", &asked.request_id, &behaviour.headers);
    if let Err((status, kind, message)) = accepted(state, head, asked) {
        mark(status);
        let body = error_body(kind, &message, &asked.request_id);
        return writer.whole(&json(status), &body, behaviour).await;
    }
    if behaviour.status != 0 || behaviour.body.is_some() {
        let status = if behaviour.status == 0 { 200 } else { behaviour.status };
        mark(status);
        return writer.whole(&json(status), &refusal(behaviour, status, &asked.request_id), behaviour).await;
    }
    mark(200);
    match path_of(state, head) {
        "/v1/models" => writer.whole(&json(200), models().to_string().as_bytes(), behaviour).await,
        "/v1/messages/count_tokens" => {
            let body = json!({"input_tokens": count::input(&asked.body)}).to_string();
            writer.whole(&json(200), body.as_bytes(), behaviour).await
        }
        _ if state.options.lean => lean(state, writer, asked).await,
        _ => messages(state, writer, asked).await,
    }
}

async fn messages(state: &State, writer: Writer<'_>, asked: &Asked) -> Result<After> {
    let behaviour = &asked.behaviour;
    let answer = answer::make(&asked.body, &asked.json, behaviour);
    if let Some(number) = asked.number {
        state.ledger.amend(number, |entry| entry.counted = Some(answer.counted));
    }
    let streams = asked.json["stream"] == true;
    let kind = if streams { "text/event-stream; charset=utf-8" } else { "application/json" };
    let head = head_of(200, kind, &asked.request_id, &behaviour.headers);
    if streams {
        return writer.stream(&head, &events::stream(&answer, behaviour), behaviour).await;
    }
    let usage = events::told(&answer.counted, behaviour.usage);
    writer.whole(&head, answer::whole(&answer, &usage).to_string().as_bytes(), behaviour).await
}

/// Answers without looking at the body but for its marker and whether it asks for a stream; made once a scenario.
async fn lean(state: &State, writer: Writer<'_>, asked: &Asked) -> Result<After> {
    let (body, behaviour) = (&asked.body, &asked.behaviour);
    let streams = memchr::memmem::find(&body[..body.len().min(512)], b"\"stream\":true").is_some();
    let name = format!("{}/{streams}", asked.scenario);
    let known = state.streams.lock().get(&name).cloned();
    let parts = known.unwrap_or_else(|| {
        let request = json!({"model": "claude-sonnet-4-5", "max_tokens": 100});
        let answer = answer::make(b"lean", &request, behaviour);
        let parts = if streams {
            events::stream(&answer, behaviour)
        } else {
            vec![answer::whole(&answer, &count::usage(&answer.counted)).to_string().into()]
        };
        let parts = Arc::new(parts);
        state.streams.lock().insert(name, parts.clone());
        parts
    });
    let kind = if streams { "text/event-stream; charset=utf-8" } else { "application/json" };
    let head = head_of(200, kind, "req_mock_lean", &[]);
    if streams {
        return writer.stream(&head, &parts, behaviour).await;
    }
    writer.whole(&head, &parts[0], behaviour).await
}

fn next(state: &State) -> u64 {
    state.counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// The path; a lean mock also stands in for a relay, to measure what none costs, and so knows a relay's path too.
fn path_of<'h>(state: &State, head: &'h Head) -> &'h str {
    let path = head.path();
    if state.options.lean { path.strip_prefix("/api").unwrap_or(path) } else { path }
}

fn presented_key(head: &Head) -> String {
    let bearer = || head.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    head.header("x-api-key").or_else(bearer).unwrap_or_default().to_owned()
}

type Refusal = (u16, &'static str, String);

/// What the real API checks before it answers.
fn accepted(state: &State, head: &Head, asked: &Asked) -> Result<(), Refusal> {
    let (key, body, request) = (&asked.key, &asked.body, &asked.json);
    let refuse = |status, kind, message: &str| Err((status, kind, message.to_owned()));
    let known = state.options.keys.is_empty() || state.options.keys.iter().any(|known| known == key);
    if key.is_empty() || !known {
        return refuse(401, "authentication_error", "invalid x-api-key");
    }
    let post = match path_of(state, head) {
        "/v1/messages" | "/v1/messages/count_tokens" => true,
        "/v1/models" => false,
        _ => return refuse(404, "not_found_error", "Not found"),
    };
    if (head.method == "POST") != post {
        return refuse(405, "invalid_request_error", "Method Not Allowed");
    }
    if head.header("anthropic-version").is_none() {
        return refuse(400, "invalid_request_error", "anthropic-version: header is required");
    }
    if !post || state.options.lean {
        return Ok(());
    }
    if !request.is_object() {
        let what = serde_json::from_slice::<Value>(body)
            .err()
            .map_or("an object is expected".into(), |e| e.to_string());
        return refuse(400, "invalid_request_error", &format!("The request body is not valid JSON: {what}"));
    }
    let wrong = |message: &str| refuse(400, "invalid_request_error", message);
    if request["model"].as_str().is_none_or(str::is_empty) {
        return wrong("model: Field required");
    }
    if request["messages"].as_array().is_none_or(Vec::is_empty) {
        return wrong("messages: Field required");
    }
    let counts_only = head.path().ends_with("count_tokens");
    if !counts_only && request["max_tokens"].as_i64().is_none_or(|tokens| tokens <= 0) {
        return wrong("max_tokens: Field required");
    }
    Ok(())
}

fn refusal(behaviour: &Behaviour, status: u16, request_id: &str) -> Vec<u8> {
    if let Some(body) = &behaviour.body {
        return body.clone().into_bytes();
    }
    let usual = match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    let kind = if behaviour.error_type.is_empty() { usual } else { &behaviour.error_type };
    let message = if behaviour.message.is_empty() { "The mock was told to." } else { &behaviour.message };
    error_body(kind, message, request_id)
}

fn error_body(kind: &str, message: &str, request_id: &str) -> Vec<u8> {
    let error = json!({"type": kind, "message": message});
    json!({"type": "error", "error": error, "request_id": request_id}).to_string().into_bytes()
}

fn models() -> Value {
    let model = |id: &str, name: &str| json!({"type": "model", "id": id, "display_name": name, "created_at": "2026-01-01T00:00:00Z"});
    let data = [
        model("claude-opus-4-5-20251101", "Claude Opus 4.5"),
        model("claude-sonnet-4-5-20250929", "Claude Sonnet 4.5"),
        model("claude-haiku-4-5-20251001", "Claude Haiku 4.5"),
    ];
    json!({"data": data, "has_more": false, "first_id": data[0]["id"], "last_id": data[2]["id"]})
}

fn head_of(status: u16, kind: &str, request_id: &str, headers: &[(String, String)]) -> String {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason());
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason.unwrap_or("Status"));
    head.push_str(&format!(
        "content-type: {kind}\r\nrequest-id: {request_id}\r\nanthropic-organization-id: mock-organization\r\n"
    ));
    if kind.starts_with("text/event-stream") {
        head.push_str("cache-control: no-cache\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head
}
