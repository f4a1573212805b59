//! What is written of a request: its intents, its notes and its record, encoded within the spool's bound.

use std::time::Duration;

use prost::Message as _;
use prost_types::Timestamp;
use proto::types::Explanation;
use spool::MAX_PAYLOAD;
use uuid::fmt::Hyphenated;

use super::{tried::Tried, wire::Fields};
use crate::records::INTENT_VERSION;

/// An explanation is at most so long when encoded, bytes.
const EXPLANATION: usize = 4 * 1024;

/// Where things are encoded, kept from request to request.
#[derive(Debug, Default)]
pub struct Scratch {
    /// What was encoded last.
    pub(super) whole: Vec<u8>,
    part: Vec<u8>,
}

/// What a record says of a request, whatever became of it.
pub(super) struct About<'a> {
    pub(super) request_id: &'a str,
    pub(super) key_id: &'a str,
    pub(super) user_id: &'a str,
    pub(super) tags: &'a [String],
    pub(super) dialect: &'a str,
    pub(super) operation: &'a str,
    pub(super) model: &'a str,
    pub(super) client_kind: &'a str,
    /// Unix microseconds.
    pub(super) started_us: i64,
    pub(super) streaming: bool,
    pub(super) request_bytes: i64,
}

/// What an intent says beside.
pub(super) struct Intended {
    pub(super) input_tokens: i64,
    pub(super) output_tokens: i64,
    pub(super) multiplier: f64,
}

/// What a record says at the end.
pub(super) struct Came<'a> {
    pub(super) attempts: &'a [Tried],
    pub(super) first_byte_us: i64,
    pub(super) total_us: i64,
    pub(super) status: u16,
    pub(super) outcome: &'static str,
    pub(super) node_id: &'a str,
    pub(super) response_bytes: i64,
}

impl Scratch {
    /// An `AttemptIntent`: all that can be said of an attempt before it is made. Labels go if it does not fit.
    pub(super) fn intent(&mut self, about: &About<'_>, tried: &Tried, intended: &Intended) {
        self.intent_with(about, tried, intended, about.tags);
        if self.whole.len() > MAX_PAYLOAD {
            self.intent_with(about, tried, intended, &[]);
        }
    }

    fn intent_with(&mut self, about: &About<'_>, tried: &Tried, intended: &Intended, tags: &[String]) {
        let mut id = [0; Hyphenated::LENGTH];
        self.whole.clear();
        let mut fields = Fields(&mut self.whole);
        fields
            .int(1, i64::from(INTENT_VERSION))
            .text(2, about.request_id)
            .text(3, tried.id.hyphenated().encode_lower(&mut id))
            .text(4, about.key_id)
            .text(5, about.user_id);
        for tag in tags {
            fields.nested(6, tag.as_bytes());
        }
        fields
            .text(7, about.dialect)
            .text(8, about.operation)
            .text(9, about.model)
            .text(10, about.client_kind)
            .text(11, tried.account.id.as_str())
            .text(12, tried.account.platform.as_str())
            .text(13, tried.group())
            .text(14, &tried.model_sent)
            .int(15, about.started_us)
            .int(16, tried.started_us)
            .int(17, intended.input_tokens)
            .int(18, intended.output_tokens)
            .flag(19, about.streaming)
            .int(20, about.request_bytes)
            .double(21, intended.multiplier);
    }

    /// How an attempt ended, as an `Attempt`; what explains its cost is left out if it does not fit.
    pub(super) fn note(&mut self, tried: &Tried) {
        attempt(tried, true, &mut self.whole);
        if self.whole.len() > MAX_PAYLOAD {
            attempt(tried, false, &mut self.whole);
        }
    }

    /// A `UsageRecord`. What explains goes before what counts, if it does not fit.
    pub(super) fn record(&mut self, about: &About<'_>, came: &Came<'_>, explanation: Explanation) {
        self.record_with(about, came, Some(explanation), about.tags, true);
        if self.whole.len() > MAX_PAYLOAD {
            self.record_with(about, came, None, about.tags, true);
        }
        if self.whole.len() > MAX_PAYLOAD {
            self.record_with(about, came, None, &[], false);
        }
    }

    fn record_with(
        &mut self,
        about: &About<'_>,
        came: &Came<'_>,
        explanation: Option<Explanation>,
        tags: &[String],
        with_formulas: bool,
    ) {
        self.whole.clear();
        let mut fields = Fields(&mut self.whole);
        fields.text(1, about.request_id).text(2, about.key_id).text(3, about.user_id);
        for tag in tags {
            fields.nested(4, tag.as_bytes());
        }
        fields
            .text(5, about.dialect)
            .text(6, about.operation)
            .text(7, about.model)
            .text(8, about.client_kind);
        for tried in came.attempts {
            attempt(tried, with_formulas, &mut self.part);
            fields.nested(9, &self.part);
        }
        fields
            .time(10, about.started_us)
            .int(11, came.first_byte_us)
            .int(12, came.total_us)
            .int(13, i64::from(came.status))
            .text(14, came.outcome)
            .flag(15, about.streaming)
            .flag(16, came.attempts.iter().any(|tried| tried.estimated))
            .text(17, came.node_id);
        if let Some(mut explanation) = explanation {
            shorten(&mut explanation);
            fields.message(18, &explanation);
        }
        fields
            .int(19, about.request_bytes)
            .int(20, came.response_bytes)
            .flag(21, came.attempts.iter().any(Tried::is_unpriced));
    }
}

fn attempt(tried: &Tried, with_formula: bool, into: &mut Vec<u8>) {
    let mut id = [0; Hyphenated::LENGTH];
    into.clear();
    let mut fields = Fields(into);
    fields
        .text(1, tried.id.hyphenated().encode_lower(&mut id))
        .text(2, tried.account.id.as_str())
        .text(3, tried.account.platform.as_str())
        .text(4, tried.group())
        .text(5, &tried.model_sent)
        .text(6, &tried.model_served);
    if let Some(usage) = &tried.usage {
        fields.message(7, usage);
    }
    match &tried.cost {
        Some(cost) if !with_formula => {
            fields.message(8, &proto::types::Cost { formula: String::new(), ..cost.clone() });
        }
        Some(cost) => {
            fields.message(8, cost);
        }
        None => {}
    }
    fields
        .int(9, i64::from(tried.status))
        .text(10, tried.outcome)
        .flag(11, tried.estimated)
        .text(12, &tried.upstream_request_id)
        .time(13, tried.started_us)
        .int(14, tried.first_event_us)
        .int(15, tried.total_us)
        .text(16, tried.verdict)
        .text(17, &tried.service_tier)
        .text(18, tried.choice);
}

/// Drops candidates, then limits, until an explanation fits its bound; what was dropped is counted.
pub(super) fn shorten(explanation: &mut Explanation) {
    while explanation.encoded_len() > EXPLANATION {
        if let Some(candidate) = explanation.candidates.pop() {
            *explanation.passed_over.entry(candidate.reason).or_default() += 1;
        } else if explanation.limits.pop().is_none() {
            return;
        }
    }
}

pub(super) fn timestamp(us: i64) -> Timestamp {
    Timestamp { seconds: us.div_euclid(1_000_000), nanos: (us.rem_euclid(1_000_000) * 1000) as i32 }
}

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
