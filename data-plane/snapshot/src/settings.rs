//! The deployment's settings, as far as a node must know them, with defaults filled in.

use std::{collections::BTreeMap, time::Duration};

use proto::rules::key_hash::Pepper;
use secrecy::SecretSlice;

use crate::{Queue, from_proto::Source};

/// What a limited key may do while the control plane is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlLoss {
    /// Spend what was leased, then be refused.
    Refuse,
    /// Go on, which waives exactness for that time.
    Allow,
}

/// What happens to requests for a model without a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownPrice {
    /// Served, at cost 0, flagged.
    Serve,
    /// Refused.
    Refuse,
    /// Priced as this model.
    PriceAs(String),
}

/// The settings.
pub struct Settings {
    /// Pepper of our key hash; none before the first snapshot: no key is known then.
    pub pepper: Option<Pepper>,
    /// Version 1's pepper, where keys were imported.
    pub v1_pepper: Option<SecretSlice<u8>>,
    /// While the control plane is away.
    pub limits_on_control_loss: ControlLoss,
    /// For models without a price.
    pub unknown_price: UnknownPrice,
    /// How long to wait for an upstream's first event.
    pub first_event_timeout: Duration,
    /// Longest silence within a stream.
    pub idle_timeout: Duration,
    /// Longest whole answer that is no stream, on one account.
    pub answer_timeout: Duration,
    /// Longest count of tokens, on one account.
    pub count_timeout: Duration,
    /// Attempts per request, 1 to 5.
    pub max_attempts: u32,
    /// Life of a session binding.
    pub binding_ttl: Duration,
    /// A used binding is renewed when less than this remains.
    pub binding_renew_below: Duration,
    /// By service: factor on the rated cost.
    pub service_multipliers: BTreeMap<String, f64>,
    /// Queue for keys that state none; none: they do not wait.
    pub queue: Option<Queue>,
    /// IANA time zone of calendar windows.
    pub time_zone: String,
    /// Whether accounts that are somebody's subscription may serve.
    pub subscription_pooling: bool,
    pub(crate) source: Source,
}

impl Settings {
    /// What holds before the first snapshot came.
    pub(crate) fn initial() -> Self {
        Self {
            pepper: None,
            v1_pepper: None,
            limits_on_control_loss: ControlLoss::Refuse,
            unknown_price: UnknownPrice::Serve,
            first_event_timeout: DEFAULT_FIRST_EVENT,
            idle_timeout: DEFAULT_IDLE,
            answer_timeout: DEFAULT_ANSWER,
            count_timeout: DEFAULT_COUNT,
            max_attempts: MAX_ATTEMPTS,
            binding_ttl: DEFAULT_BINDING_TTL,
            binding_renew_below: DEFAULT_BINDING_RENEW,
            service_multipliers: BTreeMap::new(),
            queue: None,
            time_zone: DEFAULT_TIME_ZONE.to_owned(),
            subscription_pooling: false,
            source: Source::default(),
        }
    }
}

pub(crate) const DEFAULT_FIRST_EVENT: Duration = Duration::from_secs(120);
pub(crate) const DEFAULT_IDLE: Duration = Duration::from_secs(300);
pub(crate) const DEFAULT_ANSWER: Duration = Duration::from_secs(600);
pub(crate) const DEFAULT_COUNT: Duration = Duration::from_secs(30);
pub(crate) const MAX_ATTEMPTS: u32 = 5;
pub(crate) const DEFAULT_BINDING_TTL: Duration = Duration::from_hours(15 * 24);
pub(crate) const DEFAULT_BINDING_RENEW: Duration = Duration::from_hours(14 * 24);
pub(crate) const DEFAULT_TIME_ZONE: &str = "Asia/Shanghai";

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("limits_on_control_loss", &self.limits_on_control_loss)
            .field("unknown_price", &self.unknown_price)
            .field("time_zone", &self.time_zone)
            .finish_non_exhaustive()
    }
}
