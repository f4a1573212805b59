//! The mock's own book: what it was asked, what it counted, how far it wrote. The truth against which records are held.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Tokens by kind, as an upstream counts them: kinds never overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Neither read from nor written to a cache.
    pub input: i64,
    /// Output.
    pub output: i64,
    /// Read from a cache.
    pub cache_read: i64,
    /// Written to a cache of five minutes.
    pub cache_write_5m: i64,
    /// Written to a cache of one hour.
    pub cache_write_1h: i64,
    /// Of the output: reasoning.
    pub reasoning: i64,
}

/// One request that reached the mock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Position in the book, from 0.
    pub number: usize,
    /// The request id that the answer carries.
    pub request_id: String,
    /// Unix microseconds of its head.
    pub at_us: i64,
    /// Unix microseconds of the answer's end; 0: it goes on.
    pub ended_us: i64,
    /// Method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Where it came from.
    pub peer: String,
    /// Upstream key it came with.
    pub key: String,
    /// Headers as they came.
    pub headers: Vec<(String, String)>,
    /// SHA-256 of the body, hexadecimal.
    pub body_sha256: String,
    /// Bytes of the body.
    pub body_bytes: usize,
    /// The body, where the mock keeps bodies.
    #[serde(skip)]
    pub body: Vec<u8>,
    /// Scenario of its marker.
    pub scenario: String,
    /// Tag of its marker.
    pub tag: String,
    /// Model asked for.
    pub model: String,
    /// Status that was answered; 0: none.
    pub status: u16,
    /// What was counted; `None`: nothing is charged.
    pub counted: Option<Counted>,
    /// Events written whole.
    pub events: usize,
    /// Bytes of answer body written (after compression).
    pub answer_bytes: usize,
    /// SHA-256 of the answer body written, hexadecimal; empty while it goes on.
    pub answer_sha256: String,
    /// Whether the answer went out to its intended end.
    pub finished: bool,
    /// Whether the client left before that.
    pub client_left: bool,
}

impl Entry {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// All requests that reached the mock, in order.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Mutex<Vec<Entry>>,
    connections: AtomicU64,
}

impl Ledger {
    /// Writes a new entry and gives its number.
    pub fn open(&self, mut entry: Entry) -> usize {
        let mut entries = self.entries.lock();
        entry.number = entries.len();
        let number = entry.number;
        entries.push(entry);
        number
    }

    /// Amends an entry.
    pub fn amend(&self, number: usize, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.lock().get_mut(number) {
            change(entry);
        }
    }

    /// A copy of all entries.
    pub fn all(&self) -> Vec<Entry> {
        self.entries.lock().clone()
    }

    /// A copy of the entries that a test is after.
    pub fn matching(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        self.entries.lock().iter().filter(|entry| wanted(entry)).cloned().collect()
    }

    /// Entries of a tag.
    pub fn tagged(&self, tag: &str) -> Vec<Entry> {
        self.matching(|entry| entry.tag == tag)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.lock().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts a connection.
    pub fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}
