//! The probe of an account: a small real request, sent as a node would send it, and what its answer says.

use std::time::Instant;

use clients::Http;
use domain::Account;
use platforms::{AccountView, BodyPlan, Platform};
use proto::rules::verdict::Verdict;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Whether a usable answer came.
    pub ok: bool,
    /// HTTP status; 0: no answer came.
    pub status: u16,
    /// What the answer says of the account.
    pub verdict: &'static str,
    /// For people, without secrets.
    pub message: String,
    /// Milliseconds to the end of the answer.
    pub latency_ms: u64,
    /// Model that was asked.
    pub model: String,
}

/// Sends the probe. `model` may be empty: the platform's first known one.
pub async fn probe(http: &Http, account: &Account, model: &str, now_ms: i64) -> Probed {
    let failed = |verdict: &'static str, message: String, model: &str| Probed {
        ok: false,
        status: 0,
        verdict,
        message,
        latency_ms: 0,
        model: model.to_owned(),
    };
    let Some(platform) = platforms::registry::find(&account.platform) else {
        return failed("refused", format!("this release does not carry {}", account.platform), model);
    };
    let model =
        if model.is_empty() { platform.info().models.first().copied().unwrap_or_default() } else { model };
    let holdings = account.holdings();
    let view = AccountView {
        base_url: &account.base_url,
        credentials: &holdings,
        user_agent: &account.user_agent,
        model_mapping: &account.model_mapping,
    };
    let mut prepared = match platform.probe(&view, model, now_ms) {
        Ok(prepared) => prepared,
        Err(error) => return failed("refused", error.to_string(), model),
    };
    let body = match &prepared.body {
        BodyPlan::Replace(body) => body.clone(),
        BodyPlan::AsIs | BodyPlan::Splices(_) => bytes::Bytes::new(),
    };
    if prepared.to_sign {
        let digest = Sha256::digest(&body).into();
        if let Err(error) = platform.sign(&view, &mut prepared, &digest, now_ms) {
            return failed("refused", error.to_string(), model);
        }
    }
    let mut request = http::Request::new(body);
    *request.method_mut() = prepared.method;
    *request.uri_mut() = prepared.uri;
    *request.headers_mut() = prepared.headers;
    let proxy = account.proxy_url.as_ref().map_or("", |url| url.expose_secret());
    let began = Instant::now();
    let answer = http.send(request, proxy).await;
    let latency_ms = began.elapsed().as_millis() as u64;
    match answer {
        Ok(answer) => Probed { latency_ms, ..judged(platform, &answer, &prepared.model_sent, now_ms) },
        Err(error) => Probed { latency_ms, ..failed("unreachable", error.to_string(), &prepared.model_sent) },
    }
}

fn judged(
    platform: &dyn Platform,
    answer: &http::Response<bytes::Bytes>,
    model: &str,
    now_ms: i64,
) -> Probed {
    let seen = platform.seen(answer.status(), answer.headers(), answer.body(), now_ms);
    let verdict = platform.failures().judge(&seen.view());
    let ok = verdict == Verdict::Fine && answer.status().is_success();
    let message = match (&seen.error_message, ok) {
        (_, true) => "it answers".to_owned(),
        (Some(message), false) => message.clone(),
        (None, false) => format!("HTTP {}", answer.status().as_u16()),
    };
    Probed {
        ok,
        status: answer.status().as_u16(),
        verdict: verdict.name(),
        message,
        latency_ms: 0,
        model: model.to_owned(),
    }
}
