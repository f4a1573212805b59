//! Nodes and join tokens.

use domain::{JoinToken, Node, Violations, text};
use fleet::Fleet;
use proto::admin::{self, node_admin_service_server::NodeAdminService};
use secrecy::ExposeSecret as _;
use store::{Expect, Versioned};
use tonic::{Code, Request, Response, Status};

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

    /// A join token that was not revoked.
    async fn standing(&self, id: &str) -> Result<Versioned<JoinToken>, Status> {
        let token = self.records.get::<JoinToken>(id).await?;
        match token.value.revoked_at_ms {
            None => Ok(token),
            Some(_) => Err(convert::not_found("join token", id)),
        }
    }

    /// Changes a node's record, if that changes it.
    async fn change(&self, caller: &Caller, held: &Versioned<Node>, node: Node) -> Result<(), Status> {
        if node == held.value {
            return Ok(());
        }
        self.records.commit(self.records.change(caller).update(held, &node)).await
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
        let admin::DrainNodeRequest { id, stay } = request.into_inner();
        let held = self.records.get::<Node>(&id).await?;
        // One that is to end is not held back again.
        let drain_stays = stay && (held.value.drain_stays || !held.value.drain_requested);
        let node = Node { drain_requested: true, drain_stays, ..held.value.clone() };
        self.change(&caller, &held, node).await?;
        Ok(Response::new(admin::DrainNodeResponse {}))
    }

    async fn resume_node(
        &self,
        request: Request<admin::ResumeNodeRequest>,
    ) -> Result<Response<admin::ResumeNodeResponse>, Status> {
        let caller = Caller::of(&request)?;
        let held = self.records.get::<Node>(&request.into_inner().id).await?;
        if held.value.drain_requested && !held.value.drain_stays {
            let message = "the node was asked to end and cannot be resumed: start it again";
            return Err(convert::refusal(Code::FailedPrecondition, "ENDING", message));
        }
        let node = Node { drain_requested: false, drain_stays: false, ..held.value.clone() };
        self.change(&caller, &held, node).await?;
        Ok(Response::new(admin::ResumeNodeResponse {}))
    }

    async fn write_off_node(
        &self,
        request: Request<admin::WriteOffNodeRequest>,
    ) -> Result<Response<admin::WriteOffNodeResponse>, Status> {
        let caller = Caller::of(&request)?;
        let held = self.records.get::<Node>(&request.into_inner().id).await?;
        let written = self.fleet.write_off(&held, caller.author()).await.map_err(convert::store)?;
        let Some(written) = written else {
            let message = "the node is still heard: stop it first; only one that is gone is written off";
            return Err(convert::refusal(Code::FailedPrecondition, "STILL_HEARD", message));
        };
        Ok(Response::new(admin::WriteOffNodeResponse { leases: written.leases, slots: written.slots }))
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
        let node_name = match asked.node_name.as_str() {
            "" => String::new(),
            name => text::name(name, "node_name", &mut wrong),
        };
        wrong.or(()).map_err(|wrong| convert::invalid(&wrong))?;
        let expires_at_ms = super::end("expires_at", asked.expires_at.as_ref(), now)?;
        let (token, minted) =
            JoinToken::mint(name, node_name, expires_at_ms, now).map_err(|why| convert::internal(&why))?;
        self.records.commit(self.records.change(&caller).put(&token, Expect::Absent)).await?;
        let secret = minted.secret.expose_secret().to_owned();
        Ok(Response::new(admin::CreateJoinTokenResponse { join_token: Some(token.to_wire()), secret }))
    }

    async fn list_join_tokens(
        &self,
        request: Request<admin::ListJoinTokensRequest>,
    ) -> Result<Response<admin::ListJoinTokensResponse>, Status> {
        let (ended, now) = (request.into_inner().ended, self.records.now_ms());
        let all = self.records.view().all::<JoinToken>();
        // Ids are of version 7: by id is by time.
        let wanted = all.iter().rev().filter(|token| ended || !token.value.has_ended(now));
        let join_tokens = wanted.map(|token| token.value.to_wire()).collect();
        Ok(Response::new(admin::ListJoinTokensResponse { join_tokens }))
    }

    async fn get_join_token(
        &self,
        request: Request<admin::GetJoinTokenRequest>,
    ) -> Result<Response<admin::JoinToken>, Status> {
        let token = self.standing(&request.into_inner().id).await?;
        Ok(Response::new(token.value.to_wire()))
    }

    async fn delete_join_token(
        &self,
        request: Request<admin::DeleteJoinTokenRequest>,
    ) -> Result<Response<admin::DeleteJoinTokenResponse>, Status> {
        let caller = Caller::of(&request)?;
        let held = self.standing(&request.into_inner().id).await?;
        let revoked = JoinToken { revoked_at_ms: Some(self.records.now_ms()), ..held.value.clone() };
        self.records.commit(self.records.change(&caller).update(&held, &revoked)).await?;
        Ok(Response::new(admin::DeleteJoinTokenResponse {}))
    }
}
