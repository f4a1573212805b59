//! Records of relayed requests.

use fleet::records as log;
use proto::{
    admin::{self, request_service_server::RequestService},
    types,
};
use tonic::{Request, Response, Status};

use crate::{convert, page, records::Records};

/// The service.
pub struct Requests {
    records: Records,
}

impl Requests {
    /// Over the records.
    pub fn new(records: Records) -> Self {
        Self { records }
    }
}

#[tonic::async_trait]
impl RequestService for Requests {
    async fn list_requests(
        &self,
        request: Request<admin::ListRequestsRequest>,
    ) -> Result<Response<admin::ListRequestsResponse>, Status> {
        let asked = request.into_inner();
        let size = page::size(asked.page_size)?;
        let filter = log::Filter {
            start_ms: super::time("start", asked.start.as_ref())?,
            end_ms: super::time("end", asked.end.as_ref())?,
            key_id: asked.key_id,
            account_id: asked.account_id,
            model: asked.model,
            outcome: asked.outcome,
        };
        if asked.page_token.len() > 256 {
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
}
