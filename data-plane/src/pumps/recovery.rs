//! Makes records of what a killed process left unfinished, and keeps the spool in order: epochs that became free are taken
//! up, what was acknowledged long enough ago goes.
//!
//! One request has one record: its attempts of which something is known as that was noted, the others as `unknown`, with
//! our estimate of what they used.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use process::tasks::Tasks;
use prost::Message as _;
use prost_types::Timestamp;
use proto::{
    rules::{price, usage::partition},
    types::{Attempt, TokenUsage, UsageRecord},
};
use spool::{OldEpoch, Payload, Spool, Unfinished};

use crate::records::AttemptIntent;

/// How often the spool is swept.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Every how many sweeps epochs that became free are looked for.
const ADOPT_EVERY: u32 = 10;
/// `UsageRecord.outcome` and `Attempt.outcome` of what a kill made unknowable.
const UNKNOWN: &str = "unknown";

/// Recovers an old epoch, so that it ships. What fails is logged; the epoch is found again later.
pub fn recover(mut old: OldEpoch, node_id: &str) {
    let epoch = old.epoch().clone();
    let unfinished = old.unfinished();
    let count = unfinished.len();
    for (intents, record) in records(unfinished, node_id) {
        if let Err(error) = write(&mut old, &intents, record) {
            tracing::error!(%error, %epoch, "an old epoch of the spool could not be recovered; it is tried again");
            return;
        }
    }
    match old.seal() {
        Ok(()) if count > 0 => {
            tracing::warn!(%epoch, attempts = count, "recorded what a killed process left unfinished")
        }
        Ok(()) => tracing::debug!(%epoch, "an old epoch of the spool ships"),
        Err(error) => {
            tracing::error!(%error, %epoch, "an old epoch of the spool could not be sealed; it is tried again")
        }
    }
}

/// Starts the task that keeps the spool in order.
pub fn start(spool: Arc<Spool>, node_id: String, tasks: &Tasks) {
    let stopping = tasks.stopping();
    tasks.spawn("spool-order", async move {
        for round in 1_u32.. {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(SWEEP_EVERY) => {}
            }
            let (spool, node_id) = (spool.clone(), node_id.clone());
            let kept = tokio::task::spawn_blocking(move || {
                keep(&spool, &node_id, round.is_multiple_of(ADOPT_EVERY))
            });
            if let Err(error) = kept.await {
                tracing::error!(%error, "the spool is not kept in order");
            }
        }
    });
}

fn keep(spool: &Spool, node_id: &str, adopt: bool) {
    if let Err(error) = spool.sweep(Instant::now()) {
        tracing::warn!(%error, "the spool could not be swept");
    }
    if !adopt {
        return;
    }
    match spool.adopt() {
        Ok(epochs) => epochs.into_iter().for_each(|old| recover(old, node_id)),
        Err(error) => tracing::warn!(%error, "old epochs of the spool cannot be looked for"),
    }
}

fn write(old: &mut OldEpoch, intents: &[u64], mut record: UsageRecord) -> Result<(), spool::Error> {
    let mut bytes = record.encode_to_vec();
    // Attempts are few and short; a record beyond bounds can only be one whose texts are: they are given up, not it.
    if Payload::new(&bytes).is_err() {
        record.tags.clear();
        for attempt in &mut record.attempts {
            attempt.cost = None;
            attempt.upstream_request_id.clear();
        }
        bytes = record.encode_to_vec();
    }
    if Payload::new(&bytes).is_err() {
        record.attempts.truncate(1);
        record.model.truncate(record.model.floor_char_boundary(256));
        bytes = record.encode_to_vec();
    }
    match Payload::new(&bytes) {
        Ok(payload) => old.recover(partition(&record.key_id), intents, payload).map(drop),
        Err(error) => {
            tracing::error!(%error, request = record.request_id, "an unfinished request cannot be recorded");
            let bare = UsageRecord { attempts: Vec::new(), model: String::new(), ..record };
            let bytes = bare.encode_to_vec();
            let payload = Payload::new(&bytes).map_err(|_| spool::Error::Unfinished(intents.len()))?;
            old.recover(partition(&bare.key_id), intents, payload).map(drop)
        }
    }
}

/// One record for each request, with the numbers of the intents that it closes; in the order of the requests' first
/// attempts, so that a recovery that is broken off and begun again writes the same.
fn records(unfinished: Vec<Unfinished>, node_id: &str) -> Vec<(Vec<u64>, UsageRecord)> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut found: Vec<(Vec<u64>, UsageRecord)> = Vec::new();
    for unfinished in unfinished {
        let intent = AttemptIntent::decode(unfinished.payload.as_slice()).unwrap_or_else(|error| {
            tracing::error!(%error, "an intent in the spool cannot be read; it is recorded without its data");
            AttemptIntent::default()
        });
        let attempt = attempt(&intent, &unfinished.notes);
        // Without a request id there is nothing by which attempts belong together.
        let place = match places.get(&intent.request_id) {
            Some(place) if !intent.request_id.is_empty() => *place,
            _ => {
                places.insert(intent.request_id.clone(), found.len());
                found.push((Vec::new(), record(&intent, node_id)));
                found.len() - 1
            }
        };
        let (intents, record) = &mut found[place];
        record.estimated |= attempt.estimated;
        record.unpriced |= attempt.is_unpriced();
        record.attempts.push(attempt);
        intents.push(unfinished.id);
    }
    found
}

fn record(intent: &AttemptIntent, node_id: &str) -> UsageRecord {
    UsageRecord {
        request_id: intent.request_id.clone(),
        key_id: intent.key_id.clone(),
        user_id: intent.user_id.clone(),
        tags: intent.tags.clone(),
        dialect: intent.dialect.clone(),
        operation: intent.operation.clone(),
        model: intent.model.clone(),
        client_kind: intent.client_kind.clone(),
        started_at: Some(timestamp(intent.request_started_us)),
        outcome: UNKNOWN.to_owned(),
        streaming: intent.streaming,
        // What is unknown is estimated: also a request whose attempts are known, since the client's part is not.
        estimated: true,
        node_id: node_id.to_owned(),
        request_bytes: intent.request_bytes,
        ..UsageRecord::default()
    }
}

/// The last note, if there is one: what was known. Else what was intended, with the usage that was estimated.
fn attempt(intent: &AttemptIntent, notes: &[Vec<u8>]) -> Attempt {
    let noted = notes.last().and_then(|note| Attempt::decode(note.as_slice()).ok());
    if let Some(noted) = noted {
        return noted;
    }
    let usage =
        TokenUsage { input: intent.input_tokens, output: intent.output_tokens, ..TokenUsage::default() };
    let multiplier = if intent.multiplier == 0.0 { 1.0 } else { intent.multiplier };
    let context = price::Context { service_tier: "", multiplier };
    let cost =
        price::Table::shipped().find(&intent.model_sent).map(|price| price::cost(price, &usage, &context));
    Attempt {
        id: intent.attempt_id.clone(),
        account_id: intent.account_id.clone(),
        platform: intent.platform.clone(),
        group_id: intent.group_id.clone(),
        model_sent: intent.model_sent.clone(),
        usage: Some(usage),
        cost,
        outcome: UNKNOWN.to_owned(),
        estimated: true,
        started_at: Some(timestamp(intent.started_us)),
        ..Attempt::default()
    }
}

fn timestamp(us: i64) -> Timestamp {
    Timestamp { seconds: us.div_euclid(1_000_000), nanos: (us.rem_euclid(1_000_000) * 1000) as i32 }
}

#[cfg(test)]
mod tests;
