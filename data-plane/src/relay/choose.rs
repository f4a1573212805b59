//! Which account: the session's, if it has one, else the scheduler's choice, bound for the next time. Binding and
//! placement are two things: a busy account is waited for a little, then another one is borrowed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dialects::{error::Kind, peek::Peek};
use proto::{
    node::{BindRequest, BindResponse},
    rules::{ids::AccountId, session::SessionId},
};
use scheduler::{Ask, Bound, Choice, How, NoAccount, Reason as Why, Unchosen};
use snapshot::{Key, Snapshot};

use super::{
    affinity,
    error::Refusal,
    node::{Asked, Node, Worker},
};
use crate::metrics::Reason;

/// How long a session waits for its own account before it borrows another.
const BORROW_AFTER: Duration = Duration::from_millis(500);
/// How long a request waits for another one that tries the only account that could serve, before it tries it too.
const TRIAL_PATIENCE: Duration = Duration::from_secs(1);
/// How long a request waits while every account is busy.
const BUSY_PATIENCE: Duration = Duration::from_secs(2);
/// A binding that was chosen without the control plane is asked about again after this.
const UNTOLD_MS: i64 = 60_000;

/// A request's session.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// Its identity, scoped by key.
    pub id: SessionId,
    /// From what it was taken.
    pub source: &'static str,
}

impl Session {
    /// Whether it is named by what an upstream holds for it: only the account that has it can serve.
    pub fn is_kept_state(&self) -> bool {
        matches!(self.source, "previous_response_id" | "conversation")
    }

    /// By the strongest evidence that the client gives.
    pub fn identify(key: &Key, asked: &Asked, peek: &Peek) -> Option<Self> {
        let (source, evidence) = dialects::session::identify(asked.dialect, &asked.head.headers, peek)?;
        Some(Self { id: SessionId::new(key.id.as_str(), source, &evidence), source })
    }
}

/// The search for an account, over all attempts of one request.
pub struct Search<'a> {
    /// What holds.
    pub snapshot: &'a Snapshot,
    /// The key.
    pub key: &'a Key,
    /// The request.
    pub family: &'static str,
    /// The dialect that must be spoken; empty: any.
    pub dialect: &'static str,
    /// Model asked for.
    pub model: &'a str,
    /// Its family.
    pub model_family: &'a str,
    /// The session.
    pub session: Option<Session>,
    /// Accounts that have failed this request.
    pub tried: Vec<AccountId>,
}

impl Search<'_> {
    fn ask<'s>(&'s self, bound: Option<&'s AccountId>, waited: Duration, now_ms: i64) -> Ask<'s> {
        Ask {
            snapshot: self.snapshot,
            key: self.key,
            family: self.family,
            dialect: self.dialect,
            model: self.model,
            model_family: self.model_family,
            session: self.session.as_ref().map(|session| &session.id),
            bound,
            patient: waited < BORROW_AFTER,
            last_resort: waited >= TRIAL_PATIENCE,
            excluded: &self.tried,
            now_ms,
        }
    }

    /// An account, with a slot on it, where nobody has to be asked or waited for: most requests.
    pub fn at_once(&self, worker: &Arc<Worker>) -> Option<Choice> {
        let node = &worker.node;
        let now_ms = process::clock::unix_ms();
        let Some(session) = self.session else {
            return node.scheduler.choose(&self.ask(None, Duration::ZERO, now_ms)).ok();
        };
        let bound = node.scheduler.bindings().get(&session.id, self.family, now_ms)?;
        let choice = node.scheduler.choose(&self.ask(Some(&bound.account), Duration::ZERO, now_ms)).ok()?;
        if choice.replaces || (session.is_kept_state() && choice.account.id != bound.account) {
            return None;
        }
        node.metrics.binding_hits.inc();
        affinity::recheck(self, worker, session, bound, now_ms);
        Some(choice)
    }

    /// An account, with a slot on it.
    ///
    /// # Errors
    /// 429 or 503, with the time at which the first account comes back; the reasons beside it. 400 where only one
    /// account can serve, since it holds what the request builds on, and that one is not known.
    pub async fn account(&self, worker: &Arc<Worker>) -> Result<Choice, (Refusal, NoAccount)> {
        let node = &worker.node;
        let Some(session) = self.session else { return self.placed(node, None).await };
        let now_ms = process::clock::unix_ms();
        let known = node.scheduler.bindings().get(&session.id, self.family, now_ms);
        if session.is_kept_state() {
            return affinity::holder(self, node, session, known).await;
        }
        if let Some(bound) = known {
            node.metrics.binding_hits.inc();
            let choice = self.placed(node, Some(&bound.account)).await?;
            if choice.replaces {
                return self.bind(node, session, choice, Some(bound.account)).await;
            }
            affinity::recheck(self, worker, session, bound, now_ms);
            return Ok(choice);
        }
        let choice = self.placed(node, None).await?;
        if choice.how == How::Pinned {
            return Ok(choice);
        }
        node.metrics.binding_misses.inc();
        self.bind(node, session, choice, None).await
    }

    /// Binds the session to the chosen account, unless it was bound elsewhere first.
    async fn bind(
        &self,
        node: &Node,
        session: Session,
        choice: Choice,
        replaces: Option<AccountId>,
    ) -> Result<Choice, (Refusal, NoAccount)> {
        // A session that only moves for this one request, since its account has just failed it, stays bound there.
        if replaces.as_ref().is_some_and(|replaced| self.tried.contains(replaced)) {
            return Ok(choice);
        }
        let request = self.request(session, choice.account.id.as_str(), replaces.as_ref());
        let (cache, now_ms) = (node.scheduler.bindings(), process::clock::unix_ms());
        let drops = cache.drops();
        match node.bindings.bind(request).await {
            Ok(told) => {
                let bound = self.told(&told, now_ms);
                let elsewhere = bound.account != choice.account.id;
                cache.put_told(&session.id, self.family, bound.clone(), drops);
                if elsewhere && !self.tried.contains(&bound.account) {
                    drop(choice);
                    return self.placed(node, Some(&bound.account)).await;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a session is bound by rendezvous alone");
                let (key, account) = (self.key.id.clone(), choice.account.id.clone());
                let bound = Bound { key, account, expires_ms: now_ms + UNTOLD_MS, told_ms: 0 };
                cache.put(&session.id, self.family, bound);
            }
        }
        Ok(choice)
    }

    /// Asks for a session's binding. An empty candidate only looks.
    pub(super) fn request(
        &self,
        session: Session,
        candidate: &str,
        replaces: Option<&AccountId>,
    ) -> BindRequest {
        let settings = self.snapshot.settings();
        BindRequest {
            key_id: self.key.id.as_str().to_owned(),
            session: session.id.0.to_vec(),
            candidate: candidate.to_owned(),
            replaces: replaces.map(|account| account.as_str().to_owned()).unwrap_or_default(),
            ttl_ms: settings.binding_ttl.as_millis() as i64,
            renew_below_ms: settings.binding_renew_below.as_millis() as i64,
            family: self.family.to_owned(),
        }
    }

    pub(super) fn told(&self, told: &BindResponse, now_ms: i64) -> Bound {
        let (key, account) = (self.key.id.clone(), told.account_id.as_str().into());
        Bound { key, account, expires_ms: now_ms + told.ttl_ms, told_ms: now_ms }
    }

    /// The scheduler's choice, waited for while those who could serve are busy.
    pub(super) async fn placed(
        &self,
        node: &Node,
        bound: Option<&AccountId>,
    ) -> Result<Choice, (Refusal, NoAccount)> {
        let asked = Instant::now();
        loop {
            let freed = node.scheduler.freed().notified();
            let mut freed = std::pin::pin!(freed);
            // Listening before looking: a slot that comes free in between is heard.
            freed.as_mut().enable();
            let waited = asked.elapsed();
            let until = match node.scheduler.choose(&self.ask(bound, waited, process::clock::unix_ms())) {
                Ok(choice) => return Ok(choice),
                Err(Unchosen::BoundBusy) => BORROW_AFTER,
                Err(Unchosen::NoAccount(why)) if why.busy && waited < TRIAL_PATIENCE => TRIAL_PATIENCE,
                Err(Unchosen::NoAccount(why)) if why.busy && waited < BUSY_PATIENCE => BUSY_PATIENCE,
                Err(Unchosen::NoAccount(why)) => return Err((nobody(&why), why)),
            };
            let _ = tokio::time::timeout_at((asked + until).into(), freed).await;
        }
    }
}

/// What the client is told when nobody can serve.
fn nobody(why: &NoAccount) -> Refusal {
    let now_ms = process::clock::unix_ms();
    let wait = why.retry_at_ms.map(|at| (at - now_ms).max(1) as u64);
    let limited = [Why::RateLimited, Why::FamilyBlocked, Why::WindowUsedUp]
        .into_iter()
        .any(|reason| why.considered.count(reason) > 0);
    let refusal = if why.busy {
        Refusal::new(
            Kind::RateLimit,
            Reason::NoAccount,
            "every account that could serve is at its own concurrency limit",
        )
        .later(1_000)
    } else if limited {
        Refusal::new(
            Kind::RateLimit,
            Reason::NoAccount,
            "every account that could serve has used up its own limit",
        )
    } else {
        Refusal::new(Kind::Unavailable, Reason::NoAccount, "no account can serve this request right now")
    };
    match wait {
        Some(wait) if !why.busy => refusal.later(wait),
        _ => refusal,
    }
}
