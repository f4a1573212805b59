//! What operators change at run time, and the peppers under which relay keys are hashed. There is one, and it is sealed.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{
    record::Record,
    secret::{self, NoRandomness},
};

mod wire;

pub use wire::WRITABLE;

/// The id of the one settings record.
pub const ID: &str = "settings";
/// Time zone where none is set: that of version 1.
pub const TIME_ZONE: &str = "Asia/Shanghai";

/// The deployment's settings. Fields that are "not set" hold their zero; the methods fill in the defaults.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Name shown to people.
    pub site_name: String,
    /// IANA time zone; empty: the default.
    pub time_zone: String,
    /// What limited keys may do while the control plane is away.
    pub limits_on_control_loss: ControlLoss,
    /// What a silent node's concurrency slots do.
    pub orphan_slots: OrphanSlots,
    /// `serve`, `refuse` or `price_as:<model>`; empty: `serve`.
    pub unknown_price: String,
    /// Milliseconds; 0: the default.
    pub first_event_timeout_ms: i64,
    /// Milliseconds; 0: the default.
    pub idle_timeout_ms: i64,
    /// Longest whole answer that is no stream, milliseconds; 0: the default.
    pub answer_timeout_ms: i64,
    /// Longest count of tokens, milliseconds; 0: the default.
    pub count_timeout_ms: i64,
    /// Attempts per request; 0: the default.
    pub max_attempts: u32,
    /// Milliseconds; 0: the default.
    pub binding_ttl_ms: i64,
    /// Milliseconds; 0: the default.
    pub binding_renew_below_ms: i64,
    /// How long things are kept.
    pub retention: Retention,
    /// By service: factor on the rated cost.
    pub service_multipliers: BTreeMap<String, f64>,
    /// Queue of keys that state none.
    pub queue_max_size: u32,
    /// Longest wait in it, milliseconds; 0: refusal instead of waiting.
    pub queue_timeout_ms: i64,
    /// Whether accounts that are somebody's subscription may serve.
    pub subscription_pooling: bool,
    /// Pepper of the key hash, hex.
    #[serde(with = "secret::stored")]
    pub key_pepper: SecretString,
    /// v1's pepper (its ENCRYPTION_KEY), where keys were imported; empty: none were.
    #[serde(with = "secret::stored")]
    pub v1_key_pepper: SecretString,
}

/// How long things are kept, days; 0: the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retention {
    /// Minute statistics.
    pub minute_days: u32,
    /// Hour statistics.
    pub hour_days: u32,
    /// Day statistics.
    pub day_days: u32,
    /// Request records.
    pub request_days: u32,
    /// Audit entries.
    pub audit_days: u32,
    /// The recycle bin.
    pub bin_days: u32,
}

impl Retention {
    /// What holds where nothing is set.
    pub const DEFAULT: Self = Self {
        minute_days: 1,
        hour_days: 35,
        day_days: 400,
        request_days: 30,
        audit_days: 400,
        bin_days: 30,
    };

    /// With the defaults filled in.
    pub fn effective(self) -> Self {
        let or = |days: u32, default: u32| if days == 0 { default } else { days };
        Self {
            minute_days: or(self.minute_days, Self::DEFAULT.minute_days),
            hour_days: or(self.hour_days, Self::DEFAULT.hour_days),
            day_days: or(self.day_days, Self::DEFAULT.day_days),
            request_days: or(self.request_days, Self::DEFAULT.request_days),
            audit_days: or(self.audit_days, Self::DEFAULT.audit_days),
            bin_days: or(self.bin_days, Self::DEFAULT.bin_days),
        }
    }
}

/// What a limited key may do while the control plane is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlLoss {
    /// Spend what is leased, then be refused.
    #[default]
    Refuse,
    /// Go on: limits do not hold for that time.
    Allow,
}

impl ControlLoss {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Allow => "allow",
        }
    }
}

/// What a silent node's concurrency slots do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrphanSlots {
    /// They count until the node returns.
    #[default]
    Hold,
    /// They are free when the lease ends.
    ReleaseAfterTtl,
}

impl OrphanSlots {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::ReleaseAfterTtl => "release_after_ttl",
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            site_name: String::new(),
            time_zone: String::new(),
            limits_on_control_loss: ControlLoss::default(),
            orphan_slots: OrphanSlots::default(),
            unknown_price: String::new(),
            first_event_timeout_ms: 0,
            idle_timeout_ms: 0,
            answer_timeout_ms: 0,
            count_timeout_ms: 0,
            max_attempts: 0,
            binding_ttl_ms: 0,
            binding_renew_below_ms: 0,
            retention: Retention::default(),
            service_multipliers: BTreeMap::new(),
            queue_max_size: 0,
            queue_timeout_ms: 0,
            subscription_pooling: false,
            key_pepper: SecretString::from(""),
            v1_key_pepper: SecretString::from(""),
        }
    }
}

impl Settings {
    /// The settings of a new deployment: defaults and a random pepper.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn fresh() -> Result<Self, NoRandomness> {
        let key_pepper = hex::encode(secret::random::<32>()?).into();
        Ok(Self { key_pepper, ..Self::default() })
    }

    /// The pepper made ready. It is the text's bytes, as nodes get it.
    pub fn pepper(&self) -> proto::rules::key_hash::Pepper {
        use secrecy::ExposeSecret as _;
        proto::rules::key_hash::Pepper::new(self.key_pepper.expose_secret().as_bytes())
    }

    /// The IANA time zone.
    pub fn zone_name(&self) -> &str {
        if self.time_zone.is_empty() { TIME_ZONE } else { &self.time_zone }
    }

    /// The time zone; UTC should the name not be known (which writing it refuses).
    pub fn zone(&self) -> jiff::tz::TimeZone {
        jiff::tz::TimeZone::get(self.zone_name()).unwrap_or(jiff::tz::TimeZone::UTC)
    }

    /// What is done with models that have no price.
    pub fn unknown_price(&self) -> &str {
        if self.unknown_price.is_empty() { "serve" } else { &self.unknown_price }
    }
}

/// A positive number or its default.
fn or(value: i64, default: i64) -> i64 {
    if value == 0 { default } else { value }
}

impl Settings {
    /// Deadline to an upstream's first event, milliseconds.
    pub fn first_event_timeout_ms(&self) -> i64 {
        or(self.first_event_timeout_ms, 120_000)
    }

    /// Longest silence within a stream, milliseconds.
    pub fn idle_timeout_ms(&self) -> i64 {
        or(self.idle_timeout_ms, 300_000)
    }

    /// Longest whole answer that is no stream, milliseconds.
    pub fn answer_timeout_ms(&self) -> i64 {
        or(self.answer_timeout_ms, 600_000)
    }

    /// Longest count of tokens, milliseconds.
    pub fn count_timeout_ms(&self) -> i64 {
        or(self.count_timeout_ms, 30_000)
    }

    /// Attempts per request.
    pub fn max_attempts(&self) -> u32 {
        if self.max_attempts == 0 { 5 } else { self.max_attempts }
    }

    /// Life of a session binding, milliseconds.
    pub fn binding_ttl_ms(&self) -> i64 {
        or(self.binding_ttl_ms, 15 * 86_400_000)
    }

    /// A used binding is renewed when less remains, milliseconds.
    pub fn binding_renew_below_ms(&self) -> i64 {
        or(self.binding_renew_below_ms, 14 * 86_400_000)
    }
}

impl Record for Settings {
    const KIND: &'static str = "settings";
    const SEALED: bool = true;

    fn id(&self) -> &str {
        ID
    }

    fn audit_view(&self) -> serde_json::Value {
        let mut view = serde_json::to_value(self).unwrap_or_default();
        view["key_pepper"] = secret::MASK.into();
        view["v1_key_pepper"] = secret::MASK.into();
        view
    }
}

#[cfg(test)]
mod tests;
