//! Every table of the embedded store, spelled once. A change of a table's meaning takes a new name and a step in
//! [`super::open`].

use redb::TableDefinition;

/// Facts about the store: the constants below name them.
pub(super) const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// Documents: (kind, id) to (version, body).
pub(super) const DOCUMENTS: TableDefinition<(&str, &str), (u64, &[u8])> = TableDefinition::new("documents");
/// Unique indexes: (kind, index, value) to id.
pub(super) const INDEX: TableDefinition<(&str, &str, &str), &str> = TableDefinition::new("index");
/// What a document has in indexes: (kind, id) to a JSON list of index and value.
pub(super) const INDEXED: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("indexed");
/// The change feed: number to a JSON list of kind, id and whether it was deleted.
pub(super) const FEED: TableDefinition<u64, &[u8]> = TableDefinition::new("feed");
/// Audit entries by sequence.
pub(super) const AUDIT: TableDefinition<u64, &[u8]> = TableDefinition::new("audit");
/// Markers: (source, partition) to (last record applied, when).
pub(super) const MARKERS: TableDefinition<(&str, u32), (u64, i64)> = TableDefinition::new("markers");
/// Counter rows: (partition, row) to expiry and fields, see `rows`.
pub(super) const ROWS: TableDefinition<(u32, &str), &[u8]> = TableDefinition::new("rows");
/// Expiries of rows: (partition, expiry, row).
pub(super) const ROW_EXPIRY: TableDefinition<(u32, i64, &str), ()> = TableDefinition::new("row_expiry");
/// Log entries: (partition, log, position) to body.
pub(super) const LOGS: TableDefinition<(u32, &str, &str), &[u8]> = TableDefinition::new("logs");
/// Where a log entry lies: (partition, log, id) to position.
pub(super) const LOG_IDS: TableDefinition<(u32, &str, &str), &str> = TableDefinition::new("log_ids");
/// Cells: name to (when it was written, bytes).
pub(super) const CELLS: TableDefinition<&str, (i64, &[u8])> = TableDefinition::new("cells");
/// Bindings: key to (end of life, account).
pub(super) const BINDINGS: TableDefinition<&str, (i64, &str)> = TableDefinition::new("bindings");
/// Ends of bindings: (end of life, key).
pub(super) const BINDING_EXPIRY: TableDefinition<(i64, &str), ()> = TableDefinition::new("binding_expiry");
/// Leaders: role to (end of leadership, fencing number, holder).
pub(super) const LEADERS: TableDefinition<&str, (i64, u64, &str)> = TableDefinition::new("leaders");

/// In [`META`]: the layout's version.
pub(super) const LAYOUT: &str = "layout";
/// In [`META`]: the store's identity.
pub(super) const IDENTITY: &str = "identity";
/// In [`META`]: the documents' incarnation.
pub(super) const INCARNATION: &str = "incarnation";
/// In [`META`]: when the incarnation began, 8 bytes.
pub(super) const SINCE: &str = "since";
/// In [`META`]: number of the newest revision, 8 bytes.
pub(super) const HEAD: &str = "head";
/// In [`META`]: number of the last revision that the feed no longer has, 8 bytes.
pub(super) const FLOOR: &str = "floor";
/// In [`META`]: sequence (8 bytes) and hash of the newest audit entry.
pub(super) const AUDIT_HEAD: &str = "audit_head";
/// In [`META`]: sequence (8 bytes) and hash of the last audit entry that was trimmed away.
pub(super) const AUDIT_ANCHOR: &str = "audit_anchor";
