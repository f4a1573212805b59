//! AWS Signature Version 4 for requests whose body's digest is known. Signed are the host and those headers that no
//! proxy on the way rewrites; the path is escaped once more, as every service but S3 wants it.

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Method, Uri};
use jiff::{Timestamp, tz::TimeZone};
use sha2::{Digest as _, Sha256};

pub(super) use crate::url::escaped;

#[cfg(test)]
mod tests;

/// Headers that are signed where they are there, in order of their names; `host` beside them.
const SIGNED: [&str; 4] = ["content-type", "host", "x-amz-date", "x-amz-security-token"];

/// What signs.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) id: &'a str,
    pub(super) secret: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

/// When a request is signed.
pub(super) struct Time {
    /// `20150830T123600Z`
    pub(super) full: String,
}

impl Time {
    /// By Unix milliseconds.
    pub(super) fn of(now_ms: i64) -> Self {
        let at = Timestamp::from_millisecond(now_ms).unwrap_or_default().to_zoned(TimeZone::UTC);
        Self { full: at.strftime("%Y%m%dT%H%M%SZ").to_string() }
    }

    fn day(&self) -> &str {
        self.full.split('T').next().unwrap_or_default()
    }
}

/// The value of `authorization`.
pub(super) fn authorization(
    key: &Key<'_>,
    time: &Time,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body_sha256: &[u8; 32],
) -> String {
    let value = |name: &str| match name {
        "host" => uri.authority().map(|authority| authority.as_str().to_owned()),
        name => headers.get(name).and_then(|value| value.to_str().ok()).map(|text| text.trim().to_owned()),
    };
    let signed: Vec<(&str, String)> =
        SIGNED.iter().filter_map(|&name| value(name).map(|value| (name, value))).collect();
    let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let canonical = format!(
        "{method}\n{}\n{}\n{lines}\n{names}\n{}",
        path(uri.path()),
        query(uri.query().unwrap_or_default()),
        hex::encode(body_sha256)
    );
    let scope = format!("{}/{}/{}/aws4_request", time.day(), key.region, key.service);
    let digest = hex::encode(Sha256::digest(canonical));
    let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{digest}", time.full);
    let first = hmac(format!("AWS4{}", key.secret).as_bytes(), time.day());
    let signing = [key.region, key.service, "aws4_request"].iter().fold(first, |key, part| hmac(&key, part));
    let signature = hex::encode(hmac(&signing, &to_sign));
    let id = key.id;
    format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}")
}

fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

/// The path as it is sent, escaped once more.
fn path(path: &str) -> String {
    path.split('/').map(escaped).collect::<Vec<_>>().join("/")
}

/// The parameters in order.
fn query(query: &str) -> String {
    let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    pairs.join("&")
}
