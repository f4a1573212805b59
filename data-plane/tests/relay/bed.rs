//! The node, its upstreams and its client.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use data_plane::{
    access_log::Destination,
    app::{App, Setup},
    config::{Config, DrainConfig, RelayConfig, ServerConfig, SpoolConfig, UpstreamConfig},
    pumps::recovery,
};
use link::Target;
use process::tasks::Tasks;
use prost::Message as _;
use proto::{
    node::{AccountEntry, Entry, KeyEntry, KeyHash, Revision, SettingsEntry, SnapshotChunk, entry},
    rules::key_hash::Pepper,
    types::UsageRecord,
};
use secrecy::{SecretSlice, SecretString};
use snapshot::{Facts, Handle, PlatformFacts};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Mutex, oneshot},
};
use upstream::Mode;

pub use crate::answer::{body, status, unchunked};

pub const SECRET: &str = "cr_test_key_of_the_bed_0123456789abcdef";
pub const UPSTREAM_KEY: &str = "sk-ant-upstream-credential-9876543210";
pub const BODY: &str =
    r#"{"model":"claude-sonnet-4-5","max_tokens":64,"messages":[{"role":"user","content":"hi"}]}"#;
pub const STREAMING: &str = r#"{"model":"claude-sonnet-4-5","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
const PEPPER: &[u8] = b"pepper of the bed";
const NODE_SECRET: &[u8] = b"node secret of the bed, 32 bytes";

/// What an upstream does with one request.
#[derive(Clone)]
pub enum Act {
    /// Answers these bytes and keeps the connection.
    Say(String),
    /// Answers these bytes and closes.
    SayAndClose(String),
    /// Closes without a word.
    Close,
    /// Never answers.
    Hang,
    /// Answers these bytes, then nothing more.
    SayAndHang(String),
}

#[derive(Clone)]
pub struct Upstream {
    pub address: SocketAddr,
    acts: Arc<Mutex<VecDeque<Act>>>,
    pub seen: Arc<Mutex<Vec<String>>>,
    pub left: Arc<tokio::sync::Semaphore>,
    otherwise: Arc<Mutex<String>>,
    more: tokio::sync::broadcast::Sender<String>,
}

impl Upstream {
    pub async fn start(acts: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let up = Self {
            address: listener.local_addr().unwrap(),
            acts: Arc::new(Mutex::new(acts.into_iter().collect())),
            seen: Arc::default(),
            left: Arc::new(tokio::sync::Semaphore::new(0)),
            otherwise: Arc::new(Mutex::new(whole(200, &answer()))),
            more: tokio::sync::broadcast::channel(4).0,
        };
        let serving = up.clone();
        Tasks::new("bed").spawn("upstream", async move {
            while let Ok((stream, _)) = listener.accept().await {
                Tasks::new("bed").spawn("upstream connection", serve(stream, serving.clone()));
            }
        });
        up
    }

    pub async fn requests(&self) -> Vec<String> {
        self.seen.lock().await.clone()
    }

    /// From now on every request is answered so.
    pub async fn refuse_with(&self, answer: String) {
        *self.otherwise.lock().await = answer;
    }

    /// Says more on the connection that is open.
    pub async fn say_more(&self, text: &str) {
        self.more.send(text.to_owned()).unwrap();
    }

    /// Waits until the relay has left a connection that was not at its end.
    pub async fn was_left(&self) {
        let left = tokio::time::timeout(Duration::from_secs(5), self.left.acquire());
        left.await.expect("the upstream request was not cancelled").unwrap().forget();
    }
}

async fn serve(mut stream: TcpStream, up: Upstream) {
    let mut more_to_say = up.more.subscribe();
    loop {
        let request = tokio::select! {
            request = message(&mut stream) => request,
            text = more_to_say.recv() => {
                stream.write_all(text.unwrap().as_bytes()).await.unwrap();
                continue;
            }
        };
        let Some(request) = request else { return };
        up.seen.lock().await.push(request);
        let act = up.acts.lock().await.pop_front();
        let otherwise = up.otherwise.lock().await.clone();
        let act = act.unwrap_or(Act::Say(otherwise));
        let (bytes, more) = match act {
            Act::Say(bytes) => (bytes, true),
            Act::SayAndClose(bytes) => (bytes, false),
            Act::Close => return,
            Act::Hang | Act::SayAndHang(_) => {
                if let Act::SayAndHang(bytes) = act {
                    stream.write_all(bytes.as_bytes()).await.unwrap();
                }
                let _ = stream.read_u8().await;
                up.left.add_permits(1);
                return;
            }
        };
        if stream.write_all(bytes.as_bytes()).await.is_err() || !more {
            return;
        }
    }
}

/// Reads one message with a known or no length, or in chunks; none at the end.
pub async fn message(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 16 * 1024];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) if bytes.is_empty() => return None,
            Ok(0) | Err(_) => return Some(String::from_utf8_lossy(&bytes).into_owned()),
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
        let done = match length {
            Some(length) => body.len() >= length.parse().unwrap(),
            None if lower.contains("transfer-encoding: chunked") => body.ends_with("0\r\n\r\n"),
            None => true,
        };
        if done {
            return Some(text.into_owned());
        }
    }
}

pub fn answer() -> String {
    r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","usage":{"input_tokens":11,"output_tokens":7}}"#.into()
}

pub fn whole(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nrequest-id: req_up\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub fn error(status: u16, kind: &str) -> String {
    whole(status, &format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"said so"}}}}"#))
}

pub const EVENTS: [&str; 5] = [
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"claude-sonnet-4-5\",\"usage\":{\"input_tokens\":11,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hello\"}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":7}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
];

pub const OVERLOADED: &str = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";

pub fn stream_head() -> String {
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".into()
}

pub fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

pub fn stream(events: &[&str]) -> String {
    let chunks: String = events.iter().map(|event| chunk(event)).collect();
    format!("{}{chunks}0\r\n\r\n", stream_head())
}

pub fn account(id: &str, upstream: &Upstream) -> AccountEntry {
    AccountEntry {
        id: id.into(),
        platform: "claude-console".into(),
        name: id.into(),
        base_url: format!("http://{}", upstream.address),
        credentials: [("api_key".to_owned(), UPSTREAM_KEY.to_owned())].into(),
        priority: 50,
        weight: 10,
        schedulable: true,
        status: "active".into(),
        availability: "shared".into(),
        ..AccountEntry::default()
    }
}

pub fn key() -> KeyEntry {
    let digest = Pepper::new(PEPPER).digest(SECRET.as_bytes()).0.to_vec();
    KeyEntry {
        id: "key-1".into(),
        name: "bed".into(),
        active: true,
        hashes: vec![KeyHash { scheme: "hmac-sha256".into(), digest, until_ms: 0 }],
        ..KeyEntry::default()
    }
}

pub fn settings() -> SettingsEntry {
    SettingsEntry { key_pepper: PEPPER.to_vec(), time_zone: "UTC".into(), ..SettingsEntry::default() }
}

struct Registry;

impl PlatformFacts for Registry {
    fn facts(&self, slug: &str) -> Option<Facts> {
        let info = platforms::registry::find(slug)?.info();
        let also = info.also.iter().map(|dialect| dialect.as_str()).collect();
        Some(Facts { family: info.family, service: info.service, dialect: info.dialect.as_str(), also })
    }
}

pub struct Bed {
    pub address: SocketAddr,
    pub folder: tempfile::TempDir,
    pub log: PathBuf,
    end: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<()>,
}

impl Bed {
    pub async fn start(accounts: Vec<AccountEntry>) -> Self {
        Self::start_with(accounts, key(), settings(), |_| {}).await
    }

    pub async fn start_with(
        accounts: Vec<AccountEntry>,
        key: KeyEntry,
        settings: SettingsEntry,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir_all(&data).unwrap();
        let entries = [entry::Entry::Settings(settings), entry::Entry::Key(key)];
        let entries = entries.into_iter().chain(accounts.into_iter().map(entry::Entry::Account));
        let handle = Handle::new(&Registry);
        handle
            .apply_chunk(SnapshotChunk {
                revision: Some(Revision { incarnation: "bed".into(), number: 1 }),
                store_identity: "bed".into(),
                entries: entries.map(|entry| Entry { entry: Some(entry) }).collect(),
                last: true,
            })
            .unwrap();
        let secret = || SecretSlice::from(NODE_SECRET.to_vec());
        snapshot::disk::save(&handle.current(), &data.join("snapshot"), &secret()).unwrap();
        let log = folder.path().join("access.log");
        let mut config = config(data, log.clone());
        change(&mut config);
        let app = App::build(Setup {
            config,
            control: Target::InProcess(Arc::new(|| {
                Box::pin(async { Err(std::io::Error::other("there is no control plane")) })
            })),
            join_token: SecretString::from("crs_jt_bed"),
            membership_grace: Duration::ZERO,
            node_id: None,
            node_name: "bed".into(),
            secret: secret(),
            administered_locally: true,
        })
        .await
        .unwrap();
        let address = app.address();
        let (end, ended) = oneshot::channel::<()>();
        let serving = Tasks::new("bed").spawn("node", async move {
            app.serve(async move { drop(ended.await) }).await;
        });
        Self { address, folder, log, end, serving }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads one message.
    pub async fn raw(&self, bytes: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        message(&mut stream).await.unwrap_or_default()
    }

    /// Posts a body with the bed's key.
    pub async fn post(&self, path: &str, body: &str) -> String {
        self.raw(&post(path, body)).await
    }

    /// Ends the node and gives its usage records, oldest first.
    pub async fn records(self) -> Vec<UsageRecord> {
        let _ = self.end.send(());
        self.serving.await.unwrap();
        let folder = self.folder.path().join("data").join("spool");
        // A node within this process may hold its lanes a moment longer than it serves: a process's end would free them.
        let lanes = std::fs::read_dir(&folder).unwrap().count();
        let (spool, mut old) = spool::Spool::open(&folder, spool::Options::default()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            for epoch in old {
                recovery::recover(epoch, "bed");
            }
            if spool.sources().len() >= lanes {
                break;
            }
            assert!(Instant::now() < deadline, "{} of {lanes} lanes are free", spool.sources().len());
            tokio::time::sleep(Duration::from_millis(5)).await;
            old = spool.adopt().unwrap();
        }
        let mut records = Vec::new();
        for epoch in spool.sources() {
            let read = spool.read(&epoch, 0, 1000, 1 << 20).unwrap();
            records.extend(read.iter().map(|record| UsageRecord::decode(record.payload.as_slice()).unwrap()));
        }
        records.sort_by_key(|record| record.started_at.map(|at| (at.seconds, at.nanos)));
        records
    }
}

pub fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: relay\r\nauthorization: Bearer {SECRET}\r\nanthropic-version: 2023-06-01\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn config(data_dir: PathBuf, log: PathBuf) -> Config {
    Config {
        data_dir,
        ops_listen: None,
        server: ServerConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: None,
            workers: 1,
            max_connections: 100,
            header_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(60),
        },
        relay: RelayConfig {
            max_body: 1 << 20,
            body_budget: 16 << 20,
            body_timeout: Duration::from_secs(2),
            trusted_proxies: Vec::new(),
        },
        upstream: UpstreamConfig {
            allow_private: Vec::new(),
            allow_private_unset: true,
            ca_file: None,
            mode: Mode::Inline,
            connect_timeout: Duration::from_secs(2),
        },
        spool: SpoolConfig { max_bytes: 64 << 20, retain_acked: Duration::from_secs(60) },
        access_log: Destination::File(log),
        drain: DrainConfig { delay: Duration::ZERO, timeout: Duration::from_secs(5) },
    }
}

/// Waits for a condition, at most five seconds.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
