//! `ConfigService`: a node's feed down; its acknowledgements and its condition up.

use std::sync::Arc;

use domain::Node;
use futures_util::{Stream, StreamExt as _, stream};
use process::{clock, tasks::Tasks};
use proto::node::{
    ConfigAck, Drain, NodeStatus, Resume, Revision, WatchRequest, WatchResponse,
    config_service_server::ConfigService, watch_request::Message as Said, watch_response::Message,
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
        let messages = stream::select((self.open)(start.held), drains(self.view.clone(), &caller, &status));
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

/// Says that the node shall drain when an operator asked for it, and that it shall resume when that is over. What was
/// asked of an earlier process of it, which this replica may not know to be over yet, is not asked of this one.
fn drains(
    view: View,
    caller: &Caller,
    status: &NodeStatus,
) -> impl Stream<Item = WatchResponse> + Send + use<> {
    let (node, started_at_ms) = (caller.node.clone(), status.started_at_ms);
    let said = if status.draining { Asked::Hold } else { Asked::Nothing };
    stream::unfold(said, move |said| {
        let (view, node) = (view.clone(), node.clone());
        async move {
            let mut revisions = view.watch();
            loop {
                let held = view.get::<Node>(&node).filter(|node| node.value.started_at_ms == started_at_ms);
                let asked = held.map_or(Asked::Nothing, |node| Asked::of(&node.value));
                if asked != said {
                    let message = match asked {
                        Asked::Nothing => Message::Resume(Resume {}),
                        Asked::Hold => Message::Drain(Drain { stay: true }),
                        Asked::End => Message::Drain(Drain { stay: false }),
                    };
                    return Some((WatchResponse { message: Some(message) }, asked));
                }
                if revisions.changed().await.is_err() {
                    // The feed goes on without this: its end is not for it to say.
                    std::future::pending::<()>().await;
                }
            }
        }
    })
}

/// What an operator wants of a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Hold,
    End,
}

impl Asked {
    fn of(node: &Node) -> Self {
        match (node.drain_requested, node.drain_stays) {
            (false, _) => Self::Nothing,
            (true, true) => Self::Hold,
            (true, false) => Self::End,
        }
    }
}
