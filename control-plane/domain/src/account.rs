//! An upstream account as an operator knows it. Its document is sealed, since it holds credentials. Whether the
//! credentials suffice is its platform's to say, not this crate's.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{record::Record, secret, url::Url};

mod obstacles;
pub mod tokens;
mod windows;
mod wire;

pub use tokens::{NotRenewed, Tokens};
pub use windows::AccountWindows;
pub use wire::WRITABLE;

/// Preferred order where none is set.
pub const DEFAULT_PRIORITY: u32 = 50;
/// Share where none is set.
pub const DEFAULT_WEIGHT: u32 = 10;

/// An upstream account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// Id (UUID).
    pub id: String,
    /// Platform slug; never changes.
    pub platform: String,
    /// Display name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Where the platform answers; empty: the platform's own address.
    pub base_url: String,
    /// By field of the platform's schema.
    #[serde(with = "secret::stored_map")]
    pub credentials: BTreeMap<String, SecretString>,
    /// Fields of the credentials that nodes must not get, by the platform's schema.
    pub withheld: Vec<String>,
    /// What the credentials were exchanged for, on platforms that have it so.
    pub tokens: Tokens,
    /// When the credentials were last changed, Unix milliseconds: what the audit log shows of such a change.
    pub credentials_changed_at_ms: i64,
    /// The way out, password included; `None`: directly.
    #[serde(with = "proxy")]
    pub proxy_url: Option<SecretString>,
    /// Lower is preferred, 1 to 100.
    pub priority: u32,
    /// Share among equals, 1 to 100.
    pub weight: u32,
    /// Requests at once; 0: no cap.
    pub max_concurrency: u32,
    /// Whether it may be chosen.
    pub schedulable: bool,
    /// What upstream verdicts and operators have made of it.
    pub state: State,
    /// Model asked for to model sent.
    pub model_mapping: BTreeMap<String, String>,
    /// Models served; empty: all.
    pub supported_models: Vec<String>,
    /// Labels.
    pub tags: Vec<String>,
    /// User agent to send; empty: the client's.
    pub user_agent: String,
    /// When the subscription ends, Unix milliseconds.
    pub expires_at_ms: Option<i64>,
    /// Who may use it.
    pub availability: Availability,
    /// Read on after the client left.
    pub read_on_after_abort: bool,
    /// The share of an upstream's usage window from which it is left alone, percent; 0: 100.
    pub window_pause_percent: u32,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
    /// When a person or job last changed it, Unix milliseconds.
    pub updated_at_ms: i64,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            id: String::new(),
            platform: String::new(),
            name: String::new(),
            description: String::new(),
            base_url: String::new(),
            credentials: BTreeMap::new(),
            withheld: Vec::new(),
            tokens: Tokens::default(),
            credentials_changed_at_ms: 0,
            proxy_url: None,
            priority: DEFAULT_PRIORITY,
            weight: DEFAULT_WEIGHT,
            max_concurrency: 0,
            schedulable: true,
            state: State::default(),
            model_mapping: BTreeMap::new(),
            supported_models: Vec::new(),
            tags: Vec::new(),
            user_agent: String::new(),
            expires_at_ms: None,
            availability: Availability::default(),
            read_on_after_abort: false,
            window_pause_percent: 0,
            created_at_ms: 0,
            updated_at_ms: 0,
        }
    }
}

/// What upstream verdicts and operators have made of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The status.
    pub status: Status,
    /// When it ends by itself, Unix milliseconds; `None`: by hand or by a success.
    pub until_ms: Option<i64>,
    /// When it began, Unix milliseconds: a success from before it says nothing of it.
    pub since_ms: i64,
    /// Why, without secrets.
    pub reason: String,
    /// Rises when the state is reset by hand: reports from before are then ignored.
    pub generation: u64,
    /// Blocked model families.
    pub family_blocks: BTreeMap<String, FamilyBlock>,
}

/// A model family that the account cannot serve for now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FamilyBlock {
    /// When it ends, Unix milliseconds.
    pub until_ms: i64,
    /// Why, without secrets.
    pub reason: String,
}

/// An account's status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It serves.
    #[default]
    Active,
    /// Switched off by hand.
    Disabled,
    /// Its limit is used up, until a time.
    RateLimited,
    /// The platform is over capacity.
    Overloaded,
    /// Its credential was refused.
    Unauthorized,
    /// A person must permit its use again: what renews its token is not accepted any more.
    Reauthorize,
    /// It may not do what was asked, or is barred.
    Forbidden,
    /// It cannot be used for another reason.
    Error,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Active,
        Self::Disabled,
        Self::RateLimited,
        Self::Overloaded,
        Self::Unauthorized,
        Self::Reauthorize,
        Self::Forbidden,
        Self::Error,
    ];

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Unauthorized => "unauthorized",
            Self::Reauthorize => "reauthorize",
            Self::Forbidden => "forbidden",
            Self::Error => "error",
        }
    }

    /// By its name on the wire.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// Who may use an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// In the pool.
    #[default]
    Shared,
    /// Only by a key's binding.
    Dedicated,
    /// Only by group.
    Group,
}

impl Availability {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Dedicated => "dedicated",
            Self::Group => "group",
        }
    }

    /// By its name on the wire; empty means shared.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "" | "shared" => Some(Self::Shared),
            "dedicated" => Some(Self::Dedicated),
            "group" => Some(Self::Group),
            _ => None,
        }
    }
}

impl State {
    /// The status at a time: one that has ended reads as `active`.
    pub fn status(&self, now_ms: i64) -> Status {
        match self.until_ms {
            Some(until) if until <= now_ms && self.status != Status::Disabled => Status::Active,
            _ => self.status,
        }
    }

    /// Forgets limits that verdicts have told of, until their time or not; what else they said stays. Whether anything
    /// changed.
    pub fn reset_limits(&mut self) -> bool {
        let limited = self.status == Status::RateLimited;
        if !limited && self.family_blocks.is_empty() {
            return false;
        }
        self.family_blocks.clear();
        if limited {
            (self.status, self.until_ms) = (Status::Active, None);
            self.reason.clear();
        }
        self.generation += 1;
        true
    }

    /// Forgets what verdicts have said; a hand's `disabled` stays.
    pub fn reset(&mut self) {
        let status = if self.status == Status::Disabled { Status::Disabled } else { Status::Active };
        *self = Self { status, generation: self.generation + 1, ..Self::default() };
    }
}

impl Account {
    /// The way out as people see it: the password as `***`.
    pub fn masked_proxy(&self) -> Option<String> {
        use secrecy::ExposeSecret as _;
        let url = self.proxy_url.as_ref()?;
        Some(Url::parse(url.expose_secret()).map_or_else(|_| secret::MASK.to_owned(), |url| url.masked()))
    }
}

impl Record for Account {
    const KIND: &'static str = "account";
    const SEALED: bool = true;

    fn id(&self) -> &str {
        &self.id
    }

    fn audit_view(&self) -> serde_json::Value {
        let mut view = serde_json::to_value(self).unwrap_or_default();
        for held in ["kept", "issued"] {
            let fields = view["tokens"][held].as_object_mut().into_iter();
            for value in fields.flat_map(|fields| fields.values_mut()) {
                *value = secret::MASK.into();
            }
        }
        for value in view["credentials"].as_object_mut().into_iter().flat_map(|fields| fields.values_mut()) {
            *value = secret::MASK.into();
        }
        view["proxy_url"] = self.masked_proxy().into();
        view
    }
}

/// `serde(with)`: the way out.
mod proxy {
    use secrecy::{ExposeSecret as _, SecretString};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(url: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
        url.as_ref().map(|url| url.expose_secret()).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(SecretString::from))
    }
}

#[cfg(test)]
mod tests;
