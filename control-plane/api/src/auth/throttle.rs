//! Bounds on what nobody known may do: requests per address, and failed logins per address and per name. In memory of
//! this replica, with a bounded number of entries.

use std::{collections::HashMap, hash::Hash, net::IpAddr, time::Duration};

use parking_lot::Mutex;

/// Entries kept at most.
const ENTRIES: usize = 10_000;
/// Failures are forgotten after an hour without another, milliseconds.
const FORGET_MS: i64 = 3_600_000;
/// Failures that cost nothing.
const FREE: u32 = 5;
/// The longest wait for an address.
const ADDRESS_CAP: Duration = Duration::from_secs(900);
/// The longest wait for a name: short, so that nobody can lock somebody else out for long.
const NAME_CAP: Duration = Duration::from_secs(60);

/// A bucket of tokens per address.
pub struct Buckets {
    burst: f64,
    per_ms: f64,
    held: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    at_ms: i64,
}

impl Buckets {
    /// `burst` requests at once, and `per_second` on and on.
    pub fn new(burst: u32, per_second: u32) -> Self {
        Self {
            burst: f64::from(burst.max(1)),
            per_ms: f64::from(per_second.max(1)) / 1000.0,
            held: Mutex::new(HashMap::new()),
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// How long until there is one.
    pub fn take(&self, address: IpAddr, now_ms: i64) -> Result<(), Duration> {
        let mut held = self.held.lock();
        if held.len() >= ENTRIES && !held.contains_key(&address) {
            let (burst, per_ms) = (self.burst, self.per_ms);
            held.retain(|_, bucket| bucket.tokens + (now_ms - bucket.at_ms) as f64 * per_ms < burst);
            drop_one_of(&mut held, ENTRIES, |bucket| -bucket.tokens as i64);
        }
        let bucket = held.entry(address).or_insert(Bucket { tokens: self.burst, at_ms: now_ms });
        let passed = (now_ms - bucket.at_ms).max(0) as f64;
        bucket.tokens = (bucket.tokens + passed * self.per_ms).min(self.burst);
        bucket.at_ms = now_ms;
        if bucket.tokens < 1.0 {
            let wait = ((1.0 - bucket.tokens) / self.per_ms).ceil();
            return Err(Duration::from_millis(wait as u64));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

/// Failed logins per address and per name: after a few, each doubles the wait.
#[derive(Default)]
pub struct LoginThrottle {
    addresses: Mutex<HashMap<IpAddr, Failures>>,
    names: Mutex<HashMap<String, Failures>>,
}

#[derive(Clone, Copy, Default)]
struct Failures {
    count: u32,
    last_ms: i64,
    until_ms: i64,
}

impl LoginThrottle {
    /// Whether a login may be tried.
    ///
    /// # Errors
    /// How long until it may.
    pub fn check(&self, address: IpAddr, name: &str, now_ms: i64) -> Result<(), Duration> {
        let wait = |failures: Option<&Failures>| failures.map_or(0, |failures| failures.until_ms - now_ms);
        let wait = wait(self.addresses.lock().get(&address)).max(wait(self.names.lock().get(name)));
        match u64::try_from(wait) {
            Ok(ms) if ms > 0 => Err(Duration::from_millis(ms)),
            _ => Ok(()),
        }
    }

    /// Notes a failed login.
    pub fn failed(&self, address: IpAddr, name: &str, now_ms: i64) {
        note(&mut self.addresses.lock(), address, ADDRESS_CAP, now_ms);
        note(&mut self.names.lock(), name.to_owned(), NAME_CAP, now_ms);
    }

    /// Notes a login that succeeded: the name is cleared; the address is not, or whoever has one account could go on
    /// guessing at others.
    pub fn succeeded(&self, name: &str) {
        self.names.lock().remove(name);
    }
}

fn note<K: Hash + Eq + Clone>(held: &mut HashMap<K, Failures>, key: K, cap: Duration, now_ms: i64) {
    if held.len() >= ENTRIES && !held.contains_key(&key) {
        held.retain(|_, failures| now_ms - failures.last_ms < FORGET_MS);
        drop_one_of(held, ENTRIES, |failures| i64::from(failures.count));
    }
    let failures = held.entry(key).or_default();
    if now_ms - failures.last_ms >= FORGET_MS {
        failures.count = 0;
    }
    failures.count = failures.count.saturating_add(1);
    failures.last_ms = now_ms;
    if failures.count > FREE {
        let doubled = 1_000_i64 << (failures.count - FREE - 1).min(20);
        failures.until_ms = now_ms + doubled.min(cap.as_millis() as i64);
    }
}

/// Makes room for one more by dropping the entry that matters least.
fn drop_one_of<K: Hash + Eq + Clone, V>(held: &mut HashMap<K, V>, max: usize, weight: impl Fn(&V) -> i64) {
    if held.len() >= max
        && let Some(key) = held.iter().min_by_key(|(_, value)| weight(value)).map(|(key, _)| key.clone())
    {
        held.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn waits_double_and_are_capped() {
        let throttle = LoginThrottle::default();
        for n in 0..FREE {
            assert!(throttle.check(HERE, "a", i64::from(n)).is_ok());
            throttle.failed(HERE, "a", 0);
        }
        assert!(throttle.check(HERE, "a", 0).is_ok());
        let mut waits = Vec::new();
        for _ in 0..12 {
            throttle.failed(HERE, "a", 0);
            waits.push(throttle.check(HERE, "a", 0).unwrap_err().as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        let elsewhere = "10.0.0.1".parse().unwrap();
        assert_eq!(throttle.check(elsewhere, "a", 0).unwrap_err(), NAME_CAP, "the name waits anywhere");
        assert!(throttle.check(HERE, "b", 0).is_err(), "the address waits for any name");
        throttle.succeeded("a");
        assert!(throttle.check(elsewhere, "a", 0).is_ok());
        assert!(throttle.check(HERE, "a", FORGET_MS).is_ok());
    }

    #[test]
    fn memory_is_bounded_and_the_worst_stay() {
        let throttle = LoginThrottle::default();
        for _ in 0..20 {
            throttle.failed(HERE, "victim", 0);
        }
        for n in 0..(ENTRIES as u32 + 50) {
            throttle.failed(IpAddr::V4(std::net::Ipv4Addr::from_bits(n)), &n.to_string(), 1);
        }
        assert!(throttle.names.lock().len() <= ENTRIES);
        assert!(throttle.addresses.lock().len() <= ENTRIES);
        assert!(throttle.check(HERE, "x", 2).is_err());
    }

    #[test]
    fn a_bucket_refills() {
        let buckets = Buckets::new(2, 10);
        assert!(buckets.take(HERE, 0).is_ok());
        assert!(buckets.take(HERE, 0).is_ok());
        assert_eq!(buckets.take(HERE, 0).unwrap_err(), Duration::from_millis(100));
        assert!(buckets.take(HERE, 100).is_ok());
        assert!(buckets.take("10.0.0.1".parse().unwrap(), 100).is_ok());
    }
}
