//! What is told of an attempt's end.

use dialects::tap::Tapped;
use proto::rules::verdict::Verdict;

/// How an attempt ended.
#[derive(Debug)]
pub struct Ended<'a> {
    /// HTTP status; 0: none came.
    pub status: u16,
    /// In a record's words.
    pub outcome: &'static str,
    /// What it says of the account.
    pub verdict: &'a Verdict,
    /// What the answer said of its usage.
    pub usage: Usage,
    /// The upstream's own request id.
    pub upstream_request_id: String,
}

/// What is known of an attempt's usage.
#[derive(Debug)]
pub enum Usage {
    /// Nothing was used: it was refused.
    None,
    /// The answer was seen, as far as it came.
    Tapped(Box<Tapped>),
    /// It was sent and no answer was seen: what it used is unknown.
    Unknown,
}
