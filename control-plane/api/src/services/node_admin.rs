//! Nodes and join tokens.

use domain::{JoinToken, Node, Violations, text};
use fleet::Fleet;
use proto::admin::{self, node_admin_service_server::NodeAdminService};
use secrecy::ExposeSecret as _;
use store::Expect;
use tonic::{Request, Response, Status};

use crate::{convert, guard::Caller, records::Records};

/// The service.
pub struct NodeAdmin {
    records: Records,
    fleet: Fleet,
}

impl NodeAdmin {
    /// Over the records and the nodes.
    pub fn new(records: Records, fleet: Fleet) -> Self {
        Self { records, fleet }
    }
}

#[tonic::async_trait]
impl NodeAdminService for NodeAdmin {
    async fn list_nodes(
        &self,
        _: Request<admin::ListNodesRequest>,
    ) -> Result<Response<admin::ListNodesResponse>, Status> {
        let nodes = self.fleet.nodes().await.map_err(convert::store)?;
        let revision = self.records.view().revision();
        let revision = format!("{}:{}", revision.incarnation, revision.number);
        Ok(Response::new(admin::ListNodesResponse { nodes, revision }))
    }

    async fn drain_node(
        &self,
        request: Request<admin::DrainNodeRequest>,
    ) -> Result<Response<admin::DrainNodeResponse>, Status> {
        let caller = Caller::of(&request)?;
        let held = self.records.get::<Node>(&request.into_inner().id).await?;
        if !held.value.drain_requested {
            let node = Node { drain_requested: true, ..held.value.clone() };
            self.records.commit(self.records.change(&caller).update(&held, &node)).await?;
        }
        Ok(Response::new(admin::DrainNodeResponse {}))
    }

    async fn create_join_token(
        &self,
        request: Request<admin::CreateJoinTokenRequest>,
    ) -> Result<Response<admin::CreateJoinTokenResponse>, Status> {
        let caller = Caller::of(&request)?;
        let asked = request.into_inner();
        let now = self.records.now_ms();
        let mut wrong = Violations::default();
        let name = text::name(&asked.name, "name", &mut wrong);
        wrong.or(()).map_err(|wrong| convert::invalid(&wrong))?;
        let expires_at_ms = super::end("expires_at", asked.expires_at.as_ref(), now)?;
        let (token, minted) =
            JoinToken::mint(name, expires_at_ms, now).map_err(|why| convert::internal(&why))?;
        self.records.commit(self.records.change(&caller).put(&token, Expect::Absent)).await?;
        let secret = minted.secret.expose_secret().to_owned();
        Ok(Response::new(admin::CreateJoinTokenResponse { join_token: Some(token.to_wire()), secret }))
    }

    async fn list_join_tokens(
        &self,
        _: Request<admin::ListJoinTokensRequest>,
    ) -> Result<Response<admin::ListJoinTokensResponse>, Status> {
        let all = self.records.view().all::<JoinToken>();
        // Ids are of version 7: by id is by time.
        let join_tokens = all.iter().rev().map(|token| token.value.to_wire()).collect();
        Ok(Response::new(admin::ListJoinTokensResponse { join_tokens }))
    }

    async fn delete_join_token(
        &self,
        request: Request<admin::DeleteJoinTokenRequest>,
    ) -> Result<Response<admin::DeleteJoinTokenResponse>, Status> {
        let caller = Caller::of(&request)?;
        let token = self.records.get::<JoinToken>(&request.into_inner().id).await?;
        let change = self.records.change(&caller).delete::<JoinToken>(&token.value.id, Expect::Any);
        self.records.commit(change).await?;
        Ok(Response::new(admin::DeleteJoinTokenResponse {}))
    }
}
