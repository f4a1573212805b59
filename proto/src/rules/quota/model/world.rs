//! The world of the model test.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::tz::TimeZone;
use proptest::prelude::*;

use crate::rules::{
    quota::{
        Meter,
        node::{ANSWER_MS, Answered, Lease, Need, Unit},
        store::{Exhausted, Grant, Op, Orphans, Policy, Report, Row, Want},
    },
    window,
};

mod check;

pub(super) const NODES: usize = 3;
const TTL_MS: i64 = 2_000;
const START_MS: i64 = 1_800_000_000_000;

#[derive(Clone, Debug)]
pub(super) enum Action {
    Pass(i64),
    /// A request for so many units; of meters that count ones it needs one.
    Ask(usize, i64),
    Send(usize),
    Deliver(u16),
    Double(u16),
    Lose(u16),
    /// A request in flight ends; of amounts it used so many percent of its reservation.
    End(usize, u16, i64),
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
    waiting: VecDeque<i64>,
    in_flight: Vec<InFlight>,
    sequence: u64,
    sent: HashMap<u64, i64>,
}

/// Generation and window id.
type Window = (u64, String);

struct InFlight {
    id: u64,
    unit: Unit,
    window: Window,
    /// Of a lease that was forgotten since: its end is told to that one, and says nothing.
    forgotten: bool,
}

pub(super) struct World {
    now: i64,
    pub(super) row: Row,
    policy: Policy,
    nodes: Vec<Node>,
    net: Vec<Message>,
    /// Used or reserved by window: what may never exceed the amount.
    admitted: BTreeMap<Window, i64>,
    /// Generation, when, and units, in a sliding window.
    uses: VecDeque<(u64, i64, i64)>,
    /// What was in flight on an epoch when it last admitted something, by window: what may be used beyond the amount.
    last: BTreeMap<(Window, u64), Vec<u64>>,
    /// Used beyond the reservation, by request.
    over: HashMap<u64, i64>,
    /// Whether no request uses more than it reserves.
    strict: bool,
    requests: u64,
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
                waiting: VecDeque::new(),
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
            uses: VecDeque::new(),
            last: BTreeMap::new(),
            over: HashMap::new(),
            strict: true,
            requests: 0,
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

    pub(super) fn sliding(mut self) -> Self {
        self.policy.window = window::Spec::Sliding { minutes: 1 };
        self
    }

    /// Requests may use more than they reserve.
    pub(super) fn loose(mut self) -> Self {
        self.strict = false;
        self
    }

    pub(super) fn act(&mut self, action: Action) -> Result<(), TestCaseError> {
        match action {
            Action::Pass(ms) => self.now += ms,
            Action::Ask(node, units) => {
                let units = if self.policy.meter.settles_later() { units } else { 1 };
                self.nodes[node].waiting.push_back(units);
            }
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
            Action::End(node, pick, percent) => {
                let percent = if self.strict { percent.min(100) } else { percent };
                self.end(node, usize::from(pick), percent);
            }
            Action::GiveUp(node) => self.nodes[node].waiting.clear(),
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

    fn send(&mut self, index: usize) {
        let now = self.now + self.nodes[index].offset;
        let node = &mut self.nodes[index];
        let out = node.lease.collect(node.sequence + 1, node.need(), now);
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
                node.lease.reclaim(amount, node.need(), now);
            }
            _ => {}
        }
    }

    fn end(&mut self, index: usize, pick: usize, percent: i64) {
        let now = self.now + self.nodes[index].offset;
        let node = &mut self.nodes[index];
        if node.in_flight.is_empty() {
            return;
        }
        let InFlight { id, unit, window, forgotten } = node.in_flight.remove(pick % node.in_flight.len());
        let used = if self.policy.meter.settles_later() { unit.units() * percent / 100 } else { 0 };
        if !forgotten {
            node.lease.end(unit, used, now);
        }
        *self.admitted.entry(window.clone()).or_default() += used - unit.units();
        self.over.insert(id, (used - unit.units()).max(0));
        self.uses.push_back((window.0, self.now, used));
    }

    fn crash(&mut self, index: usize) {
        let meter = self.policy.meter;
        let node = &mut self.nodes[index];
        // What it served has broken off, and how much it used nobody knows; what it said may still be under way.
        for one in node.in_flight.drain(..) {
            self.uses.push_back((one.window.0, self.now, one.unit.units()));
        }
        node.waiting.clear();
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
        if node.lease.is_forgettable(now, node.waiting.len() as i64) {
            node.lease = Lease::new(meter, now);
            node.in_flight.iter_mut().for_each(|one| one.forgotten = true);
        }
    }

    /// The network works, requests end, nobody asks: what was held comes back.
    pub(super) fn settle(&mut self, _: Outage) -> Result<(), TestCaseError> {
        for index in 0..NODES {
            self.nodes[index].waiting.clear();
            while !self.nodes[index].in_flight.is_empty() {
                self.end(index, 0, 50);
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
}

impl Node {
    fn need(&self) -> Need {
        Need { all: self.waiting.iter().sum(), first: self.waiting.front().copied().unwrap_or(0) }
    }
}
