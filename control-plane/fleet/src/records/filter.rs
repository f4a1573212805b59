//! Which records are wanted, and which log lists the fewest that can be.

use proto::types::UsageRecord;

use super::{INDEXED_NAME, REQUESTS, log_of};
use crate::counters::began_ms;

/// The outcome of a request that was refused before any account was asked.
pub const REFUSED_OUTCOME: &str = "refused";

/// Every outcome that a record can have.
pub const OUTCOMES: [&str; 6] =
    ["ok", "client_gone", "upstream_error", "interrupted", "unknown", REFUSED_OUTCOME];

/// Which records are wanted; an empty text and 0 mean any.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this key.
    pub key_id: String,
    /// With an attempt at this account.
    pub account_id: String,
    /// That asked for this model.
    pub model: String,
    /// With this outcome.
    pub outcome: String,
    /// Whose client got this HTTP status.
    pub status: i32,
    /// Of this client kind.
    pub client_kind: String,
    /// Served by this node.
    pub node_id: String,
    /// Those of refused requests too. They are among those that are asked for by their outcome or a status in any case.
    pub with_refused: bool,
    /// That began at or after, Unix milliseconds.
    pub start_ms: Option<i64>,
    /// That began before, Unix milliseconds.
    pub end_ms: Option<i64>,
}

impl Filter {
    /// Whether a record is wanted.
    pub fn admits(&self, record: &UsageRecord) -> bool {
        let agrees = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        let began = began_ms(record).unwrap_or_default();
        agrees(&self.key_id, &record.key_id)
            && agrees(&self.model, &record.model)
            && agrees(&self.outcome, &record.outcome)
            && agrees(&self.client_kind, &record.client_kind)
            && agrees(&self.node_id, &record.node_id)
            && (self.status == 0 || self.status == record.status)
            && (self.account_id.is_empty()
                || record.attempts.iter().any(|attempt| attempt.account_id == self.account_id))
            && self.start_ms.is_none_or(|start| began >= start)
            && self.end_ms.is_none_or(|end| began < end)
    }

    /// The log that lists all wanted records and the fewest others: what is rarest by nature first. What most requests
    /// have (`ok`, 200) has no log of its own.
    pub(super) fn narrowest(&self) -> String {
        let named = |kind, name: &str| has_log(name).then(|| log_of(kind, name));
        let status = if self.status == 200 || self.status == 0 { "" } else { &self.status.to_string() };
        let outcome = if self.outcome == "ok" { "" } else { &self.outcome };
        named("key", &self.key_id)
            .or_else(|| named("outcome", outcome))
            .or_else(|| named("status", status))
            .or_else(|| named("account", &self.account_id))
            .or_else(|| named("model", &self.model))
            .or_else(|| named("client", &self.client_kind))
            .unwrap_or_else(|| REQUESTS.to_owned())
    }

    /// Whether records of refused requests can be among the wanted ones: they have no attempts.
    pub(super) fn wants_refused(&self) -> bool {
        let asked = match self.outcome.as_str() {
            "" => self.with_refused || !matches!(self.status, 0 | 200),
            outcome => outcome == REFUSED_OUTCOME,
        };
        asked && self.account_id.is_empty() && self.status != 200
    }

    /// Whether others can be.
    pub(super) fn wants_served(&self) -> bool {
        self.outcome != REFUSED_OUTCOME
    }
}

/// The logs that list a record beside that of its partition.
pub(super) fn logs_of(record: &UsageRecord) -> Vec<String> {
    let mut logs = vec![log_of("key", &record.key_id)];
    let mut list = |kind, name: &str| {
        if has_log(name) {
            logs.push(log_of(kind, name));
        }
    };
    list("model", &record.model);
    list("client", &record.client_kind);
    if record.outcome != "ok" {
        list("outcome", &record.outcome);
    }
    if record.status != 200 {
        list("status", &record.status.to_string());
    }
    for attempt in &record.attempts {
        list("account", &attempt.account_id);
    }
    logs.sort_unstable();
    logs.dedup();
    logs
}

fn has_log(name: &str) -> bool {
    (1..=INDEXED_NAME).contains(&name.len())
}
