//! The writing half of a lane: one small `write(2)` for an intent and one for its outcome, into room set aside before.
//!
//! Invariant: what is left of the active segment and of the spare ones holds all outcomes that are owed, each at its
//! largest, also when the end of each segment is left over. It is checked when an intent is taken, and nowhere else.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, atomic::Ordering},
};

use parking_lot::Mutex;
use proto::rules::ids::Epoch;

use crate::{
    Full, Intent, Payload,
    fs::SpoolFile,
    intent::{NOTE_ROOM, OUTCOME_ROOM},
    ledger::{Segment, Source, Synced},
    record::{self, Kind, MAX_ENTRY},
    segment::{self, Chain, HEADER},
    spool::Shared,
    syncer::Signal,
};

/// One worker's part of the spool. It belongs to one thread, so that its lock is never waited for; settling from a
/// `Drop` on another thread is allowed all the same.
pub struct Lane {
    pub(crate) shared: Arc<Shared>,
    pub(crate) source: Arc<Source>,
    pub(crate) signal: Arc<Signal>,
    tag: u64,
    state: Mutex<State>,
    /// Held while syncing, so that syncs follow each other.
    syncing: Mutex<()>,
    /// Held while a spare segment is made.
    growing: Mutex<()>,
}

/// A segment that is written or will be.
pub(crate) struct Open {
    pub number: u64,
    pub size: u64,
    pub file: Arc<dyn SpoolFile>,
}

/// A write that the disk refused, to be tried again at its place.
struct Stuck {
    file: Arc<dyn SpoolFile>,
    offset: u64,
    bytes: Vec<u8>,
}

struct State {
    epoch: Epoch,
    active: Open,
    tail: u64,
    seed: u32,
    spares: VecDeque<Open>,
    next_number: u64,
    /// Bytes owed to outcomes and notes of open intents.
    owed: u64,
    chain: Chain,
    /// Open intents by the segment in which they stand.
    open: BTreeMap<u64, u32>,
    stuck: Vec<Stuck>,
    /// A sync failed: what is on disk is not known any more.
    broken: bool,
    dirty: bool,
    /// Since the last sync: segments left, segments begun, outcomes written.
    left: Vec<Arc<dyn SpoolFile>>,
    begun: Vec<Segment>,
    outcomes: Vec<(u64, u32)>,
    buffer: Vec<u8>,
}

impl Lane {
    pub(crate) fn new(shared: Arc<Shared>, source: Arc<Source>, first: Open, tag: u64) -> io::Result<Self> {
        let chain = Chain::default();
        first.file.write_at(&segment::encode_header(first.number, &chain), 0)?;
        first.file.sync()?;
        let begun =
            Segment { number: first.number, size: first.size, chain: chain.clone(), acked_since: None };
        source.ledger.lock().advance(Synced {
            opened: vec![begun],
            outcomes: Vec::new(),
            horizon: (first.number, HEADER),
            floor: first.number,
        });
        let state = State {
            epoch: source.epoch.clone(),
            seed: segment::seed(source.epoch.as_str(), first.number),
            next_number: first.number + 1,
            active: first,
            tail: HEADER,
            spares: VecDeque::new(),
            owed: 0,
            chain,
            open: BTreeMap::new(),
            stuck: Vec::new(),
            broken: false,
            dirty: false,
            left: Vec::new(),
            begun: Vec::new(),
            outcomes: Vec::new(),
            buffer: Vec::new(),
        };
        let signal = Arc::new(Signal::default());
        let (syncing, growing) = (Mutex::new(()), Mutex::new(()));
        Ok(Self { shared, source, signal, tag, state: Mutex::new(state), syncing, growing })
    }

    /// The epoch under which this lane's records ship.
    pub fn epoch(&self) -> &Epoch {
        &self.source.epoch
    }

    /// Writes an intent and sets its outcome's room aside. When this returns, the kernel has it.
    ///
    /// # Errors
    /// [`Full`]; nothing is owed then.
    pub fn intent(&self, payload: Payload<'_>) -> Result<Intent, Full> {
        let mut tries = 0;
        loop {
            let mut state = self.state.lock();
            if let Some(intent) = state.intent(self.tag, payload)? {
                let low = state.free() < self.shared.options.segment_bytes / 4;
                drop(state);
                self.signal.written(low);
                return Ok(intent);
            }
            drop(state);
            // Another thread may take what was made; after a few rounds the request is refused instead.
            tries += 1;
            if tries > 4 {
                return Err(Full::Disk);
            }
            self.grow(true)?;
        }
    }

    /// Writes down what became known of an attempt, for the case that no outcome follows. An intent's first 2 KiB of
    /// notes always have room.
    ///
    /// # Errors
    /// [`Full`]: the note is not written, all else stands.
    pub fn note(&self, intent: &mut Intent, payload: Payload<'_>) -> Result<(), Full> {
        let size = record::framed(record::ID + payload.bytes().len());
        let mut state = self.state.lock();
        if size <= intent.note_room {
            intent.note_room -= size;
            state.owed -= size;
        } else if size > state.free() {
            return Err(Full::Disk);
        }
        state.put(Kind::Note, &[&intent.id.to_le_bytes(), payload.bytes()])?;
        drop(state);
        self.signal.written(false);
        Ok(())
    }

    /// Writes the outcome of intents of this lane, at most 64, and gives its sequence. Its room was set aside, so it
    /// cannot fail: a write that the disk refuses all the same is kept and tried again. Without intents nothing is
    /// owed and nothing written, and the sequence is 0.
    pub fn outcome(&self, partition: u32, intents: Vec<Intent>, payload: Payload<'_>) -> u64 {
        let partition = partition % proto::rules::usage::PARTITIONS;
        let mut intents = intents;
        let all = intents.len();
        intents.retain(|intent| intent.lane == self.tag);
        intents.truncate(record::MAX_INTENTS);
        if intents.is_empty() || intents.len() < all {
            tracing::error!(
                given = all,
                closed = intents.len(),
                "an outcome was given intents that it cannot close"
            );
        }
        if intents.is_empty() {
            return 0;
        }
        let mut state = self.state.lock();
        let sequence = state.chain.next_sequence;
        let head = record::outcome_head(sequence, partition, intents.iter().map(|intent| intent.id));
        state.owed -= intents.iter().map(|intent| OUTCOME_ROOM + intent.note_room).sum::<u64>();
        if let Err(error) = state.put(Kind::Outcome, &[&head, payload.bytes()]) {
            tracing::error!(%error, "an outcome found no room, although it was set aside");
        }
        state.settle(sequence, partition, &intents);
        drop(state);
        self.source.appended.store(sequence, Ordering::Relaxed);
        self.signal.written(false);
        sequence
    }

    /// Makes what was written safe, and lets it ship.
    ///
    /// # Errors
    /// What the disk says. The lane takes no intents from then on when what is on disk is not known any more.
    pub fn sync(&self) -> io::Result<()> {
        let _alone = self.syncing.lock();
        let (files, synced) = {
            let mut state = self.state.lock();
            state.retry()?;
            if !state.dirty {
                return Ok(());
            }
            if state.broken {
                return Err(io::Error::other("an earlier sync failed"));
            }
            state.take_unsynced()
        };
        for file in files {
            if let Err(error) = file.sync() {
                self.state.lock().broken = true;
                return Err(error);
            }
        }
        let news = !synced.outcomes.is_empty();
        self.source.ledger.lock().advance(synced);
        if news {
            self.shared.wake.notify_one();
        }
        Ok(())
    }

    /// Whether it takes intents no more because the disk failed.
    pub fn broken(&self) -> bool {
        let state = self.state.lock();
        state.broken || !state.stuck.is_empty()
    }

    /// Makes a spare segment if room is short. `now`: the caller has an intent that waits for it.
    pub(crate) fn grow(&self, now: bool) -> Result<(), Full> {
        let _alone = self.growing.lock();
        let number = {
            let mut state = self.state.lock();
            if !now && state.free() >= self.shared.options.segment_bytes / 4 {
                return Ok(());
            }
            state.next_number += 1;
            state.next_number - 1
        };
        let spare = self.shared.allocate(&self.source, number)?;
        self.state.lock().spares.push_back(spare);
        Ok(())
    }
}

impl State {
    /// Room that is not owed.
    fn free(&self) -> u64 {
        let usable = |left: u64| left.saturating_sub(MAX_ENTRY);
        let spares: u64 = self.spares.iter().map(|spare| usable(spare.size - HEADER)).sum();
        (usable(self.active.size - self.tail) + spares).saturating_sub(self.owed)
    }

    /// Takes an intent; `None` when there is no room for it and what it will owe.
    fn intent(&mut self, lane: u64, payload: Payload<'_>) -> Result<Option<Intent>, Full> {
        if self.broken || !self.stuck.is_empty() {
            return Err(Full::Broken);
        }
        let size = record::framed(record::ID + payload.bytes().len());
        if size + OUTCOME_ROOM + NOTE_ROOM > self.free() {
            return Ok(None);
        }
        let id = self.chain.next_intent;
        self.put(Kind::Intent, &[&id.to_le_bytes(), payload.bytes()])?;
        if !self.stuck.is_empty() {
            // The kernel does not have it, so the attempt must not be made. Its bytes may still come to the disk; its
            // number is not given again.
            self.chain.next_intent += 1;
            return Err(Full::Broken);
        }
        self.chain.next_intent += 1;
        self.owed += OUTCOME_ROOM + NOTE_ROOM;
        let segment = self.active.number;
        *self.open.entry(segment).or_default() += 1;
        Ok(Some(Intent { id, segment, lane, note_room: NOTE_ROOM }))
    }

    fn settle(&mut self, sequence: u64, partition: u32, intents: &[Intent]) {
        self.chain.next_sequence = sequence + 1;
        self.chain.previous[partition as usize] = sequence;
        self.outcomes.push((sequence, partition));
        for intent in intents {
            if let Some(open) = self.open.get_mut(&intent.segment) {
                *open -= 1;
                if *open == 0 {
                    self.open.remove(&intent.segment);
                }
            }
        }
    }

    /// Writes an entry at the tail, in the next segment if it does not fit.
    fn put(&mut self, kind: Kind, body: &[&[u8]]) -> Result<(), Full> {
        let size = record::framed(body.iter().map(|part| part.len()).sum());
        if self.tail + size > self.active.size {
            let next = self.spares.pop_front().ok_or(Full::Disk)?;
            let left = std::mem::replace(&mut self.active, next);
            self.left.push(left.file);
            self.seed = segment::seed(self.epoch.as_str(), self.active.number);
            let (number, size) = (self.active.number, self.active.size);
            self.begun.push(Segment { number, size, chain: self.chain.clone(), acked_since: None });
            let header = segment::encode_header(number, &self.chain).to_vec();
            self.write(header, 0);
            self.tail = HEADER;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        record::encode(&mut buffer, self.seed, self.tail, kind, body);
        let offset = self.tail;
        self.tail += buffer.len() as u64;
        self.buffer = self.write(buffer, offset);
        Ok(())
    }

    /// Writes, or keeps what the disk refuses, and then all that follows, so that no entry stands behind a hole.
    /// Gives the buffer back if it can be used again.
    fn write(&mut self, bytes: Vec<u8>, offset: u64) -> Vec<u8> {
        self.dirty = true;
        if self.stuck.is_empty() {
            match self.active.file.write_at(&bytes, offset) {
                Ok(()) => return bytes,
                Err(error) => {
                    tracing::error!(%error, "a write to the spool failed; it is kept and tried again")
                }
            }
        }
        self.stuck.push(Stuck { file: Arc::clone(&self.active.file), offset, bytes });
        Vec::new()
    }

    fn retry(&mut self) -> io::Result<()> {
        while let Some(stuck) = self.stuck.first() {
            stuck.file.write_at(&stuck.bytes, stuck.offset)?;
            self.stuck.remove(0);
        }
        Ok(())
    }

    fn take_unsynced(&mut self) -> (Vec<Arc<dyn SpoolFile>>, Synced) {
        self.dirty = false;
        let mut files = std::mem::take(&mut self.left);
        files.push(Arc::clone(&self.active.file));
        let floor =
            self.open.keys().next().map_or(self.active.number, |open| (*open).min(self.active.number));
        let synced = Synced {
            opened: std::mem::take(&mut self.begun),
            outcomes: std::mem::take(&mut self.outcomes),
            horizon: (self.active.number, self.tail),
            floor,
        };
        (files, synced)
    }
}
