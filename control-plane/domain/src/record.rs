//! What a thing must tell of itself to be kept in the store. It says nothing of how or where: that is the store's.

use serde::{Serialize, de::DeserializeOwned};

/// A thing that the store keeps as one versioned document.
///
/// Its serde form is what is stored, secrets included, so a record with secrets must be `SEALED`.
pub trait Record: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Its kind, unique among all records and never changed: lower case, such as `key`.
    const KIND: &'static str;
    /// Whether the whole body is encrypted before it leaves the process.
    const SEALED: bool;
    /// Whether each change is an entry of the audit log. `false` only for what is nobody's decision, such as the
    /// note that a request id was seen.
    const AUDITED: bool = true;

    /// Its id, unique within its kind and never changed.
    fn id(&self) -> &str;

    /// Further ways to find it, as index and value. Within its kind a value of an index belongs to at most one record.
    /// Values are stored in clear: a secret only as its digest.
    fn indexes(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// When it may be swept away, Unix milliseconds; `None`: never by itself.
    fn expires_at_ms(&self) -> Option<i64> {
        None
    }

    /// The record for the audit log, as JSON with every secret masked.
    fn audit_view(&self) -> serde_json::Value;
}
