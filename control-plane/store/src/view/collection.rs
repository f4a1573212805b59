//! Records of one kind in order of their ids, in chunks that copies share: a copy costs one pointer per chunk, a change
//! one chunk.

use std::sync::Arc;

use domain::Record;

use crate::change::Versioned;

/// Records in a chunk, at most.
const CHUNK: usize = 512;

type Chunk<R> = Vec<Arc<Versioned<R>>>;

/// All records of a kind, by id in ascending order, at one moment.
#[derive(Debug)]
pub struct Collection<R> {
    /// None is empty.
    chunks: Vec<Arc<Chunk<R>>>,
    len: usize,
}

impl<R> Clone for Collection<R> {
    fn clone(&self) -> Self {
        Self { chunks: self.chunks.clone(), len: self.len }
    }
}

impl<R> Default for Collection<R> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<R> Collection<R> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them, by ascending id.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Versioned<R>>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }
}

impl<R: Record> Collection<R> {
    /// One of them.
    pub fn get(&self, id: &str) -> Option<&Arc<Versioned<R>>> {
        let chunk = self.chunks.get(self.chunk_of(id)?)?;
        chunk.get(search(chunk, id).ok()?)
    }

    pub(super) fn from_sorted(records: impl Iterator<Item = Arc<Versioned<R>>>) -> Self {
        let (mut chunks, mut chunk, mut len) = (Vec::new(), Vec::with_capacity(CHUNK / 2), 0);
        for record in records {
            len += 1;
            chunk.push(record);
            if chunk.len() == CHUNK / 2 {
                chunks.push(Arc::new(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK / 2))));
            }
        }
        if !chunk.is_empty() {
            chunks.push(Arc::new(chunk));
        }
        Self { chunks, len }
    }

    pub(super) fn insert(&mut self, record: Arc<Versioned<R>>) {
        let Some(index) = self.chunk_of(record.value.id()) else {
            self.chunks.push(Arc::new(vec![record]));
            self.len += 1;
            return;
        };
        let chunk = Arc::make_mut(&mut self.chunks[index]);
        match search(chunk, record.value.id()) {
            Ok(place) => chunk[place] = record,
            Err(place) => {
                chunk.insert(place, record);
                self.len += 1;
                if chunk.len() > CHUNK {
                    let rest = chunk.split_off(CHUNK / 2);
                    self.chunks.insert(index + 1, Arc::new(rest));
                }
            }
        }
    }

    pub(super) fn remove(&mut self, id: &str) {
        let Some(index) = self.chunk_of(id) else { return };
        let Ok(place) = search(&self.chunks[index], id) else { return };
        self.len -= 1;
        let chunk = Arc::make_mut(&mut self.chunks[index]);
        chunk.remove(place);
        if chunk.is_empty() {
            self.chunks.remove(index);
        }
    }

    /// The chunk in which an id lies or belongs; `None` only when there is none.
    fn chunk_of(&self, id: &str) -> Option<usize> {
        let after = self.chunks.partition_point(|chunk| chunk[0].value.id() <= id);
        (!self.chunks.is_empty()).then(|| after.saturating_sub(1))
    }
}

fn search<R: Record>(chunk: &Chunk<R>, id: &str) -> Result<usize, usize> {
    chunk.binary_search_by(|record| record.value.id().cmp(id))
}
