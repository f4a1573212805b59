//! What usage records add to which rows. Pure: the same records always add the same.

use std::collections::{BTreeMap, HashMap};

use jiff::tz::TimeZone;
use proto::types::{Attempt, Retention, UsageRecord};
use store::Apply;

use super::{Bucket, Dimension, Share, Step, fields, kept_for_ms};

const MINUTE_MS: i64 = 60_000;
/// Longest model or tag name that gets a row of its own, bytes.
const NAME_LIMIT: usize = 128;
/// What requests for models that nobody knows and that used nothing are counted under: a client that asks for ten
/// thousand invented names must not make ten thousand rows.
pub const UNKNOWN_MODEL: &str = "(unknown)";

/// What records count, gathered before any row is named: most records of one batch fall into the same rows, and naming
/// those costs more than adding to them.
pub struct Tally<'s> {
    zone: &'s TimeZone,
    retention: &'s Retention,
    now_ms: i64,
    /// By minute (zones differ by whole minutes): what was counted of what.
    minutes: BTreeMap<i64, HashMap<(Dimension, String), Counted>>,
}

/// What was counted of one thing within one minute.
#[derive(Default)]
struct Counted {
    add: Vec<(&'static str, i64)>,
    last_used_ms: i64,
}

impl<'s> Tally<'s> {
    /// Of nothing yet. Rows whose retention has passed at `now_ms` will be left out.
    pub fn new(zone: &'s TimeZone, retention: &'s Retention, now_ms: i64) -> Self {
        Self { zone, retention, now_ms, minutes: BTreeMap::new() }
    }

    /// Counts a record.
    pub fn count(&mut self, record: &UsageRecord) {
        let at_ms = began_ms(record).unwrap_or(self.now_ms);
        let used_ms = at_ms.min(self.now_ms).max(0);
        let minute = self.minutes.entry(at_ms.div_euclid(MINUTE_MS)).or_default();
        for (dimension, id, share) in shares(record) {
            let counted = minute.entry((dimension, id)).or_default();
            counted.last_used_ms = counted.last_used_ms.max(used_ms);
            for (field, by) in share.fields() {
                match counted.add.iter_mut().find(|(known, _)| *known == field) {
                    Some((_, sum)) => *sum = sum.saturating_add(by),
                    None => counted.add.push((field, by)),
                }
            }
        }
    }

    /// Adds all of it to an apply.
    pub fn write(self, apply: &mut Apply) {
        for (minute, things) in &self.minutes {
            let buckets = self.buckets(minute * MINUTE_MS);
            for ((dimension, id), counted) in things {
                let steps = dimension.steps();
                for (bucket, expires) in buckets.iter().filter(|(bucket, _)| steps.contains(&bucket.step)) {
                    let row = bucket.row(*dimension, id);
                    apply.add_all(&row, *expires, &counted.add);
                    if bucket.step == Step::Total && dimension.keeps_last_use() {
                        apply.raise(&row, None, fields::LAST_USED, counted.last_used_ms);
                    }
                }
            }
        }
    }

    /// The rows' times that hold an instant, with when each may be forgotten.
    fn buckets(&self, at_ms: i64) -> Vec<(Bucket, Option<i64>)> {
        let expiry = |bucket: &Bucket| Some(bucket.end_ms()? + kept_for_ms(bucket.step, self.retention)?);
        Step::ALL
            .into_iter()
            .map(|step| Bucket::holding(step, at_ms, self.zone))
            .map(|bucket| (expiry(&bucket), bucket))
            .filter(|(expires, _)| expires.is_none_or(|expires| expires > self.now_ms))
            .map(|(expires, bucket)| (bucket, expires))
            .collect()
    }
}

/// When a request began, Unix milliseconds: its own word, or that of its first attempt.
pub fn began_ms(record: &UsageRecord) -> Option<i64> {
    let own = record.started_at.as_ref();
    let stamp = own.or_else(|| record.attempts.iter().find_map(|attempt| attempt.started_at.as_ref()))?;
    Some(stamp.seconds.saturating_mul(1000).saturating_add(i64::from(stamp.nanos) / 1_000_000))
}

fn shares(record: &UsageRecord) -> Vec<(Dimension, String, Share)> {
    let whole = whole(record);
    let model = model(record, &whole);
    let mut list = vec![(Dimension::Overall, String::new(), whole.clone())];
    let mut of_request = |dimension, id: String| list.push((dimension, id, whole.clone()));
    of_request(Dimension::Key, record.key_id.clone());
    of_request(Dimension::KeyModel, format!("{}/{model}", record.key_id));
    if !record.user_id.is_empty() {
        of_request(Dimension::User, record.user_id.clone());
    }
    let mut tags: Vec<_> = record.tags.iter().map(|tag| cut(tag)).filter(|tag| !tag.is_empty()).collect();
    tags.sort_unstable();
    tags.dedup();
    for tag in tags {
        of_request(Dimension::Tag, tag.to_owned());
    }
    for (account, share) in by(record, |attempt| &attempt.account_id) {
        list.push((Dimension::AccountModel, format!("{account}/{model}"), share.clone()));
        list.push((Dimension::Account, account, share));
    }
    for (group, share) in by(record, |attempt| &attempt.group_id) {
        list.push((Dimension::Group, group, share));
    }
    for (platform, share) in by(record, |attempt| &attempt.platform) {
        list.push((Dimension::Platform, platform, share));
    }
    list.push((Dimension::Model, model, whole));
    list
}

/// The request once, with the tokens and cost of all its attempts.
fn whole(record: &UsageRecord) -> Share {
    let mut share = Share {
        requests: 1,
        failed: failed(&record.outcome),
        estimated: record.estimated || record.attempts.iter().any(|attempt| attempt.estimated),
        first_byte_us: record.first_byte_us,
        total_us: record.total_us,
        ..Share::default()
    };
    for attempt in &record.attempts {
        share.attempt(attempt);
    }
    share
}

/// By account, group or platform: only the attempts made there; the request once.
fn by(record: &UsageRecord, id: fn(&Attempt) -> &String) -> Vec<(String, Share)> {
    let mut list: Vec<(String, Share)> = Vec::new();
    for attempt in record.attempts.iter().filter(|attempt| !id(attempt).is_empty()) {
        let at = list.iter().position(|(known, _)| known == id(attempt)).unwrap_or_else(|| {
            list.push((id(attempt).clone(), Share { requests: 1, ..Share::default() }));
            list.len() - 1
        });
        let share = &mut list[at].1;
        share.attempt(attempt);
        // The last attempt there decides whether the request failed there.
        share.failed = failed(&attempt.outcome);
        share.estimated |= attempt.estimated;
        share.first_byte_us = share.first_byte_us.saturating_add(attempt.first_event_us);
        share.total_us = share.total_us.saturating_add(attempt.total_us);
    }
    list
}

fn failed(outcome: &str) -> bool {
    !matches!(outcome, "ok" | "client_gone")
}

/// The model asked for, if it is one that exists or that anything was used of.
fn model(record: &UsageRecord, whole: &Share) -> String {
    let asked = cut(&record.model);
    let known = whole.tokens.all() > 0 || proto::rules::family::of(asked) != proto::rules::family::OTHER;
    if known && !asked.is_empty() { asked.to_owned() } else { UNKNOWN_MODEL.to_owned() }
}

fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_LIMIT)]
}
