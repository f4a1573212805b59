//! The access log: one JSON line per request, without secrets, prompts or answers.
//!
//! Each worker thread writes into a buffer of its own ([`Lane`]); a writer thread takes it at 64 KiB or after 200 ms.
//! When the writer cannot keep up, whole buffers are dropped and their lines counted: the log never holds a request
//! back (distribution 30). It is not the ledger; the spool is.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    net::IpAddr,
    path::PathBuf,
    str::FromStr,
    sync::{
        Arc, Weak,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;

mod line;

/// A lane hands its buffer over at this size, bytes.
const FULL: usize = 64 << 10;

/// Nothing waits longer than this in a lane.
const LONGEST: Duration = Duration::from_millis(200);

/// Buffers that may wait for the writer; more are dropped.
const WAITING: usize = 64;

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Appended to a file, which may be truncated from outside.
    File(PathBuf),
    /// Nowhere.
    Off,
}

impl FromStr for Destination {
    type Err = std::convert::Infallible;

    /// `stdout`, `stderr`, `off`, or a path.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "stdout" => Self::Stdout,
            "stderr" => Self::Stderr,
            "off" | "" => Self::Off,
            path => Self::File(path.into()),
        })
    }
}

/// What one line tells. Empty texts and zeros are left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entry<'a> {
    /// When the request arrived, Unix milliseconds.
    pub at_ms: i64,
    /// Request id, as the client was told.
    pub request_id: &'a str,
    /// Where the client is.
    pub client: Option<IpAddr>,
    /// Method.
    pub method: &'a str,
    /// Path, without its query, which may hold a key.
    pub path: &'a str,
    /// HTTP status that the client got; 0: it left before.
    pub status: u16,
    /// `ok`, `client_gone`, `upstream_error`, `interrupted` or `refused`.
    pub outcome: &'a str,
    /// Why it was refused.
    pub reason: &'a str,
    /// Key id.
    pub key_id: &'a str,
    /// Key name.
    pub key: &'a str,
    /// Account id of the last attempt.
    pub account_id: &'a str,
    /// Model asked for.
    pub model: &'a str,
    /// Client kind.
    pub client_kind: &'a str,
    /// Attempts.
    pub attempts: u32,
    /// Tokens in, of all kinds.
    pub input_tokens: i64,
    /// Tokens out.
    pub output_tokens: i64,
    /// Rated cost, nano-dollars.
    pub cost: i64,
    /// Bytes of the client's body.
    pub request_bytes: u64,
    /// Bytes sent to the client.
    pub response_bytes: u64,
    /// Microseconds to the first byte; 0: none.
    pub first_byte_us: u64,
    /// Microseconds to the end.
    pub total_us: u64,
}

/// The log. Dropping it writes out what is buffered.
#[derive(Debug)]
pub struct AccessLog {
    lanes: Arc<Mutex<Vec<Weak<Lane>>>>,
    out: Option<SyncSender<Vec<u8>>>,
    dropped: Counter,
    writer: Option<std::thread::JoinHandle<()>>,
}

/// One worker's buffer.
#[derive(Debug)]
pub struct Lane {
    buffer: Mutex<Vec<u8>>,
    out: Option<SyncSender<Vec<u8>>>,
    dropped: Counter,
}

impl AccessLog {
    /// Starts the log. `dropped` counts lines that were not written. Errors: the file cannot be opened.
    pub fn start(destination: &Destination, dropped: Counter) -> io::Result<Self> {
        let lanes = Arc::new(Mutex::new(Vec::new()));
        let sink: Box<dyn Write + Send> = match destination {
            Destination::Off => return Ok(Self { lanes, out: None, dropped, writer: None }),
            Destination::Stdout => Box::new(io::stdout()),
            Destination::Stderr => Box::new(io::stderr()),
            Destination::File(path) => Box::new(open(path)?),
        };
        let (out, buffers) = sync_channel(WAITING);
        let watched = lanes.clone();
        let writer = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_out(buffers, &watched, sink))?;
        Ok(Self { lanes, out: Some(out), dropped, writer: Some(writer) })
    }

    /// A buffer for one worker.
    pub fn lane(&self) -> Arc<Lane> {
        let lane = Arc::new(Lane {
            buffer: Mutex::new(Vec::new()),
            out: self.out.clone(),
            dropped: self.dropped.clone(),
        });
        self.lanes.lock().push(Arc::downgrade(&lane));
        lane
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        if let Some(out) = self.out.take() {
            // An empty buffer is the writer's sign to take what is left in the lanes and end: lanes may outlive the log.
            let _ = out.send(Vec::new());
        }
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Lane {
    /// Writes one line.
    pub fn write(&self, entry: &Entry<'_>) {
        let Some(out) = &self.out else { return };
        let full = {
            let mut buffer = self.buffer.lock();
            line::append(&mut buffer, entry);
            (buffer.len() >= FULL).then(|| std::mem::take(&mut *buffer))
        };
        if let Some(full) = full
            && let Err(refused) = out.try_send(full)
        {
            let (std::sync::mpsc::TrySendError::Full(lost)
            | std::sync::mpsc::TrySendError::Disconnected(lost)) = refused;
            self.dropped.inc_by(memchr::memchr_iter(b'\n', &lost).count() as u64);
        }
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.buffer.lock())
    }
}

fn open(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn write_out(buffers: Receiver<Vec<u8>>, lanes: &Mutex<Vec<Weak<Lane>>>, mut sink: Box<dyn Write + Send>) {
    let mut swept = Instant::now();
    loop {
        let ending = match buffers.recv_timeout(LONGEST.saturating_sub(swept.elapsed())) {
            Ok(buffer) if buffer.is_empty() => true,
            Ok(buffer) => {
                write_all(&mut sink, &buffer);
                false
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        };
        if ending || swept.elapsed() >= LONGEST {
            swept = Instant::now();
            for buffer in sweep(lanes) {
                write_all(&mut sink, &buffer);
            }
        }
        if ending {
            return;
        }
    }
}

/// What waits in the lanes; lanes that are gone are forgotten.
fn sweep(lanes: &Mutex<Vec<Weak<Lane>>>) -> Vec<Vec<u8>> {
    let mut lanes = lanes.lock();
    lanes.retain(|lane| lane.strong_count() > 0);
    lanes
        .iter()
        .filter_map(Weak::upgrade)
        .map(|lane| lane.take())
        .filter(|buffer| !buffer.is_empty())
        .collect()
}

fn write_all(sink: &mut Box<dyn Write + Send>, buffer: &[u8]) {
    // A full disk or a closed pipe: the log is lost, the service goes on.
    let _ = sink.write_all(buffer).and_then(|()| sink.flush());
}

#[cfg(test)]
mod tests;
