//! Every metric of a node, with meaning, labels and unit. Handles are taken once: no look-up on a request's path.

use std::fmt::Write as _;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

mod unpriced;

pub use unpriced::Unpriced;

/// How a request ended, as label `outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered.
    Ok,
    /// The client left.
    ClientGone,
    /// Every attempt failed, and the client was told.
    UpstreamError,
    /// Broke off after its first byte.
    Interrupted,
    /// Refused by us.
    Refused,
}

/// Why a request was refused, as label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No key, or a bad one.
    Key,
    /// Too many bad keys from one address.
    Throttled,
    /// Platform permission.
    Permission,
    /// Model rule, or nobody serves the model.
    Model,
    /// Client rule.
    Client,
    /// Network rule.
    Network,
    /// A limit.
    Limit,
    /// The request itself: body, headers, route.
    Malformed,
    /// Byte budget.
    Budget,
    /// No account could serve.
    NoAccount,
    /// Spool full.
    Spool,
    /// Not ready, or draining.
    NotReady,
}

const OUTCOMES: [(Outcome, &str); 5] = [
    (Outcome::Ok, "ok"),
    (Outcome::ClientGone, "client_gone"),
    (Outcome::UpstreamError, "upstream_error"),
    (Outcome::Interrupted, "interrupted"),
    (Outcome::Refused, "refused"),
];

const REASONS: [(Reason, &str); 12] = [
    (Reason::Key, "key"),
    (Reason::Throttled, "throttled"),
    (Reason::Permission, "permission"),
    (Reason::Model, "model"),
    (Reason::Client, "client"),
    (Reason::Network, "network"),
    (Reason::Limit, "limit"),
    (Reason::Malformed, "malformed"),
    (Reason::Budget, "budget"),
    (Reason::NoAccount, "no_account"),
    (Reason::Spool, "spool"),
    (Reason::NotReady, "not_ready"),
];

impl Outcome {
    /// The label.
    pub fn as_str(self) -> &'static str {
        OUTCOMES[self as usize].1
    }
}

impl Reason {
    /// The label.
    pub fn as_str(self) -> &'static str {
        REASONS[self as usize].1
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Verdict {
    verdict: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

/// A node's metrics. Gauges marked "at scrape" are set by [`crate::ops`] just before they are read.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: [Counter; OUTCOMES.len()],
    refusals: [Counter; REASONS.len()],
    attempts: Family<Verdict, Counter>,
    tokens: [Counter; 4],
    /// Rated cost, nano-dollars.
    pub cost: Counter,
    /// What had no price.
    pub unpriced: Unpriced,
    /// Time from arrival to end.
    pub request_seconds: Histogram,
    /// Time from arrival to the first byte sent.
    pub first_byte_seconds: Histogram,
    /// Requests in flight.
    pub in_flight: Gauge,
    /// Client connections open.
    pub connections: Gauge,
    /// Bytes of bodies held.
    pub body_bytes: Gauge,
    /// Access log lines that were not written.
    pub access_log_dropped: Counter,
    /// Binding look-ups answered from the node's cache.
    pub binding_hits: Counter,
    /// Binding look-ups that had to ask the control plane.
    pub binding_misses: Counter,
    /// Records not yet acknowledged. At scrape.
    pub spool_lag: Gauge,
    /// Bytes the spool holds. At scrape.
    pub spool_bytes: Gauge,
    /// 1 while the config stream is open. At scrape.
    pub control_connected: Gauge,
    /// Number of the config revision held. At scrape.
    pub config_revision: Gauge,
    /// Resident memory. At scrape.
    pub resident_memory_bytes: Gauge,
    /// Open descriptors. At scrape.
    pub open_descriptors: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All of them at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("crs");
        let requests = Family::<OutcomeLabel, Counter>::default();
        let refusals = Family::<ReasonLabel, Counter>::default();
        let tokens = Family::<KindLabel, Counter>::default();
        let attempts = Family::<Verdict, Counter>::default();
        registry.register("requests", "Requests by how they ended", requests.clone());
        registry.register("refusals", "Requests refused, by why", refusals.clone());
        registry.register("attempts", "Attempts by what their answer said of the account", attempts.clone());
        registry.register("tokens", "Tokens by kind", tokens.clone());
        let mut metrics = Self {
            requests: OUTCOMES.map(|(_, outcome)| requests.get_or_create_owned(&OutcomeLabel { outcome })),
            refusals: REASONS.map(|(_, reason)| refusals.get_or_create_owned(&ReasonLabel { reason })),
            tokens: ["input", "output", "cache_read", "cache_write"]
                .map(|kind| tokens.get_or_create_owned(&KindLabel { kind })),
            attempts,
            cost: Counter::default(),
            unpriced: Unpriced::default(),
            request_seconds: Histogram::new([
                0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0,
            ]),
            first_byte_seconds: Histogram::new([
                0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0,
            ]),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            body_bytes: Gauge::default(),
            access_log_dropped: Counter::default(),
            binding_hits: Counter::default(),
            binding_misses: Counter::default(),
            spool_lag: Gauge::default(),
            spool_bytes: Gauge::default(),
            control_connected: Gauge::default(),
            config_revision: Gauge::default(),
            resident_memory_bytes: Gauge::default(),
            open_descriptors: Gauge::default(),
            registry: Registry::default(),
        };
        metrics.register(&mut registry);
        metrics.registry = registry;
        metrics
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("cost_nano_usd", "Rated cost in nano-dollars", self.cost.clone());
        self.unpriced.register(registry);
        let seconds = Unit::Seconds;
        registry.register_with_unit(
            "request",
            "Arrival to end",
            seconds.clone(),
            self.request_seconds.clone(),
        );
        registry.register_with_unit(
            "first_byte",
            "Arrival to first byte",
            seconds,
            self.first_byte_seconds.clone(),
        );
        registry.register("in_flight", "Requests in flight", self.in_flight.clone());
        registry.register("connections", "Client connections open", self.connections.clone());
        registry.register("body_bytes", "Bytes of bodies held", self.body_bytes.clone());
        let dropped = self.access_log_dropped.clone();
        registry.register("access_log_dropped", "Access log lines not written", dropped);
        registry.register("binding_hits", "Bindings answered from the cache", self.binding_hits.clone());
        registry.register(
            "binding_misses",
            "Bindings asked of the control plane",
            self.binding_misses.clone(),
        );
        registry.register("spool_lag_records", "Records not yet acknowledged", self.spool_lag.clone());
        registry.register("spool_bytes", "Bytes the spool holds", self.spool_bytes.clone());
        registry.register(
            "control_connected",
            "1 while the config stream is open",
            self.control_connected.clone(),
        );
        registry.register("config_revision", "Config revision held", self.config_revision.clone());
        registry.register("resident_memory_bytes", "Resident memory", self.resident_memory_bytes.clone());
        registry.register("open_descriptors", "Open descriptors", self.open_descriptors.clone());
    }

    /// Counts a request's end.
    pub fn request_ended(&self, outcome: Outcome) {
        self.requests[outcome as usize].inc();
    }

    /// Counts a refusal, which is an end too.
    pub fn refused(&self, reason: Reason) {
        self.refusals[reason as usize].inc();
        self.request_ended(Outcome::Refused);
    }

    /// Counts an attempt by its verdict's name.
    pub fn attempted(&self, verdict: &'static str) {
        self.attempts.get_or_create(&Verdict { verdict }).inc();
    }

    /// Counts tokens of one attempt.
    pub fn used(&self, usage: &proto::types::TokenUsage) {
        let writes = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
        for (counter, amount) in self.tokens.iter().zip([usage.input, usage.output, usage.cache_read, writes])
        {
            counter.inc_by(amount.max(0) as u64);
        }
    }

    /// All of them in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(8 << 10);
        if encode(&mut text, &self.registry).is_err() {
            // Only a label's own encoder can fail, and ours are plain texts.
            text.clear();
            let _ = writeln!(text, "# encoding failed");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_stands_at_its_own_index() {
        assert!(OUTCOMES.iter().enumerate().all(|(at, (outcome, _))| *outcome as usize == at));
        assert!(REASONS.iter().enumerate().all(|(at, (reason, _))| *reason as usize == at));
    }

    #[test]
    fn what_is_counted_is_rendered() {
        let metrics = Metrics::new();
        metrics.request_ended(Outcome::Ok);
        metrics.refused(Reason::Limit);
        metrics.attempted("fine");
        metrics.used(&proto::types::TokenUsage { input: 3, cache_write_1h: 2, ..Default::default() });
        metrics.request_seconds.observe(0.2);
        metrics.unpriced.count("new-model", 30);
        let text = metrics.render();
        for line in [
            "crs_requests_total{outcome=\"ok\"} 1",
            "crs_requests_total{outcome=\"refused\"} 1",
            "crs_refusals_total{reason=\"limit\"} 1",
            "crs_attempts_total{verdict=\"fine\"} 1",
            "crs_tokens_total{kind=\"input\"} 3",
            "crs_tokens_total{kind=\"cache_write\"} 2",
            "crs_request_seconds_count 1",
            "crs_unpriced_attempts_total{model=\"new-model\"} 1",
            "crs_unpriced_tokens_total{model=\"new-model\"} 30",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
