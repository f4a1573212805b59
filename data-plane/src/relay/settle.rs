//! What a request owes until it is settled: its permit, the slot of the attempt under way, an intent for every attempt,
//! and one usage record. Settling is synchronous, so it also happens from `Drop`, when the client has left.
//!
//! Every attempt has its own usage and its own price, abandoned ones too.

use std::{sync::Arc, time::Instant};

use limits::Permit;
use proto::{
    rules::{price, usage, verdict::Verdict},
    types::{Cost, Explanation, TokenUsage},
};
use scheduler::{Choice, Considered, Slot};
use snapshot::{Account, Key, Revision, Settings, Snapshot, UnknownPrice};
use spool::{Intent, Payload};

use super::{
    affinity,
    choose::Session,
    demand,
    error::Refusal,
    node::{Asked, Worker},
    read::Reserved,
};
use crate::{
    access_log::Entry,
    metrics::{Outcome, Reason},
};

mod ended;
mod record;
mod refused;
mod reserve;
mod tried;
mod unsettled;
mod wire;

pub use ended::{Ended, Usage};
pub use record::Scratch;
use unsettled::entry;
pub use unsettled::{answered, turned_away};

use record::{About, Came, Intended};
use tried::Tried;

/// A request, from the moment that its key is known to its end.
pub struct Settlement {
    /// The worker that serves it.
    pub worker: Arc<Worker>,
    /// The request.
    pub asked: Box<Asked>,
    /// Its key.
    pub key: Arc<Key>,
    /// The client's kind.
    pub client_kind: Option<&'static str>,
    /// Its limits.
    pub permit: Option<Permit>,
    /// Its part of the byte budget.
    pub reserved: Option<Reserved>,
    /// Model asked for; empty until it is known.
    pub model: String,
    /// Its session.
    pub session: Option<Session>,
    /// Input tokens, estimated from the body.
    pub input_estimate: i64,
    /// Output tokens that the request allows itself; 0: not said.
    pub output_cap: i64,
    /// What bounds its input, where a limit of its key is strict.
    pub bound: demand::Bound,
    /// Whether the upstream may keep the answer for a later request to build on.
    pub is_kept: bool,
    /// Bytes of its body.
    pub request_bytes: u64,
    /// Whether it asks for a stream.
    pub streaming: bool,
    /// Bytes sent to the client.
    pub sent: u64,
    /// When the first of them was.
    pub first_byte: Option<Instant>,
    /// Status that the client is told; 0: none yet.
    pub status: u16,
    settings: Arc<Settings>,
    revision: Option<Revision>,
    attempts: Vec<Tried>,
    intents: Vec<Intent>,
    open: Option<Open>,
    explained: Explained,
    settled: bool,
}

/// The attempt under way.
struct Open {
    account: Arc<Account>,
    sent: Instant,
    multiplier: f64,
    _slot: Slot,
}

/// How the last choice was made.
#[derive(Default)]
struct Explained {
    how: &'static str,
    considered: Considered,
}

impl Settlement {
    /// Begins with a request whose key is good.
    pub fn begin(worker: &Arc<Worker>, asked: Box<Asked>, key: Arc<Key>, snapshot: &Snapshot) -> Box<Self> {
        Box::new(Self {
            worker: Arc::clone(worker),
            asked,
            key,
            client_kind: None,
            permit: None,
            reserved: None,
            model: String::new(),
            session: None,
            input_estimate: 0,
            output_cap: 0,
            bound: demand::Bound::NotAsked,
            is_kept: false,
            request_bytes: 0,
            streaming: false,
            sent: 0,
            first_byte: None,
            status: 0,
            settings: Arc::clone(snapshot.settings()),
            revision: snapshot.revision().cloned(),
            attempts: Vec::new(),
            intents: Vec::new(),
            open: None,
            explained: Explained::default(),
            settled: false,
        })
    }

    /// Begins an attempt: hands its intent to the kernel and keeps its slot.
    ///
    /// # Errors
    /// The spool has no room; nothing was begun.
    fn write_intent(&mut self, choice: Choice, model_sent: String) -> Result<(), spool::Full> {
        self.note_last();
        let Choice { account, slot, how, group, considered, .. } = choice;
        let now_us = process::clock::unix_us();
        let multiplier = demand::multiplier(&self.key, &self.settings, account.service);
        let id = self.worker.ids.uuid(now_us);
        let begun = Tried::begun(id, Arc::clone(&account), group, model_sent, now_us);
        let tried = Tried { choice: how.name(), ..begun };
        let intended =
            Intended { input_tokens: self.input_estimate, output_tokens: self.output_cap, multiplier };
        let intent = {
            let mut scratch = self.worker.scratch.lock();
            scratch.intent(&self.about(), &tried, &intended);
            match Payload::new(&scratch.whole) {
                Ok(payload) => self.worker.spool.intent(payload)?,
                Err(_) => return Err(spool::Full::Disk),
            }
        };
        self.intents.push(intent);
        self.attempts.push(tried);
        self.explained = Explained { how: how.name(), considered };
        self.open = Some(Open { account, sent: Instant::now(), multiplier, _slot: slot });
        Ok(())
    }

    /// Writes down how the attempt before ended, now that the request goes on: a kill from here on leaves it known.
    fn note_last(&mut self) {
        let (Some(intent), Some(tried)) = (self.intents.last_mut(), self.attempts.last()) else { return };
        let mut scratch = self.worker.scratch.lock();
        scratch.note(tried);
        let Ok(payload) = Payload::new(&scratch.whole) else { return };
        if let Err(full) = self.worker.spool.note(intent, payload) {
            // Its record is still written at the end; only after a kill it would read as unknown.
            tracing::warn!(%full, "how an attempt ended could not be noted");
        }
    }

    fn about(&self) -> About<'_> {
        About {
            request_id: &self.asked.id,
            key_id: self.key.id.as_str(),
            user_id: self.key.user_id.as_str(),
            tags: &self.key.tags,
            dialect: self.asked.dialect.as_str(),
            operation: self.asked.operation.as_str(),
            model: &self.model,
            client_kind: self.client_kind.unwrap_or_default(),
            started_us: self.asked.started_us,
            streaming: self.streaming,
            request_bytes: self.request_bytes as i64,
        }
    }

    /// Notes that the attempt's first event has come.
    pub fn first_event(&mut self) {
        if let (Some(open), Some(attempt)) = (&self.open, self.attempts.last_mut()) {
            attempt.first_event_us = record::micros(open.sent.elapsed());
        }
    }

    /// Ends the attempt under way: prices it and gives its slot back.
    pub fn attempt_ended(&mut self, ended: Ended<'_>) {
        let Some(open) = self.open.take() else { return };
        affinity::remember_answer(self, &ended.usage, &open.account);
        let charged = self.asked.operation.is_charged();
        let (usage, estimated, model, tier) = self.used(ended.usage, charged);
        let cost = self.price(&usage, &model, &tier, open.multiplier);
        self.worker.node.metrics.attempted(ended.verdict.name());
        self.worker.node.metrics.used(&usage);
        self.worker.node.metrics.cost.inc_by(cost.rated.max(0) as u64);
        let Some(attempt) = self.attempts.last_mut() else { return };
        if usage::unpriced(Some(&usage), Some(&cost)) {
            let named = if model.is_empty() { &attempt.model_sent } else { &model };
            self.worker.node.metrics.unpriced.count(named, usage.all());
        }
        attempt.model_served = model;
        attempt.service_tier = tier;
        attempt.usage = Some(usage);
        attempt.cost = Some(cost);
        attempt.estimated = estimated;
        attempt.status = ended.status;
        attempt.outcome = ended.outcome;
        attempt.verdict = ended.verdict.name();
        attempt.upstream_request_id = ended.upstream_request_id;
        attempt.total_us = record::micros(open.sent.elapsed());
    }

    /// The account of the attempt under way.
    pub fn account(&self) -> Option<&Arc<Account>> {
        self.open.as_ref().map(|open| &open.account)
    }

    /// When the attempt under way began, Unix milliseconds.
    pub fn attempt_began_ms(&self) -> Option<i64> {
        self.open.as_ref().and(self.attempts.last()).map(|attempt| attempt.started_us / 1000)
    }

    /// Settles: one record for all attempts, and every obligation ended.
    pub fn finish(&mut self, outcome: Outcome) {
        self.finish_with(outcome, None);
    }

    /// Settles a request that is refused, or failed for good.
    pub fn refuse(&mut self, refusal: &Refusal) {
        self.status = refusal.status.as_u16();
        if self.intents.is_empty() && !self.settled {
            self.note_refused(refusal);
        }
        let outcome = if refusal.reason.is_none() { Outcome::UpstreamError } else { Outcome::Refused };
        self.finish_with(outcome, refusal.reason);
    }

    fn finish_with(&mut self, outcome: Outcome, reason: Option<Reason>) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let node = &self.worker.node;
        match reason {
            Some(reason) => node.metrics.refused(reason),
            None => node.metrics.request_ended(outcome),
        }
        let elapsed = self.asked.started.elapsed();
        node.metrics.request_seconds.observe(elapsed.as_secs_f64());
        if let Some(first) = self.first_byte {
            node.metrics.first_byte_seconds.observe((first - self.asked.started).as_secs_f64());
        }
        self.log(outcome, reason, record::micros(elapsed) as u64);
        if !self.intents.is_empty() {
            // A record is of requests that reached an account; one refused after that still is an upstream's failure.
            let outcome = if outcome == Outcome::Refused { Outcome::UpstreamError } else { outcome };
            let mut scratch = self.worker.scratch.lock();
            scratch.record(&self.about(), &self.came(outcome, record::micros(elapsed)), self.explanation());
            if let Ok(payload) = Payload::new(&scratch.whole) {
                let partition = usage::partition(self.key.id.as_str());
                self.worker.spool.outcome(partition, std::mem::take(&mut self.intents), payload);
            }
        }
        self.settle_permit();
        self.reserved = None;
    }

    fn came(&self, outcome: Outcome, total_us: i64) -> Came<'_> {
        Came {
            attempts: &self.attempts,
            first_byte_us: self.first_byte_us(),
            total_us,
            status: self.status,
            outcome: outcome.as_str(),
            node_id: self.worker.node.id.as_str(),
            response_bytes: self.sent as i64,
        }
    }

    fn log(&self, outcome: Outcome, reason: Option<Reason>, total_us: u64) {
        let (mut input, mut output, mut cost) = (0, 0, 0);
        for attempt in &self.attempts {
            input += attempt.usage.as_ref().map_or(0, TokenUsage::whole_input);
            output += attempt.usage.as_ref().map_or(0, |usage| usage.output);
            cost += attempt.cost.as_ref().map_or(0, |cost| cost.rated);
        }
        self.worker.log.write(&Entry {
            key_id: self.key.id.as_str(),
            key: &self.key.name,
            account_id: self.attempts.last().map_or("", |tried| tried.account.id.as_str()),
            model: &self.model,
            client_kind: self.client_kind.unwrap_or_default(),
            attempts: self.attempts.len() as u32,
            input_tokens: input,
            output_tokens: output,
            cost,
            request_bytes: self.request_bytes,
            response_bytes: self.sent,
            first_byte_us: self.first_byte_us() as u64,
            total_us,
            status: self.status,
            outcome: outcome.as_str(),
            reason: reason.map(Reason::as_str).unwrap_or_default(),
            ..entry(&self.asked)
        });
    }

    fn first_byte_us(&self) -> i64 {
        self.first_byte.map_or(0, |first| record::micros(first - self.asked.started))
    }

    /// Longest silence of an upstream within its answer.
    pub fn idle_timeout(&self) -> std::time::Duration {
        self.settings.idle_timeout
    }

    /// Tokens, whether they are estimated, the model that served, the service tier.
    fn used(&self, usage: Usage, charged: bool) -> (TokenUsage, bool, String, String) {
        let input_only = TokenUsage { input: self.input_estimate, ..TokenUsage::default() };
        match usage {
            _ if !charged => Default::default(),
            Usage::None => Default::default(),
            Usage::Unknown => (input_only, true, String::new(), String::new()),
            Usage::Tapped(tapped) => {
                let (mut usage, estimated) = tapped.usage_or_estimate();
                if estimated && usage.whole_input() == 0 {
                    usage.input = self.input_estimate;
                }
                (usage, estimated, tapped.model.unwrap_or_default(), tapped.service_tier.unwrap_or_default())
            }
        }
    }

    /// By the model that served, else the one that was sent, else the one that stands for those without a price.
    fn price(&self, usage: &TokenUsage, served: &str, tier: &str, multiplier: f64) -> Cost {
        if *usage == TokenUsage::default() {
            return Cost::default();
        }
        let prices = self.worker.node.prices;
        let sent = self.attempts.last().map_or("", |attempt| &attempt.model_sent);
        let named = match &self.settings.unknown_price {
            UnknownPrice::PriceAs(model) => model.as_str(),
            _ => "",
        };
        let found = [served, sent, named].into_iter().find_map(|model| prices.find(model));
        found.map_or_else(Cost::default, |price| {
            price::cost(price, usage, &price::Context { service_tier: tier, multiplier })
        })
    }

    fn explanation(&self) -> Explanation {
        let considered = &self.explained.considered;
        Explanation {
            limits: self.permit.as_ref().map(Permit::consulted).unwrap_or_default(),
            candidates: considered.named().collect(),
            passed_over: considered
                .unnamed()
                .map(|(reason, count)| (reason.to_owned(), count as i32))
                .collect(),
            choice: self.explained.how.to_owned(),
            session_source: self.session.map(|session| session.source.to_owned()).unwrap_or_default(),
            revision: self.revision.as_ref().map(ToString::to_string).unwrap_or_default(),
        }
    }
}

impl Drop for Settlement {
    /// The client has left before there was an answer.
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        self.attempt_ended(Ended {
            status: 0,
            outcome: "client_gone",
            verdict: &Verdict::Fine,
            usage: Usage::Unknown,
            upstream_request_id: String::new(),
        });
        self.finish(Outcome::ClientGone);
    }
}
