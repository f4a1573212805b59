//! The thread that syncs a lane: soon after a write, many writes at once, and away from the threads that write. It also
//! makes spare segments ahead of need. It ends with its lane.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

use crate::Lane;

/// How a lane wakes its syncer: one flag, and a wake-up only when it was not up.
#[derive(Default)]
pub struct Signal {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Default, Clone, Copy)]
struct Wanted {
    sync: bool,
    room: bool,
    end: bool,
}

impl Signal {
    /// Something was written; `low`: room is short.
    pub fn written(&self, low: bool) {
        let mut wanted = self.wanted.lock();
        let asleep = !wanted.sync;
        wanted.sync = true;
        wanted.room |= low;
        drop(wanted);
        if asleep {
            self.changed.notify_one();
        }
    }

    /// The lane is gone.
    pub fn end(&self) {
        self.wanted.lock().end = true;
        self.changed.notify_one();
    }

    fn wait(&self) -> Wanted {
        let mut wanted = self.wanted.lock();
        while !wanted.sync && !wanted.end {
            self.changed.wait(&mut wanted);
        }
        *wanted
    }

    fn take(&self) -> Wanted {
        std::mem::take(&mut *self.wanted.lock())
    }
}

/// Starts the thread.
///
/// # Errors
/// The system gives no thread.
pub fn start(lane: &Arc<Lane>, after: Duration) -> std::io::Result<()> {
    let (lane, signal) = (Arc::downgrade(lane), Arc::clone(&lane.signal));
    std::thread::Builder::new().name("spool-sync".into()).spawn(move || run(&lane, &signal, after)).map(drop)
}

fn run(lane: &Weak<Lane>, signal: &Signal, after: Duration) {
    let mut pause = Duration::ZERO;
    while !signal.wait().end {
        // Writes that come meanwhile are synced together.
        std::thread::sleep(after + pause);
        let wanted = signal.take();
        let Some(lane) = lane.upgrade() else { return };
        if wanted.room
            && let Err(error) = lane.grow(false)
        {
            tracing::warn!(%error, "no spare segment could be made");
        }
        pause = match lane.sync() {
            Ok(()) => Duration::ZERO,
            Err(error) => {
                tracing::error!(%error, epoch = %lane.epoch(), "the spool could not be synced");
                signal.written(false);
                Duration::from_secs(1)
            }
        };
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.signal.end();
    }
}
