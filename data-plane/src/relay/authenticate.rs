//! Who asks: the key that a request presents, by one look-up in the snapshot. Every failure costs the same and says the
//! same. An address that presents bad keys is told to slow down; a good key passes from anywhere.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::{Duration, Instant},
};

use dialects::error::Kind;
use http::HeaderMap;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use snapshot::{Key, Snapshot};

use super::error::Refusal;
use crate::metrics::Reason;

/// Shortest and longest secret.
const LENGTHS: std::ops::RangeInclusive<usize> = 10..=512;
/// Hashed where nothing plausible was presented, so that it takes as long.
const DUMMY: &str = "cr_0000000000000000000000000000000000000000000000000000000000000000";

/// The headers that may carry a key, in the order in which they are looked at.
pub const PLACES: [&str; 4] = ["x-api-key", "x-goog-api-key", "authorization", "api-key"];

/// The secret that a request presents: the first of the five places that is not empty.
pub fn presented<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Option<Cow<'a, str>> {
    let header = |name: &str| {
        let text = headers.get(name)?.to_str().ok()?.trim();
        let bare = match text.get(..7) {
            Some(start) if start.eq_ignore_ascii_case("bearer ") => text[7..].trim_start(),
            _ => text,
        };
        (!bare.is_empty()).then_some(Cow::Borrowed(bare))
    };
    PLACES.into_iter().find_map(header).or_else(|| {
        let value = query?.split('&').find_map(|pair| pair.strip_prefix("key="))?;
        (!value.is_empty()).then(|| unescaped(value))
    })
}

/// A query value with its escapes undone. A key has none; an escaped one is still the same key.
fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains(['%', '+']) {
        return Cow::Borrowed(value);
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => match (digit(rest.next()), digit(rest.next())) {
                (Some(high), Some(low)) => bytes.push((high * 16 + low) as u8),
                _ => bytes.push(b'%'),
            },
            other => bytes.push(other),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// The key that a secret belongs to.
///
/// # Errors
/// 401, the same for every failure; 429 for an address with too many of them.
pub fn key(
    snapshot: &Snapshot,
    secret: Option<&str>,
    throttle: &Throttle,
    address: IpAddr,
    now_ms: i64,
) -> Result<Arc<Key>, Refusal> {
    let plausible = secret.filter(|secret| LENGTHS.contains(&secret.len()));
    let found = snapshot.key_by_secret(plausible.unwrap_or(DUMMY).as_bytes(), now_ms);
    if let (Some(_), Some(key)) = (plausible, found) {
        return Ok(key);
    }
    match throttle.failed(address, Instant::now()) {
        None => Err(Refusal::new(Kind::Authentication, Reason::Key, "the relay key is missing or not valid")
            .code("invalid_api_key")
            .closing()),
        Some(wait) => Err(Refusal::new(
            Kind::RateLimit,
            Reason::Throttled,
            "too many requests with a bad relay key from this address",
        )
        .later(wait.as_millis() as u64)
        .closing()),
    }
}

/// Bad keys that an address may present in a row, and how fast that comes back.
const BURST: f64 = 30.0;
const PER_SECOND: f64 = 0.5;
/// Addresses remembered; past it those that have recovered are forgotten, then all.
const ADDRESSES: usize = 16_384;

/// Counts bad keys by address: a bucket that fills with failures and leaks.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<FxHashMap<IpAddr, (f64, Instant)>>);

impl Throttle {
    /// Notes a failure; how long to wait, if there were too many.
    pub fn failed(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let mut buckets = self.0.lock();
        if buckets.len() >= ADDRESSES {
            buckets.retain(|_, (level, since)| leaked(*level, *since, now) > 0.0);
            if buckets.len() >= ADDRESSES {
                buckets.clear();
            }
        }
        let (level, since) = buckets.entry(network(address)).or_insert((0.0, now));
        *level = leaked(*level, *since, now) + 1.0;
        *since = now;
        let over = *level - BURST;
        if over <= 0.0 {
            return None;
        }
        *level = level.min(2.0 * BURST);
        Some(Duration::from_secs_f64((over / PER_SECOND).clamp(1.0, 60.0)))
    }
}

fn leaked(level: f64, since: Instant, now: Instant) -> f64 {
    (level - now.saturating_duration_since(since).as_secs_f64() * PER_SECOND).max(0.0)
}

/// Whoever has one IPv6 address has its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_first_place_that_is_not_empty_counts() {
        let all = [
            ("x-api-key", "one"),
            ("x-goog-api-key", "two"),
            ("authorization", "Bearer three"),
            ("api-key", "four"),
        ];
        for (skip, expected) in ["one", "two", "three", "four"].into_iter().enumerate() {
            assert_eq!(presented(&headers(&all[skip..]), Some("key=five")).unwrap(), expected);
        }
        assert_eq!(presented(&headers(&[]), Some("a=b&key=fi%76e")).unwrap(), "five");
        assert_eq!(presented(&headers(&[("x-api-key", "  ")]), None), None);
        assert_eq!(presented(&headers(&[("x-api-key", "bEaReR x")]), None).unwrap(), "x");
        assert_eq!(presented(&headers(&[("authorization", "naked")]), None).unwrap(), "naked");
    }

    #[test]
    fn bad_keys_from_one_address_are_slowed_down_and_forgiven() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let address: IpAddr = "2001:db8::1".parse().unwrap();
        let neighbour: IpAddr = "2001:db8::2".parse().unwrap();
        for _ in 0..30 {
            assert_eq!(throttle.failed(address, now), None);
        }
        assert!(throttle.failed(neighbour, now).is_some());
        assert_eq!(throttle.failed("2001:db9::1".parse().unwrap(), now), None);
        assert_eq!(throttle.failed(address, now + Duration::from_secs(120)), None);
    }
}
