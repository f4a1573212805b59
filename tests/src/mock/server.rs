//! The mock's listener: takes requests, writes them down, and has them answered in their dialect.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{
    admin,
    api::{Api, Dialect, Refusal},
    count,
    ledger::{Entry, Ledger},
    now_us, openai_responses,
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
    /// Responses that are kept, by id, with the key that they belong to.
    kept: parking_lot::Mutex<std::collections::HashMap<String, String>>,
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
    asked.api = Api::of(path_of(state, head), head.query());
    asked.key = asked.api.clone().unwrap_or_default().key(head);
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
    api: Option<Api>,
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
            model: match self.api.as_ref().and_then(|api| api.model.clone()) {
                Some(model) => model,
                None => self.json["model"].as_str().unwrap_or_default().to_owned(),
            },
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
    let api = asked.api.clone().unwrap_or_default();
    let json = |status: u16| head_of(status, "application/json", &api, &asked.request_id, &behaviour.headers);
    if let Err((status, kind, message)) = accepted(state, head, asked) {
        mark(status);
        let body = api.error(status, kind, &message, &asked.request_id);
        return writer.whole(&json(status), &body, behaviour).await;
    }
    if behaviour.status != 0 || behaviour.body.is_some() {
        let status = if behaviour.status == 0 { 200 } else { behaviour.status };
        mark(status);
        let message = if behaviour.message.is_empty() { "The mock was told to." } else { &behaviour.message };
        let usual = || api.error(status, &behaviour.error_type, message, &asked.request_id);
        let body = behaviour.body.clone().map_or_else(usual, String::into_bytes);
        return writer.whole(&json(status), &body, behaviour).await;
    }
    if let Some(lost) = lost(state, asked) {
        mark(400);
        return writer.whole(&json(400), &lost, behaviour).await;
    }
    mark(200);
    let counted = |counted| {
        if let (Some(number), Some(counted)) = (asked.number, counted) {
            state.ledger.amend(number, |entry| entry.counted = Some(counted));
        }
    };
    if let Some(body) = api.other(&asked.body, &asked.json) {
        counted(api.counted(&asked.body));
        return writer.whole(&json(200), body.to_string().as_bytes(), behaviour).await;
    }
    if state.options.lean {
        return lean(state, writer, asked).await;
    }
    let answer = api.answer(&asked.body, &asked.json, behaviour);
    counted(Some(answer.counted));
    if api.dialect == Dialect::OpenaiResponses && asked.json["store"] != false {
        state.kept.lock().insert(openai_responses::id(&answer), asked.key.clone());
    }
    if api.is_stream(&asked.json) {
        let kind = if api.as_events { EVENTS } else { "application/json; charset=UTF-8" };
        let head = head_of(200, kind, &api, &asked.request_id, &behaviour.headers);
        return writer.stream(&head, &api.stream(&answer, &asked.json, behaviour), behaviour).await;
    }
    let whole = api.whole(&answer, &asked.json, behaviour);
    writer.whole(&json(200), whole.to_string().as_bytes(), behaviour).await
}

const EVENTS: &str = "text/event-stream; charset=utf-8";

/// What is answered where a request builds on an answer that was not given to this key.
fn lost(state: &State, asked: &Asked) -> Option<Vec<u8>> {
    let id = asked.json["previous_response_id"].as_str()?;
    let kept = state.kept.lock().get(id) == Some(&asked.key);
    (!kept).then(|| openai_responses::not_kept(id))
}

/// Answers without looking at the body but for its marker and whether it asks for a stream; made once a scenario.
async fn lean(state: &State, writer: Writer<'_>, asked: &Asked) -> Result<After> {
    let (body, behaviour) = (&asked.body, &asked.behaviour);
    let streams = memchr::memmem::find(&body[..body.len().min(512)], b"\"stream\":true").is_some();
    let name = format!("{}/{streams}", asked.scenario);
    let known = state.streams.lock().get(&name).cloned();
    let parts = known.unwrap_or_else(|| {
        let request = json!({"model": "claude-sonnet-4-5", "max_tokens": 100});
        let api = Api::default();
        let answer = api.answer(b"lean", &request, behaviour);
        let parts = if streams {
            api.stream(&answer, &request, behaviour)
        } else {
            vec![api.whole(&answer, &request, behaviour).to_string().into()]
        };
        let parts = Arc::new(parts);
        state.streams.lock().insert(name, parts.clone());
        parts
    });
    let kind = if streams { EVENTS } else { "application/json" };
    let head = head_of(200, kind, &Api::default(), "req_mock_lean", &[]);
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

/// What the real API checks before it answers.
fn accepted(state: &State, head: &Head, asked: &Asked) -> Result<(), Refusal> {
    let known = state.options.keys.is_empty() || state.options.keys.contains(&asked.key);
    if asked.key.is_empty() || !known {
        return Err((401, "", "invalid x-api-key".into()));
    }
    let Some(api) = &asked.api else { return Err((404, "", "Not found".into())) };
    api.check(head, &asked.body, &asked.json, state.options.lean)
}

fn head_of(status: u16, kind: &str, api: &Api, request_id: &str, headers: &[(String, String)]) -> String {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason());
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason.unwrap_or("Status"));
    head.push_str(&format!(
        "content-type: {kind}\r\n{}: {request_id}\r\nanthropic-organization-id: mock-organization\r\n",
        api.id_header()
    ));
    if kind.starts_with("text/event-stream") {
        head.push_str("cache-control: no-cache\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head
}
