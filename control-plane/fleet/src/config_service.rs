//! `ConfigService`: a node's feed down; its acknowledgements and its condition up.

use std::sync::Arc;

use domain::Node;
use futures_util::{Stream, StreamExt as _, stream};
use process::{clock, tasks::Tasks};
use proto::node::{
    ConfigAck, Drain, Revision, WatchRequest, WatchResponse, config_service_server::ConfigService,
    watch_request::Message as Said, watch_response::Message,
};
use store::View;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    guard::{Caller, Guard},
    registry::{Registry, revision_text},
    streams::{Answers, until_cut},
};

/// Opens one node's feed from the revision that it holds: `publish` makes it, the process wires it.
pub type OpenFeed =
    Arc<dyn Fn(Option<Revision>) -> futures_util::stream::BoxStream<'static, WatchResponse> + Send + Sync>;

pub(crate) struct Config {
    pub(crate) guard: Arc<Guard>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) view: View,
    pub(crate) open: OpenFeed,
    pub(crate) tasks: Tasks,
}

#[tonic::async_trait]
impl ConfigService for Config {
    type WatchStream = Answers<WatchResponse>;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let caller = self.guard.admit(&request).await?;
        let mut said = request.into_inner();
        let start = match said.message().await?.and_then(|request| request.message) {
            Some(Said::Start(start)) => start,
            _ => return Err(Status::invalid_argument("a watch begins with `start`")),
        };
        let status = start.status.unwrap_or_default();
        let connected = self.registry.connected(&caller, &status, clock::unix_ms()).await;
        connected.map_err(crate::unavailable)?;
        tracing::info!(node = caller.node, name = caller.name, version = caller.version, "node connected");
        let (registry, node, cut) = (Arc::clone(&self.registry), caller.node.clone(), caller.cut.clone());
        self.tasks.spawn("node-receipts", async move {
            tokio::select! {
                () = cut.cancelled() => {}
                () = receive(&registry, &node, said) => {}
            }
            registry.disconnected(&node).await;
            tracing::info!(node, "node disconnected");
        });
        let messages = stream::select((self.open)(start.held), drains(self.view.clone(), &caller));
        Ok(Response::new(until_cut(messages.map(Ok), caller.cut)))
    }
}

async fn receive(registry: &Registry, node: &str, mut said: Streaming<WatchRequest>) {
    while let Ok(Some(request)) = said.message().await {
        match request.message {
            Some(Said::Ack(ack)) => {
                tell_refusals(node, &ack);
                registry.acknowledged(node, &ack, clock::unix_ms());
            }
            Some(Said::Status(status)) => registry.heard(node, &status, clock::unix_ms()),
            Some(Said::Start(_)) | None => {}
        }
    }
}

fn tell_refusals(node: &str, ack: &ConfigAck) {
    if !ack.refused.is_empty() {
        let revision = ack.revision.as_ref().map(revision_text).unwrap_or_default();
        tracing::warn!(node, revision, refused = ?ack.refused, "a node refused entries");
    }
}

/// Says once that the node shall drain, when an operator asked for it.
fn drains(view: View, caller: &Caller) -> impl Stream<Item = WatchResponse> + Send + use<> {
    let node = caller.node.clone();
    stream::once(async move {
        let mut revisions = view.watch();
        loop {
            let asked = view.get::<Node>(&node).is_some_and(|node| node.value.drain_requested);
            if asked {
                return WatchResponse { message: Some(Message::Drain(Drain {})) };
            }
            if revisions.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    })
    // The feed goes on after a drain was said.
    .chain(stream::pending())
}
