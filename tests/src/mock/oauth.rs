//! A platform whose accounts sign in: the page's other end, a token endpoint that checks PKCE and rotates refresh tokens,
//! and a Messages API that takes the newest access token and no other. It counts what it was asked.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::wire::Conn;

/// What it was asked, and what holds.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// Codes that were exchanged.
    pub exchanges: usize,
    /// Refreshes that gave a token.
    pub refreshes: usize,
    /// Requests to the token endpoint that were refused.
    pub refused: usize,
    /// Messages that were answered.
    pub served: usize,
    /// Messages whose token was not accepted.
    pub unauthorized: usize,
    code: String,
    challenge: String,
    access: String,
    refresh: String,
    given: usize,
    life: u64,
}

/// A running one.
#[derive(Debug)]
pub struct OauthMock {
    /// Where it listens.
    pub address: SocketAddr,
    book: Arc<Mutex<Book>>,
    task: JoinHandle<()>,
}

impl Drop for OauthMock {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl OauthMock {
    /// Starts one whose access tokens live so many seconds.
    pub async fn start(life: u64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("oauth mock")?;
        let address = listener.local_addr()?;
        let book = Arc::new(Mutex::new(Book { life, ..Book::default() }));
        let shared = book.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((io, _)) = listener.accept().await {
                let book = shared.clone();
                connections.spawn(async move { drop(connection(&book, io).await) });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, book, task })
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The book as it is now.
    pub fn book(&self) -> Book {
        self.book.lock().clone()
    }

    /// A person opens the page and agrees: the code that it shows, with the state behind it.
    pub fn agree(&self, page: &str) -> String {
        let query = page.split_once('?').map_or("", |(_, query)| query);
        let value = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .into_iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.to_owned())
                .unwrap_or_default()
        };
        let mut book = self.book.lock();
        book.challenge = value("code_challenge");
        book.code = format!("code-of-the-page-{}", book.exchanges);
        format!("{}#{}", book.code, value("state"))
    }

    /// The access token that was given last is accepted no more; its refresh token still is.
    pub fn revoke(&self) {
        self.book.lock().access = "revoked".into();
    }

    /// Neither is accepted any more.
    pub fn revoke_all(&self) {
        let mut book = self.book.lock();
        book.access = "revoked".into();
        book.refresh = "revoked".into();
    }
}

async fn connection(book: &Mutex<Book>, io: TcpStream) -> Result<()> {
    io.set_nodelay(true)?;
    let mut conn = Conn::new(io);
    while let Some(head) = conn.head().await? {
        let (mut framing, mut body) = (head.framing()?, Vec::new());
        while let Some(piece) = conn.piece(&mut framing).await? {
            body.extend_from_slice(&piece);
        }
        let bearer = head.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let (status, answer) = match head.path() {
            "/token" => book.lock().token(&body),
            "/api/oauth/profile" => book.lock().profile(bearer),
            "/v1/messages" => book.lock().message(bearer, &body),
            _ => {
                (404, json!({"type": "error", "error": {"type": "not_found_error", "message": "Not found"}}))
            }
        };
        let text = answer.to_string();
        let length = text.len();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nrequest-id: req_oauth\r\ncontent-length: {length}\r\n\r\n"
        );
        conn.send((head + &text).as_bytes()).await?;
    }
    Ok(())
}

impl Book {
    fn token(&mut self, body: &[u8]) -> (u16, Value) {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| asked[name].as_str().unwrap_or_default();
        let good = match text("grant_type") {
            "authorization_code" => {
                let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(text("code_verifier")));
                !self.code.is_empty() && text("code") == self.code && challenge == self.challenge
            }
            "refresh_token" => !self.refresh.is_empty() && text("refresh_token") == self.refresh,
            _ => false,
        };
        if !good {
            self.refused += 1;
            return (400, json!({"error": "invalid_grant", "error_description": "not accepted"}));
        }
        if text("grant_type") == "refresh_token" {
            self.refreshes += 1;
        } else {
            self.exchanges += 1;
            self.code.clear();
        }
        self.given += 1;
        self.access = format!("sk-ant-oat01-canary-access-{}", self.given);
        self.refresh = format!("sk-ant-ort01-canary-refresh-{}", self.given);
        let answer = json!({
            "token_type": "Bearer",
            "access_token": self.access,
            "refresh_token": self.refresh,
            "expires_in": self.life,
            "scope": "user:inference user:profile",
            "account": {"email_address": "holder@example.com"},
            "organization": {"name": "Holder's"},
        });
        (200, answer)
    }

    fn profile(&self, bearer: Option<&str>) -> (u16, Value) {
        if bearer != Some(self.access.as_str()) {
            return unauthorized();
        }
        (200, json!({"account": {"email": "holder@example.com", "has_claude_max": true}, "organization": {}}))
    }

    fn message(&mut self, bearer: Option<&str>, body: &[u8]) -> (u16, Value) {
        if bearer != Some(self.access.as_str()) {
            self.unauthorized += 1;
            return unauthorized();
        }
        self.served += 1;
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let answer = json!({
            "id": "msg_oauth", "type": "message", "role": "assistant", "model": asked["model"],
            "content": [{"type": "text", "text": "hello"}], "stop_reason": "end_turn",
            "usage": {"input_tokens": 3, "output_tokens": 2},
        });
        (200, answer)
    }
}

fn unauthorized() -> (u16, Value) {
    let error = json!({"type": "authentication_error", "message": "OAuth token has expired"});
    (401, json!({"type": "error", "error": error}))
}
