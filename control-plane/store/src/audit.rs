//! The audit log: who changed what, as a chain in which each entry's hash covers the one before.
//!
//! Entries are made by `commit` and written in the same atomic step as the change they tell of, so there is no change
//! without its entry and no entry without its change. This file knows the chain, not the change.

mod log;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    codec,
    error::{Error, Result},
    kv::AuditHead,
};

const HASH: usize = 32;

/// Who changes something, from where, by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// A login name, `token:<name>`, `system:<job>` or `node:<id>`.
    pub actor: String,
    /// Client address; empty: not from outside.
    pub address: String,
    /// The method's name or the job's.
    pub action: String,
}

impl Author {
    /// A job of the system itself.
    pub fn system(job: &str) -> Self {
        Self { actor: format!("system:{job}"), address: String::new(), action: job.to_owned() }
    }
}

/// One change, as the log has it.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// Position in the log, from 1 without gaps.
    pub sequence: u64,
    /// What is told.
    pub fact: Fact,
    /// Hex SHA-256 over the hash before and this entry's bytes.
    pub hash: String,
}

/// What an entry tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// When, Unix milliseconds of the store's clock.
    pub at_ms: i64,
    /// Who.
    pub actor: String,
    /// From where; empty: not from outside.
    pub address: String,
    /// What was done.
    pub action: String,
    /// Kind of thing.
    pub kind: String,
    /// Its id.
    pub target_id: String,
    /// What it was before, secrets masked; `None`: it was not.
    pub before: Option<Value>,
    /// What it is after, secrets masked; `None`: it is not.
    pub after: Option<Value>,
}

/// Which entries are wanted. Empty texts mean any.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// By this actor.
    pub actor: String,
    /// Of this kind of thing.
    pub kind: String,
    /// Of the thing with this id.
    pub target_id: String,
}

impl AuditFilter {
    /// Whether an entry is wanted.
    pub(crate) fn admits(&self, fact: &Fact) -> bool {
        let agrees = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        agrees(&self.actor, &fact.actor)
            && agrees(&self.kind, &fact.kind)
            && agrees(&self.target_id, &fact.target_id)
    }
}

/// What a check of the chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every entry continues the one before.
    Whole {
        /// How many entries were checked.
        entries: u64,
        /// Sequence of the last entry that was trimmed away; 0: none was.
        anchored_at: u64,
    },
    /// An entry is missing, altered or does not continue the one before.
    Broken {
        /// Its sequence.
        sequence: u64,
        /// What is wrong.
        why: String,
    },
}

/// A fact with its place, as it is hashed and written.
#[derive(Serialize, Deserialize)]
struct Written<F> {
    sequence: u64,
    #[serde(flatten)]
    fact: F,
}

/// Chains facts onto a head: the encoded entries, and the head that they make.
pub(crate) fn chain(mut head: AuditHead, facts: &[Fact]) -> Result<(Vec<Vec<u8>>, AuditHead)> {
    let mut entries = Vec::with_capacity(facts.len());
    for fact in facts {
        let sequence = head.sequence + 1;
        let json = serde_json::to_vec(&Written { sequence, fact })
            .map_err(|why| Error::Invalid { why: format!("an audit entry has no JSON form: {why}") })?;
        head = AuditHead { sequence, hash: link(&head.hash, &json) };
        let mut bytes = Vec::with_capacity(1 + HASH + json.len());
        bytes.push(codec::AUDIT);
        bytes.extend_from_slice(&head.hash);
        bytes.extend_from_slice(&json);
        entries.push(bytes);
    }
    Ok((entries, head))
}

/// Reads an entry.
pub(crate) fn decode(sequence: u64, bytes: &[u8]) -> Result<AuditEntry> {
    let (hash, json) = split(sequence, bytes)?;
    let written: Written<Fact> = serde_json::from_slice(json)
        .map_err(|why| Error::corrupt(name(sequence), format!("at column {}", why.column())))?;
    Ok(AuditEntry { sequence: written.sequence, fact: written.fact, hash: hex::encode(hash) })
}

/// Checks that an entry continues `before`, and gives the head after it.
pub(crate) fn check(before: &AuditHead, sequence: u64, bytes: &[u8]) -> Result<AuditHead, String> {
    if sequence != before.sequence + 1 {
        return Err(format!("the one before is {}", before.sequence));
    }
    let (hash, json) = split(sequence, bytes).map_err(|why| why.to_string())?;
    if link(&before.hash, json) != hash {
        return Err("its hash does not follow from the one before and its content".into());
    }
    let claimed = decode(sequence, bytes).map_err(|why| why.to_string())?.sequence;
    if claimed != sequence {
        return Err(format!("it says that it is {claimed}"));
    }
    Ok(AuditHead { sequence, hash })
}

/// The place in the chain that an entry makes.
pub(crate) fn head_of(sequence: u64, bytes: &[u8]) -> Result<AuditHead> {
    Ok(AuditHead { sequence, hash: split(sequence, bytes)?.0 })
}

fn link(before: &[u8; HASH], json: &[u8]) -> [u8; HASH] {
    Sha256::new().chain_update(before).chain_update(json).finalize().into()
}

fn split(sequence: u64, bytes: &[u8]) -> Result<([u8; HASH], &[u8])> {
    match bytes.split_first() {
        Some((&codec::AUDIT, rest)) if rest.len() > HASH => {
            let (hash, json) = rest.split_at(HASH);
            let hash = hash.try_into().map_err(|why| Error::corrupt(name(sequence), why))?;
            Ok((hash, json))
        }
        _ => Err(Error::corrupt(name(sequence), "its format is not known")),
    }
}

fn name(sequence: u64) -> String {
    format!("audit entry {sequence}")
}

#[cfg(test)]
mod tests;
