//! Bindings and leadership of the embedded store.

use redb::{ReadTransaction, ReadableTable as _, WriteTransaction};

use super::{tables as t, writer::Ran};
use crate::{
    error::Result,
    kv::{Bound, Candidate, Listed},
};

/// The binding, where it stands and needs no renewal.
pub(super) fn look(
    transaction: &ReadTransaction,
    key: &str,
    asks: &Candidate,
    now_ms: i64,
) -> Result<Option<Bound>> {
    let found = transaction.open_table(t::BINDINGS)?.get(key)?;
    Ok(found.and_then(|found| {
        let (ends_at, account) = found.value();
        let stands = ends_at > now_ms && account != asks.replaces && ends_at - now_ms >= asks.renew_below_ms;
        stands.then(|| Bound { account: account.to_owned(), ttl_ms: ends_at - now_ms, existed: true })
    }))
}

/// Bindings by name, those that live.
pub(super) fn list(
    transaction: &ReadTransaction,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
    now_ms: i64,
) -> Result<Listed> {
    let bindings = transaction.open_table(t::BINDINGS)?;
    let from = after.filter(|after| *after > prefix).unwrap_or(prefix);
    let mut listed = Listed::default();
    let mut seen = 0;
    for entry in bindings.range(from..)? {
        let (key, found) = entry?;
        let name = key.value();
        if !name.starts_with(prefix) {
            listed.next = None;
            break;
        }
        if Some(name) == after {
            continue;
        }
        if seen >= limit {
            break;
        }
        seen += 1;
        listed.next = (seen == limit).then(|| name.to_owned());
        let (ends_at, account) = found.value();
        if ends_at > now_ms {
            listed.bindings.push((name.to_owned(), account.to_owned(), ends_at - now_ms));
        }
    }
    Ok(listed)
}

/// Gets, renews or sets a binding.
pub(super) fn bind(
    transaction: &WriteTransaction,
    key: &str,
    asks: &Candidate,
    now_ms: i64,
) -> Result<Ran<Bound>> {
    let mut bindings = transaction.open_table(t::BINDINGS)?;
    let mut expiries = transaction.open_table(t::BINDING_EXPIRY)?;
    let found = bindings.get(key)?.map(|found| (found.value().0, found.value().1.to_owned()));
    let standing =
        found.as_ref().filter(|(ends_at, account)| *ends_at > now_ms && *account != asks.replaces).cloned();
    if let Some((ends_at, account)) = &standing
        && ends_at - now_ms >= asks.renew_below_ms
    {
        return Ok(Ran::looked(Bound { account: account.clone(), ttl_ms: ends_at - now_ms, existed: true }));
    }
    if standing.is_none() && asks.account.is_empty() {
        return Ok(Ran::looked(Bound { account: String::new(), ttl_ms: 0, existed: false }));
    }
    if let Some((ends_at, _)) = found {
        expiries.remove((ends_at, key))?;
    }
    let existed = standing.is_some();
    let (held, account) = standing.unwrap_or_else(|| (0, asks.account.clone()));
    let ends_at = now_ms.saturating_add(asks.ttl_ms).max(held);
    bindings.insert(key, (ends_at, account.as_str()))?;
    expiries.insert((ends_at, key), ())?;
    Ok(Ran::wrote(Bound { account, ttl_ms: ends_at - now_ms, existed }))
}

/// Forgets a binding; whether it stood.
pub(super) fn unbind(transaction: &WriteTransaction, key: &str, now_ms: i64) -> Result<Ran<bool>> {
    let mut bindings = transaction.open_table(t::BINDINGS)?;
    let ends_at = bindings.remove(key)?.map(|found| found.value().0);
    let Some(ends_at) = ends_at else { return Ok(Ran::looked(false)) };
    transaction.open_table(t::BINDING_EXPIRY)?.remove((ends_at, key))?;
    Ok(Ran::wrote(ends_at > now_ms))
}

/// Forgets bindings past their life, at most `limit`; how many.
pub(super) fn expire(transaction: &WriteTransaction, now_ms: i64, limit: usize) -> Result<u64> {
    let mut bindings = transaction.open_table(t::BINDINGS)?;
    let mut expiries = transaction.open_table(t::BINDING_EXPIRY)?;
    let mut over = Vec::new();
    for entry in expiries.range(..(now_ms.saturating_add(1), ""))?.take(limit) {
        let (key, ()) = entry.map(|(key, _)| (key, ()))?;
        over.push((key.value().0, key.value().1.to_owned()));
    }
    for (ends_at, key) in &over {
        expiries.remove((*ends_at, key.as_str()))?;
        bindings.remove(key.as_str())?;
    }
    Ok(over.len() as u64)
}

/// Acquires or renews leadership.
pub(super) fn lead(
    transaction: &WriteTransaction,
    role: &str,
    holder: &str,
    ttl_ms: i64,
    now_ms: i64,
) -> Result<Ran<Option<u64>>> {
    let mut leaders = transaction.open_table(t::LEADERS)?;
    let found = leaders.get(role)?.map(|found| {
        let (ends_at, fence, held_by) = found.value();
        (ends_at > now_ms, fence, held_by == holder)
    });
    let fence = match found {
        Some((true, _, false)) => return Ok(Ran::looked(None)),
        Some((true, fence, true)) => fence,
        Some((false, fence, _)) => fence + 1,
        None => 1,
    };
    leaders.insert(role, (now_ms.saturating_add(ttl_ms), fence, holder))?;
    Ok(Ran::wrote(Some(fence)))
}

/// Gives leadership back. The fencing number stays.
pub(super) fn release(transaction: &WriteTransaction, role: &str, holder: &str) -> Result<Ran<()>> {
    let mut leaders = transaction.open_table(t::LEADERS)?;
    let fence = leaders.get(role)?.and_then(|found| {
        let (_, fence, held_by) = found.value();
        (held_by == holder).then_some(fence)
    });
    let Some(fence) = fence else { return Ok(Ran::looked(())) };
    leaders.insert(role, (0, fence, ""))?;
    Ok(Ran::wrote(()))
}
