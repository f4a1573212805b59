//! The store: one seam ([`kv`]), two backends (Redis for replicas, an embedded one for a single process), and over the
//! seam, written once: typed records that are versioned, sealed and audited, a view of them in memory, counters that
//! count at most once, meters, bindings and leadership.
//!
//! It knows neither the admin API nor jobs nor platforms. `suite` holds both backends to the same promises.

mod audit;
mod change;
mod codec;
mod commit;
mod counting;
mod embedded;
mod error;
mod events;
pub mod kv;
mod layout;
mod records;
mod redis;
mod rotation;
mod seal;
mod store;
#[cfg(feature = "suite")]
pub mod suite;
#[cfg(feature = "suite")]
pub mod testing;
mod view;

pub use domain::Record;

pub use self::{
    audit::{AuditEntry, AuditFilter, Author, Fact, Verdict},
    change::{Change, Versioned},
    error::{Error, Result},
    kv::{
        Applied, Apply, Bound, Event, Expect, Identity, Kv, LogEntry, LogItem, MarkerAt, Moment, Revision,
        Row, RowChange, Status, Told, Trim,
    },
    layout::log_position,
    records::Changes,
    seal::MasterKey,
    store::{RedisOptions, Store},
    view::{Collection, Kinds, View},
};
