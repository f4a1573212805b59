//! A record as an entry of the snapshot: what a node must know of it, and nothing else. No entry depends on the time at
//! which it was built: ends travel as times, and nodes watch them.

use proto::{node, rules::upstream_window::Window, types};
use secrecy::ExposeSecret as _;

use crate::{
    Account, BindingDrop, Group, Key, Settings,
    key::{Expiration, KeySecret},
    time,
};

/// A key; `None` while it is in the recycle bin, where it is as unknown as one that never was.
pub fn key(key: &Key) -> Option<node::KeyEntry> {
    if key.deleted_at_ms.is_some() {
        return None;
    }
    let activation_ms = match key.expiration {
        Some(Expiration::Activation { duration_ms, activated_at_ms: None }) => duration_ms,
        _ => 0,
    };
    Some(node::KeyEntry {
        id: key.id.clone(),
        name: key.name.clone(),
        hashes: key.secrets.iter().map(hash).collect(),
        active: !key.disabled,
        expires_at_ms: key.ends_at_ms().unwrap_or_default(),
        activation_ms,
        permissions: key.permissions.clone(),
        models: key.models.as_ref().map(|rule| rule.to_wire()),
        clients: key.clients.clone(),
        networks: key.networks.clone(),
        account_binding: key
            .account_binding
            .iter()
            .map(|(family, binding)| (family.clone(), binding.to_wire()))
            .collect(),
        limits: key.limits.iter().map(|limit| limit.to_wire()).collect(),
        service_multipliers: key.service_multipliers.iter().map(|(s, m)| (s.clone(), *m)).collect(),
        user_id: key.owner_user_id.clone(),
        tags: key.tags.clone(),
        queue: key.queue.as_ref().map(|queue| queue.to_wire()),
        limits_generation: key.limits_generation,
    })
}

fn hash(secret: &KeySecret) -> node::KeyHash {
    node::KeyHash {
        scheme: secret.scheme.clone(),
        digest: secret.digest.0.to_vec(),
        until_ms: secret.until_ms.unwrap_or_default(),
    }
}

/// An account with the groups that it is in and its usage windows.
pub fn account(account: &Account, mut groups: Vec<String>, windows: &[Window]) -> node::AccountEntry {
    groups.sort_unstable();
    let blocks = &account.state.family_blocks;
    node::AccountEntry {
        id: account.id.clone(),
        platform: account.platform.clone(),
        name: account.name.clone(),
        base_url: account.base_url.clone(),
        credentials: account
            .for_nodes()
            .into_iter()
            .map(|(field, value)| (field.to_owned(), value.expose_secret().to_owned()))
            .collect(),
        token_generation: account.tokens.generation,
        proxy_url: account.proxy_url.as_ref().map(|url| url.expose_secret().to_owned()).unwrap_or_default(),
        priority: i32::try_from(account.priority).unwrap_or(i32::MAX),
        weight: i32::try_from(account.weight).unwrap_or(i32::MAX),
        max_concurrency: account.max_concurrency,
        schedulable: account.schedulable,
        status: account.state.status.as_str().to_owned(),
        status_until_ms: account.state.until_ms.unwrap_or_default(),
        model_mapping: account.model_mapping.iter().map(|(from, to)| (from.clone(), to.clone())).collect(),
        supported_models: account.supported_models.clone(),
        groups,
        user_agent: account.user_agent.clone(),
        expires_at_ms: account.expires_at_ms.unwrap_or_default(),
        availability: account.availability.as_str().to_owned(),
        read_on_after_abort: account.read_on_after_abort,
        family_blocks: blocks.iter().map(|(family, block)| (family.clone(), block.until_ms)).collect(),
        state_generation: account.state.generation,
        windows: windows.iter().map(Window::to_wire).collect(),
        window_pause_percent: account.window_pause_percent,
    }
}

/// A group.
pub fn group(group: &Group) -> node::GroupEntry {
    node::GroupEntry {
        id: group.id.clone(),
        name: group.name.clone(),
        members: group.members.clone(),
        priorities: group.priorities.iter().map(|(id, priority)| (id.clone(), *priority as i32)).collect(),
    }
}

/// The word that bindings were dropped.
pub fn binding_drop(drop: &BindingDrop) -> node::BindingDropEntry {
    node::BindingDropEntry {
        id: drop.id.clone(),
        key_id: drop.key_id.clone(),
        account_id: drop.account_id.clone(),
        family: drop.family.clone(),
        session: hex::decode(&drop.session).unwrap_or_default(),
    }
}

/// The settings, with defaults filled in: nodes know none.
pub fn settings(settings: &Settings) -> node::SettingsEntry {
    let waits = settings.queue_max_size > 0 && settings.queue_timeout_ms > 0;
    node::SettingsEntry {
        key_pepper: settings.key_pepper.expose_secret().as_bytes().to_vec(),
        v1_key_pepper: settings.v1_key_pepper.expose_secret().as_bytes().to_vec(),
        limits_on_control_loss: settings.limits_on_control_loss.as_str().to_owned(),
        unknown_price: settings.unknown_price().to_owned(),
        first_event_timeout: Some(time::span_to_wire(settings.first_event_timeout_ms())),
        idle_timeout: Some(time::span_to_wire(settings.idle_timeout_ms())),
        answer_timeout: Some(time::span_to_wire(settings.answer_timeout_ms())),
        count_timeout: Some(time::span_to_wire(settings.count_timeout_ms())),
        max_attempts: settings.max_attempts(),
        binding_ttl: Some(time::span_to_wire(settings.binding_ttl_ms())),
        binding_renew_below: Some(time::span_to_wire(settings.binding_renew_below_ms())),
        service_multipliers: settings.service_multipliers.iter().map(|(s, m)| (s.clone(), *m)).collect(),
        queue: Some(types::Queue {
            enabled: waits,
            max_size: settings.queue_max_size,
            timeout: Some(time::span_to_wire(settings.queue_timeout_ms)),
        }),
        time_zone: settings.zone_name().to_owned(),
        subscription_pooling: settings.subscription_pooling,
    }
}

#[cfg(test)]
mod tests;
