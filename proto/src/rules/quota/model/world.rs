//! The world of the model test.

use std::collections::{BTreeMap, HashMap};

use jiff::tz::TimeZone;
use proptest::prelude::*;

use crate::rules::{
    quota::{
        Meter, RECLAIM_ROUND_MS,
        node::{ANSWER_MS, Answered, Lease, Unit},
        store::{Exhausted, Grant, Op, Orphans, Policy, Report, Row, Want},
    },
    window,
};

pub(super) const NODES: usize = 3;
const TTL_MS: i64 = 2_000;
const START_MS: i64 = 1_800_000_000_000;

#[derive(Clone, Debug)]
pub(super) enum Action {
    Pass(i64),
    Ask(usize),
    Send(usize),
    Deliver(u16),
    Double(u16),
    Lose(u16),
    End(usize, u16),
    GiveUp(usize),
    Crash(usize),
    Reconnect(usize),
    Forget(usize),
    Reset,
    /// The network works for a moment: everybody sends, everything arrives.
    Calm,
}

/// Whether the network works again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outage {
    Over,
}

#[derive(Clone, Debug)]
enum Message {
    Up { node: usize, epoch: u64, sequence: u64, report: Option<Report>, want: Option<Want>, ended: Vec<u64> },
    Down { node: usize, epoch: u64, sequence: u64, grant: Option<Grant>, exhausted: Option<Exhausted> },
    Hint { node: usize, epoch: u64 },
    Reclaim { node: usize, epoch: u64, amount: i64 },
}

struct Node {
    epoch: u64,
    ended: Vec<u64>,
    offset: i64,
    lease: Lease,
    waiting: i64,
    in_flight: Vec<Unit>,
    sequence: u64,
    sent: HashMap<u64, i64>,
}

pub(super) struct World {
    now: i64,
    pub(super) row: Row,
    policy: Policy,
    nodes: Vec<Node>,
    net: Vec<Message>,
    /// Admitted by (generation, window): what may never exceed the amount.
    admitted: BTreeMap<(u64, String), i64>,
    epochs: u64,
}

impl World {
    pub(super) fn new(meter: Meter, amount: i64) -> Self {
        let policy = Policy {
            meter,
            amount,
            window: window::Spec::Fixed { minutes: 1 },
            zone: TimeZone::UTC,
            ttl_ms: TTL_MS,
            orphans: Orphans::Hold { longest_stream_ms: i64::MAX / 4 },
        };
        let node = |index: usize| {
            let offset = 1_000_000 * index as i64 - 7 * START_MS / 8;
            Node {
                epoch: index as u64,
                ended: Vec::new(),
                offset,
                lease: Lease::new(meter, START_MS + offset),
                waiting: 0,
                in_flight: Vec::new(),
                sequence: 0,
                sent: HashMap::new(),
            }
        };
        Self {
            now: START_MS,
            row: Row::default(),
            policy,
            nodes: (0..NODES).map(node).collect(),
            net: Vec::new(),
            admitted: BTreeMap::new(),
            epochs: NODES as u64,
        }
    }

    pub(super) fn hourly(mut self) -> Self {
        self.policy.window = window::Spec::Hour;
        self.now = START_MS + 3_590_000 - START_MS % 3_600_000;
        self
    }

    pub(super) fn total(mut self) -> Self {
        self.policy.window = window::Spec::Total;
        self
    }

    pub(super) fn act(&mut self, action: Action) -> Result<(), TestCaseError> {
        match action {
            Action::Pass(ms) => self.now += ms,
            Action::Ask(node) => self.nodes[node].waiting += 1,
            Action::Send(node) => self.send(node),
            Action::Deliver(pick) => {
                if !self.net.is_empty() {
                    let at = usize::from(pick) % self.net.len();
                    let message = self.net.remove(at);
                    self.deliver(message);
                }
            }
            Action::Double(pick) => {
                if !self.net.is_empty() {
                    let message = self.net[usize::from(pick) % self.net.len()].clone();
                    self.net.push(message);
                }
            }
            Action::Lose(pick) => {
                if !self.net.is_empty() {
                    let at = usize::from(pick) % self.net.len();
                    self.net.remove(at);
                }
            }
            Action::End(node, pick) => self.end(node, usize::from(pick)),
            Action::GiveUp(node) => self.nodes[node].waiting = 0,
            Action::Crash(node) => self.crash(node),
            Action::Reconnect(node) => {
                self.nodes[node].sent.clear();
                self.nodes[node].lease.reconnected();
            }
            Action::Forget(node) => self.forget(node),
            Action::Reset => self.step(&Op::Reset, None),
            Action::Calm => self.exchange()?,
        }
        self.admit_all()
    }

    /// Every waiting request that finds a unit runs; then the one sum that matters is checked.
    fn admit_all(&mut self) -> Result<(), TestCaseError> {
        for index in 0..NODES {
            let now = self.now + self.nodes[index].offset;
            let node = &mut self.nodes[index];
            while node.waiting > 0 {
                let Some(unit) = node.lease.take(now) else { break };
                let key = (node.lease.window().1, node.lease.window().0.to_string());
                prop_assert!(node.lease.commit(unit, now));
                node.waiting -= 1;
                match self.policy.meter {
                    Meter::Concurrency => node.in_flight.push(unit),
                    Meter::Requests => *self.admitted.entry(key).or_default() += 1,
                }
            }
        }
        let in_flight: usize = self.nodes.iter().map(|node| node.in_flight.len()).sum();
        prop_assert!(in_flight as i64 <= self.policy.amount, "{in_flight} slots in use: {:#?}", self.row);
        for (window, admitted) in &self.admitted {
            prop_assert!(
                *admitted <= self.policy.amount,
                "{admitted} admitted in {window:?}: {:#?}",
                self.row
            );
        }
        Ok(())
    }

    fn send(&mut self, index: usize) {
        let now = self.now + self.nodes[index].offset;
        let node = &mut self.nodes[index];
        let out = node.lease.collect(node.sequence + 1, node.waiting, now);
        if out.is_empty() && node.ended.is_empty() {
            return;
        }
        node.sequence += 1;
        node.sent.insert(node.sequence, now);
        let (epoch, sequence, ended) = (node.epoch, node.sequence, node.ended.clone());
        self.net.push(Message::Up {
            node: index,
            epoch,
            sequence,
            report: out.report,
            want: out.want,
            ended,
        });
    }

    fn step(&mut self, op: &Op, answer: Option<(usize, u64, u64)>) {
        let outcome = self.row.apply(self.now, &self.policy, op);
        let parse = |text: &str| text.parse::<u64>().unwrap();
        if let Some((node, epoch, sequence)) = answer {
            let (grant, exhausted) = (outcome.grant, outcome.exhausted);
            self.net.push(Message::Down { node, epoch, sequence, grant, exhausted });
        }
        for hint in outcome.hints {
            self.net.push(Message::Hint { node: parse(&hint.node) as usize, epoch: parse(&hint.epoch) });
        }
        for plea in outcome.reclaims {
            let (node, epoch) = (parse(&plea.node) as usize, parse(&plea.epoch));
            self.net.push(Message::Reclaim { node, epoch, amount: plea.amount });
        }
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::Up { node, epoch, sequence, report, want, ended } => {
                for epoch in ended {
                    self.step(&Op::End { epoch: epoch.to_string() }, None);
                }
                let (name, id) = (node.to_string(), epoch.to_string());
                let op = Op::Lease { node: name, epoch: id, sequence, report, want };
                self.step(&op, Some((node, epoch, sequence)));
            }
            Message::Down { node, epoch, sequence, grant, exhausted } => {
                let now = self.now + self.nodes[node].offset;
                let node = &mut self.nodes[node];
                let Some(&sent_at) = node.sent.get(&sequence).filter(|_| node.epoch == epoch) else { return };
                if sent_at + ANSWER_MS < now {
                    return;
                }
                let answered = Answered { sequence, sent_at, ttl_ms: TTL_MS };
                if let Some(grant) = grant {
                    node.lease.on_grant(answered, &grant, now);
                }
                if let Some(exhausted) = exhausted {
                    node.lease.on_exhausted(answered, exhausted, now);
                }
            }
            Message::Hint { node, epoch } if self.nodes[node].epoch == epoch => {
                let now = self.now + self.nodes[node].offset;
                self.nodes[node].lease.on_hint(now);
            }
            Message::Reclaim { node, epoch, amount } if self.nodes[node].epoch == epoch => {
                let now = self.now + self.nodes[node].offset;
                let node = &mut self.nodes[node];
                node.lease.reclaim(amount, node.waiting, now);
            }
            _ => {}
        }
    }

    fn end(&mut self, index: usize, pick: usize) {
        let now = self.now + self.nodes[index].offset;
        let node = &mut self.nodes[index];
        if !node.in_flight.is_empty() {
            let unit = node.in_flight.remove(pick % node.in_flight.len());
            node.lease.end(unit, now);
        }
    }

    fn crash(&mut self, index: usize) {
        let meter = self.policy.meter;
        let node = &mut self.nodes[index];
        // What it served has broken off; what it said may still be under way.
        node.in_flight.clear();
        node.waiting = 0;
        node.ended.push(node.epoch);
        node.epoch = self.epochs;
        node.offset += 12_345;
        node.lease = Lease::new(meter, self.now + node.offset);
        node.sent.clear();
        self.epochs += 1;
    }

    fn forget(&mut self, index: usize) {
        let now = self.now + self.nodes[index].offset;
        let meter = self.policy.meter;
        let node = &mut self.nodes[index];
        if node.lease.is_forgettable(now, node.waiting) {
            node.lease = Lease::new(meter, now);
        }
    }

    /// The network works, requests end, nobody asks: what was held comes back.
    pub(super) fn settle(&mut self, _: Outage) -> Result<(), TestCaseError> {
        for index in 0..NODES {
            self.nodes[index].waiting = 0;
            while !self.nodes[index].in_flight.is_empty() {
                self.end(index, 0);
            }
            self.nodes[index].lease.reconnected();
        }
        for _ in 0..42 {
            self.now += 500;
            self.exchange()?;
        }
        // Late questions of dead epochs were answered above: their end is told once more.
        let dead: Vec<u64> = self.nodes.iter().flat_map(|node| node.ended.clone()).collect();
        for epoch in dead {
            self.step(&Op::End { epoch: epoch.to_string() }, None);
        }
        Ok(())
    }

    /// Everybody says what there is to say, and everything arrives.
    fn exchange(&mut self) -> Result<(), TestCaseError> {
        for index in 0..NODES {
            self.send(index);
        }
        while !self.net.is_empty() {
            let message = self.net.remove(0);
            self.deliver(message);
            self.admit_all()?;
        }
        Ok(())
    }

    /// With everybody connected, a unit that is free or idle somewhere reaches who asks for it within one round.
    pub(super) fn a_free_unit_is_granted_in_time(&mut self) -> Result<(), TestCaseError> {
        let spent: i64 = self.row.holders.values().map(|holder| holder.spent).sum();
        let open =
            !self.row.window_id.is_empty() && self.row.ends_at_ms.is_none_or(|end| end > self.now + 1000);
        if self.policy.meter == Meter::Requests && !open {
            return Ok(());
        }
        let free = self.policy.amount - spent - self.row.settled;
        if free <= 0 {
            return Ok(());
        }
        // One node takes all there is, and gives it up again: now it holds it idle.
        self.nodes[0].lease.ask_again();
        self.nodes[1].lease.ask_again();
        self.nodes[0].waiting = 1;
        for _ in 0..10 {
            self.now += 1;
            self.exchange()?;
        }
        self.end(0, 0);
        self.nodes[1].waiting = 1;
        if self.policy.meter == Meter::Requests && free <= 1 {
            return Ok(());
        }
        let began = self.now;
        while self.nodes[1].waiting > 0 {
            self.now += 1;
            self.exchange()?;
            prop_assert!(self.now - began <= RECLAIM_ROUND_MS, "not granted in time: {:#?}", self.row);
        }
        Ok(())
    }
}
