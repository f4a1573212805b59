//! Who may serve a request at all. Every account that may not keeps its reason.

use snapshot::{Account, Availability};

use crate::{Ask, Reason, standing::Standing};

/// Why an account may not serve this request, and when that ends by itself (Unix milliseconds), if it may not. Being
/// busy is no such reason.
pub(crate) fn refusal(
    ask: &Ask<'_>,
    account: &Account,
    standing: &Standing,
) -> Option<(Reason, Option<i64>)> {
    if ask.excluded.contains(&account.id) {
        return Some((Reason::Tried, None));
    }
    if !account.speaks(ask.dialect) {
        return Some((Reason::OtherDialect, None));
    }
    if !ask.model.is_empty() && !serves(account, ask.model) {
        return Some((Reason::Model, None));
    }
    if let Some(refusal) = self::standing(account, standing, ask.now_ms) {
        return Some(refusal);
    }
    family_block(ask, account, standing).map(|until| (Reason::FamilyBlocked, Some(until)))
}

/// Whether an account may be chosen through the pool or a group.
pub(crate) fn reserved(account: &Account, through_group: bool) -> bool {
    match account.availability {
        Availability::Shared => false,
        Availability::Group => !through_group,
        Availability::Dedicated => true,
    }
}

/// A model that the account maps is served, whatever its list says: the list may speak of what is sent.
fn serves(account: &Account, model: &str) -> bool {
    account.serves(model) || account.model_mapping.keys().any(|from| from.eq_ignore_ascii_case(model))
}

/// What keeps an account from serving anything now.
pub(crate) fn standing(account: &Account, standing: &Standing, now_ms: i64) -> Option<(Reason, Option<i64>)> {
    if account.status == "disabled" {
        return Some((Reason::Disabled, None));
    }
    if !account.schedulable {
        return Some((Reason::Unschedulable, None));
    }
    if account.expired(now_ms) {
        return Some((Reason::Expired, None));
    }
    let stored = Some((account.status.as_str(), account.status_until_ms)).filter(|(status, until)| {
        !matches!(*status, "active" | "") && until.is_none_or(|until| now_ms < until)
    });
    let mut health = standing.health.lock();
    // Ours is the newer word until the snapshot brings it back.
    if let Some((state, until)) = health.state(account, now_ms).or(stored) {
        return Some((by_name(state), until));
    }
    health.cooling(now_ms).map(|until| (Reason::CoolingDown, Some(until)))
}

fn family_block(ask: &Ask<'_>, account: &Account, standing: &Standing) -> Option<i64> {
    let stored = account.family_blocks.get(ask.model_family).copied().filter(|until| ask.now_ms < *until);
    stored.max(standing.health.lock().family(ask.model_family, ask.now_ms))
}

fn by_name(state: &str) -> Reason {
    match state {
        "rate_limited" => Reason::RateLimited,
        "overloaded" => Reason::Overloaded,
        "unauthorized" => Reason::Unauthorized,
        "forbidden" => Reason::Forbidden,
        _ => Reason::Error,
    }
}
