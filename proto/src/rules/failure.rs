//! THE failure table: from what an upstream answered (or did not) to the [`Verdict`] on the account. One list, read from
//! the top, first match wins; every pause that an answer can cause stands in it, with its bound. Platforms put rows of
//! their own in front with [`Table::with_override`].
//!
//! It reads facts that a platform took from status, headers and body ([`Seen`]); it parses nothing itself. What a client
//! is told when no account is left to try is [`told`].

use super::verdict::Verdict;

mod rows;
mod told;

pub use rows::{Pause, Row, Status, Then, When};
pub use told::{Told, told};

/// [`Seen::error_type`] of an attempt that got no connection, or lost it before the answer's head.
pub const CONNECT: &str = "connect_error";
/// [`Seen::error_type`] of an attempt whose first event did not come in time.
pub const NO_FIRST_EVENT: &str = "no_first_event";
/// [`Seen::error_type`] of a stream that ended without an event.
pub const EMPTY_STREAM: &str = "empty_stream";

/// What was seen of an answer, until its first event at most.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// HTTP status; 0: no answer came.
    pub status: u16,
    /// The error's type or code as the body, the first event or the platform's header names it, or one of [`CONNECT`],
    /// [`NO_FIRST_EVENT`], [`EMPTY_STREAM`]. With a 2xx status, any value means that the first event was an error.
    pub error_type: Option<&'a str>,
    /// The error's message.
    pub error_message: Option<&'a str>,
    /// What `retry-after` or a field like it asks for, milliseconds from now.
    pub retry_after_ms: Option<i64>,
    /// When the account's window starts anew (`anthropic-ratelimit-unified-reset`, in Unix *milliseconds*).
    pub reset_at_ms: Option<i64>,
    /// The model family that the answer itself limits; `None` when it limits the account as a whole.
    pub family: Option<&'a str>,
    /// Unix milliseconds.
    pub now_ms: i64,
}

impl<'a> Seen<'a> {
    /// An attempt that got no connection, or lost it before the answer's head.
    pub fn connect_error(message: &'a str, now_ms: i64) -> Self {
        Self { error_type: Some(CONNECT), error_message: Some(message), now_ms, ..Self::default() }
    }

    /// An attempt whose first event did not come in time.
    pub fn no_first_event(now_ms: i64) -> Self {
        Self { error_type: Some(NO_FIRST_EVENT), now_ms, ..Self::default() }
    }

    /// A stream of that status that ended without an event.
    pub fn empty_stream(status: u16, now_ms: i64) -> Self {
        Self { status, error_type: Some(EMPTY_STREAM), now_ms, ..Self::default() }
    }
}

/// The failure table of a platform: the standard rows, with its own in front.
#[derive(Clone, Debug, Default)]
pub struct Table {
    overrides: Vec<Row>,
}

impl Table {
    /// The rows that hold for every platform.
    pub const fn standard() -> Self {
        Self { overrides: Vec::new() }
    }

    /// The same table with a row in front of all others. A row with the name of an existing one replaces it.
    #[must_use]
    pub fn with_override(mut self, row: Row) -> Self {
        self.overrides.retain(|old| old.name != row.name);
        self.overrides.insert(0, row);
        self
    }

    /// All rows, in the order in which they are tried.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        let replaced = |row: &&Row| !self.overrides.iter().any(|own| own.name == row.name);
        self.overrides.iter().chain(rows::STANDARD.iter().filter(replaced))
    }

    /// The row that holds for an answer. There always is one: the last row matches everything.
    pub fn row(&self, seen: &Seen<'_>) -> &Row {
        self.rows().find(|row| row.matches(seen)).unwrap_or(&rows::LAST)
    }

    /// What an answer says of the account.
    pub fn judge(&self, seen: &Seen<'_>) -> Verdict {
        self.row(seen).verdict(seen)
    }
}

#[cfg(test)]
mod tests;
