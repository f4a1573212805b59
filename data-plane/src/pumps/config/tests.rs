//! The config feed against a real service over a real stream.

use parking_lot::Mutex;
use proto::node::{
    AccountEntry, Delta, Drain, Entry, Resume, SettingsEntry, SnapshotChunk,
    config_service_server::{ConfigService, ConfigServiceServer},
    entry, watch_response,
};
use snapshot::{Facts, PlatformFacts};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Streaming, service::Routes};

use super::*;
use crate::pumps::bed;

struct Platforms;
impl PlatformFacts for Platforms {
    fn facts(&self, _: &str) -> Option<Facts> {
        Some(Facts { family: "claude", service: "s", dialect: "d", also: Vec::new() })
    }
}

type Said = Result<WatchResponse, Status>;

/// What nodes said, and how to answer the stream that is open.
#[derive(Clone, Default)]
struct Service {
    said: Arc<Mutex<Vec<Message>>>,
    stream: Arc<Mutex<Option<mpsc::Sender<Said>>>>,
    /// Of the node that is tested.
    readiness: Arc<Readiness>,
}

#[tonic::async_trait]
impl ConfigService for Service {
    type WatchStream = ReceiverStream<Said>;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (answers, stream) = mpsc::channel(16);
        let (said, slot, mut requests) = (self.said.clone(), self.stream.clone(), request.into_inner());
        Tasks::new("test").spawn("watch", async move {
            *slot.lock() = Some(answers);
            while let Ok(Some(request)) = requests.message().await {
                said.lock().extend(request.message);
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

impl Service {
    async fn say(&self, message: watch_response::Message) {
        let stream = self.stream.lock().clone().unwrap();
        stream.send(Ok(WatchResponse { message: Some(message) })).await.unwrap();
    }

    fn starts(&self) -> Vec<Option<u64>> {
        let held = |message: &Message| match message {
            Message::Start(start) => Some(start.held.as_ref().map(|held| held.number)),
            _ => None,
        };
        self.said.lock().iter().filter_map(held).collect()
    }

    fn acks(&self) -> Vec<(u64, usize)> {
        let ack = |message: &Message| match message {
            Message::Ack(ack) => Some((ack.revision.as_ref().unwrap().number, ack.refused.len())),
            _ => None,
        };
        self.said.lock().iter().filter_map(ack).collect()
    }
}

fn revision(number: u64) -> Option<proto::node::Revision> {
    Some(proto::node::Revision { incarnation: "i".into(), number })
}

fn account(id: &str, availability: &str) -> Entry {
    let availability = availability.to_owned();
    Entry {
        entry: Some(entry::Entry::Account(AccountEntry {
            id: id.into(),
            availability,
            ..Default::default()
        })),
    }
}

fn full(number: u64) -> watch_response::Message {
    let settings = SettingsEntry { key_pepper: b"p".to_vec(), ..Default::default() };
    let entries = vec![Entry { entry: Some(entry::Entry::Settings(settings)) }, account("a", "")];
    let chunk = SnapshotChunk { revision: revision(number), store_identity: "s".into(), entries, last: true };
    watch_response::Message::Snapshot(chunk)
}

fn delta(from: u64, to: u64, upserts: Vec<Entry>) -> watch_response::Message {
    watch_response::Message::Delta(Delta { from: revision(from), to: revision(to), upserts, deletes: vec![] })
}

fn pump(service: &Service, tasks: &Tasks, disk: Option<Disk>) -> (Arc<Handle>, CancellationToken, Feed) {
    let (snapshot, drain) = (Arc::new(Handle::new(&Platforms)), CancellationToken::new());
    if let Some(disk) = &disk {
        load(&snapshot, disk);
    }
    let status: StatusOf = Arc::new(|| NodeStatus { in_flight: 7, ..NodeStatus::default() });
    let readiness = Arc::clone(&service.readiness);
    let config = Config { snapshot: snapshot.clone(), status, drain: drain.clone(), readiness, disk };
    let link = bed::link(Routes::new(ConfigServiceServer::new(service.clone())), tasks);
    (snapshot, drain, start(config, link, tasks))
}

#[tokio::test]
async fn g6_each_revision_is_applied_and_acknowledged_with_what_was_refused() {
    let (tasks, service) = (Tasks::new("test"), Service::default());
    let (snapshot, drain, feed) = pump(&service, &tasks, None);
    bed::until("no stream", || service.stream.lock().is_some()).await;
    service.say(full(5)).await;
    service.say(delta(5, 6, vec![account("b", ""), account("c", "sometimes")])).await;
    bed::until("no acknowledgement", || service.acks() == [(5, 0), (6, 1)]).await;
    assert_eq!(snapshot.current().counts(), (0, 2, 0));
    assert_eq!(feed.revision.borrow().as_ref().unwrap().number, 6);
    assert!(*feed.connected.borrow());
    feed.status_changed();
    let in_flight = |message: &Message| matches!(message, Message::Status(status) if status.in_flight == 7);
    bed::until("no status", || service.said.lock().iter().any(in_flight)).await;
    service.say(watch_response::Message::Drain(Drain { stay: true })).await;
    bed::until("it is still ready", || service.readiness.is_draining()).await;
    service.say(watch_response::Message::Resume(Resume {})).await;
    bed::until("it is not ready again", || !service.readiness.is_draining()).await;
    assert!(!drain.is_cancelled());
    service.say(watch_response::Message::Drain(Drain { stay: false })).await;
    bed::until("no drain", || drain.is_cancelled()).await;
}

#[tokio::test]
async fn a_delta_that_does_not_follow_brings_a_full_snapshot() {
    let (tasks, service) = (Tasks::new("test"), Service::default());
    let (snapshot, ..) = pump(&service, &tasks, None);
    bed::until("no stream", || service.stream.lock().is_some()).await;
    service.say(full(5)).await;
    bed::until("not applied", || snapshot.current().revision().is_some()).await;
    service.say(delta(8, 9, vec![])).await;
    bed::until("no second stream", || service.starts() == [None, None]).await;
    assert_eq!(snapshot.current().revision().unwrap().number, 5, "what held still holds");
    bed::until("no stream", || service.stream.lock().as_ref().is_some_and(|stream| !stream.is_closed()))
        .await;
    service.say(full(9)).await;
    bed::until("not applied", || service.acks() == [(5, 0), (9, 0)]).await;
    // A stream that breaks is opened again from what is held.
    *service.stream.lock() = None;
    bed::until("no third stream", || service.starts() == [None, None, Some(9)]).await;
}

#[tokio::test]
async fn g5_a_node_that_restarts_relays_from_its_disk() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk { path: folder.path().join("snapshot"), secret: Arc::new(vec![1; 32].into()) };
    let (tasks, service) = (Tasks::new("test"), Service::default());
    pump(&service, &tasks, Some(disk.clone()));
    bed::until("no stream", || service.stream.lock().is_some()).await;
    service.say(full(5)).await;
    bed::until("not applied", || service.acks() == [(5, 0)]).await;
    // An orderly end writes at once what waits to be written.
    assert!(tasks.drain(Duration::from_secs(10)).await);
    let (tasks, service) = (Tasks::new("test"), Service::default());
    let (snapshot, _, feed) = pump(&service, &tasks, Some(disk));
    assert_eq!(snapshot.current().counts(), (0, 1, 0));
    assert_eq!(feed.revision.borrow().as_ref().unwrap().number, 5);
    bed::until("it does not say what it holds", || service.starts() == [Some(5)]).await;
}
