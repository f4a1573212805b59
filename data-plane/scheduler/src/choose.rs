//! The choice itself: the session's own account if it may serve, else where accounts may come from, in order, and in
//! each place filter and rank. One pass over the candidates, nothing kept of them but the best and the reasons.

use std::sync::Arc;

use proto::rules::ids::GroupId;
use snapshot::{Account, Binding};

use crate::{
    Ask, Choice, Considered, How, NoAccount, Reason, Scheduler, Slot, Unchosen, filter, health::Fitness,
    rank::Rank, standing::Standing,
};

/// Times that a choice is made anew because its account's last slot went in between.
const ROUNDS: u32 = 8;

/// What has been seen so far.
#[derive(Default)]
struct Seen {
    considered: Considered,
    retry_at_ms: Option<i64>,
    busy: bool,
    bound_is_eligible: bool,
}

impl Seen {
    fn pass_over(&mut self, account: &Account, reason: Reason) {
        self.considered.pass_over(account, reason);
    }

    fn unfit(&mut self, account: &Account, reason: Reason, until: Option<i64>) {
        self.considered.pass_over(account, reason);
        if let Some(until) = until {
            self.retry_at_ms = Some(self.retry_at_ms.map_or(until, |earliest| earliest.min(until)));
        }
    }
}

/// Why a round came to nothing.
enum Over {
    /// The answer.
    Unchosen(Unchosen),
    /// The account that was chosen was taken meanwhile.
    Raced,
}

/// A chosen account with its slot, how it was found, and through which group.
type Taken = (Arc<Account>, Slot, How, Option<GroupId>);

pub(crate) fn choose(scheduler: &Scheduler, ask: &Ask<'_>) -> Result<Choice, Unchosen> {
    for _ in 0..ROUNDS {
        match round(scheduler, ask) {
            Ok(choice) => return Ok(choice),
            Err(Over::Unchosen(unchosen)) => return Err(unchosen),
            Err(Over::Raced) => {}
        }
    }
    // Whoever is always too late finds everybody busy.
    Err(Unchosen::NoAccount(NoAccount { considered: Considered::default(), retry_at_ms: None, busy: true }))
}

fn round(scheduler: &Scheduler, ask: &Ask<'_>) -> Result<Choice, Over> {
    let mut seen = Seen::default();
    let taken = match own_account(scheduler, ask, &mut seen)? {
        None => elsewhere(scheduler, ask, &mut seen)?,
        taken => taken,
    };
    let Seen { considered, retry_at_ms, busy, bound_is_eligible } = seen;
    match taken {
        Some((account, slot, how, group)) => {
            let replaces = ask.bound.is_some_and(|bound| *bound != account.id) && !bound_is_eligible;
            Ok(Choice { account, slot, how, group, replaces, considered })
        }
        None => Err(Over::Unchosen(Unchosen::NoAccount(NoAccount { considered, retry_at_ms, busy }))),
    }
}

/// The account that the session is bound to, where it may serve and is free. Nobody else is looked at then.
fn own_account(scheduler: &Scheduler, ask: &Ask<'_>, seen: &mut Seen) -> Result<Option<Taken>, Over> {
    let Some(account) = ask.bound.and_then(|bound| ask.snapshot.account(bound)) else { return Ok(None) };
    let Some(group) = way_to(ask, account) else { return Ok(None) };
    let standing = scheduler.table.seated(account);
    let fitness = filter::fitness(ask, account, &standing);
    let free = !standing.is_busy(account.max_concurrency);
    match fitness {
        Fitness::Unfit(..) => return Ok(None),
        Fitness::Fit | Fitness::Unproved if free => {
            let slot = take(scheduler, ask, account, &standing, fitness).ok_or(Over::Raced)?;
            return Ok(Some((Arc::clone(account), slot, How::Binding, group)));
        }
        Fitness::Fit | Fitness::Unproved | Fitness::OnTrial => {}
    }
    seen.bound_is_eligible = true;
    if ask.patient { Err(Over::Unchosen(Unchosen::BoundBusy)) } else { Ok(None) }
}

/// Whether a session of the key may stay on an account, with the group through which it does. An account that the key
/// names is found by its name, not by a session's binding.
fn way_to(ask: &Ask<'_>, account: &Account) -> Option<Option<GroupId>> {
    let pool = || (!filter::reserved(account, false)).then_some(None);
    match ask.key.binding.get(ask.family) {
        None => pool(),
        Some(Binding::Account { .. }) => None,
        Some(Binding::Groups { groups, fallback_to_pool }) => {
            let within = |id: &&GroupId| {
                let group = ask.snapshot.group(id);
                group.is_some_and(|group| group.member(&account.id).is_some())
            };
            match groups.iter().find(within) {
                Some(group) if !filter::reserved(account, true) => Some(Some(group.clone())),
                _ if *fallback_to_pool => pool(),
                _ => None,
            }
        }
    }
}

/// Where accounts are looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Pinned,
    Group,
    Pool,
}

fn elsewhere(scheduler: &Scheduler, ask: &Ask<'_>, seen: &mut Seen) -> Result<Option<Taken>, Over> {
    let pool = |seen: &mut Seen| {
        let all = ask.snapshot.accounts(ask.family).iter().map(|account| (account, account.priority));
        from(scheduler, ask, all, Place::Pool, seen)
    };
    match ask.key.binding.get(ask.family) {
        None => pool(seen),
        Some(Binding::Account { account, fallback_to_pool }) => {
            let pinned = ask.snapshot.account(account).into_iter().map(|account| (account, account.priority));
            match from(scheduler, ask, pinned, Place::Pinned, seen)? {
                None if *fallback_to_pool => pool(seen),
                taken => Ok(taken),
            }
        }
        Some(Binding::Groups { groups, fallback_to_pool }) => {
            for id in groups {
                let members = ask.snapshot.group(id).map_or(&[][..], |group| &group.members);
                let members = members
                    .iter()
                    .filter_map(|member| Some((ask.snapshot.account(&member.account)?, member.priority)))
                    .map(|(account, priority)| (account, priority.unwrap_or(account.priority)));
                if let Some((account, slot, how, _)) = from(scheduler, ask, members, Place::Group, seen)? {
                    return Ok(Some((account, slot, how, Some(id.clone()))));
                }
            }
            if *fallback_to_pool { pool(seen) } else { Ok(None) }
        }
    }
}

/// The best so far.
struct Best<'a> {
    account: &'a Arc<Account>,
    fitness: Fitness,
    rank: Rank,
}

fn from<'a>(
    scheduler: &Scheduler,
    ask: &Ask<'_>,
    accounts: impl Iterator<Item = (&'a Arc<Account>, i32)>,
    place: Place,
    seen: &mut Seen,
) -> Result<Option<Taken>, Over> {
    let mut best: Option<Best<'a>> = None;
    for (account, priority) in accounts {
        if place != Place::Pinned && filter::reserved(account, place == Place::Group) {
            seen.pass_over(account, Reason::Reserved);
            continue;
        }
        let standing = scheduler.table.seated(account);
        let fitness = match filter::fitness(ask, account, &standing) {
            Fitness::Unfit(reason, until) => {
                seen.unfit(account, reason, until);
                continue;
            }
            Fitness::OnTrial => {
                seen.busy = true;
                seen.pass_over(account, Reason::OnTrial);
                continue;
            }
            fitness => fitness,
        };
        if standing.is_busy(account.max_concurrency) {
            seen.busy = true;
            seen.pass_over(account, Reason::Busy);
            continue;
        }
        let rank = Rank::of(ask, account, &standing, priority, &scheduler.rotation);
        let challenger = Best { account, fitness, rank };
        best = match best {
            None => Some(challenger),
            Some(held) if rank.beats(account, &held.rank, held.account) => {
                seen.pass_over(held.account, Reason::NotPreferred);
                Some(challenger)
            }
            held => {
                seen.pass_over(account, Reason::NotPreferred);
                held
            }
        };
    }
    let Some(Best { account, fitness, rank }) = best else { return Ok(None) };
    let standing = scheduler.table.seated(account);
    let slot = take(scheduler, ask, account, &standing, fitness).ok_or(Over::Raced)?;
    let how = match (place, ask.session) {
        (Place::Pinned, _) => How::Pinned,
        _ if seen.bound_is_eligible => How::Borrowed,
        (_, Some(_)) => How::Rendezvous,
        (_, None) => How::LeastLoaded,
    };
    if ask.session.is_none() {
        scheduler.rotation.chosen(rank.weight, &standing);
    }
    Ok(Some((Arc::clone(account), slot, how, None)))
}

/// A slot, with the trial where the account must be tried; `None`: somebody was faster.
fn take(
    scheduler: &Scheduler,
    ask: &Ask<'_>,
    account: &Arc<Account>,
    standing: &Arc<Standing>,
    fitness: Fitness,
) -> Option<Slot> {
    let slot = standing.take(account.max_concurrency, &scheduler.freed)?;
    match fitness {
        Fitness::Unproved if !ask.last_resort => slot.on_trial(account, ask.now_ms),
        _ => Some(slot),
    }
}

#[cfg(test)]
mod tests;
