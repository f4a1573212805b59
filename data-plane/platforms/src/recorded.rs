//! Recorded pairs: what a client sent and what must go upstream; what the upstream answered, what of it reaches the
//! client and what it says of the account. One JSON file a case in each platform's `testdata`.

use std::collections::BTreeMap;

use dialects::{Dialect, Operation, peek};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use sha2::Digest as _;

use crate::platform::{AccountView, BodyPlan, Call, Credentials, Platform, Prepared};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    account: Account,
    operation: String,
    /// The body's dialect; empty: the platform's own.
    #[serde(default)]
    dialect: String,
    #[serde(default)]
    verb: String,
    /// As the path says; else as the body does.
    stream: Option<bool>,
    /// As the path says; else as the body does.
    model: Option<String>,
    /// Unix milliseconds of the request.
    #[serde(default)]
    now_ms: i64,
    client: Request,
    upstream: Upstream,
    answer: Option<Answer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    #[serde(default)]
    base_url: String,
    credentials: BTreeMap<String, String>,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    model_mapping: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    method: String,
    query: Option<String>,
    relay_secret: Option<String>,
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Upstream {
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
    to_client: Vec<(String, String)>,
    now_ms: i64,
    verdict: String,
}

fn headers(pairs: &[(String, String)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect()
}

fn sorted(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut pairs: Vec<_> =
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    pairs.sort();
    pairs
}

/// The body that goes upstream by a plan.
pub(crate) fn sent(body: &[u8], plan: &BodyPlan) -> Vec<u8> {
    let sent = match plan {
        BodyPlan::AsIs => body.to_vec(),
        BodyPlan::Splices(splices) => {
            let (mut sent, mut at) = (Vec::new(), 0);
            for splice in splices {
                sent.extend_from_slice(&body[at..splice.range.start]);
                sent.extend_from_slice(&splice.with);
                at = splice.range.end;
            }
            sent.extend_from_slice(&body[at..]);
            sent
        }
        BodyPlan::Replace(with) => with.to_vec(),
    };
    assert_eq!(plan.length(body.len() as u64), sent.len() as u64);
    sent
}

/// Checks every pair of a folder.
pub(crate) fn check(platform: &dyn Platform, folder: &str) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder).join("testdata");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let pair: Pair = serde_json::from_slice(&std::fs::read(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        check_pair(platform, &pair, &path.display().to_string());
        count += 1;
    }
    assert!(count > 0, "no pairs");
}

fn check_pair(platform: &dyn Platform, pair: &Pair, name: &str) {
    let credentials: Credentials =
        pair.account.credentials.iter().map(|(field, value)| (field.clone(), value.clone().into())).collect();
    let account = AccountView {
        base_url: &pair.account.base_url,
        credentials: &credentials,
        user_agent: &pair.account.user_agent,
        model_mapping: &pair.account.model_mapping,
    };
    platform.check(&credentials, &pair.account.base_url).unwrap();
    let prepared = prepare(platform, &account, pair);
    assert_eq!(prepared.method.as_str(), pair.upstream.method, "{name}");
    assert_eq!(prepared.uri.to_string(), pair.upstream.uri, "{name}");
    assert_eq!(sorted(&prepared.headers), sorted(&headers(&pair.upstream.headers)), "{name}");
    let body = sent(pair.client.body.as_bytes(), &prepared.body);
    assert_eq!(String::from_utf8(body).unwrap(), pair.upstream.body, "{name}");
    let Some(answer) = &pair.answer else { return };
    let given = headers(&answer.headers);
    let passed = platform.response_headers(&account, &given);
    assert_eq!(sorted(&passed), sorted(&headers(&answer.to_client)), "{name}");
    let status = StatusCode::from_u16(answer.status).unwrap();
    let seen = platform.seen(status, &given, answer.body.as_bytes(), answer.now_ms);
    assert_eq!(format!("{:?}", platform.failures().judge(&seen.view())), answer.verdict, "{name}");
}

fn prepare(platform: &dyn Platform, account: &AccountView<'_>, pair: &Pair) -> Prepared {
    let client = &pair.client;
    let (headers, method) = (headers(&client.headers), client.method.parse::<Method>().unwrap());
    let dialect = Dialect::from_name(&pair.dialect).unwrap_or(platform.info().dialect);
    let peek = if client.body.is_empty() {
        peek::Peek::default()
    } else {
        peek::peek(dialect, client.body.as_bytes()).unwrap()
    };
    let call = Call {
        dialect,
        operation: Operation::from_name(&pair.operation).unwrap(),
        verb: &pair.verb,
        stream: pair.stream.or(peek.stream).unwrap_or(false),
        method: &method,
        query: client.query.as_deref(),
        headers: &headers,
        relay_secret: client.relay_secret.as_deref(),
        model: pair.model.as_deref().or(peek.model.as_deref()),
        peek: &peek,
        now_ms: pair.now_ms,
    };
    let mut prepared = platform.prepare(account, &call).unwrap();
    if prepared.to_sign {
        let digest = sha2::Sha256::digest(sent(client.body.as_bytes(), &prepared.body)).into();
        platform.sign(account, &mut prepared, &digest, pair.now_ms).unwrap();
    }
    prepared
}

/// A call of an operation, without a model, by nobody in particular.
pub(crate) fn call<'a>(operation: Operation, headers: &'a HeaderMap, peek: &'a peek::Peek) -> Call<'a> {
    Call {
        dialect: Dialect::AnthropicMessages,
        operation,
        verb: "",
        stream: peek.stream.unwrap_or(false),
        method: &Method::POST,
        query: None,
        headers,
        relay_secret: None,
        model: peek.model.as_deref(),
        peek,
        now_ms: 0,
    }
}
