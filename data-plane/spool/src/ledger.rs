//! What an epoch holds that is safe on disk, and how far it was acknowledged. Pure bookkeeping: the writer's syncer moves
//! it forward, acknowledgements move it, the sweep takes from its front.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use parking_lot::Mutex;
use proto::rules::{ids::Epoch, usage::PARTITIONS};

use crate::{
    fs::Lock,
    segment::{self, Chain},
};

/// One epoch: its folder, held under its lock, and its ledger.
pub struct Source {
    pub epoch: Epoch,
    pub folder: PathBuf,
    pub ledger: Mutex<Ledger>,
    /// The last outcome that was written, synced or not.
    pub appended: AtomicU64,
    pub _lock: Box<dyn Lock>,
}

impl Source {
    /// Records that were not acknowledged, those not yet synced included.
    pub fn lag(&self) -> u64 {
        let ledger = self.ledger.lock();
        let unsynced = self.appended.load(Ordering::Relaxed).saturating_sub(ledger.last);
        ledger.unacked.iter().map(|waiting| waiting.len() as u64).sum::<u64>() + unsynced
    }

    /// Path of a segment.
    pub fn segment(&self, number: u64) -> PathBuf {
        self.folder.join(segment::file_name(number))
    }
}

/// A segment that is on disk.
#[derive(Clone, Debug)]
pub struct Segment {
    pub number: u64,
    pub size: u64,
    /// Where the numbers stood when it began.
    pub chain: Chain,
    /// Since when all before its end is acknowledged, as far as this process knows.
    pub acked_since: Option<Instant>,
}

/// A place from which reading goes on without looking for it.
#[derive(Clone, Debug)]
pub struct Cursor {
    /// The place serves reads after this sequence or a later one.
    pub after: u64,
    pub segment: u64,
    pub offset: u64,
    pub previous: [u64; PARTITIONS as usize],
}

/// See the module.
#[derive(Default)]
pub struct Ledger {
    pub segments: VecDeque<Segment>,
    /// By partition: what is synced and not acknowledged, in order.
    pub unacked: [VecDeque<u64>; PARTITIONS as usize],
    /// By partition: what the store says it has applied.
    pub acked: [u64; PARTITIONS as usize],
    /// The last outcome that is synced.
    pub last: u64,
    /// For a lane that lives: segment and offset up to which all is synced. An old epoch is read to its end.
    pub horizon: Option<(u64, u64)>,
    /// For a lane that lives: the first segment that must stay, for its open intents or because it is written.
    pub floor: Option<u64>,
    pub cursor: Option<Cursor>,
}

/// What one sync made safe.
pub struct Synced {
    pub opened: Vec<Segment>,
    pub outcomes: Vec<(u64, u32)>,
    pub horizon: (u64, u64),
    pub floor: u64,
}

impl Ledger {
    /// Takes up what was synced.
    pub fn advance(&mut self, synced: Synced) {
        self.segments.extend(synced.opened);
        for (sequence, partition) in synced.outcomes {
            self.unacked[partition as usize].push_back(sequence);
            self.last = sequence;
        }
        self.horizon = Some(synced.horizon);
        self.floor = Some(synced.floor);
    }

    /// Takes an acknowledgement; one from the past changes nothing. Returns whether something moved.
    pub fn acked(&mut self, partition: usize, applied: u64) -> bool {
        if applied <= self.acked[partition] {
            return false;
        }
        self.acked[partition] = applied;
        let waiting = &mut self.unacked[partition];
        let done = waiting.partition_point(|sequence| *sequence <= applied);
        waiting.drain(..done);
        true
    }

    /// The first outcome that waits for its acknowledgement.
    pub fn oldest_unacked(&self) -> Option<u64> {
        self.unacked.iter().filter_map(|waiting| waiting.front().copied()).min()
    }

    /// The first outcome that is still here, or will be.
    pub fn first_kept(&self) -> u64 {
        self.segments.front().map_or(self.last + 1, |segment| segment.chain.next_sequence)
    }

    /// The last outcome of the segment at an index.
    fn last_of(&self, index: usize) -> u64 {
        self.segments.get(index + 1).map_or(self.last, |next| next.chain.next_sequence - 1)
    }

    /// Notes which segments hold nothing any more that must be shipped. Returns how many from the front, and of these
    /// how many never held an outcome.
    fn settled(&mut self, now: Instant) -> (usize, usize) {
        let oldest = self.oldest_unacked();
        let mut settled = 0;
        let mut empty = 0;
        while let Some(segment) = self.segments.get(settled) {
            let last = self.last_of(settled);
            let must_stay = self.floor.is_some_and(|floor| segment.number >= floor);
            if must_stay || oldest.is_some_and(|oldest| oldest <= last) {
                break;
            }
            let holds_none = segment.chain.next_sequence > last;
            empty += usize::from(holds_none && empty == settled);
            self.segments[settled].acked_since.get_or_insert(now);
            settled += 1;
        }
        (settled, empty)
    }

    /// Bytes that only retention keeps.
    pub fn retained(&mut self, now: Instant) -> u64 {
        let (settled, _) = self.settled(now);
        self.segments.iter().take(settled).map(|segment| segment.size).sum()
    }

    /// The first segment, taken out, if it may go: it never held an outcome, or all before its end was acknowledged and
    /// `expired` says of the time since then that it is over.
    pub fn take_settled(&mut self, now: Instant, expired: impl Fn(Instant) -> bool) -> Option<Segment> {
        let (settled, empty) = self.settled(now);
        let since = self.segments.front()?.acked_since?;
        (settled > 0 && (empty > 0 || expired(since))).then(|| self.segments.pop_front()).flatten()
    }
}
