//! Addresses of upstreams: an account's base, a platform's path, the client's query without credentials.

use http::Uri;

#[cfg(test)]
mod tests;

/// An account's base address, checked: `https://host[:port][/path]` or `http://…`, without user, query or fragment.
/// Which hosts may be connected to is the connector's to say, not ours.
///
/// # Errors
/// What is wrong, as a sentence for a form.
pub fn base(address: &str) -> Result<&str, &'static str> {
    if address.is_empty() {
        return Err("is required: this platform has no address of its own");
    }
    if address.contains(['?', '#']) {
        return Err("must have neither query nor fragment");
    }
    let uri: Uri = address.parse().map_err(|_| "is not a valid address")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("must start with https:// or http://");
    }
    let authority = uri.authority().ok_or("names no host")?;
    if authority.as_str().contains('@') {
        return Err("must not carry a user or password");
    }
    if authority.host().is_empty() {
        return Err("names no host");
    }
    Ok(address.trim_end_matches('/'))
}

/// The address for a path of the API that lives under `/v1`, with the client's query. People give bases in all forms:
/// bare, with a slash, with `/v1`, or with the whole path of messages; each means the same.
///
/// # Errors
/// As [`base`].
pub fn under_v1(address: &str, path: &str, query: Option<&str>) -> Result<Uri, &'static str> {
    let base = base(address)?;
    let base = base.strip_suffix("/v1/messages").or_else(|| base.strip_suffix("/v1")).unwrap_or(base);
    joined(&format!("{base}/v1"), path, query)
}

/// The address for a path under a version of an API (`v1beta`). Bases may hold the version already.
///
/// # Errors
/// As [`base`].
pub fn under(address: &str, version: &str, path: &str, query: Option<&str>) -> Result<Uri, &'static str> {
    let base = base(address)?;
    let base = base.strip_suffix("/models").unwrap_or(base);
    let place = if versioned(base) { base.to_owned() } else { format!("{base}/{version}") };
    joined(&place, path, query)
}

/// The address for a path right under a base.
///
/// # Errors
/// As [`base`].
pub fn right_under(address: &str, path: &str, query: Option<&str>) -> Result<Uri, &'static str> {
    joined(base(address)?, path, query)
}

/// The address for a path of an OpenAI-like API. Most live under `/v1`, some under a version of their own
/// (`/api/paas/v4`, `/v1beta/openai`): a base that holds a version is meant as it is. People also give the whole path of
/// an endpoint, which means the same.
///
/// # Errors
/// As [`base`].
pub fn under_version(address: &str, path: &str, query: Option<&str>) -> Result<Uri, &'static str> {
    const ENDPOINTS: [&str; 3] = ["/chat/completions", "/responses", "/embeddings"];
    let base = base(address)?;
    let base = ENDPOINTS.iter().find_map(|endpoint| base.strip_suffix(endpoint)).unwrap_or(base);
    let place = if versioned(base) { base.to_owned() } else { format!("{base}/v1") };
    joined(&place, path, query)
}

/// Whether a path holds the version of an API, such as `v1`, `v4` or `v1beta`.
fn versioned(base: &str) -> bool {
    let path = base.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    path.split('/').any(|part| {
        part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    })
}

fn joined(place: &str, path: &str, query: Option<&str>) -> Result<Uri, &'static str> {
    let query = query.filter(|query| !query.is_empty());
    let mark = if query.is_some() { "?" } else { "" };
    let text = format!("{place}/{path}{mark}{}", query.unwrap_or_default());
    text.parse().map_err(|_| "does not make a valid address")
}

/// A client's query without what carries a credential: parameters by their names, however they are escaped, and any
/// that holds the relay key. Everything else stays as it is written. `None` when nothing is left.
pub fn without_credentials(query: Option<&str>, relay_secret: Option<&str>) -> Option<String> {
    let kept: Vec<&str> = query?
        .split('&')
        .filter(|pair| {
            let name = unescape(pair.split('=').next().unwrap_or_default());
            let carries =
                relay_secret.is_some_and(|secret| !secret.is_empty() && unescape(pair).contains(secret));
            !carries && !PARAMETERS.iter().any(|known| name.eq_ignore_ascii_case(known))
        })
        .collect();
    let kept = kept.join("&");
    (!kept.is_empty()).then_some(kept)
}

/// Query parameters that carry credentials.
const PARAMETERS: &[&str] = &["key", "api_key", "api-key", "apikey", "access_token", "token", "auth"];

/// A text with its percent escapes read; what is not UTF-8 then reads as replacement characters.
pub(crate) fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
        match (byte, hex(after.first()), hex(after.get(1))) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high << 4 | low) as u8);
                rest = &after[2..];
            }
            (b'+', ..) => {
                bytes.push(b' ');
                rest = after;
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A text with all escaped but what never is (RFC 3986, section 2.3).
pub(crate) fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
        escaped
    })
}
