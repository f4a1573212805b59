//! Values of the cell and binding verbs.

use std::sync::Arc;

/// When a cell's step runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The store's clock, Unix milliseconds; it never goes back for one cell.
    pub now_ms: i64,
    /// Whether the server that wrote the cell last is not the one that holds it now, so that a later write of it may
    /// have been lost. Holds until the next write. A cell that is not there tells nothing: see `Identity::since_ms`.
    pub doubtful: bool,
}

/// What a step leaves in its cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// What was there.
    Keep,
    /// These bytes.
    Put(Vec<u8>),
    /// Nothing.
    Remove,
}

/// A pure step over a cell's bytes. It may run several times, on what each try found; only the last run counts.
pub type Step = Arc<dyn Fn(Option<&[u8]>, Moment) -> Next + Send + Sync>;

/// Who asks for a binding.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Account to bind to where there is no binding; empty: none, what stands is only looked at and renewed.
    pub account: String,
    /// Account whose binding may be replaced; empty: none.
    pub replaces: String,
    /// Life of a new or renewed binding, milliseconds.
    pub ttl_ms: i64,
    /// An existing binding with less left than this is renewed, milliseconds.
    pub renew_below_ms: i64,
}

/// A piece of the list of bindings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Bindings that live, by name: with account and milliseconds that they still live.
    pub bindings: Vec<(String, String, i64)>,
    /// The last name that was looked at, where there may be more behind it.
    pub next: Option<String>,
}

/// The binding that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Account bound; empty: there is no binding, and no candidate was named.
    pub account: String,
    /// Milliseconds it still lives.
    pub ttl_ms: i64,
    /// Whether it was there before.
    pub existed: bool,
}
