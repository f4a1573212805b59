//! The model test: any sequence of requests, syncs, shipping, kills, power cuts, full disks and store failovers, on the
//! simulated disk, against a store that applies as `distribution` 1.3 says. Whatever happens, every attempt is counted at
//! most once, and exactly once unless the power went before its intent was synced.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use proto::rules::ids::Epoch;

use super::sim::Sim;
use crate::{Intent, Lane, OldEpoch, Options, Payload, Record, Spool};

/// What can happen.
#[derive(Clone, Debug)]
enum Op {
    Intent { size: usize },
    Note { which: usize },
    Outcome { which: usize, how_many: usize, partition: u32, size: usize },
    Sync,
    Ship { records: usize },
    Sweep,
    Room(Option<u64>),
    Kill { fuse: Option<usize>, power: bool },
    Failover,
    Remember,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..3000_usize).prop_map(|size| Op::Intent { size }),
        2 => (0..50_usize).prop_map(|which| Op::Note { which }),
        7 => (0..50_usize, 1..3_usize, 0..4_u32, 0..8000_usize)
            .prop_map(|(which, how_many, partition, size)| Op::Outcome { which, how_many, partition, size }),
        3 => Just(Op::Sync),
        4 => (1..20_usize).prop_map(|records| Op::Ship { records }),
        1 => Just(Op::Sweep),
        1 => prop::option::of(0..100_000_u64).prop_map(Op::Room),
        2 => (prop::option::of(0..40_usize), any::<bool>()).prop_map(|(fuse, power)| Op::Kill { fuse, power }),
        1 => Just(Op::Failover),
        1 => Just(Op::Remember),
    ]
}

/// The store: markers and how often each attempt was counted.
#[derive(Clone, Default)]
struct Store {
    markers: BTreeMap<(Epoch, u32), u64>,
    counted: BTreeMap<u64, u32>,
}

impl Store {
    /// `Err`: a gap, with what it has.
    fn apply(&mut self, epoch: &Epoch, record: &Record) -> Result<u64, u64> {
        let marker = self.markers.entry((epoch.clone(), record.partition)).or_default();
        if record.sequence > *marker {
            if *marker != record.previous {
                return Err(*marker);
            }
            *marker = record.sequence;
            for attempt in attempts(&record.payload) {
                *self.counted.entry(attempt).or_default() += 1;
            }
        }
        Ok(*marker)
    }
}

fn payload(attempts: &[u64], size: usize) -> Vec<u8> {
    let mut bytes = vec![attempts.len() as u8];
    attempts.iter().for_each(|attempt| bytes.extend_from_slice(&attempt.to_le_bytes()));
    // Zeros, ones and marks, to be mistaken for something.
    bytes.extend((0..size).map(|n| [0, 0xE5, 1][n / 7 % 3]));
    bytes
}

fn attempts(payload: &[u8]) -> Vec<u64> {
    let count = usize::from(payload[0]);
    payload[1..].as_chunks::<8>().0[..count].iter().map(|attempt| u64::from_le_bytes(*attempt)).collect()
}

struct Process {
    spool: Arc<Spool>,
    lane: Arc<Lane>,
    open: Vec<(u64, Intent)>,
}

struct Run {
    sim: Sim,
    options: Options,
    process: Option<Process>,
    store: Store,
    remembered: Store,
    next_attempt: u64,
    /// Attempts whose intent the caller was given.
    made: BTreeSet<u64>,
    /// Of these, those whose intent or outcome was synced.
    safe: BTreeSet<u64>,
    /// Outcomes that the caller wrote, until they may be lost by a power cut.
    wrote: BTreeMap<u64, Vec<u8>>,
    synced: BTreeMap<u64, Vec<u8>>,
    /// What was ever read for shipping.
    shipped: BTreeMap<(Epoch, u64), Vec<u8>>,
}

impl Run {
    fn new(seed: u64, retain: Duration) -> Self {
        let options =
            Options { segment_bytes: 64 << 10, retain_acked: retain, sync_after: None, ..Options::default() };
        Self {
            sim: Sim::new(seed),
            options,
            process: None,
            store: Store::default(),
            remembered: Store::default(),
            next_attempt: 1,
            made: BTreeSet::new(),
            safe: BTreeSet::new(),
            wrote: BTreeMap::new(),
            synced: BTreeMap::new(),
            shipped: BTreeMap::new(),
        }
    }

    /// Starts a process, recovering what is left; it may die on the way, or find no room.
    fn start(&mut self) -> Option<()> {
        let fs = Arc::new(self.sim.clone());
        let (spool, old) = Spool::open_on(fs, Path::new("/spool"), self.options.clone()).ok()?;
        old.into_iter().try_for_each(recover)?;
        let lane = spool.lane().ok()?;
        self.process = Some(Process { spool, lane, open: Vec::new() });
        Some(())
    }

    fn step(&mut self, op: &Op) {
        if self.process.is_none() && self.start().is_none() {
            if self.sim.dead() {
                self.restart(false);
            }
            self.sim.leave_room(None);
        }
        match op {
            Op::Intent { size } => self.intent(*size),
            Op::Note { which } => self.note(*which),
            Op::Outcome { which, how_many, partition, size } => {
                self.outcome(*which, *how_many, *partition, *size)
            }
            Op::Sync => self.sync(),
            Op::Ship { records } => self.ship(*records),
            Op::Sweep => {
                if let Some(process) = &self.process {
                    let _ = process.spool.sweep(Instant::now());
                }
            }
            Op::Room(room) => self.sim.leave_room(*room),
            Op::Kill { fuse: Some(fuse), .. } => self.sim.light_fuse(*fuse),
            Op::Kill { fuse: None, power } => self.restart(*power),
            Op::Failover => self.failover(),
            Op::Remember => self.remembered = self.store.clone(),
        }
        if self.sim.dead() {
            self.restart(false);
        }
    }

    fn intent(&mut self, size: usize) {
        let Some(process) = &mut self.process else { return };
        let attempt = self.next_attempt;
        self.next_attempt += 1;
        let bytes = payload(&[attempt], size);
        if let Ok(intent) = process.lane.intent(Payload::new(&bytes).unwrap()) {
            self.made.insert(attempt);
            process.open.push((attempt, intent));
        }
    }

    fn note(&mut self, which: usize) {
        let Some(process) = &mut self.process else { return };
        let count = process.open.len();
        if count > 0 {
            let (_, intent) = &mut process.open[which % count];
            let noted = process.lane.note(intent, Payload::new(&[7; 1000]).unwrap());
            assert!(noted.is_ok() || intent.note_room < 1100 || self.sim.dead());
        }
    }

    fn outcome(&mut self, which: usize, how_many: usize, partition: u32, size: usize) {
        let Some(process) = &mut self.process else { return };
        let mut closed = Vec::new();
        for _ in 0..how_many.min(process.open.len()) {
            let place = which % process.open.len();
            closed.push(process.open.swap_remove(place));
        }
        let (numbers, intents): (Vec<_>, Vec<_>) = closed.into_iter().unzip();
        if numbers.is_empty() {
            return;
        }
        let bytes = payload(&numbers, size);
        process.lane.outcome(partition, intents, Payload::new(&bytes).unwrap());
        if !self.sim.dead() {
            numbers.iter().for_each(|attempt| drop(self.wrote.insert(*attempt, bytes.clone())));
        }
    }

    fn sync(&mut self) {
        let Some(process) = &self.process else { return };
        if process.spool.sync().is_ok() {
            self.safe.extend(&self.made);
            self.synced.extend(self.wrote.clone());
        }
    }

    fn ship(&mut self, records: usize) {
        let Some(process) = &self.process else { return };
        for epoch in process.spool.sources() {
            if !process.spool.pending(&epoch, 0) {
                continue;
            }
            let Ok(found) = process.spool.read(&epoch, 0, records, 100_000) else { continue };
            for record in found {
                let before = self.shipped.insert((epoch.clone(), record.sequence), record.payload.clone());
                assert!(before.is_none_or(|before| before == record.payload), "a sequence was given twice");
                match self.store.apply(&epoch, &record) {
                    Ok(applied) => process.spool.acked(&epoch, record.partition, applied),
                    Err(have) => {
                        let _ = process.spool.compare(&epoch, record.partition, have);
                    }
                }
            }
        }
    }

    /// The store falls back to what it was, and markers are compared.
    fn failover(&mut self) {
        if self.options.retain_acked.is_zero() {
            return;
        }
        self.store = self.remembered.clone();
        self.compare();
    }

    fn compare(&mut self) {
        let Some(process) = &self.process else { return };
        for epoch in process.spool.sources() {
            for partition in 0..16 {
                let applied = self.store.markers.get(&(epoch.clone(), partition)).copied().unwrap_or(0);
                let _ = process.spool.compare(&epoch, partition, applied);
            }
        }
    }

    fn restart(&mut self, power: bool) {
        self.process = None;
        self.sim.restart(power);
        if power {
            self.made = self.safe.clone();
            self.wrote = self.synced.clone();
        } else {
            // The kernel has it all; the next process syncs before it ships, and may lose it to a power cut until then.
        }
        // A new process knows nothing of acknowledgements.
        if self.start().is_some() {
            self.safe.extend(&self.made);
            self.synced.extend(self.wrote.clone());
            self.compare();
        }
    }

    fn ship_all(&mut self) {
        let lag = |run: &Self| run.process.as_ref().map_or(0, |process| process.spool.lag());
        for _ in 0..1000 {
            self.ship(50);
            if lag(self) == 0 {
                return;
            }
        }
        panic!("{} records never ship", lag(self));
    }

    /// Ends all, ships all, and counts.
    fn finish(mut self) {
        self.sim.leave_room(None);
        self.restart(false);
        assert!(self.process.is_some(), "a process must start on a disk with room");
        self.ship_all();
        for (attempt, count) in &self.store.counted {
            assert_eq!(*count, 1, "attempt {attempt} was counted {count} times");
        }
        for attempt in &self.made {
            assert!(self.store.counted.contains_key(attempt), "attempt {attempt} was lost");
        }
        let found: BTreeSet<_> = self.shipped.values().collect();
        for (attempt, bytes) in &self.wrote {
            assert!(found.contains(bytes), "the outcome of attempt {attempt} was lost");
        }
    }
}

fn recover(mut old: OldEpoch) -> Option<()> {
    for unfinished in old.unfinished() {
        let bytes = payload(&attempts(&unfinished.payload), 100);
        old.recover(5, &[unfinished.id], Payload::new(&bytes).unwrap()).ok()?;
    }
    old.seal().ok()
}

fn run(ops: &[Op], seed: u64, retain: Duration) {
    let mut run = Run::new(seed, retain);
    ops.iter().for_each(|op| run.step(op));
    run.finish();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn g4_every_attempt_is_counted_once(ops in prop::collection::vec(op(), 1..120), seed in any::<u64>()) {
        run(&ops, seed, Duration::from_hours(24));
    }

    #[test]
    fn g4_what_is_acknowledged_may_go_at_once(ops in prop::collection::vec(op(), 1..120), seed in any::<u64>()) {
        run(&ops, seed, Duration::ZERO);
    }

    #[test]
    fn one_flipped_bit_costs_one_entry(sizes in prop::collection::vec(0..4000_usize, 1..40), seed in any::<u64>()) {
        flip(&sizes, seed);
    }
}

fn flip(sizes: &[usize], seed: u64) {
    let mut run = Run::new(seed, Duration::from_hours(24));
    run.start().unwrap();
    for size in sizes {
        run.intent(50);
        run.outcome(0, 1, *size as u32 % 4, *size);
    }
    run.sync();
    run.ship(sizes.len() / 2);
    run.process = None;
    run.sim.restart(false);
    let flipped = run.sim.flip_a_bit(".segment").unwrap();
    assert!(run.start().is_some(), "a flipped bit in {} keeps a process from starting", flipped.display());
    // The store goes on behind what cannot be read any more, whether it has that or not.
    run.compare();
    run.ship_all();
    run.failover();
    run.ship_all();
    (run.store, run.shipped) = (Store::default(), BTreeMap::new());
    run.compare();
    let (mut sequences, mut exact) = (BTreeSet::new(), BTreeSet::new());
    let Some(process) = &run.process else { return };
    for epoch in process.spool.sources() {
        for record in process.spool.read(&epoch, 0, 1000, usize::MAX).unwrap() {
            assert!(sequences.insert((epoch.clone(), record.sequence)));
            exact.insert(record.payload);
        }
    }
    let lost = run.wrote.values().filter(|bytes| !exact.contains(*bytes)).count();
    assert!(lost <= 1, "{lost} outcomes lost to one bit");
}
