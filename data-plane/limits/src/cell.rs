//! One meter on this node: its lease and the requests that wait for it, behind one lock.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::{Mutex, RwLock};
use proto::rules::{
    ids::MeterId,
    quota::{
        Meter,
        node::{Lease, Need, Outlook, Unit},
        store::Exhausted,
    },
};
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::BuildHasher;
use tokio::sync::oneshot;

const SHARDS: usize = 16;

/// A meter.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) meter: MeterId,
    pub(crate) state: Mutex<State>,
}

/// What the lock guards.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) lease: Lease,
    queue: VecDeque<Waiter>,
    /// Units that those who wait need.
    wanted: i64,
    next_ticket: u64,
    /// The key's limits were reset so many times when this was last asked for.
    pub(crate) generation: u64,
    /// When the agenda will come back to this meter.
    pub(crate) scheduled: i64,
    /// When it will be looked at in case it may be forgotten.
    pub(crate) swept: i64,
    /// It was taken out of the map: look it up again.
    pub(crate) dead: bool,
}

/// A request in the queue.
#[derive(Debug)]
struct Waiter {
    ticket: u64,
    ask: Ask,
    patient: bool,
    deadline: i64,
    tell: oneshot::Sender<News>,
}

/// What a request asks of a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    /// The limit's bound.
    pub(crate) amount: i64,
    /// Units.
    pub(crate) units: i64,
}

/// What a waiting request is told.
#[derive(Debug)]
pub(crate) enum News {
    /// Its units, taken for it.
    Unit(Unit),
    /// Nothing free, and no sense in waiting on.
    Exhausted { said: Exhausted, at: i64, resets_at: Option<i64> },
}

/// How a request waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Milliseconds on the node's clock.
    pub(crate) deadline: i64,
    /// Whether it waits on when nothing is free (a queue), or only for an answer.
    pub(crate) patient: bool,
}

impl State {
    /// How many requests wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// What they need.
    pub(crate) fn need(&self) -> Need {
        Need { all: self.wanted, first: self.queue.front().map_or(0, |waiter| waiter.ask.units) }
    }

    /// Units for a request that just came: never past those that wait already.
    pub(crate) fn take(&mut self, units: i64, now: i64) -> Option<Unit> {
        if self.queue.is_empty() { self.lease.take(units, now) } else { None }
    }

    /// Whether waiting makes no sense for such a request now, and why.
    pub(crate) fn hopeless(&self, now: i64, ask: Ask, patience: Patience) -> Option<News> {
        match self.lease.outlook(now, ask.amount, ask.units) {
            Outlook::Exhausted { at, said, resets_at } => {
                let wait =
                    patience.patient && (self.lease.meter() == Meter::Concurrency || at < patience.deadline);
                (!wait).then_some(News::Exhausted { said, at, resets_at })
            }
            Outlook::Asking | Outlook::Soon { .. } => None,
        }
    }

    /// Puts a request at the end of the queue.
    pub(crate) fn enqueue(&mut self, ask: Ask, patience: Patience) -> (u64, oneshot::Receiver<News>) {
        let (tell, hear) = oneshot::channel();
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let Patience { deadline, patient } = patience;
        self.queue.push_back(Waiter { ticket, ask, patient, deadline, tell });
        self.wanted = self.wanted.saturating_add(ask.units);
        (ticket, hear)
    }

    /// Makes this value void: those who wait look the meter up again.
    pub(crate) fn die(&mut self) {
        self.dead = true;
        self.queue.clear();
        self.wanted = 0;
    }

    /// Takes a request out of the queue.
    fn leave(&mut self, ticket: u64) {
        if let Ok(at) = self.queue.binary_search_by_key(&ticket, |waiter| waiter.ticket) {
            self.remove(at);
        }
    }

    fn remove(&mut self, at: usize) -> Option<Waiter> {
        let waiter = self.queue.remove(at)?;
        self.wanted -= waiter.ask.units;
        Some(waiter)
    }

    /// Gives units to those who wait, first come first served; and tells those for whom waiting makes no sense any more.
    pub(crate) fn dispatch(&mut self, now: i64) {
        while let Some(first) = self.queue.front() {
            let Some(unit) = self.lease.take(first.ask.units, now) else { break };
            let Some(waiter) = self.remove(0) else { break };
            if let Err(News::Unit(unit)) = waiter.tell.send(News::Unit(unit)) {
                self.lease.cancel(unit); // It has left meanwhile.
            }
        }
        let mut at = 0;
        while at < self.queue.len() {
            let Waiter { ask, patient, deadline, .. } = self.queue[at];
            match self.hopeless(now, ask, Patience { deadline, patient }) {
                None => at += 1,
                Some(news) => {
                    if let Some(waiter) = self.remove(at) {
                        // One that has left meanwhile need not hear it.
                        drop(waiter.tell.send(news));
                    }
                }
            }
        }
    }
}

/// A place in the queue. Dropped, it is given up; a unit that had been given to it goes to the next.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) limits: &'a crate::Limits,
    pub(crate) cell: Arc<Cell>,
    pub(crate) ticket: u64,
    pub(crate) hear: oneshot::Receiver<News>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.hear.close();
        let given = self.hear.try_recv();
        let now = self.limits.ms(std::time::Instant::now());
        let mut state = self.cell.state.lock();
        match given {
            Ok(News::Unit(unit)) => {
                state.lease.cancel(unit);
                state.dispatch(now);
            }
            Ok(News::Exhausted { .. }) => return,
            Err(_) => state.leave(self.ticket),
        }
        self.limits.schedule(&self.cell, &mut state, now);
    }
}

/// All meters by id.
#[derive(Debug, Default)]
pub(crate) struct Cells([RwLock<FxHashMap<MeterId, Arc<Cell>>>; SHARDS]);

impl Cells {
    /// The meter, if it is known.
    pub(crate) fn get(&self, meter: &str) -> Option<Arc<Cell>> {
        self.shard(meter).read().get(meter).cloned()
    }

    /// The meter; a new one if it is not known.
    pub(crate) fn get_or_new(&self, meter: &MeterId, kind: Meter, now: i64) -> Arc<Cell> {
        if let Some(cell) = self.get(meter.as_str()) {
            return cell;
        }
        let mut shard = self.shard(meter.as_str()).write();
        let new = || {
            let state = State {
                lease: Lease::new(kind, now),
                queue: VecDeque::new(),
                wanted: 0,
                generation: 0,
                next_ticket: 0,
                scheduled: i64::MAX,
                swept: i64::MAX,
                dead: false,
            };
            Arc::new(Cell { meter: meter.clone(), state: Mutex::new(state) })
        };
        shard.entry(meter.clone()).or_insert_with(new).clone()
    }

    /// Takes a meter out if nothing speaks against it.
    pub(crate) fn forget(&self, cell: &Cell, now: i64) {
        let mut shard = self.shard(cell.meter.as_str()).write();
        let mut state = cell.state.lock();
        if state.lease.is_forgettable(now, state.waiting() as i64) {
            state.dead = true;
            shard.remove(cell.meter.as_str());
        }
    }

    /// Takes out a meter that is dead.
    pub(crate) fn remove(&self, cell: &Arc<Cell>) {
        let mut shard = self.shard(cell.meter.as_str()).write();
        if shard.get(cell.meter.as_str()).is_some_and(|known| Arc::ptr_eq(known, cell)) {
            shard.remove(cell.meter.as_str());
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<Cell>> {
        self.0.iter().flat_map(|shard| shard.read().values().cloned().collect::<Vec<_>>()).collect()
    }

    fn shard(&self, meter: &str) -> &RwLock<FxHashMap<MeterId, Arc<Cell>>> {
        &self.0[(FxBuildHasher.hash_one(meter) >> 56) as usize % SHARDS]
    }
}
