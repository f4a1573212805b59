//! Which meters have something to say, and when: a heap, so that a message costs what it carries and not what there is.

use std::{cmp::Reverse, collections::BinaryHeap};

use parking_lot::Mutex;
use proto::rules::ids::MeterId;

/// A meter with nothing to say is looked at after so long, to be forgotten if it rests; milliseconds.
pub(crate) const SWEEP_MS: i64 = 20_000;

/// The agenda. Its lock is the innermost: taken with a meter's lock held, never the other way round.
#[derive(Debug, Default)]
pub(crate) struct Agenda(Mutex<BinaryHeap<Reverse<(i64, MeterId)>>>);

impl Agenda {
    /// Adds an entry; whether it is now the first.
    pub(crate) fn add(&self, due: i64, meter: &MeterId) -> bool {
        let mut heap = self.0.lock();
        let first = heap.peek().is_none_or(|Reverse((head, _))| due < *head);
        heap.push(Reverse((due, meter.clone())));
        first
    }

    /// Takes the first entry that is due.
    pub(crate) fn pop_due(&self, now: i64) -> Option<(i64, MeterId)> {
        let mut heap = self.0.lock();
        heap.peek()
            .is_some_and(|Reverse((due, _))| *due <= now)
            .then(|| heap.pop())?
            .map(|Reverse(entry)| entry)
    }

    /// When the first entry is due.
    pub(crate) fn next(&self) -> Option<i64> {
        self.0.lock().peek().map(|Reverse((due, _))| *due)
    }
}
