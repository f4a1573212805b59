//! A file system in memory that keeps what was synced apart from what was only written, and that can die at any call.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::fs::{Fs, Lock, SpoolFile};

/// What a disk writes at once or not at all.
const SECTOR: usize = 512;

/// Small, seeded, and the same everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9E37_79B9_7F4A_7C15)
    }
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound.max(1)
    }
    pub fn coin(&mut self) -> bool {
        self.next() >> 63 == 1
    }
}

enum Change {
    Write(usize, Vec<u8>),
    Resize(usize),
}

#[derive(Default)]
struct Node {
    data: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

struct World {
    folders: BTreeSet<PathBuf>,
    files: BTreeMap<PathBuf, usize>,
    durable_files: BTreeMap<PathBuf, usize>,
    nodes: Vec<Node>,
    locks: BTreeSet<PathBuf>,
    capacity: u64,
    /// Calls that change something until the process dies; none: it lives.
    fuse: Option<usize>,
    dead: bool,
    /// Which life this is: files opened in an earlier one reach nothing.
    life: u64,
    random: Random,
}

/// The simulated disk. Clones share it.
#[derive(Clone)]
pub struct Sim(Arc<Mutex<World>>);

struct Handle {
    sim: Sim,
    node: usize,
    life: u64,
}

struct Held {
    sim: Sim,
    path: PathBuf,
    life: u64,
}

fn killed() -> io::Error {
    io::Error::other("the process was killed")
}

impl World {
    fn used(&self) -> u64 {
        self.files.values().map(|node| self.nodes[*node].data.len() as u64).sum()
    }

    /// One call that changes something; `Err` when the process is dead, `Ok(true)` when it dies within this call.
    fn step(&mut self) -> io::Result<bool> {
        if self.dead {
            return Err(killed());
        }
        match &mut self.fuse {
            Some(0) => {
                self.dead = true;
                Ok(true)
            }
            Some(fuse) => {
                *fuse -= 1;
                Ok(false)
            }
            None => Ok(false),
        }
    }
}

impl Node {
    fn write(data: &mut Vec<u8>, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if data.len() < end {
            data.resize(end, 0);
        }
        data[offset..end].copy_from_slice(bytes);
    }
}

impl Sim {
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(World {
            folders: BTreeSet::new(),
            files: BTreeMap::new(),
            durable_files: BTreeMap::new(),
            nodes: Vec::new(),
            locks: BTreeSet::new(),
            capacity: u64::MAX,
            fuse: None,
            dead: false,
            life: 0,
            random: Random::new(seed),
        })))
    }

    /// The process dies after so many changing calls, within the next.
    pub fn light_fuse(&self, calls: usize) {
        self.0.lock().fuse = Some(calls);
    }

    pub fn dead(&self) -> bool {
        self.0.lock().dead
    }

    /// The disk has so much room beyond what is used.
    pub fn leave_room(&self, bytes: Option<u64>) {
        let mut world = self.0.lock();
        world.capacity = bytes.map_or(u64::MAX, |bytes| world.used() + bytes);
    }

    /// The process is gone; another may begin. `power`: so was the power.
    pub fn restart(&self, power: bool) {
        let world = &mut *self.0.lock();
        world.locks.clear();
        (world.fuse, world.dead) = (None, false);
        world.life += 1;
        if !power {
            return;
        }
        let paths: BTreeSet<_> = world.files.keys().chain(world.durable_files.keys()).cloned().collect();
        for path in paths {
            let (now, then) = (world.files.get(&path).copied(), world.durable_files.get(&path).copied());
            let kept = if now == then || world.random.coin() { now } else { then };
            match kept {
                Some(node) => drop(world.files.insert(path, node)),
                None => drop(world.files.remove(&path)),
            }
        }
        world.durable_files = world.files.clone();
        for node in &mut world.nodes {
            let mut data = std::mem::take(&mut node.durable);
            for change in node.pending.drain(..) {
                match change {
                    Change::Resize(length) if world.random.coin() => data.resize(length, 0),
                    Change::Write(offset, bytes) if world.random.coin() => {
                        Node::write(&mut data, &bytes, offset)
                    }
                    Change::Resize(_) | Change::Write(..) => {}
                }
            }
            node.durable = data.clone();
            node.data = data;
        }
    }

    /// Flips one bit of one file whose name ends so; gives the file.
    pub fn flip_a_bit(&self, ending: &str) -> Option<PathBuf> {
        let world = &mut *self.0.lock();
        let written = |node: &usize| world.nodes[*node].data.iter().any(|byte| *byte != 0);
        let named = |path: &Path| path.to_string_lossy().ends_with(ending);
        let files: Vec<_> = world.files.iter().filter(|(path, node)| named(path) && written(node)).collect();
        let (path, node) = files.get(world.random.below(files.len()))?;
        let (path, node) = ((*path).clone(), **node);
        // Where nothing was written there is nothing to lose.
        let used = world.nodes[node].data.iter().rposition(|byte| *byte != 0)? + 1;
        let bit = world.random.below(used * 8);
        let Node { data, durable, .. } = &mut world.nodes[node];
        for data in [data, durable].into_iter().filter(|data| data.len() > bit / 8) {
            data[bit / 8] ^= 1 << (bit % 8);
        }
        Some(path)
    }
}

impl Fs for Sim {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        world.step()?;
        world.folders.insert(path.to_owned());
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let world = self.0.lock();
        if world.dead {
            return Err(killed());
        }
        if !world.folders.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let here =
            world.folders.iter().chain(world.files.keys()).filter(|other| other.parent() == Some(path));
        Ok(here.filter_map(|other| other.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn SpoolFile>> {
        let mut world = self.0.lock();
        if world.step()? {
            return Err(killed());
        }
        if world.files.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        world.nodes.push(Node::default());
        let node = world.nodes.len() - 1;
        world.files.insert(path.to_owned(), node);
        Ok(Arc::new(Handle { sim: self.clone(), node, life: world.life }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn SpoolFile>> {
        let world = self.0.lock();
        let node = *world.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(Handle { sim: self.clone(), node, life: world.life }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        if world.step()? {
            return Err(killed());
        }
        world.files.remove(path).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        if world.step()? {
            return Err(killed());
        }
        assert!(!world.files.keys().any(|file| file.parent() == Some(path)), "the folder is not empty");
        world.folders.remove(path);
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let world = &mut *self.0.lock();
        if world.step()? {
            return Err(killed());
        }
        world.durable_files.retain(|file, _| file.parent() != Some(path));
        let here = world.files.iter().filter(|(file, _)| file.parent() == Some(path));
        world.durable_files.extend(here.map(|(file, node)| (file.clone(), *node)));
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let world = &mut *self.0.lock();
        if world.step()? {
            return Err(killed());
        }
        if !path.parent().is_some_and(|folder| world.folders.contains(folder)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if !world.files.contains_key(path) {
            world.nodes.push(Node::default());
            world.files.insert(path.to_owned(), world.nodes.len() - 1);
        }
        if !world.locks.insert(path.to_owned()) {
            return Ok(None);
        }
        Ok(Some(Box::new(Held { sim: self.clone(), path: path.to_owned(), life: world.life })))
    }
}

impl Lock for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        let mut world = self.sim.0.lock();
        if world.life == self.life {
            world.locks.remove(&self.path);
        }
    }
}

impl Handle {
    fn change<T>(&self, work: impl FnOnce(&mut World, bool) -> io::Result<T>) -> io::Result<T> {
        let world = &mut *self.sim.0.lock();
        if world.life != self.life {
            return Err(killed());
        }
        let dying = world.step()?;
        work(world, dying)
    }
}

impl SpoolFile for Handle {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.change(|world, dying| {
            // A kill within a write leaves a part of it.
            let length = if dying { world.random.below(bytes.len() + 1) } else { bytes.len() };
            let (node, mut at) = (&mut world.nodes[self.node], offset as usize);
            for part in bytes[..length].chunks(SECTOR) {
                Node::write(&mut node.data, part, at);
                node.pending.push(Change::Write(at, part.to_vec()));
                at += part.len();
            }
            if dying { Err(killed()) } else { Ok(()) }
        })
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let world = self.sim.0.lock();
        if world.life != self.life {
            return Err(killed());
        }
        let data = &world.nodes[self.node].data;
        let from = (offset as usize).min(data.len());
        let length = into.len().min(data.len() - from).min(1000);
        into[..length].copy_from_slice(&data[from..from + length]);
        Ok(length)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.change(|world, dying| {
            let more = length.saturating_sub(world.nodes[self.node].data.len() as u64);
            if world.used().saturating_add(more) > world.capacity {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let node = &mut world.nodes[self.node];
            let length = node.data.len().max(length as usize);
            node.data.resize(length, 0);
            node.pending.push(Change::Resize(length));
            if dying { Err(killed()) } else { Ok(()) }
        })
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.change(|world, dying| {
            let node = &mut world.nodes[self.node];
            node.data.truncate(length as usize);
            node.pending.push(Change::Resize(length as usize));
            if dying { Err(killed()) } else { Ok(()) }
        })
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.sim.0.lock().nodes[self.node].data.len() as u64)
    }

    fn sync(&self) -> io::Result<()> {
        self.change(|world, dying| {
            if dying {
                return Err(killed());
            }
            let node = &mut world.nodes[self.node];
            node.durable = node.data.clone();
            node.pending.clear();
            Ok(())
        })
    }
}
