//! Requests that were refused before any account was asked: they count nothing, and are kept in a bounded ring so that a
//! person can find out why.

use prost::Message as _;
use proto::types::{self, UsageRecord};

use super::{Settlement, record};
use crate::{
    metrics::Outcome,
    relay::error::{Refusal, Retry},
};

/// Longest message that is kept, bytes.
const MESSAGE: usize = 512;

impl Settlement {
    /// Keeps a refused request, if its second has room.
    pub(super) fn note_refused(&self, refusal: &Refusal) {
        let ring = &self.worker.node.refusals;
        if !ring.has_room((self.asked.started_us / 1_000_000).max(0) as u64) {
            return;
        }
        let mut explanation = self.explanation();
        explanation.limits.extend(refusal.limit.as_deref().cloned());
        record::shorten(&mut explanation);
        let mut message = refusal.message.to_string();
        message.truncate(message.floor_char_boundary(MESSAGE));
        let record = UsageRecord {
            request_id: self.asked.id.clone(),
            key_id: self.key.id.as_str().to_owned(),
            user_id: self.key.user_id.as_str().to_owned(),
            dialect: self.asked.dialect.as_str().to_owned(),
            operation: self.asked.operation.as_str().to_owned(),
            model: self.model.clone(),
            client_kind: self.client_kind.unwrap_or_default().to_owned(),
            started_at: Some(record::timestamp(self.asked.started_us)),
            total_us: record::micros(self.asked.started.elapsed()),
            status: i32::from(refusal.status.as_u16()),
            outcome: Outcome::Refused.as_str().to_owned(),
            streaming: self.streaming,
            node_id: self.worker.node.id.as_str().to_owned(),
            explanation: Some(explanation),
            request_bytes: i64::try_from(self.request_bytes).unwrap_or(i64::MAX),
            refusal: Some(types::Refusal {
                reason: refusal.reason.map_or("upstream", |reason| reason.as_str()).to_owned(),
                code: refusal.code.unwrap_or_default().to_owned(),
                message,
                retry_after_ms: match refusal.retry {
                    Retry::Never => 0,
                    Retry::Later(ms) => i64::try_from(ms).unwrap_or(i64::MAX),
                },
            }),
            ..UsageRecord::default()
        };
        ring.keep(record.encode_to_vec());
    }

    /// Nobody could serve: whom the search passed over, and why.
    pub fn nobody(&mut self, considered: scheduler::Considered) {
        self.explained = super::Explained { how: self.explained.how, considered };
    }
}
