//! Several nodes against the store half, in memory: real threads and timers, no network. The board below is the control
//! plane: it answers messages, and carries pleas and hints at once.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use proto::{
    node::{LeaseReclaim, LeaseRequest, LeaseResponse},
    rules::{
        ids::MeterId,
        quota::store::{self, Exhausted, Grant, Op, Orphans, Outcome, Report, Row, Want},
        window,
    },
};

use super::*;

mod admission;
mod amounts;
mod fleet;

/// A control plane over rows in memory.
struct Board {
    base: Instant,
    rows: Mutex<HashMap<String, Row>>,
    limits: HashMap<String, Compiled>,
    nodes: Mutex<Vec<Arc<Limits>>>,
    /// Messages are neither answered nor carried.
    cut: AtomicBool,
    messages: AtomicU64,
}

const START_MS: i64 = 1_800_000_000_000;
const TTL_MS: i64 = 5_000;

impl Board {
    fn new(limits: &[Compiled]) -> Arc<Self> {
        Arc::new(Self {
            base: Instant::now(),
            rows: Mutex::default(),
            limits: limits.iter().map(|limit| (limit.meter.as_str().to_owned(), limit.clone())).collect(),
            nodes: Mutex::default(),
            cut: AtomicBool::new(false),
            messages: AtomicU64::new(0),
        })
    }

    /// A node of this board, with its pump. The pump ends with the board.
    fn node(self: &Arc<Self>) -> Arc<Limits> {
        let limits = Limits::new();
        let index = {
            let mut nodes = self.nodes.lock();
            nodes.push(limits.clone());
            nodes.len() - 1
        };
        limits.reconnected();
        let (board, pumped) = (Arc::downgrade(self), Arc::downgrade(&limits));
        #[expect(clippy::disallowed_methods, reason = "a test's pump lives as long as its runtime")]
        tokio::spawn(async move {
            loop {
                let (Some(board), Some(limits)) = (board.upgrade(), pumped.upgrade()) else { return };
                while let Some(request) = limits.outgoing(Instant::now()) {
                    board.messages.fetch_add(1, Ordering::Relaxed);
                    if let Some(response) = board.answer(index, &request) {
                        tokio::task::yield_now().await; // On its way.
                        limits.incoming(Instant::now(), response);
                    }
                }
                let soon = Instant::now() + Duration::from_millis(20);
                let due = limits.next_due().map_or(soon, |due| due.min(soon));
                let woken = limits.wake().notified();
                drop(tokio::time::timeout_at(due.into(), woken).await);
            }
        });
        limits
    }

    fn policy(&self, meter: &str) -> store::Policy {
        let limit = &self.limits[meter];
        store::Policy {
            meter: limit.kind,
            amount: limit.amount,
            window: limit.window.unwrap_or(window::Spec::Total),
            zone: jiff::tz::TimeZone::UTC,
            ttl_ms: TTL_MS,
            orphans: Orphans::Hold { longest_stream_ms: 60_000 },
        }
    }

    fn step(&self, meter: &str, op: &Op) -> Outcome {
        let now = START_MS + self.base.elapsed().as_millis() as i64;
        self.rows.lock().entry(meter.to_owned()).or_default().apply(now, &self.policy(meter), op)
    }

    fn answer(&self, node: usize, request: &LeaseRequest) -> Option<LeaseResponse> {
        if self.cut.load(Ordering::Relaxed) {
            return None;
        }
        let mut asks: HashMap<&str, (Option<Report>, Option<Want>)> = HashMap::new();
        for report in &request.reports {
            asks.entry(&report.meter).or_default().0 = Some(Report::from_wire(report));
        }
        for want in &request.wants {
            asks.entry(&want.meter).or_default().1 = Some(Want::from_wire(want));
        }
        let mut response =
            LeaseResponse { sequence: request.sequence, ttl_ms: TTL_MS, ..LeaseResponse::default() };
        for (meter, (report, want)) in asks {
            let (name, epoch) = (node.to_string(), node.to_string());
            let outcome =
                self.step(meter, &Op::Lease { node: name, epoch, sequence: request.sequence, report, want });
            response.grants.extend(outcome.grant.as_ref().map(|grant: &Grant| grant.to_wire(meter)));
            response.exhausted.extend(outcome.exhausted.map(|dry: Exhausted| dry.to_wire(meter)));
            self.carry(meter, &outcome);
        }
        Some(response)
    }

    /// Pushes pleas and hints.
    fn carry(&self, meter: &str, outcome: &Outcome) {
        let nodes = self.nodes.lock().clone();
        for plea in &outcome.reclaims {
            let reclaims = vec![LeaseReclaim { meter: meter.to_owned(), amount: plea.amount }];
            let push = LeaseResponse { reclaims, ..LeaseResponse::default() };
            nodes[plea.node.parse::<usize>().unwrap()].incoming(Instant::now(), push);
        }
        for hint in &outcome.hints {
            let push = LeaseResponse { exhausted: vec![Exhausted::hint(meter)], ..LeaseResponse::default() };
            nodes[hint.node.parse::<usize>().unwrap()].incoming(Instant::now(), push);
        }
    }

    fn row(&self, limit: &Compiled) -> Row {
        self.rows.lock().get(limit.meter.as_str()).cloned().unwrap_or_default()
    }
}

fn requests(id: &str, amount: i64) -> Compiled {
    Compiled {
        limit_id: id.into(),
        meter: MeterId::of("key", id),
        kind: Meter::Requests,
        scope: Scope::default(),
        amount,
        window: Some(window::Spec::Fixed { minutes: 5 }),
        strict: false,
        cost: CostKind::Rated,
        generation: 0,
    }
}

fn slots(id: &str, amount: i64) -> Compiled {
    Compiled { kind: Meter::Concurrency, window: None, ..requests(id, amount) }
}

fn within(ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(ms)
}

/// Waits until something holds; the bound is only there for a test that fails.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let bound = within(10_000);
    while !holds() {
        assert!(Instant::now() < bound, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
