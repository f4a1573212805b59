//! Giving up a node that is gone for good: what it held of limits and did not report counts as unused from now on, its
//! concurrency slots are free, and it is forgotten. An operator's decision: a node that only went silent keeps counting.

use std::collections::BTreeSet;

use domain::Node;
use futures_util::{FutureExt, StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use proto::rules::quota::{
    Meter,
    store::{Op, Outcome, Row},
};
use store::{Author, Change, Expect, Moment, Store, Versioned};

use crate::leases::{Holder, Leases};

/// Meters read in one step, and at the same time.
const PAGE: usize = 500;
const AT_ONCE: usize = 16;

/// What was given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WrittenOff {
    /// Leases of windows that were settled.
    pub leases: i64,
    /// Slots that are free again.
    pub slots: i64,
}

/// What one meter had of a node.
struct Given {
    slots: i64,
    leases: i64,
    epochs: Vec<String>,
    outcomes: Vec<Outcome>,
}

/// Gives up a node. It may be done again: what was done is found done.
pub(crate) async fn write_off(
    store: &Store,
    leases: &Leases,
    node: &Versioned<Node>,
    author: Author,
) -> store::Result<WrittenOff> {
    let id = node.value.id.as_str();
    let (mut written, mut epochs) = (WrittenOff::default(), BTreeSet::new());
    let mut after: Option<String> = None;
    loop {
        let mut page = store.meters("", after.as_deref(), PAGE).await?;
        let more = page.len() == PAGE;
        after = page.last().cloned();
        // Cells of other kinds have a colon in their names.
        page.retain(|name| name.contains('/') && !name.contains(':'));
        for given in all(leases, page, id).await? {
            written.slots += given.slots;
            written.leases += given.leases;
            epochs.extend(given.epochs);
        }
        if !more {
            break;
        }
    }
    for epoch in &epochs {
        let gone = Holder { node: id.to_owned(), epoch: String::new() };
        leases.end(&gone, epoch).await?;
    }
    store.commit(Change::new(author).delete::<Node>(id, Expect::Any)).await?;
    crate::registry::forget_condition(store, id).await?;
    tracing::warn!(node = id, epochs = epochs.len(), ?written, "a node was written off");
    Ok(written)
}

async fn all(leases: &Leases, meters: Vec<String>, node: &str) -> store::Result<Vec<Given>> {
    let each = meters.into_iter().map(|meter| one(leases, meter, node));
    // Boxed by kind: a stream of borrowing futures is not seen to be `Send` otherwise.
    let each: Vec<BoxFuture<'_, _>> = each.map(FutureExt::boxed).collect();
    stream::iter(each).buffer_unordered(AT_ONCE).try_collect().await
}

async fn one(leases: &Leases, meter: String, node: &str) -> store::Result<Given> {
    let nothing = Given { slots: 0, leases: 0, epochs: Vec::new(), outcomes: Vec::new() };
    let Some(policy) = leases.policy(&meter).await? else { return Ok(nothing) };
    let (kind, gone) = (policy.meter, node.to_owned());
    let step = leases.step(&meter, policy, move |row: &mut Row, moment: Moment, policy| {
        let held = row.holders.iter().filter(|(_, holder)| holder.node == gone && !holder.ended);
        let held: Vec<(String, i64)> =
            held.map(|(epoch, holder)| (epoch.clone(), holder.granted - holder.returned)).collect();
        let write_off = |(epoch, _): &(String, i64)| {
            row.apply(moment.now_ms, policy, &Op::WriteOff { epoch: epoch.clone() })
        };
        let outcomes: Vec<Outcome> = held.iter().map(write_off).collect();
        (held, outcomes)
    });
    let (held, outcomes) = step.await?;
    let slots = if kind == Meter::Concurrency { held.iter().map(|(_, units)| units).sum() } else { 0 };
    let windows = if kind == Meter::Concurrency { 0 } else { held.len() as i64 };
    let given = Given {
        slots,
        leases: windows,
        epochs: held.into_iter().map(|(epoch, _)| epoch).collect(),
        outcomes,
    };
    for outcome in &given.outcomes {
        leases.tell(&meter, outcome).await;
    }
    Ok(given)
}
