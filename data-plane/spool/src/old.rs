//! Epochs of processes that are no more: read once, their unfinished intents made records of by the caller, then shipped
//! like any other. All of it can be broken off at any point and begun again.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use proto::rules::ids::Epoch;

use crate::{
    Error, Payload,
    fs::{Fs, Lock, SpoolFile},
    ledger::{Ledger, Segment, Source},
    record::{self, Entry, Kind},
    segment::{self, Chain, HEADER, Header, Scanner},
    spool::Shared,
};

/// An intent that has no outcome: its process was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Its number in its epoch.
    pub id: u64,
    /// What was written with it.
    pub payload: Vec<u8>,
    /// What was noted since, in order.
    pub notes: Vec<Vec<u8>>,
}

/// An epoch of a process that is no more, held under its lock. It ships once it is sealed; dropped before that, it is
/// found again by [`crate::Spool::adopt`].
pub struct OldEpoch {
    shared: Arc<Shared>,
    source: Source,
    chain: Chain,
    unfinished: BTreeMap<u64, Unfinished>,
    /// Entries that damage may have taken, at most.
    lost: u64,
    next_number: u64,
    /// The segment into which this process writes: never one that another has written.
    tail: Option<(Segment, Arc<dyn SpoolFile>, u64)>,
}

/// Smallest segment made for recovered records.
const RECOVERY_SEGMENT: u64 = 64 * 1024;

impl OldEpoch {
    /// Reads an epoch's folder, cuts what is torn and unused, and makes sure that what was read is safe on disk.
    pub(crate) fn open(
        shared: &Arc<Shared>,
        epoch: Epoch,
        folder: PathBuf,
        lock: Box<dyn Lock>,
    ) -> Result<Self, Error> {
        let mut old = Self {
            shared: Arc::clone(shared),
            source: Source {
                epoch,
                folder,
                ledger: Mutex::new(Ledger::default()),
                appended: AtomicU64::new(0),
                _lock: lock,
            },
            chain: Chain::default(),
            unfinished: BTreeMap::new(),
            lost: 0,
            next_number: 1,
            tail: None,
        };
        let fs = Arc::clone(&shared.fs);
        let names = fs.list(&old.source.folder).map_err(Error::io("list", &old.source.folder))?;
        for number in names.iter().filter_map(|name| segment::number_of(name)) {
            old.next_number = old.next_number.max(number + 1);
            old.read_segment(fs.as_ref(), number)?;
        }
        // The numbers of outcomes that were lost to damage may have been shipped: they are not given again.
        old.chain.next_sequence += old.lost;
        // A spare that was removed must not come back as the name of a segment that was written since.
        fs.sync_folder(&old.source.folder).map_err(Error::io("sync", &old.source.folder))?;
        Ok(old)
    }

    fn read_segment(&mut self, fs: &dyn Fs, number: u64) -> Result<(), Error> {
        let path = self.source.segment(number);
        let file = fs.open(&path).map_err(Error::io("open", &path))?;
        let length = file.length().map_err(Error::io("measure", &path))?;
        let first = self.source.ledger.get_mut().segments.is_empty();
        let header = segment::read_header(file.as_ref()).map_err(Error::io("read", &path))?;
        match &header {
            Header::Newer(version) => return Err(Error::Version { path, version: *version }),
            // Where the first segments are gone, only the header knows where the numbers stood.
            Header::Known(chain) if first => self.chain = chain.clone(),
            // Numbers that were given are not given again, even if what bore them cannot be read any more.
            Header::Known(chain) => {
                self.chain.next_sequence = self.chain.next_sequence.max(chain.next_sequence)
            }
            Header::Blank | Header::Damaged => {}
        }
        let begin = self.chain.clone();
        let seed = segment::seed(self.source.epoch.as_str(), number);
        let mut scanner = Scanner::new(Arc::clone(&file), seed, HEADER, length);
        while let Some(entry) = scanner.next_entry().map_err(Error::io("read", &path))? {
            take(entry, &mut self.chain, &mut self.unfinished, self.source.ledger.get_mut());
        }
        if scanner.lost > 0 {
            tracing::warn!(path = %path.display(), "a segment of the spool has damaged bytes; what is whole was kept");
        }
        let used = scanner.whole_until;
        if used == HEADER && header == Header::Blank {
            return fs.remove(&path).map_err(Error::io("remove", &path));
        }
        self.lost += scanner.lost;
        // What is damaged stays, so that whoever reads this again comes to the same.
        let used = if scanner.lost > 0 { length } else { used };
        if length > used {
            file.cut(used).map_err(Error::io("cut", &path))?;
        }
        file.sync().map_err(Error::io("sync", &path))?;
        let size = used;
        let ledger = self.source.ledger.get_mut();
        ledger.segments.push_back(Segment { number, size, chain: begin, acked_since: None });
        ledger.last = self.chain.next_sequence - 1;
        *self.source.appended.get_mut() = ledger.last;
        Ok(())
    }

    /// Its id.
    pub fn epoch(&self) -> &Epoch {
        &self.source.epoch
    }

    /// Intents without outcome, oldest first.
    pub fn unfinished(&self) -> Vec<Unfinished> {
        self.unfinished.values().cloned().collect()
    }

    /// Writes a record in place of the outcome that intents never got; gives its sequence.
    ///
    /// # Errors
    /// [`Error::Io`]; the intents are still unfinished then.
    pub fn recover(&mut self, partition: u32, intents: &[u64], payload: Payload<'_>) -> Result<u64, Error> {
        let partition = partition % proto::rules::usage::PARTITIONS;
        let intents = &intents[..intents.len().min(record::MAX_INTENTS)];
        let sequence = self.chain.next_sequence;
        let head = record::outcome_head(sequence, partition, intents.iter().copied());
        let size = record::framed(head.len() + payload.bytes().len());
        if self.tail.as_ref().is_none_or(|(segment, _, at)| at + size > segment.size) {
            self.begin_segment()?;
        }
        let Some((segment, file, at)) = &mut self.tail else {
            return Err(Error::NoEpoch(self.source.epoch.clone()));
        };
        let mut bytes = Vec::new();
        let seed = segment::seed(self.source.epoch.as_str(), segment.number);
        record::encode(&mut bytes, seed, *at, Kind::Recovered, &[&head, payload.bytes()]);
        let path = self.source.segment(segment.number);
        file.write_at(&bytes, *at).map_err(Error::io("write", &path))?;
        *at += size;
        self.chain.next_sequence += 1;
        self.chain.previous[partition as usize] = sequence;
        let ledger = self.source.ledger.get_mut();
        ledger.unacked[partition as usize].push_back(sequence);
        ledger.last = sequence;
        *self.source.appended.get_mut() = sequence;
        for id in intents {
            self.unfinished.remove(id);
        }
        Ok(sequence)
    }

    /// Syncs what was recovered, and lets the epoch ship.
    ///
    /// # Errors
    /// [`Error::Unfinished`] while intents have no outcome; [`Error::Io`]. It is found again later then.
    pub fn seal(mut self) -> Result<(), Error> {
        if !self.unfinished.is_empty() {
            return Err(Error::Unfinished(self.unfinished.len()));
        }
        self.finish_segment()?;
        let Self { shared, mut source, .. } = self;
        let bytes = source.ledger.get_mut().segments.iter().map(|segment| segment.size).sum();
        shared.bytes.fetch_add(bytes, Ordering::Relaxed);
        shared.sources.lock().insert(source.epoch.clone(), Arc::new(source));
        shared.wake.notify_one();
        Ok(())
    }

    fn begin_segment(&mut self) -> Result<(), Error> {
        self.finish_segment()?;
        let number = self.next_number;
        let path = self.source.segment(number);
        let file = self.shared.fs.create(&path).map_err(Error::io("create", &path))?;
        self.next_number += 1;
        file.allocate(RECOVERY_SEGMENT).map_err(Error::io("allocate", &path))?;
        file.write_at(&segment::encode_header(number, &self.chain), 0).map_err(Error::io("write", &path))?;
        file.sync().map_err(Error::io("sync", &path))?;
        self.shared.fs.sync_folder(&self.source.folder).map_err(Error::io("sync", &self.source.folder))?;
        let segment =
            Segment { number, size: RECOVERY_SEGMENT, chain: self.chain.clone(), acked_since: None };
        self.source.ledger.get_mut().segments.push_back(segment.clone());
        self.tail = Some((segment, file, HEADER));
        Ok(())
    }

    fn finish_segment(&mut self) -> Result<(), Error> {
        let Some((segment, file, used)) = &self.tail else { return Ok(()) };
        let path = self.source.segment(segment.number);
        file.cut(*used).map_err(Error::io("cut", &path))?;
        file.sync().map_err(Error::io("sync", &path))?;
        if let Some(last) = self.source.ledger.get_mut().segments.back_mut() {
            last.size = *used;
        }
        self.tail = None;
        Ok(())
    }
}

/// Takes up one entry of an epoch that is read from its beginning.
fn take(
    entry: Entry<'_>,
    chain: &mut Chain,
    unfinished: &mut BTreeMap<u64, Unfinished>,
    ledger: &mut Ledger,
) {
    match entry {
        Entry::Intent { id, payload } => {
            chain.next_intent = chain.next_intent.max(id + 1);
            unfinished.insert(id, Unfinished { id, payload: payload.to_vec(), notes: Vec::new() });
        }
        Entry::Note { id, payload } => {
            if let Some(intent) = unfinished.get_mut(&id) {
                intent.notes.push(payload.to_vec());
            }
        }
        Entry::Outcome { sequence, partition, intents, .. } => {
            for id in record::closed(intents) {
                unfinished.remove(&id);
            }
            chain.next_sequence = chain.next_sequence.max(sequence.saturating_add(1));
            chain.previous[partition as usize] = sequence;
            ledger.unacked[partition as usize].push_back(sequence);
        }
    }
}
