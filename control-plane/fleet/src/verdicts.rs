//! What upstreams said of an account, merged into its state. Pure: the same event a second time changes nothing.

use domain::account::{Account, FamilyBlock, State, Status};
use proto::node::AccountEvent;

/// A block that ends later by less than this is the same block: many nodes tell of one limit within moments.
const SAME_MS: i64 = 5_000;
/// Longest reason that is kept, characters.
const REASON: usize = 300;

/// Merges an event at a time in Unix milliseconds; whether anything changed.
pub fn merge(account: &mut Account, event: &AccountEvent, now_ms: i64) -> bool {
    let state = &mut account.state;
    if event.state_generation != state.generation || state.status == Status::Disabled {
        return false;
    }
    let Some(status) = Status::parse(&event.state)
        .filter(|status| !matches!(status, Status::Disabled | Status::Reauthorize))
    else {
        return false;
    };
    let until = (event.until_ms > 0).then_some(event.until_ms);
    if status != Status::Active && until.is_some_and(|until| until <= now_ms) {
        return false; // It is over already.
    }
    let reason: String = event.reason.chars().take(REASON).collect();
    match (event.family.as_str(), status) {
        ("", Status::Active) => recover(state, event.at_ms, now_ms),
        ("", _) => block(state, status, until, reason, event.at_ms.min(now_ms), now_ms),
        (family, Status::Active) => state.family_blocks.remove(family).is_some(),
        (family, _) => block_family(state, family, until, reason, now_ms),
    }
}

/// A success ends a block that began before it.
fn recover(state: &mut State, at_ms: i64, now_ms: i64) -> bool {
    // A token that still works says nothing of what renews it.
    if matches!(state.status, Status::Active | Status::Reauthorize) || at_ms < state.since_ms {
        return false;
    }
    state.status = Status::Active;
    state.until_ms = None;
    state.reason.clear();
    state.since_ms = now_ms;
    true
}

/// The later end wins; no end is the latest.
fn block(
    state: &mut State,
    status: Status,
    until: Option<i64>,
    reason: String,
    at_ms: i64,
    now_ms: i64,
) -> bool {
    if state.status(now_ms) != Status::Active {
        let Some(held) = state.until_ms else { return false };
        if until.is_some_and(|until| until < held.saturating_add(SAME_MS)) {
            return false;
        }
    }
    state.status = status;
    state.until_ms = until;
    state.reason = reason;
    state.since_ms = at_ms;
    true
}

fn block_family(state: &mut State, family: &str, until: Option<i64>, reason: String, now_ms: i64) -> bool {
    // A family is never blocked without end: nothing would ever find out that it serves again.
    let until_ms = until.unwrap_or(now_ms + 3_600_000);
    let held = state.family_blocks.get(family).map_or(0, |block| block.until_ms);
    if family.len() > 64 || state.family_blocks.len() >= 64 || until_ms < held.saturating_add(SAME_MS) {
        return false;
    }
    state.family_blocks.insert(family.to_owned(), FamilyBlock { until_ms, reason });
    true
}

#[cfg(test)]
mod tests;
