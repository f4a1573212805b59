//! Which headers cross the relay, in both directions. Names decide, and one value does: whatever carries the relay key
//! or the account's secret does not cross, under whichever name (G2).

use http::{HeaderMap, HeaderName, HeaderValue, header};
use memchr::memmem;

use crate::{
    credentials,
    platform::{AccountView, Call},
};

#[cfg(test)]
mod tests;

/// Under this name the client gets the upstream's own request id; `request-id` is the relay's.
pub const UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-upstream-request-id");

/// The client's headers that go on to the upstream: all but those that speak of the connection, carry a credential, or
/// tell of the proxies and networks between.
pub fn forward(call: &Call<'_>) -> HeaderMap {
    filter(call, |name| !(is_hop(name) || is_credential(name) || is_trail(name) || is_ours_to_set(name)))
}

/// The client's headers that go on to the upstream, but for these.
pub fn forward_but(call: &Call<'_>, left_out: impl Fn(&str) -> bool) -> HeaderMap {
    filter(call, |name| {
        !(is_hop(name) || is_credential(name) || is_trail(name) || is_ours_to_set(name) || left_out(name))
    })
}

/// Of the client's headers that may go on, only these.
pub fn forward_only(call: &Call<'_>, names: &[&str]) -> HeaderMap {
    filter(call, |name| names.contains(&name) && !is_credential(name))
}

fn filter(call: &Call<'_>, passes: impl Fn(&str) -> bool) -> HeaderMap {
    let named = named_by_connection(call.headers);
    let mut kept = HeaderMap::with_capacity(call.headers.len() + 4);
    for (name, value) in call.headers {
        let text = name.as_str();
        if passes(text) && !named.iter().any(|other| other == text) && !carries(value, call.relay_secret) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// An answer's headers for the client: all but those that speak of the upstream's connection, set its cookies, tell of
/// its front, identify its account, or carry the account's secret.
pub fn answer(account: &AccountView<'_>, headers: &HeaderMap) -> HeaderMap {
    let named = named_by_connection(headers);
    let mut kept = HeaderMap::with_capacity(headers.len() + 4);
    for (name, value) in headers {
        let text = name.as_str();
        let stays = is_hop(text) || is_credential(text) || is_trail(text) || is_fronts(text);
        if stays || named.iter().any(|other| other == text) || carries_any_secret(account, value) {
            continue;
        }
        if text == "request-id" || text == "x-request-id" {
            kept.insert(UPSTREAM_REQUEST_ID, value.clone());
        } else {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// The upstream's own id of a request.
pub fn upstream_request_id(headers: &HeaderMap) -> Option<&str> {
    ["request-id", "x-request-id", "x-amzn-requestid", "apim-request-id"]
        .iter()
        .find_map(|name| headers.get(*name)?.to_str().ok())
}

/// Headers of one connection (RFC 9110, section 7.6.1), with those that only servers of old sent.
fn is_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "expect"
            | "http2-settings"
    )
}

/// Headers that carry a credential of any dialect or cloud, or a cookie. All go, whichever of them held the relay key.
fn is_credential(name: &str) -> bool {
    matches!(
        name,
        "authorization"
            | "x-api-key"
            | "x-goog-api-key"
            | "api-key"
            | "apikey"
            | "x-cr-api-key"
            | "x-auth-token"
            | "x-access-token"
            | "x-admin-token"
            | "anthropic-auth-token"
            | "chatgpt-account-id"
            | "openai-organization"
            | "openai-project"
            | "x-goog-user-project"
            | "x-amz-security-token"
            | "x-amz-date"
            | "x-amz-content-sha256"
            | "cookie"
            | "cookie2"
            | "set-cookie"
            | "set-cookie2"
            | "www-authenticate"
    )
}

/// Headers by which proxies and networks tell of the way a message took.
fn is_trail(name: &str) -> bool {
    const STARTS: &[&str] = &[
        "x-forwarded-",
        "cf-",
        "x-envoy-",
        "x-amzn-",
        "x-amz-cf-",
        "x-vercel-",
        "fly-",
        "fastly-",
        "x-azure-",
        "x-nginx-",
        "x-original-",
        "x-proxy-",
        "x-crs-",
    ];
    matches!(
        name,
        "forwarded"
            | "via"
            | "x-real-ip"
            | "x-client-ip"
            | "x-cluster-client-ip"
            | "client-ip"
            | "true-client-ip"
            | "remote-addr"
            | "remote-host"
            | "x-remote-addr"
            | "x-remote-ip"
            | "x-originating-ip"
            | "cdn-loop"
            | "x-accel-buffering"
            | "x-cloud-trace-context"
            | "x-forwarded"
            | "x-scheme"
            | "x-request-start"
            | "x-appengine-user-ip"
    ) || STARTS.iter().any(|start| name.starts_with(start))
}

/// Headers of a request that the relay says anew: where to, how long, and how the answer may be encoded.
fn is_ours_to_set(name: &str) -> bool {
    matches!(name, "host" | "content-length" | "accept-encoding")
}

/// Headers of an answer that speak of the upstream's own front and account, or to a browser on its site.
fn is_fronts(name: &str) -> bool {
    matches!(
        name,
        "server"
            | "date"
            | "alt-svc"
            | "nel"
            | "report-to"
            | "reporting-endpoints"
            | "server-timing"
            | "strict-transport-security"
            | "content-security-policy"
            | "content-security-policy-report-only"
            | "x-frame-options"
            | "x-robots-tag"
            | "x-powered-by"
            | "x-served-by"
            | "x-cache"
            | "x-cache-hits"
            | "x-timer"
            | "anthropic-organization-id"
    ) || name.starts_with("access-control-")
}

fn named_by_connection(headers: &HeaderMap) -> smallvec::SmallVec<[String; 4]> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !matches!(name.as_str(), "" | "close" | "keep-alive"))
        .collect()
}

fn carries(value: &HeaderValue, secret: Option<&str>) -> bool {
    secret.is_some_and(|secret| {
        !secret.is_empty() && memmem::find(value.as_bytes(), secret.as_bytes()).is_some()
    })
}

fn carries_any_secret(account: &AccountView<'_>, value: &HeaderValue) -> bool {
    credentials::secrets(account.credentials).any(|secret| carries(value, Some(secret)))
}
