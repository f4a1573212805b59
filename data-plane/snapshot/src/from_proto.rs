//! Wire entries to values. An entry that cannot be understood is refused by name, with the reason but never a secret;
//! the rest is kept.

use std::{collections::BTreeMap, fmt, time::Duration};

use limits::Compiled;
use proto::{
    node,
    rules::{
        key_hash::{self, Digest, Pepper},
        session::SessionId,
        upstream_window::Window,
    },
    types,
};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use crate::{
    Account, Availability, Binding, BindingDrop, ControlLoss, Group, Hash, Key, Member, ModelRule, Network,
    Pattern, PlatformFacts, Queue, Scheme, Seat, Settings, UnknownPrice, settings,
};

/// An entry that was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// `key`, `account`, `group` or `settings`.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// Why.
    pub why: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}: {}", self.kind, self.id, self.why)
    }
}

/// The encoded wire entry that a value was made from: written to disk, and compared when a full snapshot repeats what
/// is known already. It may hold credentials, so it is wiped when dropped and never printed.
#[derive(Clone)]
pub(crate) struct Source(SecretSlice<u8>);

impl Source {
    pub(crate) fn of(message: &impl prost::Message) -> Self {
        Self(message.encode_to_vec().into())
    }

    pub(crate) fn decode<M: prost::Message + Default>(&self) -> M {
        // What was encoded here decodes; were it not so, an empty entry would be refused on reading it back.
        M::decode(self.0.expose_secret()).unwrap_or_default()
    }
}

impl Default for Source {
    fn default() -> Self {
        Self(Vec::new().into())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// Says why an entry is refused.
type Why = String;

/// 0 on the wire means "none" for points in time and caps.
fn some(value: i64) -> Option<i64> {
    (value != 0).then_some(value)
}

fn duration(wire: Option<prost_types::Duration>, default: Duration) -> Result<Duration, Why> {
    match wire {
        None => Ok(default),
        Some(wire) => match Duration::try_from(wire) {
            Ok(Duration::ZERO) => Ok(default),
            Ok(duration) => Ok(duration),
            Err(_) => Err("a duration is negative".into()),
        },
    }
}

fn multipliers(wire: std::collections::HashMap<String, f64>) -> Result<BTreeMap<String, f64>, Why> {
    match wire.iter().find(|(_, factor)| !factor.is_finite() || **factor < 0.0) {
        Some((service, factor)) => Err(format!("the multiplier of `{service}` is {factor}")),
        None => Ok(wire.into_iter().collect()),
    }
}

fn queue(wire: types::Queue) -> Result<Option<Queue>, Why> {
    let timeout = duration(wire.timeout, Duration::ZERO)?;
    let waits = wire.enabled && wire.max_size > 0 && !timeout.is_zero();
    Ok(waits.then_some(Queue { max_size: wire.max_size, timeout }))
}

pub(crate) fn key(wire: &node::KeyEntry) -> Result<Key, Why> {
    let source = Source::of(wire);
    let wire = wire.clone();
    if wire.id.is_empty() {
        return Err("it has no id".into());
    }
    let limits = wire.limits.iter().map(|one| limit(&wire, one)).collect::<Result<_, _>>()?;
    Ok(Key {
        id: wire.id.into(),
        name: wire.name.into(),
        hashes: wire.hashes.iter().map(hash).collect::<Result<_, _>>()?,
        active: wire.active,
        expires_at_ms: some(wire.expires_at_ms),
        activation_ms: some(wire.activation_ms),
        permissions: permissions(wire.permissions),
        models: wire.models.map(model_rule).transpose()?,
        clients: wire.clients,
        networks: wire.networks.iter().map(|text| network(text)).collect::<Result<_, _>>()?,
        binding: wire
            .account_binding
            .into_iter()
            .map(|(family, wire)| Ok((family, binding(wire)?)))
            .collect::<Result<_, Why>>()?,
        limits,
        multipliers: multipliers(wire.service_multipliers)?,
        user_id: wire.user_id.into(),
        tags: wire.tags,
        queue: wire.queue.map(queue).transpose()?,
        limits_generation: wire.limits_generation,
        source,
    })
}

fn hash(wire: &node::KeyHash) -> Result<Hash, Why> {
    let scheme = match wire.scheme.as_str() {
        key_hash::HMAC_SHA256 => Scheme::HmacSha256,
        key_hash::V1_SHA256 => Scheme::V1Sha256,
        other => return Err(format!("hash scheme `{other}` is not known to this release")),
    };
    let digest = Digest::from_slice(&wire.digest).ok_or("a hash has not 32 bytes")?;
    Ok(Hash { scheme, digest, until_ms: some(wire.until_ms) })
}

/// A limit that cannot be enforced must not be left out: the whole key is refused.
fn limit(key: &node::KeyEntry, wire: &types::Limit) -> Result<Compiled, Why> {
    let compiled = Compiled::new(&key.id, wire);
    compiled.map(|limit| Compiled { generation: key.limits_generation, ..limit }).map_err(|violations| {
        let violations: Vec<_> = violations.iter().map(ToString::to_string).collect();
        format!("limit `{}`: {}", wire.id, violations.join("; "))
    })
}

/// `all` among them means no bound; `codex` is version 1's word for `openai`.
fn permissions(wire: Vec<String>) -> Vec<String> {
    if wire.iter().any(|family| family == "all") {
        return Vec::new();
    }
    wire.into_iter().map(|family| if family == "codex" { "openai".to_owned() } else { family }).collect()
}

fn model_rule(wire: types::ModelRule) -> Result<ModelRule, Why> {
    let patterns = wire.patterns.iter().map(|text| Pattern::new(text)).collect();
    match wire.mode.as_str() {
        "allow" => Ok(ModelRule::Allow(patterns)),
        "deny" => Ok(ModelRule::Deny(patterns)),
        other => Err(format!("model rule `{other}` is not known to this release")),
    }
}

/// A network that cannot be read must not widen what a key may do: the whole key is refused.
fn network(text: &str) -> Result<Network, Why> {
    Network::parse(text).ok_or_else(|| format!("`{text}` is no network"))
}

fn binding(wire: types::AccountBinding) -> Result<Binding, Why> {
    let fallback_to_pool = wire.fallback_to_pool;
    match (wire.account.is_empty(), wire.groups.is_empty()) {
        (false, true) => Ok(Binding::Account { account: wire.account.into(), fallback_to_pool }),
        (true, false) => Ok(Binding::Groups {
            groups: wire.groups.into_iter().map(Into::into).collect(),
            fallback_to_pool,
        }),
        _ => Err("a binding names not exactly one of account and groups".into()),
    }
}

pub(crate) fn account(wire: &node::AccountEntry, platforms: &dyn PlatformFacts) -> Result<Account, Why> {
    let source = Source::of(wire);
    let wire = wire.clone();
    if wire.id.is_empty() {
        return Err("it has no id".into());
    }
    let facts = platforms
        .facts(&wire.platform)
        .ok_or_else(|| format!("platform `{}` is not known to this release", wire.platform))?;
    Ok(Account {
        id: wire.id.into(),
        platform: wire.platform.into(),
        family: facts.family,
        service: facts.service,
        dialect: facts.dialect,
        also: facts.also,
        name: wire.name.into(),
        base_url: wire.base_url,
        credentials: wire.credentials.into_iter().map(|(field, value)| (field, value.into())).collect(),
        proxy_url: (!wire.proxy_url.is_empty()).then(|| SecretString::from(wire.proxy_url)),
        priority: wire.priority,
        weight: u32::try_from(wire.weight).unwrap_or(0).max(1),
        max_concurrency: (wire.max_concurrency != 0).then_some(wire.max_concurrency),
        schedulable: wire.schedulable,
        status: wire.status,
        status_until_ms: some(wire.status_until_ms),
        model_mapping: wire.model_mapping.into_iter().collect(),
        supported_models: wire.supported_models.iter().map(|text| Pattern::new(text)).collect(),
        groups: wire.groups.into_iter().map(Into::into).collect(),
        user_agent: (!wire.user_agent.is_empty()).then_some(wire.user_agent),
        expires_at_ms: some(wire.expires_at_ms),
        availability: match wire.availability.as_str() {
            "" | "shared" => Availability::Shared,
            "dedicated" => Availability::Dedicated,
            "group" => Availability::Group,
            other => return Err(format!("availability `{other}` is not known to this release")),
        },
        read_on_after_abort: wire.read_on_after_abort,
        family_blocks: wire.family_blocks.into_iter().collect(),
        state_generation: wire.state_generation,
        windows: wire.windows.iter().filter_map(Window::from_wire).collect(),
        window_pause_percent: wire.window_pause_percent,
        seat: Seat::default(),
        token_generation: wire.token_generation,
        source,
    })
}

pub(crate) fn group(wire: &node::GroupEntry) -> Result<Group, Why> {
    if wire.id.is_empty() {
        return Err("it has no id".into());
    }
    let member = |id: &String| Member {
        account: id.as_str().into(),
        priority: wire.priorities.get(id).copied().filter(|priority| *priority > 0),
    };
    let mut members: Vec<_> = wire.members.iter().map(member).collect();
    members.sort_unstable_by(|a, b| a.account.cmp(&b.account));
    members.dedup_by(|a, b| a.account == b.account);
    Ok(Group { id: wire.id.as_str().into(), name: wire.name.clone(), members, source: Source::of(wire) })
}

/// A word that cannot be read is taken as one about every binding: forgetting one too many costs one question.
pub(crate) fn binding_drop(wire: node::BindingDropEntry) -> BindingDrop {
    BindingDrop {
        id: wire.id,
        key: (!wire.key_id.is_empty()).then(|| wire.key_id.into()),
        account: (!wire.account_id.is_empty()).then(|| wire.account_id.into()),
        family: (!wire.family.is_empty()).then_some(wire.family),
        session: SessionId::from_slice(&wire.session),
    }
}

pub(crate) fn settings(wire: &node::SettingsEntry) -> Result<Settings, Why> {
    let source = Source::of(wire);
    let wire = wire.clone();
    if wire.key_pepper.is_empty() {
        return Err("it has no key pepper".into());
    }
    Ok(Settings {
        pepper: Some(Pepper::new(&wire.key_pepper)),
        v1_pepper: (!wire.v1_key_pepper.is_empty()).then(|| wire.v1_key_pepper.into()),
        limits_on_control_loss: match wire.limits_on_control_loss.as_str() {
            "" | "refuse" => ControlLoss::Refuse,
            "allow" => ControlLoss::Allow,
            other => return Err(format!("limits_on_control_loss `{other}` is not known to this release")),
        },
        unknown_price: match (wire.unknown_price.as_str(), wire.unknown_price.strip_prefix("price_as:")) {
            ("" | "serve", _) => UnknownPrice::Serve,
            ("refuse", _) => UnknownPrice::Refuse,
            (_, Some(model)) if !model.is_empty() => UnknownPrice::PriceAs(model.to_owned()),
            (other, _) => return Err(format!("unknown_price `{other}` is not known to this release")),
        },
        first_event_timeout: duration(wire.first_event_timeout, settings::DEFAULT_FIRST_EVENT)?,
        idle_timeout: duration(wire.idle_timeout, settings::DEFAULT_IDLE)?,
        answer_timeout: duration(wire.answer_timeout, settings::DEFAULT_ANSWER)?,
        count_timeout: duration(wire.count_timeout, settings::DEFAULT_COUNT)?,
        max_attempts: if wire.max_attempts == 0 {
            settings::MAX_ATTEMPTS
        } else {
            wire.max_attempts.min(settings::MAX_ATTEMPTS)
        },
        binding_ttl: duration(wire.binding_ttl, settings::DEFAULT_BINDING_TTL)?,
        binding_renew_below: duration(wire.binding_renew_below, settings::DEFAULT_BINDING_RENEW)?,
        service_multipliers: multipliers(wire.service_multipliers)?,
        queue: wire.queue.map(queue).transpose()?.flatten(),
        time_zone: if wire.time_zone.is_empty() {
            settings::DEFAULT_TIME_ZONE.to_owned()
        } else {
            wire.time_zone
        },
        subscription_pooling: wire.subscription_pooling,
        source,
    })
}

#[cfg(test)]
mod tests;
