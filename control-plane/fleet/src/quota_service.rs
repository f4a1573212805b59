//! `QuotaService`: wants and spendings of a node up; grants, reclaims and hints down.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use process::tasks::Tasks;
use proto::node::{LeaseRequest, LeaseResponse, quota_service_server::QuotaService};
use tokio::sync::{mpsc, watch};
use tonic::{Request, Response, Status, Streaming};

use crate::{
    guard::Guard,
    leases::{Holder, Indexed, Leases},
    streams::{Answers, from_task},
};

/// Messages of one node that are answered at the same time. Totals only grow, so their order does not matter.
const AT_ONCE: usize = 8;
/// Answers under way to a node.
const UNDER_WAY: usize = 64;

pub(crate) struct Quota {
    pub(crate) guard: Arc<Guard>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) identity: watch::Receiver<String>,
    pub(crate) tasks: Tasks,
}

#[tonic::async_trait]
impl QuotaService for Quota {
    type LeaseStream = Answers<LeaseResponse>;

    async fn lease(
        &self,
        request: Request<Streaming<LeaseRequest>>,
    ) -> Result<Response<Self::LeaseStream>, Status> {
        let caller = self.guard.admit(&request).await?;
        let said = request.into_inner();
        let (answers, receiver) = mpsc::channel(UNDER_WAY);
        let lessee = Lessee {
            leases: Arc::clone(&self.leases),
            holder: Holder { node: caller.node.clone(), epoch: caller.epoch.clone() },
            identity: self.identity.clone(),
            indexed: Indexed::default(),
        };
        let cut = caller.cut.clone();
        self.tasks.spawn("leases", async move {
            tokio::select! {
                () = cut.cancelled() => {}
                () = lessee.run(said, answers) => {}
            }
        });
        Ok(Response::new(from_task(receiver, caller.cut)))
    }
}

/// One node's stream.
struct Lessee {
    leases: Arc<Leases>,
    holder: Holder,
    identity: watch::Receiver<String>,
    indexed: Indexed,
}

impl Lessee {
    async fn run(
        &self,
        mut said: Streaming<LeaseRequest>,
        answers: mpsc::Sender<Result<LeaseResponse, Status>>,
    ) {
        let mut pushed = self.leases.pushes.open(&self.holder.epoch);
        let mut identity = self.identity.clone();
        let mut running = FuturesUnordered::new();
        loop {
            let message = tokio::select! {
                request = said.message(), if running.len() < AT_ONCE => match request {
                    Ok(Some(request)) => {
                        let now = identity.borrow().clone();
                        running.push(self.leases.answer(&self.holder, &self.indexed, request, now));
                        continue;
                    }
                    Ok(None) | Err(_) => return,
                },
                Some(answer) = running.next() => answer,
                Some(push) = pushed.recv() => push,
                // The store is another one, or has gone back: the node declares its leases again.
                Ok(()) = identity.changed() => LeaseResponse::default(),
            };
            let store_identity = self.identity.borrow().clone();
            if answers.send(Ok(LeaseResponse { store_identity, ..message })).await.is_err() {
                return;
            }
        }
    }
}
