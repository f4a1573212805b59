//! What keeps a session where it is: asking again about bindings, and the ids under which an upstream holds something
//! that a later request builds on. Such an id is bound by itself; whoever names it goes to its account or nowhere, since
//! no other account has what it names.

use std::sync::Arc;

use dialects::error::Kind;
use proto::{node::BindRequest, rules::session::SessionId};
use scheduler::{Bound, Choice, Considered, NoAccount};
use snapshot::Account;

use super::{
    choose::{Search, Session},
    error::Refusal,
    node::{Node, Worker},
    settle::{Settlement, Usage},
};
use crate::{metrics::Reason, pumps::bindings::BindError};

/// A binding that the control plane told is asked about again after this: it may have been moved or dropped while this
/// node was not told.
const RECHECK_MS: i64 = 600_000;

/// Asks again about a binding that was told a while ago, which also renews it; nobody waits for the answer. One that is
/// no more is forgotten, not made anew.
pub(super) fn recheck(
    search: &Search<'_>,
    worker: &Arc<Worker>,
    session: Session,
    bound: Bound,
    now_ms: i64,
) {
    if bound.told_ms == 0 || now_ms - bound.told_ms < RECHECK_MS {
        return;
    }
    // Noted at once, so that one request asks and not all until the answer is there.
    let cache = worker.node.scheduler.bindings();
    cache.put(&session.id, search.family, Bound { told_ms: now_ms, ..bound.clone() });
    let look = search.request(session, "", None);
    let (node, family) = (Arc::clone(&worker.node), search.family);
    worker.tasks.spawn("binding-recheck", async move {
        let cache = node.scheduler.bindings();
        let drops = cache.drops();
        let told = match node.bindings.bind(look.clone()).await {
            // A control plane of the release before knows no looking.
            Err(BindError::Refused(_)) => {
                let candidate = bound.account.as_str().to_owned();
                node.bindings.bind(BindRequest { candidate, ..look }).await
            }
            told => told,
        };
        match told {
            Ok(told) if told.account_id.is_empty() => cache.forget(&session.id, family),
            Ok(told) => {
                let (account, expires_ms) = (told.account_id.as_str().into(), now_ms + told.ttl_ms);
                let bound = Bound { account, expires_ms, told_ms: now_ms, ..bound };
                cache.put_told(&session.id, family, bound, drops);
            }
            Err(error) => tracing::debug!(%error, "a binding stays as it was told last"),
        }
    });
}

/// The account that holds what the request builds on.
///
/// # Errors
/// 400 where no account is known to hold it, or the one that does is gone; else as for any account, with no other taken
/// in its place.
pub(super) async fn holder(
    search: &Search<'_>,
    node: &Node,
    session: Session,
    known: Option<Bound>,
) -> Result<Choice, (Refusal, NoAccount)> {
    let bound = match known {
        Some(bound) => bound,
        None => look(search, node, session).await.map_err(alone)?,
    };
    if search.snapshot.account(&bound.account).is_none() {
        return Err(alone(lost()));
    }
    let choice = search.placed(node, Some(&bound.account)).await?;
    if choice.account.id == bound.account {
        return Ok(choice);
    }
    let message = "the account that holds what this request builds on cannot serve right now";
    Err((Refusal::new(Kind::Unavailable, Reason::NoAccount, message).later(1_000), nobody(choice.considered)))
}

async fn look(search: &Search<'_>, node: &Node, session: Session) -> Result<Bound, Refusal> {
    let (cache, now_ms) = (node.scheduler.bindings(), process::clock::unix_ms());
    let drops = cache.drops();
    match node.bindings.bind(search.request(session, "", None)).await {
        Ok(told) if told.account_id.is_empty() => Err(lost()),
        Ok(told) => {
            let bound = search.told(&told, now_ms);
            cache.put_told(&session.id, search.family, bound.clone(), drops);
            Ok(bound)
        }
        Err(BindError::Refused(_)) => Err(lost()),
        Err(BindError::Away) => {
            let message = "which account holds what this request builds on cannot be asked right now";
            Err(Refusal::new(Kind::Unavailable, Reason::NoAccount, message).later(1_000))
        }
    }
}

fn lost() -> Refusal {
    let message =
        "what this request builds on is held by no account of this relay; send the whole conversation";
    Refusal::new(Kind::InvalidRequest, Reason::NoAccount, message).code("previous_response_not_found")
}

fn alone(refusal: Refusal) -> (Refusal, NoAccount) {
    (refusal, nobody(Considered::default()))
}

fn nobody(considered: Considered) -> NoAccount {
    NoAccount { considered, retry_at_ms: None, busy: false }
}

/// Binds the id of an answer that the upstream keeps, and that a later request may name, to the account that gave it: at
/// once on this node, and in the store, for which nobody waits.
pub(super) fn remember_answer(life: &Settlement, usage: &Usage, account: &Account) {
    let (Usage::Tapped(tapped), true) = (usage, life.is_kept) else { return };
    let Some(named) = tapped.answer_id.as_deref().and_then(dialects::session::kept_answer) else { return };
    let (source, evidence) = named;
    let id = SessionId::new(life.key.id.as_str(), source, &evidence);
    let ttl_ms = life.worker.node.snapshot.current().settings().binding_ttl.as_millis() as i64;
    let (cache, now_ms) = (life.worker.node.scheduler.bindings(), process::clock::unix_ms());
    let bound = Bound {
        key: life.key.id.clone(),
        account: account.id.clone(),
        expires_ms: now_ms.saturating_add(ttl_ms),
        told_ms: now_ms,
    };
    cache.put(&id, account.family, bound);
    let request = BindRequest {
        key_id: life.key.id.as_str().to_owned(),
        session: id.0.to_vec(),
        candidate: account.id.as_str().to_owned(),
        ttl_ms,
        family: account.family.to_owned(),
        ..BindRequest::default()
    };
    let node = Arc::clone(&life.worker.node);
    life.worker.tasks.spawn("binding-remember", async move {
        if let Err(error) = node.bindings.bind(request).await {
            tracing::debug!(%error, "an answer's id is known to this node alone");
        }
    });
}
