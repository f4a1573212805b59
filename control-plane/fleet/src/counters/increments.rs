//! What one usage record adds to which rows. Pure: the same record always adds the same.

use jiff::tz::TimeZone;
use proto::types::{Attempt, Retention, UsageRecord};
use store::Apply;

use super::{Bucket, Dimension, Share, Step, fields, kept_for_ms};

/// Longest model or tag name that gets a row of its own, bytes.
const NAME_LIMIT: usize = 128;
/// What requests for models that nobody knows and that used nothing are counted under: a client that asks for ten
/// thousand invented names must not make ten thousand rows.
pub const UNKNOWN_MODEL: &str = "(unknown)";

/// Adds what a record counts to an apply. Rows whose retention has passed at `now_ms` are left out.
pub fn add(apply: &mut Apply, record: &UsageRecord, zone: &TimeZone, retention: &Retention, now_ms: i64) {
    let at_ms = began_ms(record).unwrap_or(now_ms);
    let expiry = |bucket: &Bucket| Some(bucket.end_ms()? + kept_for_ms(bucket.step, retention)?);
    let buckets: Vec<(Bucket, Option<i64>)> = Step::ALL
        .into_iter()
        .map(|step| Bucket::holding(step, at_ms, zone))
        .map(|bucket| (expiry(&bucket), bucket))
        .filter(|(expires, _)| expires.is_none_or(|expires| expires > now_ms))
        .map(|(expires, bucket)| (bucket, expires))
        .collect();
    for (dimension, id, share) in shares(record) {
        for (bucket, expires) in &buckets {
            if !dimension.steps().contains(&bucket.step) {
                continue;
            }
            let row = bucket.row(dimension, &id);
            for (field, by) in share.fields() {
                apply.add(&row, *expires, field, by);
            }
            if bucket.step == Step::Total && dimension.keeps_last_use() {
                apply.raise(&row, None, fields::LAST_USED, at_ms.min(now_ms).max(0));
            }
        }
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
        share.attempt(attempt.usage.as_ref(), attempt.cost.as_ref());
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
        share.attempt(attempt.usage.as_ref(), attempt.cost.as_ref());
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
