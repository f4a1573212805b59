//! The Lua scripts, each with the digest by which it is called. They read no key that they are not given.

use std::sync::LazyLock;

/// A script with its digest.
pub(super) struct Lua {
    pub(super) text: String,
    pub(super) digest: String,
}

impl Lua {
    fn new(text: String) -> Self {
        let digest = redis::Script::new(&text).get_hash().to_owned();
        Self { text, digest }
    }
}

const HISTORY: &str = include_str!("lua/history.lua");

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $($text:expr),+;)+) => {
        $($(#[$doc])* pub(super) static $name: LazyLock<Lua> = LazyLock::new(|| Lua::new([$($text),+].concat()));)+
    };
}

scripts! {
    /// Writes documents, feed and audit.
    COMMIT = HISTORY, include_str!("lua/commit.lua");
    /// Reads the feed, the newest revision and the clock.
    CHANGES = HISTORY, include_str!("lua/changes.lua");
    /// Finds a document by index.
    FIND = include_str!("lua/find.lua");
    /// Reads documents in order.
    SCAN = include_str!("lua/scan.lua");
    /// Reads the audit log.
    AUDIT = include_str!("lua/audit.lua");
    /// Counts at most once.
    APPLY = include_str!("lua/apply.lua");
    /// Reads a log.
    LOG_RANGE = include_str!("lua/log_range.lua");
    /// Trims a log.
    LOG_TRIM = include_str!("lua/log_trim.lua");
    /// Trims rows.
    ROW_TRIM = include_str!("lua/row_trim.lua");
    /// Trims markers.
    MARKER_TRIM = include_str!("lua/marker_trim.lua");
    /// Trims the feed.
    FEED_TRIM = include_str!("lua/feed_trim.lua");
    /// Trims the audit log.
    AUDIT_TRIM = include_str!("lua/audit_trim.lua");
    /// Reads a cell.
    CELL_READ = include_str!("lua/cell_read.lua");
    /// Writes a cell that is as it was read.
    CELL_SWAP = include_str!("lua/cell_swap.lua");
    /// Gets or sets a binding.
    BIND = include_str!("lua/bind.lua");
    /// Forgets a binding.
    UNBIND = include_str!("lua/unbind.lua");
    /// Reads bindings.
    BINDINGS = include_str!("lua/bindings.lua");
    /// Clears names of ended bindings away.
    BINDING_TRIM = include_str!("lua/binding_trim.lua");
    /// Acquires or renews leadership.
    LEAD = include_str!("lua/lead.lua");
    /// Gives leadership back.
    RELEASE = include_str!("lua/release.lua");
}
