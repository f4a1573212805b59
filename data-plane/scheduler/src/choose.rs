//! The choice itself: where accounts may come from, in order, and in each place filter, stickiness, rank.

use std::sync::Arc;

use proto::rules::ids::GroupId;
use snapshot::{Account, Binding};

use crate::{
    Ask, Choice, Considered, How, NoAccount, Reason, Scheduler, Slot, Unchosen, filter,
    rank::{self, FreeOnes},
};

/// What has been seen so far.
#[derive(Default)]
struct Seen {
    considered: Considered,
    retry_at_ms: Option<i64>,
    busy: bool,
    bound_is_eligible: bool,
}

impl Seen {
    fn pass_over(&mut self, account: &Account, (reason, until): (Reason, Option<i64>)) {
        self.considered.pass_over(account, reason);
        if let Some(until) = until {
            self.retry_at_ms = Some(self.retry_at_ms.map_or(until, |earliest| earliest.min(until)));
        }
    }
}

/// A chosen account with its slot.
type Taken = (Arc<Account>, Slot, How);

pub(crate) fn choose(scheduler: &Scheduler, ask: &Ask<'_>) -> Result<Choice, Unchosen> {
    let mut seen = Seen::default();
    let pool = || ask.snapshot.accounts(ask.family).iter().map(|account| (account, account.priority));
    let taken = match ask.key.binding.get(ask.family) {
        None => from(scheduler, ask, pool(), Place::Pool, &mut seen)?.map(|taken| (taken, None)),
        Some(Binding::Account { account, fallback_to_pool }) => {
            let pinned = ask.snapshot.account(account).into_iter();
            let pinned = pinned.map(|account| (account, account.priority));
            match from(scheduler, ask, pinned, Place::Pinned, &mut seen)? {
                None if *fallback_to_pool => {
                    from(scheduler, ask, pool(), Place::Pool, &mut seen)?.map(|taken| (taken, None))
                }
                taken => taken.map(|taken| (taken, None)),
            }
        }
        Some(Binding::Groups { groups, fallback_to_pool }) => {
            match from_groups(scheduler, ask, groups, &mut seen)? {
                None if *fallback_to_pool => {
                    from(scheduler, ask, pool(), Place::Pool, &mut seen)?.map(|taken| (taken, None))
                }
                taken => taken,
            }
        }
    };
    let Some(((account, slot, how), group)) = taken else {
        let Seen { considered, retry_at_ms, busy, .. } = seen;
        return Err(Unchosen::NoAccount(NoAccount { considered, retry_at_ms, busy }));
    };
    let replaces = ask.bound.is_some_and(|bound| *bound != account.id) && !seen.bound_is_eligible;
    Ok(Choice { account, slot, how, group, replaces, considered: seen.considered })
}

/// Where accounts are looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Pinned,
    Group,
    Pool,
}

fn from_groups(
    scheduler: &Scheduler,
    ask: &Ask<'_>,
    groups: &[GroupId],
    seen: &mut Seen,
) -> Result<Option<(Taken, Option<GroupId>)>, Unchosen> {
    for id in groups {
        let members = ask.snapshot.group(id).map_or(&[][..], |group| &group.members);
        let members = members
            .iter()
            .filter_map(|member| {
                ask.snapshot.account(&member.account).map(|account| (account, member.priority))
            })
            .filter(|(account, _)| account.family == ask.family)
            .map(|(account, priority)| (account, priority.unwrap_or(account.priority)));
        if let Some(taken) = from(scheduler, ask, members, Place::Group, seen)? {
            return Ok(Some((taken, Some(id.clone()))));
        }
    }
    Ok(None)
}

fn from<'a>(
    scheduler: &Scheduler,
    ask: &Ask<'_>,
    accounts: impl Iterator<Item = (&'a Arc<Account>, i32)>,
    place: Place,
    seen: &mut Seen,
) -> Result<Option<Taken>, Unchosen> {
    let mut free = FreeOnes::new();
    let mut bound = None;
    for (account, priority) in accounts {
        if place != Place::Pinned && filter::reserved(account, place == Place::Group) {
            seen.considered.pass_over(account, Reason::Reserved);
            continue;
        }
        let standing = scheduler.table.standing(&account.id);
        if let Some(refusal) = filter::refusal(ask, account, &standing) {
            seen.pass_over(account, refusal);
            continue;
        }
        let is_bound = ask.bound == Some(&account.id);
        seen.bound_is_eligible |= is_bound;
        if standing.is_busy(account.max_concurrency) {
            seen.busy = true;
            if is_bound && ask.patient {
                return Err(Unchosen::BoundBusy);
            }
            seen.considered.pass_over(account, Reason::Busy);
            continue;
        }
        if is_bound {
            bound = Some(free.len());
        }
        free.push((account, standing, priority));
    }
    let how = match (place, ask.session) {
        (Place::Pinned, _) => How::Pinned,
        _ if bound.is_some() => How::Binding,
        _ if seen.bound_is_eligible => How::Borrowed,
        (_, Some(_)) => How::Rendezvous,
        (_, None) => How::LeastLoaded,
    };
    Ok(take(scheduler, ask, free, bound, how, seen))
}

/// Takes a slot on the preferred one; where its last slot has just gone, on the next.
fn take(
    scheduler: &Scheduler,
    ask: &Ask<'_>,
    mut free: FreeOnes<'_>,
    mut bound: Option<usize>,
    how: How,
    seen: &mut Seen,
) -> Option<Taken> {
    loop {
        let at = bound.take().or_else(|| rank::preferred(&free, ask.session, &scheduler.rotation))?;
        let (account, standing, _) = free.swap_remove(at);
        let Some(slot) = standing.take(account.max_concurrency, &scheduler.freed) else {
            seen.busy = true;
            seen.considered.pass_over(account, Reason::Busy);
            continue;
        };
        if ask.session.is_none() {
            scheduler.rotation.chosen(account, &standing);
        }
        for (other, ..) in &free {
            seen.considered.pass_over(other, Reason::NotPreferred);
        }
        return Some((Arc::clone(account), slot, how));
    }
}

#[cfg(test)]
mod tests;
