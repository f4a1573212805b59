//! Admission: a unit of every limit, or none at all. Meters are taken in the order of their ids, so that two requests
//! never wait for each other; and nothing is held while waiting.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use proto::rules::quota::node::Unit;
use smallvec::SmallVec;

use crate::{
    Demand, Limits, Permit, Policy, Refusal,
    cell::{Ask, Cell, News, Patience, Place},
    permit::Taken,
};

/// A control plane that has been away for so long is not waited for, milliseconds.
const AWAY_MS: i64 = 2_000;

type Sorted<'a> = SmallVec<[Demand<'a>; 4]>;

/// What a try came to.
enum Tried<'l> {
    Admitted(SmallVec<[Taken; 3]>),
    Refused(Refusal),
    Wait(usize, Place<'l>),
    /// The control plane is away, and this limit is what is missing.
    Away(usize),
}

/// How waiting ended.
enum Waited {
    Unit(Arc<Cell>, Unit),
    /// The meter was replaced by another.
    Replaced,
    /// The control plane did not answer in time.
    NoAnswer,
}

/// A unit that a waiting request was given, and of which limit.
struct Given {
    index: usize,
    cell: Arc<Cell>,
    unit: Unit,
}

impl Limits {
    /// Admits a request under all of `demands`, or under none. With units in hand it does not wait; else it waits for
    /// the control plane's answer, until `deadline` at the latest. That nothing is free is an answer.
    ///
    /// # Errors
    /// The limit that refused, with its figures.
    pub async fn admit(
        self: &Arc<Self>,
        demands: &[Demand<'_>],
        deadline: Instant,
    ) -> Result<Permit, Refusal> {
        self.admit_with(demands, deadline, false).await
    }

    /// Likewise, but waits on when no concurrency slot is free, first come first served, until `deadline`. What bounds
    /// the number of those who wait is the caller's.
    ///
    /// # Errors
    /// The limit that refused, with its figures.
    pub async fn admit_queued(
        self: &Arc<Self>,
        demands: &[Demand<'_>],
        deadline: Instant,
    ) -> Result<Permit, Refusal> {
        self.admit_with(demands, deadline, true).await
    }

    async fn admit_with(
        self: &Arc<Self>,
        demands: &[Demand<'_>],
        deadline: Instant,
        patient: bool,
    ) -> Result<Permit, Refusal> {
        if demands.is_empty() {
            return Ok(Permit { limits: self.clone(), taken: SmallVec::new() });
        }
        let mut sorted: Sorted<'_> = demands.iter().map(fitted).collect();
        sorted.sort_unstable_by(|a, b| a.limit.meter.cmp(&b.limit.meter));
        sorted.dedup_by(|a, b| a.limit.meter == b.limit.meter);
        let patience = Patience { deadline: self.ms(deadline), patient };
        let mut given = None;
        loop {
            match self.try_all(&sorted, patience, given.take()) {
                Tried::Admitted(taken) => {
                    self.counters.admitted.fetch_add(1, Ordering::Relaxed);
                    return Ok(Permit { limits: self.clone(), taken });
                }
                Tried::Refused(refusal) => return Err(self.refused(refusal)),
                Tried::Away(index) => return self.without_control(&sorted, index),
                Tried::Wait(index, place) => match self.wait(&sorted[index], place, deadline).await? {
                    Waited::Unit(cell, unit) => given = Some(Given { index, cell, unit }),
                    Waited::Replaced => {}
                    Waited::NoAnswer => return self.without_control(&sorted, index),
                },
            }
        }
    }

    /// Waits in the queue.
    async fn wait(
        &self,
        demand: &Demand<'_>,
        mut place: Place<'_>,
        deadline: Instant,
    ) -> Result<Waited, Refusal> {
        let began = self.ms(Instant::now());
        let news = tokio::time::timeout_at(deadline.into(), &mut place.hear).await;
        let now = self.ms(Instant::now());
        let refuse =
            |said, at, resets_at| Err(self.refused(Refusal::exhausted(demand, &said, at, resets_at, now)));
        match news {
            Ok(Ok(News::Unit(unit))) => Ok(Waited::Unit(place.cell.clone(), unit)),
            Ok(Ok(News::Exhausted { said, at, resets_at })) => refuse(said, at, resets_at),
            Ok(Err(_)) => Ok(Waited::Replaced),
            Err(_) => {
                // It did answer, and others were first. What it said of another amount says nothing of this limit.
                let said = place.cell.state.lock().lease.short_since(began);
                let said = said.filter(|said| said.amount == demand.limit.amount);
                said.map_or(Ok(Waited::NoAnswer), |said| refuse(said, now + 1_000, None))
            }
        }
    }

    fn try_all(&self, sorted: &Sorted<'_>, patience: Patience, mut given: Option<Given>) -> Tried<'_> {
        let now = self.ms(Instant::now());
        let mut taken: SmallVec<[Taken; 3]> = SmallVec::new();
        for (index, demand) in sorted.iter().enumerate() {
            let own = given.take_if(|given| given.index == index);
            match self.take(demand, own, patience, now) {
                Ok(one) => taken.push(one),
                Err(blocked) => {
                    self.give_back(taken, given, now);
                    return match blocked {
                        Blocked::Refused(refusal) => Tried::Refused(refusal),
                        Blocked::Wait(place) => Tried::Wait(index, place),
                        Blocked::Away => Tried::Away(index),
                    };
                }
            }
        }
        if self.commit(&mut taken, now) {
            Tried::Admitted(taken)
        } else {
            self.try_all(sorted, patience, None)
        }
    }

    fn take(
        &self,
        demand: &Demand<'_>,
        given: Option<Given>,
        patience: Patience,
        now: i64,
    ) -> Result<Taken, Blocked<'_>> {
        let limit = demand.limit;
        let ask = Ask { amount: limit.amount, units: demand.units };
        if let Some(given) = given {
            return Ok(Taken::new(demand, given.cell, Some(given.unit)));
        }
        loop {
            let cell = self.cells.get_or_new(&limit.meter, limit.kind, now);
            let mut state = cell.state.lock();
            if state.dead {
                continue;
            }
            if state.lease.meter() != limit.kind {
                // The limit was made into another under the same id: nothing of the old one's lease is of use.
                state.die();
                drop(state);
                self.cells.remove(&cell);
                continue;
            }
            if limit.generation > state.generation {
                // Reset by hand: what was said of exhaustion no longer holds.
                state.generation = limit.generation;
                state.lease.ask_again();
            }
            if let Some(unit) = state.take(ask.units, now) {
                drop(state);
                return Ok(Taken::new(demand, cell, Some(unit)));
            }
            if let Some(News::Exhausted { said, at, resets_at }) = state.hopeless(now, ask, patience) {
                return Err(Blocked::Refused(Refusal::exhausted(demand, &said, at, resets_at, now)));
            }
            if self.is_away(now) {
                return Err(Blocked::Away);
            }
            let (ticket, hear) = state.enqueue(ask, patience);
            self.schedule(&cell, &mut state, now);
            drop(state);
            return Err(Blocked::Wait(Place { limits: self, cell, ticket, hear }));
        }
    }

    /// Uses what was taken. `false`: a lease was replaced in between; everything is given back.
    fn commit(&self, taken: &mut SmallVec<[Taken; 3]>, now: i64) -> bool {
        for index in 0..taken.len() {
            let one = &mut taken[index];
            let Some(unit) = one.unit else { continue };
            let mut state = one.cell.state.lock();
            let used = state.lease.commit(unit, now);
            let figures = state.lease.window();
            one.window_id = figures.0.clone();
            one.lease_left = state.lease.left();
            self.schedule(&one.cell, &mut state, now);
            drop(state);
            if !used {
                let rest = taken.drain(index + 1..).collect();
                self.give_back(rest, None, now);
                // What is committed already stays so: slots and reservations end, a request that was spent stays spent.
                taken.truncate(index);
                self.end_all(taken, now);
                return false;
            }
        }
        true
    }

    fn end_all(&self, taken: &mut SmallVec<[Taken; 3]>, now: i64) {
        for one in taken.drain(..) {
            let Some(unit) = one.unit else { continue };
            let mut state = one.cell.state.lock();
            state.lease.end(unit, 0, now);
            state.dispatch(now);
            self.schedule(&one.cell, &mut state, now);
        }
    }

    fn give_back(&self, taken: SmallVec<[Taken; 3]>, given: Option<Given>, now: i64) {
        let taken = taken.into_iter().filter_map(|one| Some((one.cell, one.unit?)));
        for (cell, unit) in taken.chain(given.map(|given| (given.cell, given.unit))) {
            let mut state = cell.state.lock();
            state.lease.cancel(unit);
            state.dispatch(now);
            self.schedule(&cell, &mut state, now);
        }
    }

    /// The control plane could not be asked about one limit.
    fn without_control(self: &Arc<Self>, sorted: &Sorted<'_>, index: usize) -> Result<Permit, Refusal> {
        if self.policy() == Policy::Refuse {
            return Err(self.refused(Refusal::control_lost(&sorted[index])));
        }
        let now = self.ms(Instant::now());
        let mut taken: SmallVec<[Taken; 3]> = SmallVec::new();
        for demand in sorted {
            let cell = self.cells.get_or_new(&demand.limit.meter, demand.limit.kind, now);
            let unit = {
                let mut state = cell.state.lock();
                if state.dead { None } else { state.take(demand.units, now) }
            };
            taken.push(Taken::new(demand, cell, unit));
        }
        // A unit whose lease was replaced meanwhile is void, and the request goes on uncounted there.
        for index in 0..taken.len() {
            let one = &mut taken[index];
            let Some(unit) = one.unit else { continue };
            let mut state = one.cell.state.lock();
            if !state.lease.commit(unit, now) {
                one.unit = None;
            }
            self.schedule(&one.cell, &mut state, now);
        }
        self.counters.overdrawn.fetch_add(1, Ordering::Relaxed);
        Ok(Permit { limits: self.clone(), taken })
    }

    fn refused(&self, refusal: Refusal) -> Refusal {
        let counter = if refusal.control_lost { &self.counters.control_lost } else { &self.counters.refused };
        counter.fetch_add(1, Ordering::Relaxed);
        refusal
    }

    fn is_away(&self, now: i64) -> bool {
        let since = self.away_since.load(Ordering::Relaxed);
        i64::try_from(since).is_ok_and(|since| now - since >= AWAY_MS)
    }
}

/// A demand that can be met at all: an estimate beyond the whole of a limit that is not strict stands for all of it.
fn fitted<'a>(demand: &Demand<'a>) -> Demand<'a> {
    let limit = demand.limit;
    let most = if limit.strict { i64::MAX } else { limit.amount.max(1) };
    Demand { limit, units: demand.units.clamp(1, most) }
}

/// Why a limit gave no unit at once.
enum Blocked<'l> {
    Refused(Refusal),
    Wait(Place<'l>),
    Away,
}
