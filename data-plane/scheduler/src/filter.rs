//! Who may serve a request at all. Every account that may not keeps its reason.

use snapshot::{Account, Availability};

use crate::{Ask, Reason, health::Fitness, standing::Standing};

/// Whether an account may serve this request. Being at its cap is no such reason.
pub(crate) fn fitness(ask: &Ask<'_>, account: &Account, standing: &Standing) -> Fitness {
    if ask.excluded.contains(&account.id) {
        return Fitness::Unfit(Reason::Tried, None);
    }
    let speaks = ask.dialect.is_empty() || account.speaks(ask.dialect);
    if account.family != ask.family || !speaks {
        return Fitness::Unfit(Reason::OtherDialect, None);
    }
    if !ask.model.is_empty() && !serves(account, ask.model) {
        return Fitness::Unfit(Reason::Model, None);
    }
    if account.is_plain() && standing.is_quiet(account) {
        return Fitness::Fit;
    }
    if let Some(reason) = switched_off(account, ask.now_ms) {
        return Fitness::Unfit(reason, None);
    }
    match standing.health.lock().fitness(account, ask.model_family, ask.now_ms) {
        Fitness::OnTrial if ask.last_resort => Fitness::Fit,
        fitness => fitness,
    }
}

/// Whether an account may not be chosen through the pool or a group.
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

/// What a person or the calendar has switched off.
fn switched_off(account: &Account, now_ms: i64) -> Option<Reason> {
    if account.status == "disabled" {
        Some(Reason::Disabled)
    } else if !account.schedulable {
        Some(Reason::Unschedulable)
    } else if account.expired(now_ms) {
        Some(Reason::Expired)
    } else {
        None
    }
}

/// What keeps an account from serving anything now, whatever is asked for.
pub(crate) fn state(account: &Account, standing: &Standing, now_ms: i64) -> Option<Reason> {
    let ill = || match standing.health.lock().fitness(account, "", now_ms) {
        Fitness::Unfit(reason, _) => Some(reason),
        _ => None,
    };
    switched_off(account, now_ms).or_else(ill)
}
