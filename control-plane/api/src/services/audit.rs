//! The audit log.

use domain::time;
use proto::admin::{self, audit_service_server::AuditService};
use store::{AuditEntry, AuditFilter};
use tonic::{Request, Response, Status};

use crate::{convert, page, records::Records};

/// The service.
pub struct Audit {
    records: Records,
}

impl Audit {
    /// Over the records.
    pub fn new(records: Records) -> Self {
        Self { records }
    }
}

#[tonic::async_trait]
impl AuditService for Audit {
    async fn list_audit_entries(
        &self,
        request: Request<admin::ListAuditEntriesRequest>,
    ) -> Result<Response<admin::ListAuditEntriesResponse>, Status> {
        let asked = request.into_inner();
        let size = page::size(asked.page_size)?;
        let before = match asked.page_token.as_str() {
            "" => None,
            token => {
                let wrong = |_| convert::invalid_field("page_token", "is not one that this list gave");
                Some(token.parse::<u64>().map_err(wrong)?)
            }
        };
        let filter = AuditFilter { actor: asked.actor, kind: asked.kind, target_id: asked.target_id };
        // One more than asked for tells whether there is a next page.
        let found = self.records.store().audit_entries(&filter, before, size + 1).await;
        let mut found = found.map_err(convert::store)?;
        let more = found.len() > size;
        found.truncate(size);
        let next_page_token = match found.last() {
            Some(last) if more => last.sequence.to_string(),
            _ => String::new(),
        };
        let entries = found.into_iter().map(shown).collect();
        Ok(Response::new(admin::ListAuditEntriesResponse { entries, next_page_token }))
    }
}

fn shown(entry: AuditEntry) -> admin::AuditEntry {
    let json = |value: Option<serde_json::Value>| value.map(|value| value.to_string()).unwrap_or_default();
    let fact = entry.fact;
    admin::AuditEntry {
        sequence: i64::try_from(entry.sequence).unwrap_or(i64::MAX),
        at: Some(time::to_wire(fact.at_ms)),
        actor: fact.actor,
        address: fact.address,
        action: fact.action,
        kind: fact.kind,
        target_id: fact.target_id,
        before: json(fact.before),
        after: json(fact.after),
        hash: entry.hash,
    }
}
