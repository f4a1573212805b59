//! What must hold in the world, whatever happens in it.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{InFlight, NODES, World};
use crate::rules::{
    quota::{Meter, RECLAIM_ROUND_MS, store::Op},
    window,
};

impl World {
    /// Every waiting request that finds its units runs; then the one sum that matters is checked.
    pub(super) fn admit_all(&mut self) -> Result<(), TestCaseError> {
        for index in 0..NODES {
            let now = self.now + self.nodes[index].offset;
            while let Some(&units) = self.nodes[index].waiting.front() {
                let node = &mut self.nodes[index];
                let Some(unit) = node.lease.take(units, now) else { break };
                let window = (node.lease.window().1, node.lease.window().0.to_string());
                prop_assert!(node.lease.commit(unit, now));
                node.waiting.pop_front();
                *self.admitted.entry(window.clone()).or_default() += units;
                if self.policy.meter == Meter::Requests {
                    self.uses.push_back((window.0, self.now, units));
                    continue;
                }
                self.requests += 1;
                node.in_flight.push(InFlight {
                    id: self.requests,
                    unit,
                    window: window.clone(),
                    forgotten: false,
                });
                let of_it = node.in_flight.iter().filter(|one| one.window == window);
                let of_it = of_it.map(|one| one.id).collect();
                self.last.insert((window, node.epoch), of_it);
            }
        }
        self.check()
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        let amount = self.policy.amount;
        let reserved: i64 = self.in_flight().map(|one| one.unit.units()).sum();
        if self.policy.meter == Meter::Concurrency {
            prop_assert!(reserved <= amount, "{reserved} slots in use: {:#?}", self.row);
            return Ok(());
        }
        if let window::Spec::Sliding { minutes } = self.policy.window {
            let since = self.now - i64::from(minutes) * 60_000;
            while self.uses.front().is_some_and(|(_, at, _)| *at <= since) {
                self.uses.pop_front();
            }
            let mut sums = BTreeMap::<u64, i64>::new();
            self.in_flight().for_each(|one| *sums.entry(one.window.0).or_default() += one.unit.units());
            self.uses.iter().for_each(|(of, _, units)| *sums.entry(*of).or_default() += units);
            let most = sums.into_values().max().unwrap_or(0);
            prop_assert!(most <= amount, "{most} in one window: {:#?}", self.row);
            return Ok(());
        }
        for (window, admitted) in &self.admitted {
            let of_it = self.last.iter().filter(|((of, _), _)| of == window);
            let last = of_it.flat_map(|(_, ids)| ids);
            let over: i64 = last.filter_map(|id| self.over.get(id)).sum();
            prop_assert!(
                *admitted <= amount + over,
                "{admitted} admitted in {window:?}, {over} of it in flight: {:#?}",
                self.row
            );
        }
        Ok(())
    }

    fn in_flight(&self) -> impl Iterator<Item = &InFlight> {
        self.nodes.iter().flat_map(|node| &node.in_flight)
    }

    /// With everybody connected, what is free or idle somewhere reaches who asks for it within one round; of amounts all
    /// of it, also where it lies in pieces.
    pub(in crate::rules::quota::model) fn what_is_free_is_granted_in_time(
        &mut self,
    ) -> Result<(), TestCaseError> {
        let open =
            !self.row.window_id.is_empty() && self.row.ends_at_ms.is_none_or(|end| end > self.now + 1000);
        if self.policy.meter.has_window() && !open {
            return Ok(());
        }
        self.step(&Op::Tick, None);
        let free = self.policy.amount - self.row.used();
        if free <= 0 {
            return Ok(());
        }
        self.nodes.iter_mut().for_each(|node| node.lease.ask_again());
        // Two nodes take all there is, and give it up again: now they hold it idle.
        let share = if self.policy.meter.settles_later() { free } else { 1 };
        let pieces = if share > 1 { [share / 2, share - share / 2] } else { [share, 0] };
        for (index, piece) in pieces.into_iter().enumerate().filter(|(_, piece)| *piece > 0) {
            self.nodes[index].waiting.push_back(piece);
        }
        for _ in 0..10 {
            self.now += 1;
            self.exchange()?;
        }
        (0..pieces.len()).for_each(|index| self.end(index, 0, 0));
        if self.policy.meter == Meter::Requests && free <= 1 {
            return Ok(());
        }
        self.nodes[2].waiting.push_back(share);
        let began = self.now;
        while !self.nodes[2].waiting.is_empty() {
            self.now += 1;
            self.exchange()?;
            prop_assert!(self.now - began <= RECLAIM_ROUND_MS, "not granted in time: {:#?}", self.row);
        }
        Ok(())
    }
}
