//! The shipper against a real service over a real stream, with a store that forgets, loses and goes away.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use parking_lot::Mutex;
use proto::node::{
    ReportRefusedRequest, ReportRefusedResponse,
    usage_service_server::{UsageService, UsageServiceServer},
};
use spool::{Lane, Options, Payload};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Streaming, service::Routes};

use super::*;
use crate::pumps::bed;

/// A store that applies as `distribution` 1.3 says, and can fail in ways that stores do.
#[derive(Default)]
struct Store {
    identity: u64,
    markers: BTreeMap<(String, u32), u64>,
    counted: BTreeMap<Vec<u8>, u32>,
    /// Batches that are taken without being applied or answered.
    swallow: usize,
    /// Messages after which the stream breaks.
    break_after: Option<usize>,
    batches: usize,
}

impl Store {
    fn apply(&mut self, batch: Batch) -> Vec<Marker> {
        let mut moved: BTreeMap<u32, Marker> = BTreeMap::new();
        for record in batch.records {
            let applied = self.markers.entry((batch.epoch.clone(), record.partition)).or_default();
            let known = record.sequence <= *applied;
            let gap = !known && *applied != record.previous;
            if !gap && !known {
                *applied = record.sequence;
                *self.counted.entry(record.record.to_vec()).or_default() += 1;
            }
            let (epoch, partition, applied) = (batch.epoch.clone(), record.partition, *applied);
            moved.insert(partition, Marker { epoch, partition, applied, gap });
        }
        moved.into_values().collect()
    }

    fn answer(&mut self, message: Message) -> Option<ReportResponse> {
        let store_identity = format!("store-{}", self.identity);
        match message {
            Message::Query(query) => {
                let named = |(epoch, _): &(String, u32)| query.epochs.contains(epoch);
                let markers =
                    self.markers.iter().filter(|(key, _)| named(key)).map(|((epoch, partition), applied)| {
                        Marker { epoch: epoch.clone(), partition: *partition, applied: *applied, gap: false }
                    });
                let markers = markers.collect();
                Some(ReportResponse { store_identity, markers, answers_query: true, queried: query.epochs })
            }
            Message::Batch(batch) => {
                self.batches += 1;
                if self.swallow > 0 {
                    self.swallow -= 1;
                    return None;
                }
                Some(ReportResponse {
                    store_identity,
                    markers: self.apply(batch),
                    ..ReportResponse::default()
                })
            }
        }
    }
}

#[derive(Clone, Default)]
struct Service(Arc<Mutex<Store>>);

#[tonic::async_trait]
impl UsageService for Service {
    type ReportStream = ReceiverStream<Result<ReportResponse, Status>>;

    async fn report_refused(
        &self,
        _: Request<ReportRefusedRequest>,
    ) -> Result<Response<ReportRefusedResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn report(
        &self,
        request: Request<Streaming<ReportRequest>>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        let (answers, stream) = mpsc::channel(16);
        let (store, mut requests) = (self.0.clone(), request.into_inner());
        Tasks::new("test").spawn("report", async move {
            while let Ok(Some(request)) = requests.message().await {
                let (answer, breaks) = {
                    let mut store = store.lock();
                    let breaks = store.break_after.as_mut().is_some_and(|left| {
                        *left = left.saturating_sub(1);
                        *left == 0
                    });
                    if breaks {
                        store.break_after = None;
                    }
                    (request.message.and_then(|message| store.answer(message)), breaks)
                };
                if breaks {
                    // What was applied is applied; its answer is lost.
                    return;
                }
                if let Some(answer) = answer
                    && answers.send(Ok(answer)).await.is_err()
                {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

struct Bed {
    service: Service,
    spool: Arc<Spool>,
    lanes: Vec<Arc<Lane>>,
    tasks: Tasks,
    written: BTreeSet<Vec<u8>>,
    _folder: tempfile::TempDir,
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _) = Spool::open(folder.path(), Options::default()).unwrap();
        let lanes = (0..2).map(|_| spool.lane().unwrap()).collect();
        let tasks = Tasks::new("test");
        let service = Service::default();
        Self { service, spool, lanes, tasks, written: BTreeSet::new(), _folder: folder }
    }

    fn start(&self) {
        let services = Routes::new(UsageServiceServer::new(self.service.clone()));
        start(self.spool.clone(), bed::link(services, &self.tasks), &self.tasks);
    }

    fn write(&mut self, records: usize) {
        for _ in 0..records {
            let n = self.written.len();
            let bytes = format!("record {n}").into_bytes();
            let lane = &self.lanes[n % self.lanes.len()];
            let intent = lane.intent(Payload::new(b"intent").unwrap()).unwrap();
            lane.outcome((n % 5) as u32, vec![intent], Payload::new(&bytes).unwrap());
            self.written.insert(bytes);
        }
    }

    async fn until(&self, what: &str, mut holds: impl FnMut(&Store, &Spool) -> bool) {
        let waiting = async {
            while !holds(&self.service.0.lock(), &self.spool) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let held = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        assert!(
            held.is_ok(),
            "{what}: lag {}, {} counted",
            self.spool.lag(),
            self.service.0.lock().counted.len()
        );
    }

    /// Waits until all is acknowledged, and checks that the store counted all once.
    async fn settled(&self) {
        let all = self.written.len();
        self.until("not all was applied", |store, spool| store.counted.len() == all && spool.lag() == 0)
            .await;
        let store = self.service.0.lock();
        assert!(store.counted.values().all(|count| *count == 1), "a record was counted twice");
        assert!(store.counted.keys().eq(&self.written));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_all_is_applied_once() {
    let mut bed = Bed::new();
    bed.write(700);
    bed.start();
    bed.settled().await;
    bed.write(3000);
    bed.settled().await;
    assert!(bed.tasks.drain(Duration::from_secs(10)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_record_is_sent_soon() {
    let mut bed = Bed::new();
    bed.start();
    bed.write(1);
    bed.settled().await;
    let began = Instant::now();
    bed.write(1);
    bed.settled().await;
    // The promise is 300 ms; a busy machine gets more.
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_a_stream_that_breaks_loses_nothing() {
    let mut bed = Bed::new();
    bed.start();
    for round in 1..6 {
        bed.service.0.lock().break_after = Some(round);
        let until = Instant::now() + Duration::from_secs(20);
        while bed.service.0.lock().break_after.is_some() {
            assert!(Instant::now() < until, "the stream did not break");
            bed.write(40);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    bed.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_a_store_that_lost_its_tail_gets_it_again() {
    let mut bed = Bed::new();
    bed.start();
    bed.write(300);
    bed.settled().await;
    let before = {
        let store = bed.service.0.lock();
        (store.markers.clone(), store.counted.clone())
    };
    bed.write(900);
    bed.settled().await;
    {
        let mut store = bed.service.0.lock();
        store.identity += 1;
        (store.markers, store.counted) = before;
    }
    // The next answer tells of the change.
    bed.write(1);
    bed.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_a_gap_leads_back_to_what_the_store_has() {
    let mut bed = Bed::new();
    bed.start();
    bed.write(100);
    bed.settled().await;
    {
        // It lost something without changing its identity: only the gap tells.
        let mut store = bed.service.0.lock();
        store.markers.clear();
        store.counted.clear();
    }
    bed.write(100);
    bed.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_never_fills_a_gap_is_not_hammered() {
    let mut bed = Bed::new();
    bed.start();
    bed.write(10);
    bed.settled().await;
    bed.service.0.lock().swallow = usize::MAX;
    bed.write(20_000);
    bed.until("the window was not used", |store, _| store.batches >= WINDOW).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let batches = bed.service.0.lock().batches;
    assert!(batches <= 3 * WINDOW, "{batches} batches without an answer");
}
