//! A client's side of a conversation, byte by byte.

use std::net::SocketAddr;

use anyhow::Result;
use serde_json::{Value, json};

use crate::wire::{self, Conn, Reply};

/// The relay's path for Messages, as Claude Code and the SDKs use it.
pub const MESSAGES: &str = "/api/v1/messages";

/// A client with a key.
#[derive(Clone, Debug)]
pub struct Talk {
    /// Where the relay is.
    pub relay: SocketAddr,
    /// The key's secret.
    pub secret: String,
}

impl Talk {
    /// A client of that relay.
    pub fn new(relay: SocketAddr, secret: &str) -> Self {
        Self { relay, secret: secret.to_owned() }
    }

    /// The bytes of a Messages request.
    pub fn bytes(&self, body: &[u8]) -> Vec<u8> {
        let host = self.relay.to_string();
        let headers = [
            ("host", host.as_str()),
            ("x-api-key", self.secret.as_str()),
            ("anthropic-version", "2023-06-01"),
            ("content-type", "application/json"),
        ];
        wire::request("POST", MESSAGES, &headers, body)
    }

    /// Asks and reads the whole answer.
    pub async fn ask(&self, body: &[u8]) -> Result<Reply> {
        let mut conn = self.begin(body).await?;
        conn.reply().await
    }

    /// Asks and leaves the answer to be read.
    pub async fn begin(&self, body: &[u8]) -> Result<Conn> {
        let mut conn = Conn::connect(self.relay).await?;
        conn.send(&self.bytes(body)).await?;
        Ok(conn)
    }

    /// Says something, streaming, and reads the whole answer.
    pub async fn stream(&self, text: &str) -> Result<Reply> {
        self.ask(&body(text, true)).await
    }

    /// Says something, not streaming, and reads the whole answer.
    pub async fn say(&self, text: &str) -> Result<Reply> {
        self.ask(&body(text, false)).await
    }
}

/// A Messages body.
pub fn message(text: &str, stream: bool) -> Value {
    json!({
        "model": "claude-sonnet-4-5-20250929",
        "max_tokens": 256,
        "stream": stream,
        "messages": [{"role": "user", "content": text}],
    })
}

/// Its bytes, written as no serialiser would, so that a rewrite is seen.
pub fn body(text: &str, stream: bool) -> Vec<u8> {
    let text = Value::from(text);
    format!(
        "{{ \"stream\" :{stream},\n\t\"model\":\"claude-sonnet-4-5-20250929\" , \"max_tokens\":  256,\"unknown_field\":1.50e2,\
         \"messages\":[{{\"role\":\"user\",\"content\":{text}}}] }}\n"
    )
    .into_bytes()
}
