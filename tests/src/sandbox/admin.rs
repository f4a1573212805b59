//! Administration over REST, as a person's script would do it.

use std::net::SocketAddr;

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use super::{ADMIN, PASSWORD};
use crate::wire::{self, Reply};

/// A logged-in administrator.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Where the admin API is.
    pub address: SocketAddr,
    /// Bearer token.
    pub token: String,
}

impl Admin {
    /// Logs in as the sandbox's administrator.
    pub async fn login(address: SocketAddr) -> Result<Self> {
        let body = json!({"username": ADMIN, "password": PASSWORD}).to_string();
        let headers = [("content-type", "application/json")];
        let reply =
            wire::call(address, "POST", "/api/v2/auth/admin/login", &headers, body.as_bytes()).await?;
        let token = reply.json()["access_token"].as_str().unwrap_or_default().to_owned();
        ensure!(reply.status == 200 && !token.is_empty(), "login: {} {}", reply.status, reply.text());
        Ok(Self { address, token })
    }

    /// Any call; the answer is given as it is.
    pub async fn raw(&self, method: &str, path: &str, body: &Value) -> Result<Reply> {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        wire::call(self.address, method, path, &headers, body.as_bytes()).await
    }

    /// A call that must succeed.
    pub async fn call(&self, method: &str, path: &str, body: Value) -> Result<Value> {
        let reply = self.raw(method, path, &body).await?;
        if reply.status >= 300 {
            bail!("{method} {path}: {} {}", reply.status, reply.text());
        }
        Ok(reply.json())
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.call("GET", path, Value::Null).await
    }

    /// An account on Claude Console; `more` is merged over the defaults. Gives its id.
    pub async fn account(&self, name: &str, base_url: &str, key: &str, more: Value) -> Result<String> {
        let mut account = json!({
            "name": name,
            "base_url": base_url,
            "credentials": {"api_key": key},
        });
        merge(&mut account, more);
        self.account_on("claude-console", account).await
    }

    /// An account on any platform, with all its fields. Gives its id.
    pub async fn account_on(&self, platform: &str, account: Value) -> Result<String> {
        let made = self.call("POST", &format!("/api/v2/accounts/{platform}"), account).await?;
        Ok(made["id"].as_str().unwrap_or_default().to_owned())
    }

    /// Changes fields of an account.
    pub async fn change_account(&self, id: &str, change: Value) -> Result<Value> {
        self.call("PATCH", &format!("/api/v2/accounts/claude-console/{id}"), change).await
    }

    /// A relay key; `more` is merged over the defaults. Gives its id and its secret.
    pub async fn key(&self, name: &str, more: Value) -> Result<(String, String)> {
        let mut key = json!({"name": name});
        merge(&mut key, more);
        let made = self.call("POST", "/api/v2/keys", key).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok((text(&made["key"]["id"]), text(&made["secret"])))
    }

    /// Changes fields of a key.
    pub async fn change_key(&self, id: &str, change: Value) -> Result<Value> {
        self.call("PATCH", &format!("/api/v2/keys/{id}"), change).await
    }

    /// All request records, newest first.
    pub async fn requests(&self) -> Result<Vec<Value>> {
        let (mut all, mut page) = (Vec::new(), String::new());
        loop {
            let answer = self.get(&format!("/api/v2/requests?page_size=500&page_token={page}")).await?;
            all.extend(answer["requests"].as_array().cloned().unwrap_or_default());
            page = answer["next_page_token"].as_str().unwrap_or_default().to_owned();
            if page.is_empty() {
                return Ok(all);
            }
        }
    }

    /// Totals of a key of all time.
    pub async fn key_totals(&self, id: &str) -> Result<Value> {
        Ok(self.get(&format!("/api/v2/keys/{id}/stats?range.preset=total")).await?["totals"].clone())
    }
}

fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}
