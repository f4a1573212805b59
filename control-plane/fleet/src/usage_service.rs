//! `UsageService`: batches of usage records up, markers down.

use std::{sync::Arc, time::Duration};

use process::tasks::Tasks;
use proto::node::{
    Batch, Marker, MarkerQuery, ReportRefusedRequest, ReportRefusedResponse, ReportRequest, ReportResponse,
    report_request::Message, usage_service_server::UsageService,
};
use store::Store;
use tokio::sync::{mpsc, watch};
use tonic::{Request, Response, Status, Streaming};

use crate::{
    guard::Guard,
    ingest::Ingest,
    records::Refusals,
    streams::{Answers, from_task},
    tail::Tails,
};

/// Waits between tries while the store is away; then the stream ends, and the node comes again.
const RETRIES: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(250), Duration::from_millis(1000)];
/// Answers under way to a node.
const UNDER_WAY: usize = 16;

pub(crate) struct Usage {
    pub(crate) guard: Arc<Guard>,
    pub(crate) store: Store,
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) refusals: Refusals,
    pub(crate) tails: Arc<Tails>,
    pub(crate) identity: watch::Receiver<String>,
    pub(crate) tasks: Tasks,
}

#[tonic::async_trait]
impl UsageService for Usage {
    type ReportStream = Answers<ReportResponse>;

    async fn report(
        &self,
        request: Request<Streaming<ReportRequest>>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        let caller = self.guard.admit(&request).await?;
        let said = request.into_inner();
        let (answers, receiver) = mpsc::channel(UNDER_WAY);
        let reporter = Reporter {
            store: self.store.clone(),
            ingest: Arc::clone(&self.ingest),
            identity: self.identity.clone(),
        };
        let cut = caller.cut.clone();
        self.tasks.spawn("usage-report", async move {
            tokio::select! {
                () = cut.cancelled() => {}
                () = reporter.run(said, answers) => {}
            }
        });
        Ok(Response::new(from_task(receiver, caller.cut)))
    }

    async fn report_refused(
        &self,
        request: Request<ReportRefusedRequest>,
    ) -> Result<Response<ReportRefusedResponse>, Status> {
        let caller = self.guard.admit(&request).await?;
        let ReportRefusedRequest { number, records } = request.into_inner();
        let kept = self.refusals.keep(&caller.node, &caller.epoch, number, &records).await;
        self.tails.seen(kept.map_err(crate::unavailable)?.iter());
        Ok(Response::new(ReportRefusedResponse {}))
    }
}

/// One node's stream.
struct Reporter {
    store: Store,
    ingest: Arc<Ingest>,
    identity: watch::Receiver<String>,
}

impl Reporter {
    async fn run(
        &self,
        mut said: Streaming<ReportRequest>,
        answers: mpsc::Sender<Result<ReportResponse, Status>>,
    ) {
        while let Ok(Some(request)) = said.message().await {
            let answer = match request.message {
                Some(Message::Batch(batch)) => self.batch(&batch).await,
                Some(Message::Query(query)) => self.query(query).await,
                None => continue,
            };
            let answer = answer.map_err(crate::unavailable);
            let failed = answer.is_err();
            if answers.send(answer).await.is_err() || failed {
                return;
            }
        }
    }

    async fn batch(&self, batch: &Batch) -> store::Result<ReportResponse> {
        let mut waits = RETRIES.iter();
        loop {
            match (self.ingest.batch(batch).await, waits.next()) {
                // What was applied before the failure is found applied, and counts once.
                (Err(why), Some(wait)) if why.is_transient() => {
                    tracing::debug!(%why, "usage records wait for the store");
                    tokio::time::sleep(*wait).await;
                }
                (markers, _) => return Ok(self.answer(markers?)),
            }
        }
    }

    async fn query(&self, query: MarkerQuery) -> store::Result<ReportResponse> {
        let store_identity = self.store.identity().await?.store_identity;
        let markers = self.store.markers(&query.epochs).await?.into_iter().map(|marker| Marker {
            epoch: marker.source,
            partition: marker.partition,
            applied: marker.applied,
            gap: false,
        });
        Ok(ReportResponse {
            store_identity,
            markers: markers.collect(),
            answers_query: true,
            queried: query.epochs,
        })
    }

    fn answer(&self, markers: Vec<Marker>) -> ReportResponse {
        ReportResponse {
            store_identity: self.identity.borrow().clone(),
            markers,
            ..ReportResponse::default()
        }
    }
}
