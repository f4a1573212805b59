//! Records of relayed requests: searched, explained, watched.

use std::pin::Pin;

use fleet::{Fleet, records as log};
use futures_util::Stream;
use proto::{
    admin::{self, request_service_server::RequestService},
    types,
};
use tonic::{Request, Response, Status};

use crate::{convert, page, records::Records};

/// Longest text of a filter, bytes.
const LONGEST: usize = 256;

/// The service.
pub struct Requests {
    records: Records,
    fleet: Fleet,
}

impl Requests {
    /// Over the records and the nodes.
    pub fn new(records: Records, fleet: Fleet) -> Self {
        Self { records, fleet }
    }
}

/// A filter that can be meant.
fn sound(filter: log::Filter) -> Result<log::Filter, Status> {
    let texts = [
        ("key_id", &filter.key_id),
        ("account_id", &filter.account_id),
        ("model", &filter.model),
        ("outcome", &filter.outcome),
        ("client_kind", &filter.client_kind),
        ("node_id", &filter.node_id),
    ];
    if let Some((field, _)) = texts.into_iter().find(|(_, text)| text.len() > LONGEST) {
        return Err(convert::invalid_field(field, "must have at most 256 bytes"));
    }
    if !log::OUTCOMES.contains(&filter.outcome.as_str()) && !filter.outcome.is_empty() {
        let words = format!("must be one of {}", log::OUTCOMES.join(", "));
        return Err(convert::invalid_field("outcome", &words));
    }
    if filter.status != 0 && !(100..=599).contains(&filter.status) {
        return Err(convert::invalid_field("status", "must be an HTTP status, 100 to 599, or 0 for any"));
    }
    Ok(filter)
}

#[tonic::async_trait]
impl RequestService for Requests {
    type TailRequestsStream = Pin<Box<dyn Stream<Item = Result<admin::TailRequestsResponse, Status>> + Send>>;

    async fn list_requests(
        &self,
        request: Request<admin::ListRequestsRequest>,
    ) -> Result<Response<admin::ListRequestsResponse>, Status> {
        let asked = request.into_inner();
        let size = page::size(asked.page_size)?;
        let filter = sound(log::Filter {
            start_ms: super::time("start", asked.start.as_ref())?,
            end_ms: super::time("end", asked.end.as_ref())?,
            key_id: asked.key_id,
            account_id: asked.account_id,
            model: asked.model,
            outcome: asked.outcome,
            status: asked.status,
            client_kind: asked.client_kind,
            node_id: asked.node_id,
            with_refused: asked.with_refused,
        })?;
        if asked.page_token.len() > LONGEST {
            return Err(convert::invalid_field("page_token", "is not one that this list gave"));
        }
        let before = Some(asked.page_token.as_str()).filter(|token| !token.is_empty());
        let page = log::list(self.records.store(), &filter, before, size).await.map_err(convert::store)?;
        Ok(Response::new(admin::ListRequestsResponse {
            requests: page.records,
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn get_request(
        &self,
        request: Request<admin::GetRequestRequest>,
    ) -> Result<Response<types::UsageRecord>, Status> {
        let id = request.into_inner().id;
        let found = match domain::text::is_id(&id) {
            true => log::get(self.records.store(), &id).await.map_err(convert::store)?,
            false => None,
        };
        found.map(Response::new).ok_or_else(|| convert::not_found("request", &id))
    }

    async fn tail_requests(
        &self,
        request: Request<admin::TailRequestsRequest>,
    ) -> Result<Response<Self::TailRequestsStream>, Status> {
        let asked = request.into_inner();
        let filter = sound(log::Filter {
            key_id: asked.key_id,
            account_id: asked.account_id,
            model: asked.model,
            outcome: asked.outcome,
            status: asked.status,
            client_kind: asked.client_kind,
            node_id: asked.node_id,
            ..log::Filter::default()
        })?;
        Ok(Response::new(Box::pin(self.fleet.tail(filter))))
    }
}
