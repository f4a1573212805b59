//! Leases of meters: each node's reports and needs, one atomic step of the store per meter; and what comes out for
//! others, told to them wherever they are connected.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use domain::{Account, Key, Limit, Settings, settings};
use futures_util::{StreamExt as _, stream};
use proto::{
    node::{LeaseRequest, LeaseResponse},
    rules::{
        ids::MeterId,
        quota::{
            Meter,
            store::{Exhausted, Grant, Op, Orphans, Outcome, Policy, Report, Row, Want},
        },
        window,
    },
};
use store::{Moment, Store, View};

mod index;
mod pushes;

pub(crate) use pushes::{Post, Pushes};

/// Life of a lease, milliseconds.
pub const TTL_MS: i64 = 10_000;
/// The longest that a stream may go on, milliseconds: after it a silent node's slots are free.
pub const LONGEST_STREAM_MS: i64 = 3_600_000;
/// Limit id under which an account's own cap is a meter.
pub const ACCOUNT_LIMIT: &str = "concurrency";
/// Meters of one message that are asked for at the same time.
const AT_ONCE: usize = 16;
/// When to ask again for a meter that is not known here (yet), milliseconds.
const UNKNOWN_RETRY_MS: i64 = 500;

/// Which node asks.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) node: String,
    pub(crate) epoch: String,
}

/// The leases of all nodes, as one replica serves them.
pub(crate) struct Leases {
    store: Store,
    view: View,
    pub(crate) pushes: Arc<Pushes>,
    /// Until when a row that is not there may have been lost: the store has changed hands. Unix milliseconds.
    pub(crate) doubt_until_ms: AtomicI64,
}

/// What one meter was asked.
#[derive(Default)]
struct Ask {
    sequence: u64,
    report: Option<Report>,
    want: Option<Want>,
}

impl Leases {
    pub(crate) fn new(store: &Store, view: &View, pushes: Arc<Pushes>) -> Self {
        Self { store: store.clone(), view: view.clone(), pushes, doubt_until_ms: AtomicI64::new(0) }
    }

    /// Answers one message of a node. A meter whose step failed is left out: the node asks again.
    pub(crate) async fn answer(
        &self,
        holder: &Holder,
        indexed: &index::Indexed,
        request: LeaseRequest,
        store_identity: String,
    ) -> LeaseResponse {
        for epoch in request.ended_epochs.iter().filter(|epoch| **epoch != holder.epoch) {
            if let Err(why) = self.end(holder, epoch).await {
                tracing::warn!(node = holder.node, epoch, %why, "slots of an ended epoch were not freed");
            }
        }
        let mut asks: BTreeMap<String, Ask> = BTreeMap::new();
        let new = || Ask { sequence: request.sequence, ..Ask::default() };
        for report in &request.reports {
            asks.entry(report.meter.clone()).or_insert_with(new).report = Some(Report::from_wire(report));
        }
        for want in &request.wants {
            asks.entry(want.meter.clone()).or_insert_with(new).want = Some(Want::from_wire(want));
        }
        let mut response = LeaseResponse {
            sequence: request.sequence,
            ttl_ms: TTL_MS,
            store_identity,
            ..LeaseResponse::default()
        };
        let steps = stream::iter(asks).map(|(meter, ask)| async move {
            let outcome = self.lease(holder, indexed, &meter, ask).await;
            (meter, outcome)
        });
        let mut steps = std::pin::pin!(steps.buffer_unordered(AT_ONCE));
        while let Some((meter, outcome)) = steps.next().await {
            match outcome {
                Ok(outcome) => {
                    response.grants.extend(outcome.grant.map(|grant| grant.to_wire(&meter)));
                    response.exhausted.extend(outcome.exhausted.map(|dry| dry.to_wire(&meter)));
                }
                Err(why) => tracing::warn!(meter, node = holder.node, %why, "a lease was not settled"),
            }
        }
        response
    }

    async fn lease(
        &self,
        holder: &Holder,
        indexed: &index::Indexed,
        meter: &str,
        ask: Ask,
    ) -> store::Result<Outcome> {
        let Some(policy) = self.policy(meter).await? else {
            let unknown =
                Exhausted { retry_in_ms: UNKNOWN_RETRY_MS, used: 0, leased: 0, resets_in_ms: 0, amount: 0 };
            let grant = ask.report.as_ref().map(Grant::void);
            return Ok(Outcome { grant, exhausted: ask.want.map(|_| unknown), ..Outcome::default() });
        };
        let endless = matches!(policy.window, window::Spec::Total | window::Spec::Sliding { .. });
        if endless && ask.want.is_some() {
            // Slots, and windows whose end frees nothing: noted before anything is granted, so that the end of this epoch
            // finds all of it.
            indexed.note(&self.store, &holder.epoch, meter).await?;
        }
        let op = Op::Lease {
            node: holder.node.clone(),
            epoch: holder.epoch.clone(),
            sequence: ask.sequence,
            report: ask.report,
            want: ask.want,
        };
        let outcome =
            self.step(meter, policy, move |row, moment, policy| row.apply(moment.now_ms, policy, &op));
        let outcome = outcome.await?;
        self.tell(meter, &outcome).await;
        Ok(outcome)
    }

    /// An epoch of the asking node has ended for good.
    pub(crate) async fn end(&self, holder: &Holder, epoch: &str) -> store::Result<()> {
        for meter in index::meters_of(&self.store, epoch).await? {
            if let Some(policy) = self.policy(&meter).await? {
                let (node, ended) = (holder.node.clone(), epoch.to_owned());
                let outcome = self.step(&meter, policy, move |row, moment, policy| {
                    // Only a node itself may say that it has ended.
                    if row.holders.get(&ended).is_some_and(|held| held.node != node) {
                        return None;
                    }
                    Some(row.apply(moment.now_ms, policy, &Op::End { epoch: ended.clone() }))
                });
                let Some(outcome) = outcome.await? else { continue };
                self.tell(&meter, &outcome).await;
            }
            index::forget(&self.store, epoch, &meter).await?;
        }
        Ok(())
    }

    pub(crate) async fn step<T, F>(&self, meter: &str, policy: Policy, run: F) -> store::Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Row, Moment, &Policy) -> T + Send + Sync + 'static,
    {
        let doubt_until = self.doubt_until_ms.load(Ordering::Relaxed);
        let step = move |held: &mut Option<Row>, moment: Moment| {
            let lost = held.is_none() && moment.now_ms < doubt_until;
            let mut row = held.take().unwrap_or_default();
            if moment.doubtful || lost {
                tracing::warn!("the store has changed hands: no grants until leases are declared or over");
                row.doubt(moment.now_ms, policy.ttl_ms);
            }
            let outcome = run(&mut row, moment, &policy);
            *held = (!row.is_blank(moment.now_ms)).then_some(row);
            outcome
        };
        self.store.meter(meter, step).await
    }

    pub(crate) async fn tell(&self, meter: &str, outcome: &Outcome) {
        let reclaims = outcome.reclaims.iter().map(|reclaim| (reclaim.epoch.as_str(), reclaim.amount));
        let hints = outcome.hints.iter().map(|hint| hint.epoch.as_str());
        let post = Post::new(meter, reclaims, hints);
        if !post.is_empty() {
            self.pushes.send(&self.store, post).await;
        }
    }

    /// The limit of a meter as it is now; `None`: there is none such.
    pub(crate) async fn policy(&self, meter: &str) -> store::Result<Option<Policy>> {
        let id = MeterId::from(meter);
        let Some((owner, limit)) = id.parts() else { return Ok(None) };
        let settings = self.view.get::<Settings>(settings::ID);
        let settings = settings.as_ref().map(|held| &held.value);
        if limit == ACCOUNT_LIMIT {
            let account = self.view.get::<Account>(owner);
            let cap = account.map(|account| i64::from(account.value.max_concurrency));
            return Ok(cap.map(|amount| policy(Meter::Concurrency, amount, window::Spec::Total, settings)));
        }
        let key = match self.view.get::<Key>(owner) {
            Some(key) if key.value.limits.iter().any(|known| known.id == limit) => key.value.clone(),
            // A limit that was made a moment ago on another replica.
            _ => match self.store.get::<Key>(owner).await? {
                Some(key) => key.value,
                None => return Ok(None),
            },
        };
        let limit = key.limits.iter().find(|known| known.id == limit);
        Ok(limit.and_then(|limit| meter_policy(limit, settings)))
    }
}

/// What a limit's meter goes by; `None`: this release does not know its kind.
pub fn meter_policy(limit: &Limit, settings: Option<&Settings>) -> Option<Policy> {
    let window = match &limit.window {
        Some(window) => window::Spec::from_wire(&window.to_wire()).ok()?,
        None => window::Spec::Total,
    };
    Some(policy(Meter::from_name(&limit.meter)?, limit.amount, window, settings))
}

fn policy(meter: Meter, amount: i64, window: window::Spec, settings: Option<&Settings>) -> Policy {
    let orphans = match settings.map(|settings| settings.orphan_slots) {
        Some(settings::OrphanSlots::ReleaseAfterTtl) => Orphans::ReleaseAfterTtl,
        _ => Orphans::Hold { longest_stream_ms: LONGEST_STREAM_MS },
    };
    let zone = settings.map(Settings::zone).unwrap_or(jiff::tz::TimeZone::UTC);
    Policy { meter, amount, window, zone, ttl_ms: TTL_MS, orphans }
}

pub(crate) use index::Indexed;
