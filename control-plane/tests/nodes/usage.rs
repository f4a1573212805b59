//! Usage records: at most once, gaps told, nonsense put aside.

use fleet::{
    counters::{self, Dimension, Order, Range, Step},
    records,
};
use jiff::tz::TimeZone;
use prost::Message as _;
use proto::{
    node::{
        Batch, Marker, MarkerQuery, ReportRequest, ReportResponse, SpooledRecord, report_request::Message,
        usage_service_client::UsageServiceClient,
    },
    rules::usage::partition,
    types::{Attempt, Cost, TokenUsage, UsageRecord},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::bed::{Bed, Wire, soon};

pub const KEY: &str = "k1";

pub struct Report {
    say: mpsc::Sender<ReportRequest>,
    hear: Streaming<ReportResponse>,
}

impl Report {
    pub async fn open(wire: Wire) -> Self {
        let (say, said) = mpsc::channel(8);
        let mut client = UsageServiceClient::new(wire);
        let hear = soon("a report", client.report(ReceiverStream::new(said))).await.unwrap().into_inner();
        Self { say, hear }
    }

    pub async fn ask(&mut self, message: Message) -> ReportResponse {
        self.say.send(ReportRequest { message: Some(message) }).await.unwrap();
        soon("markers", self.hear.message()).await.unwrap().unwrap()
    }

    pub async fn batch(&mut self, records: Vec<SpooledRecord>) -> Marker {
        let answer = self.ask(Message::Batch(Batch { epoch: "s1".into(), records })).await;
        assert_eq!(answer.markers.len(), 1);
        answer.markers[0].clone()
    }
}

pub fn record(sequence: u64) -> UsageRecord {
    let seconds = process::clock::unix_ms() / 1000;
    UsageRecord {
        request_id: format!("r{sequence}"),
        key_id: KEY.into(),
        model: "claude-sonnet-4-5".into(),
        outcome: "ok".into(),
        started_at: Some(prost_types::Timestamp { seconds, nanos: 0 }),
        attempts: vec![Attempt {
            account_id: "a1".into(),
            platform: "p".into(),
            outcome: "ok".into(),
            usage: Some(TokenUsage { input: 10, output: 5, ..TokenUsage::default() }),
            cost: Some(Cost { real: 100, rated: 200, ..Cost::default() }),
            ..Attempt::default()
        }],
        ..UsageRecord::default()
    }
}

fn spooled(sequence: u64, previous: u64) -> SpooledRecord {
    let record = record(sequence).encode_to_vec().into();
    SpooledRecord { sequence, partition: partition(KEY), previous, record }
}

fn marker(applied: u64, gap: bool) -> Marker {
    Marker { epoch: "s1".into(), partition: partition(KEY), applied, gap }
}

/// The zone of a deployment that set none.
fn zone() -> TimeZone {
    domain::Settings::default().zone()
}

fn all_time() -> Range {
    Range::total(process::clock::unix_ms(), zone())
}

#[tokio::test]
async fn g4_records_count_once_whatever_is_sent_twice_or_skipped() {
    let bed = Bed::embedded().await;
    let mut report = Report::open(bed.node("n1", "e1")).await;
    assert_eq!(report.batch(vec![spooled(1, 0), spooled(2, 1)]).await, marker(2, false));
    assert_eq!(report.batch(vec![spooled(1, 0), spooled(2, 1)]).await, marker(2, false), "all of it again");
    assert_eq!(
        report.batch(vec![spooled(2, 1), spooled(3, 2)]).await,
        marker(3, false),
        "a part of it again"
    );
    assert_eq!(report.batch(vec![spooled(6, 5)]).await, marker(3, true), "something is missing");
    assert_eq!(report.batch(vec![spooled(4, 3), spooled(5, 4), spooled(6, 5)]).await, marker(6, false));
    let totals = counters::totals(&bed.store, Dimension::Key, KEY, &all_time()).await.unwrap();
    assert_eq!((totals.requests, totals.all_tokens, totals.rated_cost), (6, 90, 1200));
    let query = MarkerQuery { epochs: vec!["s1".into(), "s2".into()] };
    let answer = report.ask(Message::Query(query)).await;
    assert!(answer.answers_query && !answer.store_identity.is_empty());
    assert_eq!((answer.markers, answer.queried.len()), (vec![marker(6, false)], 2));
    bed.end().await;
}

#[tokio::test]
async fn a_record_that_is_none_is_put_aside_and_blocks_nothing() {
    let bed = Bed::embedded().await;
    let mut report = Report::open(bed.node("n1", "e1")).await;
    let mut broken = spooled(2, 1);
    broken.record = vec![0xff; 9].into();
    let batch = vec![spooled(1, 0), broken, spooled(3, 2)];
    assert_eq!(report.batch(batch).await, marker(3, false));
    let totals = counters::totals(&bed.store, Dimension::Key, KEY, &all_time()).await.unwrap();
    assert_eq!(totals.requests, 2);
    let dead = bed.store.log_range(partition(KEY), records::DEAD, None, 10).await.unwrap();
    assert_eq!((dead.len(), dead[0].id.as_str()), (1, "s1-2"));
    let figures = bed.app.fleet().figures();
    assert_eq!((figures.records_applied, figures.records_dead), (2, 1));
    bed.end().await;
}

#[tokio::test]
async fn what_was_counted_is_read_back_by_every_dimension() {
    let bed = Bed::embedded().await;
    let mut report = Report::open(bed.node("n1", "e1")).await;
    report.batch((1..=3).map(|n| spooled(n, n - 1)).collect()).await;
    let store = &bed.store;
    for (dimension, id) in [
        (Dimension::Overall, ""),
        (Dimension::Account, "a1"),
        (Dimension::Platform, "p"),
        (Dimension::Model, "claude-sonnet-4-5"),
    ] {
        let totals = counters::totals(store, dimension, id, &all_time()).await.unwrap();
        assert_eq!((totals.requests, totals.rated_cost), (3, 600), "{dimension:?}");
    }
    let now_ms = process::clock::unix_ms();
    let today = Range { start_ms: now_ms - 3_600_000, end_ms: now_ms + 1, ..all_time() };
    let points = counters::read(store, Dimension::Key, KEY, Step::Hour, &today).await.unwrap();
    assert_eq!(points.iter().map(|point| point.totals.requests).sum::<i64>(), 3);
    let models =
        counters::top(store, Dimension::KeyModel, "k1/", &all_time(), Order::RatedCost, 5).await.unwrap();
    assert_eq!((models.len(), models[0].id.as_str()), (1, "claude-sonnet-4-5"));
    let used =
        counters::last_used(store, Dimension::Key, &[KEY.into(), "other".into()], &zone()).await.unwrap();
    assert!(used[0].is_some() && used[1].is_none());
    bed.end().await;
}

#[tokio::test]
async fn the_largest_keys_are_found_in_whichever_partition_they_lie() {
    let bed = Bed::embedded().await;
    let mut report = Report::open(bed.node("n1", "e1")).await;
    for n in 1..=20 {
        let key_id = format!("key-{n}");
        let partition = partition(&key_id);
        let record = UsageRecord { key_id, ..record(n) }.encode_to_vec().into();
        let records = vec![SpooledRecord { sequence: 1, partition, previous: 0, record }];
        report.ask(Message::Batch(Batch { epoch: format!("s{n}"), records })).await;
    }
    let top = counters::top(&bed.store, Dimension::Key, "", &all_time(), Order::Requests, 100).await.unwrap();
    let mut ids: Vec<_> = top.into_iter().map(|top| top.id).collect();
    ids.sort_by_key(|id| id[4..].parse::<u64>().unwrap());
    assert_eq!(ids, (1..=20).map(|n| format!("key-{n}")).collect::<Vec<_>>());
    bed.end().await;
}
