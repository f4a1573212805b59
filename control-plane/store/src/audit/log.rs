//! Reading, checking and trimming the audit log of a store.

use super::{AuditEntry, AuditFilter, Verdict, check, decode, head_of};
use crate::{error::Result, kv::Trim, store::Store};

/// Entries read at once.
const PAGE: usize = 500;

impl Store {
    /// Audit entries that the filter admits, before sequence `before` (`None`: from the newest), newest first.
    pub async fn audit_entries(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>> {
        let (mut before, mut entries) = (before, Vec::new());
        while entries.len() < limit {
            let page = self.inner.kv.audit(before, PAGE).await?.entries;
            let Some((oldest, _)) = page.last() else { break };
            before = Some(*oldest);
            for (sequence, bytes) in &page {
                let entry = decode(*sequence, bytes)?;
                if filter.admits(&entry.fact) && entries.len() < limit {
                    entries.push(entry);
                }
            }
        }
        Ok(entries)
    }

    /// Checks the audit log's chain from its anchor to its head.
    pub async fn audit_verify(&self) -> Result<Verdict> {
        let page = self.inner.kv.audit(None, 0).await?;
        let (mut at, end) = (page.anchor, page.head);
        let anchored_at = at.sequence;
        while at.sequence < end.sequence {
            let next = at.sequence.saturating_add(PAGE as u64).min(end.sequence);
            let page = self.inner.kv.audit(Some(next + 1), (next - at.sequence) as usize).await?;
            for (sequence, bytes) in page.entries.iter().rev() {
                match check(&at, *sequence, bytes) {
                    Ok(head) => at = head,
                    Err(why) => return Ok(Verdict::Broken { sequence: *sequence, why }),
                }
            }
            if at.sequence != next {
                return Ok(Verdict::Broken { sequence: at.sequence + 1, why: "it is missing".into() });
            }
        }
        if at.hash != end.hash {
            return Ok(Verdict::Broken { sequence: end.sequence, why: "it is not the log's head".into() });
        }
        Ok(Verdict::Whole { entries: end.sequence - anchored_at, anchored_at })
    }

    /// Trims audit entries made before `before_ms`, at least the newest one excepted; how many went. Their place is
    /// kept as an anchor, from which the rest verifies.
    pub async fn audit_trim(&self, before_ms: i64) -> Result<u64> {
        let page = self.inner.kv.audit(None, 0).await?;
        let (mut anchor, mut from) = (page.anchor, page.anchor.sequence);
        'pages: while from + 1 < page.head.sequence {
            let next = (from + PAGE as u64).min(page.head.sequence - 1);
            let entries = self.inner.kv.audit(Some(next + 1), (next - from) as usize).await?.entries;
            for (sequence, bytes) in entries.iter().rev() {
                if decode(*sequence, bytes)?.fact.at_ms >= before_ms {
                    break 'pages;
                }
                anchor = head_of(*sequence, bytes)?;
            }
            from = next;
        }
        if anchor == page.anchor {
            return Ok(0);
        }
        self.trim(Trim::Audit { anchor }).await
    }
}
