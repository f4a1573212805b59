//! The spool of a process: its lanes, the epochs of processes before it, what they hold together and what may go.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use proto::rules::ids::Epoch;
use tokio::sync::Notify;

use crate::{
    Error, Full, Lane, OldEpoch, Record,
    fs::{Disk, Fs, Lock},
    ledger::{Ledger, Source},
    syncer,
    writer::Open,
};

/// Name of an epoch's lock file.
const LOCK: &str = "lock";

/// How much, and for how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes on disk at which intents are refused.
    pub max_bytes: u64,
    /// Bytes of one segment; at least 64 KiB.
    pub segment_bytes: u64,
    /// How long what was acknowledged is kept, for a store that loses a tail in a failover.
    pub retain_acked: Duration,
    /// Most bytes kept for that reason alone.
    pub retain_bytes: u64,
    /// How long after a write it is synced; none: only by [`Spool::sync`], for tests on a simulated disk.
    pub sync_after: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_bytes: 1 << 30,
            segment_bytes: 4 << 20,
            retain_acked: Duration::from_hours(24),
            retain_bytes: 256 << 20,
            sync_after: Some(Duration::from_millis(8)),
        }
    }
}

/// What lanes, old epochs and the spool share.
pub struct Shared {
    pub fs: Arc<dyn Fs>,
    pub options: Options,
    pub bytes: AtomicU64,
    pub sources: Mutex<BTreeMap<Epoch, Arc<Source>>>,
    pub wake: Notify,
    folder: PathBuf,
}

/// The spool of a process.
pub struct Spool {
    shared: Arc<Shared>,
    lanes: Mutex<Vec<Weak<Lane>>>,
    tags: AtomicU64,
}

impl Spool {
    /// Opens the spool in a folder, made if need be (`<data-dir>/spool`), with the epochs that processes before this
    /// one have left. Each of those ships once its unfinished intents were recovered and it was sealed.
    ///
    /// # Errors
    /// [`Error::Io`]. An old epoch that cannot be read is logged and left alone.
    pub fn open(folder: &Path, options: Options) -> Result<(Arc<Self>, Vec<OldEpoch>), Error> {
        Self::open_on(Arc::new(Disk), folder, options)
    }

    /// Likewise, on a given file system.
    ///
    /// # Errors
    /// Likewise.
    pub fn open_on(
        fs: Arc<dyn Fs>,
        folder: &Path,
        options: Options,
    ) -> Result<(Arc<Self>, Vec<OldEpoch>), Error> {
        fs.create_folder(folder).map_err(Error::io("create", folder))?;
        let options = Options { segment_bytes: options.segment_bytes.max(64 * 1024), ..options };
        let shared = Arc::new(Shared {
            fs,
            options,
            bytes: AtomicU64::new(0),
            sources: Mutex::new(BTreeMap::new()),
            wake: Notify::new(),
            folder: folder.to_owned(),
        });
        let spool = Arc::new(Self { shared, lanes: Mutex::new(Vec::new()), tags: AtomicU64::new(1) });
        let old = spool.adopt()?;
        Ok((spool, old))
    }

    /// Epochs in the folder that nobody holds: of processes before this one, also of one that shared the folder and has
    /// ended since. To be asked again from time to time.
    ///
    /// # Errors
    /// [`Error::Io`] for the folder itself.
    pub fn adopt(&self) -> Result<Vec<OldEpoch>, Error> {
        let folder = &self.shared.folder;
        let mut found = Vec::new();
        for name in self.shared.fs.list(folder).map_err(Error::io("list", folder))? {
            if self.shared.sources.lock().contains_key(name.as_str()) {
                continue;
            }
            let (epoch, path) = (Epoch::new(name.as_str()), folder.join(&name));
            let old = self.lock(&path).and_then(|lock| {
                lock.map(|lock| OldEpoch::open(&self.shared, epoch, path.clone(), lock)).transpose()
            });
            match old {
                Ok(old) => found.extend(old),
                // Its holder has just removed it.
                Err(error) if error.is_absent() => {}
                Err(error) => tracing::error!(%error, "an old epoch of the spool is left alone"),
            }
        }
        Ok(found)
    }

    fn lock(&self, folder: &Path) -> Result<Option<Box<dyn Lock>>, Error> {
        self.shared.fs.lock(&folder.join(LOCK)).map_err(Error::io("lock", folder))
    }

    /// A lane of its own for one worker, under a new epoch.
    ///
    /// # Errors
    /// [`Error::Full`] when there is no room for a first segment; [`Error::Io`].
    pub fn lane(&self) -> Result<Arc<Lane>, Error> {
        let (epoch, folder, lock) = self.new_epoch()?;
        let ledger = Mutex::new(Ledger::default());
        let source = Arc::new(Source {
            epoch,
            folder: folder.clone(),
            ledger,
            appended: AtomicU64::new(0),
            _lock: lock,
        });
        let first = self.shared.allocate(&source, 1)?;
        let tag = self.tags.fetch_add(1, Ordering::Relaxed);
        let lane = Lane::new(Arc::clone(&self.shared), Arc::clone(&source), first, tag);
        let lane = Arc::new(lane.map_err(Error::io("begin", &folder))?);
        if let Some(after) = self.shared.options.sync_after {
            syncer::start(&lane, after).map_err(Error::io("start the syncer of", &folder))?;
        }
        self.shared.sources.lock().insert(source.epoch.clone(), source);
        self.lanes.lock().push(Arc::downgrade(&lane));
        Ok(lane)
    }

    fn new_epoch(&self) -> Result<(Epoch, PathBuf, Box<dyn Lock>), Error> {
        // A process that looks for old epochs may lock or even remove a new one before its owner has locked it.
        let mut tries = 0;
        loop {
            let mut random = [0; 16];
            getrandom::fill(&mut random)
                .map_err(|_| io::Error::other("no randomness"))
                .map_err(Error::io("name an epoch in", &self.shared.folder))?;
            let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
            let folder = self.shared.folder.join(&name);
            self.shared.fs.create_folder(&folder).map_err(Error::io("create", &folder))?;
            tries += 1;
            match self.lock(&folder) {
                Ok(Some(lock)) => {
                    let parent = &self.shared.folder;
                    self.shared.fs.sync_folder(parent).map_err(Error::io("sync", parent))?;
                    return Ok((name.into(), folder, lock));
                }
                Err(error) if !error.is_absent() || tries > 8 => return Err(error),
                _ if tries > 8 => return Err(Error::NoEpoch(name.into())),
                _ => {}
            }
        }
    }

    /// Epochs that have something to ship, or may have.
    pub fn sources(&self) -> Vec<Epoch> {
        self.shared.sources.lock().keys().cloned().collect()
    }

    fn source(&self, epoch: &Epoch) -> Result<Arc<Source>, Error> {
        self.shared.sources.lock().get(epoch).cloned().ok_or_else(|| Error::NoEpoch(epoch.clone()))
    }

    /// Outcomes of an epoch after a sequence that are synced and wait for their acknowledgement: at most so many, and
    /// so many bytes of payload (but at least one, if there is any).
    ///
    /// # Errors
    /// [`Error::NoEpoch`] when it is gone; [`Error::Io`].
    pub fn read(
        &self,
        epoch: &Epoch,
        after: u64,
        records: usize,
        bytes: usize,
    ) -> Result<Vec<Record>, Error> {
        self.source(epoch)?.read(self.shared.fs.as_ref(), after, records, bytes)
    }

    /// Whether an epoch has synced outcomes after a sequence that wait for their acknowledgement. Costs next to nothing.
    pub fn pending(&self, epoch: &Epoch, after: u64) -> bool {
        let Ok(source) = self.source(epoch) else { return false };
        let ledger = source.ledger.lock();
        ledger.unacked.iter().any(|waiting| waiting.back().is_some_and(|last| *last > after))
    }

    /// Takes an acknowledgement: all of a partition up to a sequence is applied. One that says less than an earlier
    /// one changes nothing.
    pub fn acked(&self, epoch: &Epoch, partition: u32, applied: u64) {
        if let (Ok(source), true) = (self.source(epoch), partition < proto::rules::usage::PARTITIONS) {
            source.ledger.lock().acked(partition as usize, applied);
        }
    }

    /// Takes the store's word for how far a partition was applied, also when it has lost some: what it lost waits
    /// again. Returns whether it did. Reads what is kept, so it may take a while.
    ///
    /// # Errors
    /// [`Error::NoEpoch`]; [`Error::Io`].
    pub fn compare(&self, epoch: &Epoch, partition: u32, applied: u64) -> Result<bool, Error> {
        if partition >= proto::rules::usage::PARTITIONS {
            return Ok(false);
        }
        self.source(epoch)?.compare(self.shared.fs.as_ref(), partition as usize, applied)
    }

    /// How far the store has applied each partition of an epoch, as far as it has said.
    pub fn applied(&self, epoch: &Epoch) -> Option<[u64; proto::rules::usage::PARTITIONS as usize]> {
        self.source(epoch).ok().map(|source| source.ledger.lock().acked)
    }

    /// Records that were not acknowledged.
    pub fn lag(&self) -> u64 {
        self.shared.sources.lock().values().map(|source| source.lag()).sum()
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Told when there is something new to ship.
    pub fn wake(&self) -> &Notify {
        &self.shared.wake
    }

    /// Whether a lane takes no intents because the disk failed.
    pub fn broken(&self) -> bool {
        self.lanes.lock().iter().filter_map(Weak::upgrade).any(|lane| lane.broken())
    }

    /// Syncs all lanes now: before a process ends, and in tests.
    ///
    /// # Errors
    /// What the disk says.
    pub fn sync(&self) -> io::Result<()> {
        let lanes: Vec<_> = self.lanes.lock().iter().filter_map(Weak::upgrade).collect();
        lanes.iter().try_for_each(|lane| lane.sync())
    }

    /// Removes what was acknowledged and has been kept long enough. To be called from time to time.
    ///
    /// # Errors
    /// [`Error::Io`]; what is left is tried again.
    pub fn sweep(&self, now: Instant) -> Result<(), Error> {
        self.shared.sweep(now, 0)
    }
}

impl Shared {
    /// Sets a segment aside: the file, its room, and its name are safe when this returns.
    pub fn allocate(&self, source: &Source, number: u64) -> Result<Open, Full> {
        let size = self.options.segment_bytes;
        if self.bytes.fetch_add(size, Ordering::Relaxed) + size > self.options.max_bytes {
            // Before a request is refused, what is only kept for a failover goes.
            let swept = self.sweep(Instant::now(), size);
            if swept.is_err() || self.bytes.load(Ordering::Relaxed) > self.options.max_bytes {
                self.bytes.fetch_sub(size, Ordering::Relaxed);
                return Err(Full::Cap { max_bytes: self.options.max_bytes });
            }
        }
        let path = source.segment(number);
        let made = self.fs.create(&path).and_then(|file| {
            let room = file
                .allocate(size)
                .and_then(|()| file.sync())
                .and_then(|()| self.fs.sync_folder(&source.folder));
            room.map(|()| file).inspect_err(|_| drop(self.fs.remove(&path)))
        });
        match made {
            Ok(file) => Ok(Open { number, size, file }),
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "the disk has no room for the spool");
                self.bytes.fetch_sub(size, Ordering::Relaxed);
                Err(Full::Disk)
            }
        }
    }

    /// Removes what may go; `needed` bytes below the cap even before its time.
    fn sweep(&self, now: Instant, needed: u64) -> Result<(), Error> {
        let sources: Vec<_> = self.sources.lock().values().cloned().collect();
        let mut retained: u64 = sources.iter().map(|source| source.ledger.lock().retained(now)).sum();
        for source in sources {
            loop {
                let pressed = needed > 0 && self.bytes.load(Ordering::Relaxed) > self.options.max_bytes;
                let early = pressed || retained > self.options.retain_bytes;
                let expired =
                    |since| early || now.saturating_duration_since(since) >= self.options.retain_acked;
                let Some(segment) = source.ledger.lock().take_settled(now, expired) else { break };
                let path = source.segment(segment.number);
                self.fs.remove(&path).map_err(Error::io("remove", &path))?;
                // In order also across a power cut: an outcome must not go before the intents that it closes.
                self.fs.sync_folder(&source.folder).map_err(Error::io("sync", &source.folder))?;
                self.bytes.fetch_sub(segment.size, Ordering::Relaxed);
                retained = retained.saturating_sub(segment.size);
            }
            self.forget_if_empty(&source)?;
        }
        Ok(())
    }

    /// Removes the folder of an old epoch that holds nothing any more.
    fn forget_if_empty(&self, source: &Arc<Source>) -> Result<(), Error> {
        let (sealed, empty) = {
            let ledger = source.ledger.lock();
            (ledger.horizon.is_none(), ledger.segments.is_empty())
        };
        if !(sealed && empty) {
            return Ok(());
        }
        let lock = source.folder.join(LOCK);
        self.fs.remove(&lock).map_err(Error::io("remove", &lock))?;
        self.fs.remove_folder(&source.folder).map_err(Error::io("remove", &source.folder))?;
        self.sources.lock().remove(&source.epoch);
        Ok(())
    }
}
