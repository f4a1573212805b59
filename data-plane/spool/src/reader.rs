//! Reading outcomes back, for shipping: in big pieces, from a remembered place, only what is synced and waits.

use std::{collections::BTreeMap, ops::ControlFlow, path::Path, sync::Arc};

use proto::rules::usage::PARTITIONS;

use crate::{
    Error,
    fs::{Fs, SpoolFile},
    ledger::{Cursor, Ledger, Segment, Source},
    record::{self, Entry},
    segment::{HEADER, Scanner, seed},
};

/// An outcome on its way to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in its epoch.
    pub sequence: u64,
    /// Where it is counted.
    pub partition: u32,
    /// The outcome before it in that partition that the store can have; 0: none.
    pub previous: u64,
    /// What the caller wrote.
    pub payload: Vec<u8>,
}

/// An outcome as the walk meets it.
struct Met<'a> {
    sequence: u64,
    partition: u32,
    previous: u64,
    payload: &'a [u8],
}

impl Source {
    /// Outcomes after a sequence that wait for their acknowledgement: as many as fit, at least one if there is any.
    pub fn read(&self, fs: &dyn Fs, after: u64, records: usize, bytes: usize) -> Result<Vec<Record>, Error> {
        let (mut place, first_kept, acked, horizon) = {
            let ledger = self.ledger.lock();
            (ledger.place(after), ledger.first_kept(), ledger.acked, ledger.horizon)
        };
        let mut found: Vec<Record> = Vec::new();
        let mut size = 0;
        self.walk(fs, &mut place, horizon, |met| {
            if met.sequence <= after || met.sequence <= acked[met.partition as usize] {
                return ControlFlow::Continue(());
            }
            // What came before and is not kept, or cannot be read any more, is either applied already or lost for good:
            // the store must be able to go on from what it has.
            let applied = acked[met.partition as usize];
            let previous = if met.previous < first_kept.max(applied) { applied } else { met.previous };
            let (sequence, partition) = (met.sequence, met.partition);
            size += met.payload.len();
            found.push(Record { sequence, partition, previous, payload: met.payload.to_vec() });
            if found.len() >= records || size >= bytes {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        if let Some(mut cursor) = place {
            cursor.after = found.last().map_or(after, |record| record.sequence);
            let mut ledger = self.ledger.lock();
            // An acknowledgement taken back meanwhile makes the remembered place wrong.
            if ledger.acked.iter().zip(&acked).all(|(now, then)| now >= then) {
                ledger.cursor = Some(cursor);
            }
        }
        Ok(found)
    }

    /// Takes the store's word for how far a partition was applied, also when that is less than it once said: what it
    /// has lost waits again. Returns whether it was less.
    pub fn compare(&self, fs: &dyn Fs, partition: usize, applied: u64) -> Result<bool, Error> {
        let (mut place, horizon) = {
            let mut ledger = self.ledger.lock();
            if applied >= ledger.acked[partition] {
                ledger.acked(partition, applied);
                return Ok(false);
            }
            ledger.cursor = None;
            (ledger.place(applied), ledger.horizon)
        };
        let mut lost = Vec::new();
        self.walk(fs, &mut place, horizon, |met| {
            if met.partition as usize == partition && met.sequence > applied {
                lost.push(met.sequence);
            }
            ControlFlow::Continue(())
        })?;
        let mut ledger = self.ledger.lock();
        let waiting = &mut ledger.unacked[partition];
        let first = waiting.front().copied().unwrap_or(u64::MAX);
        for sequence in lost.into_iter().rev().filter(|sequence| *sequence < first) {
            waiting.push_front(sequence);
        }
        ledger.acked[partition] = applied;
        ledger.segments.iter_mut().for_each(|segment| segment.acked_since = None);
        Ok(true)
    }

    /// Goes over outcomes from a place to the horizon, and leaves the place where it stopped.
    fn walk(
        &self,
        fs: &dyn Fs,
        place: &mut Option<Cursor>,
        horizon: Option<(u64, u64)>,
        mut visit: impl FnMut(Met<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let Some(at) = place else { return Ok(()) };
        loop {
            if let Some(file) = self.open(fs, at.segment)? {
                let path = self.segment(at.segment);
                let end = match horizon {
                    Some((segment, offset)) if segment == at.segment => offset,
                    _ => file.length().map_err(Error::io("measure", &path))?,
                };
                let mut scanner = Scanner::new(file, seed(self.epoch.as_str(), at.segment), at.offset, end);
                while let Some(entry) = scanner.next_entry().map_err(Error::io("read", &path))? {
                    let Entry::Outcome { sequence, partition, payload, .. } = entry else { continue };
                    let previous = std::mem::replace(&mut at.previous[partition as usize], sequence);
                    if visit(Met { sequence, partition, previous, payload }).is_break() {
                        at.offset = scanner.position();
                        return Ok(());
                    }
                }
                at.offset = scanner.position();
            }
            if horizon.is_some_and(|(segment, _)| segment <= at.segment) {
                return Ok(());
            }
            match self.ledger.lock().segments.iter().find(|segment| segment.number > at.segment) {
                Some(next) => (at.segment, at.offset) = (next.number, HEADER),
                None => return Ok(()),
            }
        }
    }

    /// A segment's file; `None` when the sweep has just taken it.
    fn open(&self, fs: &dyn Fs, number: u64) -> Result<Option<Arc<dyn SpoolFile>>, Error> {
        let path = self.segment(number);
        match fs.open(&path).map_err(Error::io("open", &path)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Ledger {
    /// Where reading after a sequence begins.
    fn place(&self, after: u64) -> Option<Cursor> {
        let begins = self.segments.partition_point(|segment| segment.chain.next_sequence <= after + 1);
        let segment: &Segment = self.segments.get(begins.saturating_sub(1))?;
        if let Some(cursor) = &self.cursor
            && cursor.after <= after
            && cursor.segment >= segment.number
        {
            return Some(cursor.clone());
        }
        Some(Cursor { after, segment: segment.number, offset: HEADER, previous: segment.chain.previous })
    }
}

/// What a segment's bytes hold, for tests, tools and fuzzing: takes any bytes without panic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspected {
    /// Whether the header is whole and of this release's version.
    pub header: bool,
    /// Payloads of intents, by number.
    pub intents: BTreeMap<u64, Vec<u8>>,
    /// Payloads of notes with the number of their intent, in order.
    pub notes: Vec<(u64, Vec<u8>)>,
    /// Outcomes, with the intents that they close.
    pub outcomes: Vec<(Record, Vec<u64>)>,
    /// Whether bytes were damaged.
    pub damaged: bool,
}

/// Reads a segment's bytes, given the epoch and the number that it belongs to.
///
/// # Errors
/// None for bytes in memory; the type is the file system's.
pub fn inspect(epoch: &str, number: u64, bytes: &[u8]) -> Result<Inspected, Error> {
    let file: Arc<dyn SpoolFile> = Arc::new(Memory(bytes.into()));
    let path = Path::new("memory");
    let header = crate::segment::read_header(file.as_ref()).map_err(Error::io("read", path))?;
    let mut found =
        Inspected { header: matches!(header, crate::segment::Header::Known(_)), ..Inspected::default() };
    let mut previous = [0; PARTITIONS as usize];
    let mut scanner = Scanner::new(file, seed(epoch, number), HEADER, bytes.len() as u64);
    while let Some(entry) = scanner.next_entry().map_err(Error::io("read", path))? {
        match entry {
            Entry::Intent { id, payload } => drop(found.intents.insert(id, payload.to_vec())),
            Entry::Note { id, payload } => found.notes.push((id, payload.to_vec())),
            Entry::Outcome { sequence, partition, intents, payload } => {
                let previous = std::mem::replace(&mut previous[partition as usize], sequence);
                let record = Record { sequence, partition, previous, payload: payload.to_vec() };
                found.outcomes.push((record, record::closed(intents).collect()));
            }
        }
    }
    found.damaged = scanner.lost > 0;
    Ok(found)
}

/// Bytes as a file that is only read.
struct Memory(Box<[u8]>);

impl SpoolFile for Memory {
    fn write_at(&self, _: &[u8], _: u64) -> std::io::Result<()> {
        Err(std::io::ErrorKind::ReadOnlyFilesystem.into())
    }
    fn read_at(&self, into: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
        let length = into.len().min(self.0.len() - from);
        into[..length].copy_from_slice(&self.0[from..from + length]);
        Ok(length)
    }
    fn allocate(&self, _: u64) -> std::io::Result<()> {
        Err(std::io::ErrorKind::ReadOnlyFilesystem.into())
    }
    fn cut(&self, _: u64) -> std::io::Result<()> {
        Err(std::io::ErrorKind::ReadOnlyFilesystem.into())
    }
    fn length(&self) -> std::io::Result<u64> {
        Ok(self.0.len() as u64)
    }
    fn sync(&self) -> std::io::Result<()> {
        Ok(())
    }
}
