//! The config feed: full snapshots in parts, deltas as large as what changed, receipts, drain.

use std::collections::BTreeMap;

use domain::{Account, Group, Node};
use proto::node::{
    ConfigAck, Delta, Drain, NodeStatus, Resume, Revision, SnapshotChunk, WatchRequest, WatchResponse,
    WatchStart, config_service_client::ConfigServiceClient, entry::Entry, watch_request::Message as Said,
    watch_response::Message,
};
use store::{Author, Change, Expect};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::bed::{Bed, Wire, key, soon, until};

pub struct Watch {
    pub say: mpsc::Sender<WatchRequest>,
    pub hear: Streaming<WatchResponse>,
}

impl Watch {
    pub async fn open(wire: Wire, held: Option<Revision>) -> Self {
        Self::open_with(wire, held, NodeStatus::default()).await
    }

    async fn open_with(wire: Wire, held: Option<Revision>, status: NodeStatus) -> Self {
        let (say, said) = mpsc::channel(8);
        let status = NodeStatus { started_at_ms: 7, listen_address: "127.0.0.1:3000".into(), ..status };
        let start = WatchStart { held, status: Some(status) };
        say.send(WatchRequest { message: Some(Said::Start(start)) }).await.unwrap();
        let mut client = ConfigServiceClient::new(wire);
        let hear = soon("a watch", client.watch(ReceiverStream::new(said))).await.unwrap().into_inner();
        Self { say, hear }
    }

    pub async fn next(&mut self) -> Message {
        soon("a message", self.hear.message()).await.unwrap().unwrap().message.unwrap()
    }

    /// A whole snapshot and the number of its parts.
    pub async fn snapshot(&mut self) -> (SnapshotChunk, usize) {
        let (mut whole, mut parts) = (SnapshotChunk::default(), 0);
        loop {
            let Message::Snapshot(chunk) = self.next().await else { panic!("not a snapshot") };
            parts += 1;
            whole.entries.extend(chunk.entries);
            if chunk.last {
                return (SnapshotChunk { entries: whole.entries, ..chunk }, parts);
            }
        }
    }

    /// The next delta that says something.
    pub async fn delta(&mut self) -> Delta {
        loop {
            match self.next().await {
                Message::Delta(delta) if delta.upserts.is_empty() && delta.deletes.is_empty() => {}
                Message::Delta(delta) => return delta,
                other => panic!("not a delta: {other:?}"),
            }
        }
    }
}

fn names(entries: &[proto::node::Entry]) -> BTreeMap<&'static str, Vec<String>> {
    let mut names: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for entry in entries {
        let (kind, id) = match entry.entry.as_ref().unwrap() {
            Entry::Key(key) => ("key", key.id.clone()),
            Entry::Account(account) => ("account", account.id.clone()),
            Entry::Group(group) => ("group", group.id.clone()),
            Entry::Settings(_) => ("settings", String::new()),
            Entry::BindingDrop(drop) => ("binding_drop", drop.id.clone()),
        };
        names.entry(kind).or_default().push(id);
    }
    names
}

#[tokio::test]
async fn a_node_gets_everything_once_and_then_what_changes() {
    let bed = Bed::embedded().await;
    bed.put(&key("k1")).await;
    let mut watch = Watch::open(bed.node("n1", "e1"), None).await;
    let (snapshot, parts) = watch.snapshot().await;
    assert_eq!((snapshot.entries.len(), parts), (2, 1), "a key and the settings");
    bed.put(&key("k2")).await;
    let delta = watch.delta().await;
    assert_eq!(names(&delta.upserts), BTreeMap::from([("key", vec!["k2".to_owned()])]));
    assert_eq!(delta.from, snapshot.revision);
    // The same again changes nothing that a node knows; the next delta holds only what comes after.
    bed.put(&key("k2")).await;
    let mut described = key("k2");
    described.description = "for people only".into();
    bed.put(&described).await;
    let author = Author::system("test");
    bed.store.commit(Change::new(author).delete::<domain::Key>("k1", Expect::Any)).await.unwrap();
    let delta = watch.delta().await;
    assert!(delta.upserts.is_empty(), "{:?}", names(&delta.upserts));
    assert_eq!((delta.deletes.len(), delta.deletes[0].id.as_str()), (1, "k1"));
    bed.end().await;
}

#[tokio::test]
async fn a_group_touches_the_accounts_that_it_names() {
    let bed = Bed::embedded().await;
    for id in ["a1", "a2"] {
        bed.put(&Account { id: id.into(), platform: "p".into(), ..Account::default() }).await;
    }
    let mut watch = Watch::open(bed.node("n1", "e1"), None).await;
    watch.snapshot().await;
    let group = |members: &[&str]| Group {
        id: "g".into(),
        members: members.iter().map(|id| (*id).to_owned()).collect(),
        ..Group::default()
    };
    bed.put(&group(&["a1"])).await;
    let delta = watch.delta().await;
    assert_eq!(names(&delta.upserts)["account"], ["a1"]);
    bed.put(&group(&["a2"])).await;
    let delta = watch.delta().await;
    assert_eq!(names(&delta.upserts)["account"], ["a1", "a2"]);
    bed.end().await;
}

#[tokio::test]
async fn a_node_goes_on_from_what_it_holds_unless_that_is_another_history() {
    let bed = Bed::embedded().await;
    bed.put(&key("k1")).await;
    let mut watch = Watch::open(bed.node("n1", "e1"), None).await;
    let held = watch.snapshot().await.0.revision.unwrap();
    drop(watch);
    bed.put(&key("k2")).await;
    let mut again = Watch::open(bed.node("n1", "e1"), Some(held.clone())).await;
    let Message::Delta(first) = again.next().await else { panic!("not a delta") };
    assert_eq!(first.from, Some(held.clone()));
    let upserts = if first.upserts.is_empty() { again.delta().await.upserts } else { first.upserts };
    assert_eq!(names(&upserts)["key"], ["k2"]);
    let other = Revision { incarnation: "another".into(), ..held };
    let mut other = Watch::open(bed.node("n1", "e1"), Some(other)).await;
    assert_eq!(other.snapshot().await.0.entries.len(), 3);
    bed.end().await;
}

#[tokio::test]
async fn a_new_replica_tells_what_changed_before_it_began() {
    let bed = Bed::embedded().await;
    bed.put(&key("k1")).await;
    let mut watch = Watch::open(bed.node("n1", "e1"), None).await;
    let held = watch.snapshot().await.0.revision.unwrap();
    drop(watch);
    let Bed { store, app, dir } = bed;
    app.end().await;
    drop(store);
    let store = store::Store::open_embedded(&dir.path().join("store"), crate::bed::master()).await.unwrap();
    let author = Author::system("test");
    store.commit(Change::new(author).put(&key("k2"), Expect::Any)).await.unwrap();
    let app = control_plane::App::over(crate::bed::config(dir.path()), store.clone()).await.unwrap();
    let bed = Bed { store, app, dir };
    let mut again = Watch::open(bed.node("n1", "e1"), Some(held.clone())).await;
    match again.next().await {
        // What the process before wrote while it ended, such as settings, may come along; the key that is known may not.
        Message::Delta(delta) => {
            assert_eq!(delta.from, Some(held));
            assert_eq!(names(&delta.upserts)["key"], ["k2"]);
        }
        // A store that gives each opening an incarnation of its own has another history.
        Message::Snapshot(chunk) => assert_ne!(chunk.revision.unwrap().incarnation, held.incarnation),
        other => panic!("nobody asked for {other:?}"),
    }
    bed.end().await;
}

#[tokio::test]
async fn a_large_snapshot_comes_in_parts() {
    let bed = Bed::embedded().await;
    for hundred in 0..20 {
        let mut change = Change::new(Author::system("test"));
        for n in 0..100 {
            let mut key = key(&format!("k{hundred}-{n}"));
            key.tags = (0..30).map(|tag| format!("{tag:050}")).collect();
            change = change.put(&key, Expect::Absent);
        }
        bed.store.commit(change).await.unwrap();
    }
    let mut watch = Watch::open(bed.node("n1", "e1"), None).await;
    let (snapshot, parts) = watch.snapshot().await;
    assert!(snapshot.entries.len() <= 2001 && parts >= 2, "{parts} parts");
    let mut known = snapshot.entries.len();
    while known < 2001 {
        known += watch.delta().await.upserts.len();
    }
    bed.end().await;
}

#[tokio::test]
async fn g6_a_receipt_is_visible_and_a_drain_is_told() {
    let bed = Bed::embedded().await;
    let mut watch = Watch::open(bed.node("n1", "e1"), None).await;
    let revision = watch.snapshot().await.0.revision;
    let refused = vec!["key/k9: why".to_owned()];
    let ack = ConfigAck { revision: revision.clone(), refused: refused.clone() };
    watch.say.send(WatchRequest { message: Some(Said::Ack(ack)) }).await.unwrap();
    let text = fleet::revision_text(&revision.unwrap());
    let node = until("the receipt", async || {
        let nodes = bed.app.fleet().nodes().await.unwrap();
        nodes.into_iter().find(|node| node.applied_revision == text)
    })
    .await;
    assert_eq!((node.state.as_str(), node.refused), ("connected", refused));
    assert_eq!(node.listen_address, "127.0.0.1:3000");
    let held = bed.store.get::<Node>("n1").await.unwrap().unwrap();
    let asked = Node { drain_requested: true, drain_stays: true, ..held.value.clone() };
    bed.store.commit(Change::new(Author::system("test")).update(&held, &asked)).await.unwrap();
    while watch.next().await != Message::Drain(Drain { stay: true }) {}
    let held = bed.store.get::<Node>("n1").await.unwrap().unwrap();
    let over = Node { drain_requested: false, drain_stays: false, ..held.value.clone() };
    bed.store.commit(Change::new(Author::system("test")).update(&held, &over)).await.unwrap();
    while watch.next().await != Message::Resume(Resume {}) {}
    // One that says that it drains though nobody wants it (any more) is told so on a new stream.
    let status = NodeStatus { draining: true, ..NodeStatus::default() };
    let mut again = Watch::open_with(bed.node("n1", "e1"), None, status).await;
    while again.next().await != Message::Resume(Resume {}) {}
    bed.end().await;
}

#[tokio::test]
async fn g6_a_change_on_one_replica_is_on_a_node_of_another_within_a_second() {
    let redis = store::testing::redis().unwrap();
    let (one, two) = (Bed::redis(&redis.url()).await, Bed::redis(&redis.url()).await);
    let mut watch = Watch::open(two.node("n1", "e1"), None).await;
    watch.snapshot().await;
    let mut took = Vec::new();
    for n in 0..40 {
        let began = std::time::Instant::now();
        one.put(&key(&format!("k{n}"))).await;
        let delta = watch.delta().await;
        assert_eq!(names(&delta.upserts)["key"], [format!("k{n}")]);
        took.push(began.elapsed());
    }
    took.sort();
    assert!(took[39].as_millis() < 1000, "{took:?}");
    one.end().await;
    two.end().await;
}
