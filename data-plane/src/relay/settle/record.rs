//! What is written of a request: its intents and its record, encoded within the spool's bound.

use std::time::Duration;

use prost::Message;
use prost_types::Timestamp;
use proto::types::{Attempt, Explanation, UsageRecord};
use scheduler::Choice;
use spool::MAX_PAYLOAD;

use super::Settlement;
use crate::{
    metrics::Outcome,
    records::{AttemptIntent, INTENT_VERSION},
};

/// An explanation is at most so long when encoded, bytes.
const EXPLANATION: usize = 4 * 1024;

/// All that can be said of an attempt before it is made.
pub(super) fn intent(
    life: &Settlement,
    choice: &Choice,
    attempt_id: &str,
    model_sent: &str,
    multiplier: f64,
    now_us: i64,
) -> AttemptIntent {
    AttemptIntent {
        version: INTENT_VERSION,
        request_id: life.asked.id.clone(),
        attempt_id: attempt_id.to_owned(),
        key_id: life.key.id.as_str().to_owned(),
        user_id: life.key.user_id.as_str().to_owned(),
        tags: life.key.tags.clone(),
        dialect: life.asked.dialect.as_str().to_owned(),
        operation: life.asked.operation.as_str().to_owned(),
        model: life.model.clone(),
        client_kind: life.client_kind.unwrap_or_default().to_owned(),
        account_id: choice.account.id.as_str().to_owned(),
        platform: choice.account.platform.as_str().to_owned(),
        group_id: choice.group.as_ref().map(|group| group.as_str().to_owned()).unwrap_or_default(),
        model_sent: model_sent.to_owned(),
        request_started_us: life.asked.started_us,
        started_us: now_us,
        input_tokens: life.input_estimate,
        output_tokens: life.output_cap,
        streaming: life.streaming,
        request_bytes: life.request_bytes as i64,
        multiplier,
    }
}

/// The record of a request with all its attempts, which are taken out.
pub(super) fn usage(life: &mut Settlement, outcome: Outcome, total_us: i64) -> UsageRecord {
    let mut explanation = life.explanation();
    shorten(&mut explanation);
    let attempts = std::mem::take(&mut life.attempts);
    UsageRecord {
        request_id: life.asked.id.clone(),
        key_id: life.key.id.as_str().to_owned(),
        user_id: life.key.user_id.as_str().to_owned(),
        tags: life.key.tags.clone(),
        dialect: life.asked.dialect.as_str().to_owned(),
        operation: life.asked.operation.as_str().to_owned(),
        model: std::mem::take(&mut life.model),
        client_kind: life.client_kind.unwrap_or_default().to_owned(),
        estimated: attempts.iter().any(|attempt| attempt.estimated),
        attempts,
        started_at: Some(timestamp(life.asked.started_us)),
        first_byte_us: life.first_byte_us(),
        total_us,
        status: i32::from(life.status),
        outcome: outcome.as_str().to_owned(),
        streaming: life.streaming,
        node_id: life.worker.node.id.as_str().to_owned(),
        explanation: Some(explanation),
        request_bytes: life.request_bytes as i64,
        response_bytes: life.sent as i64,
    }
}

/// Drops candidates, then limits, until an explanation fits its bound; what was dropped is counted.
fn shorten(explanation: &mut Explanation) {
    while explanation.encoded_len() > EXPLANATION {
        if let Some(candidate) = explanation.candidates.pop() {
            *explanation.passed_over.entry(candidate.reason).or_default() += 1;
        } else if explanation.limits.pop().is_none() {
            return;
        }
    }
}

/// Encodes an intent; labels go first if it does not fit.
pub(super) fn encode_fitting(intent: &AttemptIntent, into: &mut Vec<u8>) {
    into.clear();
    if intent.encoded_len() > MAX_PAYLOAD {
        encode(&AttemptIntent { tags: Vec::new(), ..intent.clone() }, into);
    } else {
        encode(intent, into);
    }
}

/// Encodes how an attempt ended; what explains its cost is left out if it does not fit.
pub(super) fn encode_note(attempt: &Attempt, into: &mut Vec<u8>) {
    into.clear();
    if attempt.encoded_len() > MAX_PAYLOAD {
        encode(&Attempt { cost: None, ..attempt.clone() }, into);
    } else {
        encode(attempt, into);
    }
}

/// Encodes a record: what explains goes before what counts, if it does not fit.
pub(super) fn encode_record(mut record: UsageRecord, into: &mut Vec<u8>) {
    into.clear();
    if record.encoded_len() > MAX_PAYLOAD {
        record.explanation = None;
    }
    if record.encoded_len() > MAX_PAYLOAD {
        record.tags.clear();
        for cost in record.attempts.iter_mut().filter_map(|attempt| attempt.cost.as_mut()) {
            cost.formula.clear();
        }
    }
    encode(&record, into);
}

fn encode(message: &impl Message, into: &mut Vec<u8>) {
    // Only a buffer of fixed size can be too small; a `Vec` grows.
    let _ = message.encode(into);
}

pub(super) fn timestamp(us: i64) -> Timestamp {
    Timestamp { seconds: us.div_euclid(1_000_000), nanos: (us.rem_euclid(1_000_000) * 1000) as i32 }
}

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proto::types::{Candidate, LimitConsulted};

    use super::*;

    #[test]
    fn an_explanation_is_shortened_and_what_was_dropped_is_counted() {
        let candidate = |n: usize| Candidate { account_id: format!("{n:0>200}"), reason: "busy".into() };
        let limit = LimitConsulted { limit_id: "x".repeat(300), ..LimitConsulted::default() };
        let mut explanation = Explanation {
            candidates: (0..32).map(candidate).collect(),
            limits: vec![limit; 8],
            ..Explanation::default()
        };
        shorten(&mut explanation);
        assert!(explanation.encoded_len() <= EXPLANATION);
        assert_eq!(explanation.candidates.len() + explanation.passed_over["busy"] as usize, 32);
        assert_eq!(explanation.limits.len(), 8);
    }

    #[test]
    fn times_before_1970_and_after_are_told() {
        assert_eq!(timestamp(1_500_000).nanos, 500_000_000);
        assert_eq!(timestamp(-1), Timestamp { seconds: -1, nanos: 999_999_000 });
    }
}
