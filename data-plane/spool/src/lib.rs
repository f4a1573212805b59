//! The durable log of intents and outcomes that the control plane has not yet acknowledged.
//!
//! An **intent** is handed to the kernel before an upstream is touched, the **outcome** that closes it before the
//! client's last frame; the outcome's room is set aside with the intent, so that a full disk refuses before an attempt
//! and never after. What is synced to disk is shipped, in order, and kept until it was applied and a store failover can
//! no longer need it. After a kill the intents without outcome are handed to the caller, to be made records of.
//!
//! One [`Lane`] belongs to one worker thread and is one *epoch*: a folder of its own under a lock of its own. It does no
//! network and does not know what a record means; `data-plane`'s pumps ship it, `relay/settle` writes it.

mod error;
pub mod fs;
mod intent;
mod ledger;
mod old;
mod reader;
mod record;
mod segment;
mod spool;
mod syncer;
mod writer;

pub use error::{Error, Full, TooLarge};
pub use intent::{Intent, MAX_PAYLOAD, Payload};
pub use old::{OldEpoch, Unfinished};
pub use reader::{Record, inspect};
pub use segment::VERSION;
pub use spool::{Options, Spool};
pub use writer::Lane;

#[cfg(test)]
mod tests;
