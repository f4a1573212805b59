//! The question, the answer, and the reasons that make the answer understandable (G11).

use std::sync::Arc;

use proto::{
    rules::{
        ids::{AccountId, GroupId},
        session::SessionId,
    },
    types::Candidate,
};
use smallvec::SmallVec;
use snapshot::{Account, Key, Snapshot};

use crate::Slot;

/// Accounts named in an explanation; the rest is counted by reason.
const NAMED: usize = 32;

/// Who asks for what.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// What holds.
    pub snapshot: &'a Snapshot,
    /// The key that asks.
    pub key: &'a Key,
    /// Platform family that may serve.
    pub family: &'a str,
    /// Dialect that the account's platform must speak; empty: any.
    pub dialect: &'a str,
    /// Model asked for; empty: none was named.
    pub model: &'a str,
    /// Its family.
    pub model_family: &'a str,
    /// The session, if there is one.
    pub session: Option<&'a SessionId>,
    /// The account that the session is bound to, if it is.
    pub bound: Option<&'a AccountId>,
    /// Whether to be told that the bound account is busy, instead of borrowing another.
    pub patient: bool,
    /// Whether to take an account that somebody tries just now: nobody else could serve, and it was waited for.
    pub last_resort: bool,
    /// Accounts that this request has tried.
    pub excluded: &'a [AccountId],
    /// Unix milliseconds.
    pub now_ms: i64,
}

/// Where an account came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The key names it.
    Pinned,
    /// The session is bound to it.
    Binding,
    /// By the session's rendezvous.
    Rendezvous,
    /// No session: least loaded for its weight.
    LeastLoaded,
    /// The bound account is busy: lent for this request.
    Borrowed,
}

impl How {
    /// The word in explanations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Binding => "binding",
            Self::Rendezvous => "rendezvous",
            Self::LeastLoaded => "least_loaded",
            Self::Borrowed => "borrowed",
        }
    }
}

/// Why an account was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// This request has tried it.
    Tried,
    /// It speaks another dialect.
    OtherDialect,
    /// It is reserved for keys or groups that name it.
    Reserved,
    /// It is switched off.
    Disabled,
    /// It is not to be scheduled.
    Unschedulable,
    /// Its subscription has ended.
    Expired,
    /// It does not serve the model.
    Model,
    /// The model's family is used up on it.
    FamilyBlocked,
    /// Its rate or window is used up.
    RateLimited,
    /// Its upstream is over capacity.
    Overloaded,
    /// Its credential is not accepted.
    Unauthorized,
    /// It may not do this.
    Forbidden,
    /// It is in error.
    Error,
    /// A usage window of its upstream's is used up, or to the share from which an operator wants it left alone.
    WindowUsedUp,
    /// It failed several times running on this node.
    CoolingDown,
    /// Another request tries it just now, after its failures or a state of it have ended.
    OnTrial,
    /// It serves as many requests as it may.
    Busy,
    /// Another one was preferred.
    NotPreferred,
}

impl Reason {
    const COUNT: usize = 18;
    const ALL: [Self; Self::COUNT] = [
        Self::Tried,
        Self::OtherDialect,
        Self::Reserved,
        Self::Disabled,
        Self::Unschedulable,
        Self::Expired,
        Self::Model,
        Self::FamilyBlocked,
        Self::RateLimited,
        Self::Overloaded,
        Self::Unauthorized,
        Self::Forbidden,
        Self::Error,
        Self::WindowUsedUp,
        Self::CoolingDown,
        Self::OnTrial,
        Self::Busy,
        Self::NotPreferred,
    ];

    /// The word in explanations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tried => "tried",
            Self::OtherDialect => "other_dialect",
            Self::Reserved => "reserved",
            Self::Disabled => "disabled",
            Self::Unschedulable => "unschedulable",
            Self::Expired => "expired",
            Self::Model => "model",
            Self::FamilyBlocked => "family_blocked",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Error => "error",
            Self::WindowUsedUp => "window_used_up",
            Self::CoolingDown => "cooling_down",
            Self::OnTrial => "on_trial",
            Self::Busy => "busy",
            Self::NotPreferred => "not_preferred",
        }
    }
}

/// Accounts that were looked at and passed over: the first ones by name, all by reason. Costs nothing while there are
/// none.
#[derive(Clone, Debug, Default)]
pub struct Considered(Option<Box<Passed>>);

#[derive(Clone, Debug, Default)]
struct Passed {
    named: SmallVec<[(AccountId, Reason); NAMED]>,
    unnamed: [u32; Reason::COUNT],
    counts: [u32; Reason::COUNT],
}

impl Considered {
    pub(crate) fn pass_over(&mut self, account: &Account, reason: Reason) {
        let passed = self.0.get_or_insert_default();
        passed.counts[reason as usize] += 1;
        if passed.named.len() < NAMED {
            passed.named.push((account.id.clone(), reason));
        } else {
            passed.unnamed[reason as usize] += 1;
        }
    }

    /// How many were passed over for a reason.
    pub fn count(&self, reason: Reason) -> u32 {
        self.0.as_ref().map_or(0, |passed| passed.counts[reason as usize])
    }

    /// Whether nobody was passed over: there was no account at all, or but one.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The named ones, as they stand in a record.
    pub fn named(&self) -> impl Iterator<Item = Candidate> {
        self.0.iter().flat_map(|passed| &passed.named).map(|(account, reason)| Candidate {
            account_id: account.as_str().to_owned(),
            reason: reason.name().to_owned(),
        })
    }

    /// The others: how many by reason.
    pub fn unnamed(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let unnamed = self.0.as_ref().map_or([0; Reason::COUNT], |passed| passed.unnamed);
        Reason::ALL
            .into_iter()
            .map(move |reason| (reason.name(), unnamed[reason as usize]))
            .filter(|(_, count)| *count > 0)
    }
}

/// The account that serves.
#[derive(Debug)]
pub struct Choice {
    /// The account.
    pub account: Arc<Account>,
    /// The place taken on it.
    pub slot: Slot,
    /// Where it came from.
    pub how: How,
    /// The group through which it was found.
    pub group: Option<GroupId>,
    /// Whether the session's binding cannot serve any more and this account takes its place.
    pub replaces: bool,
    /// Who was passed over.
    pub considered: Considered,
}

/// Why there is no choice.
#[derive(Debug)]
pub enum Unchosen {
    /// The bound account is busy: wait for [`crate::Scheduler::freed`] a while, then ask impatiently.
    BoundBusy,
    /// Nobody can serve.
    NoAccount(NoAccount),
}

/// Nobody can serve.
#[derive(Debug)]
pub struct NoAccount {
    /// Who was passed over, and why.
    pub considered: Considered,
    /// Unix milliseconds at which the first of them comes back by itself, as far as is known.
    pub retry_at_ms: Option<i64>,
    /// Whether someone could serve but for being busy.
    pub busy: bool,
}
