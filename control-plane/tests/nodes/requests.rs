//! Request records: searched by every field, trimmed, refused ones kept in a ring, all of them watched as they come.

use fleet::records::{self, Filter};
use futures_util::StreamExt as _;
use prost::Message as _;
use proto::{
    node::{
        Batch, ReportRefusedRequest, SpooledRecord, report_request::Message,
        usage_service_client::UsageServiceClient,
    },
    rules::usage::partition,
    types::{Attempt, Refusal, UsageRecord},
};

use crate::{
    bed::{Bed, soon, until},
    usage::{KEY, Report, record},
};

const OTHER: &str = "k2";

/// Twelve requests, a second apart: of two keys, at two accounts, for three models, one in four failed.
fn records_of_all_kinds() -> Vec<UsageRecord> {
    let began = process::clock::unix_ms() / 1000 - 100;
    let one = |n: u64| {
        let failed = n.is_multiple_of(4);
        UsageRecord {
            key_id: if n.is_multiple_of(2) { KEY } else { OTHER }.into(),
            model: format!("model-{}", n % 3),
            client_kind: if n < 6 { "claude_code" } else { "curl" }.into(),
            outcome: if failed { "upstream_error" } else { "ok" }.into(),
            status: if failed { 529 } else { 200 },
            node_id: format!("n{}", n % 2),
            started_at: Some(prost_types::Timestamp { seconds: began + n as i64, nanos: 0 }),
            attempts: vec![Attempt { account_id: format!("a{}", n % 5), ..Attempt::default() }],
            ..record(n)
        }
    };
    (1..=12).map(one).collect()
}

async fn send(bed: &Bed, sent: &[UsageRecord]) {
    let mut report = Report::open(bed.node("n1", "e1")).await;
    for (n, one) in (1..).zip(sent) {
        let partition = partition(&one.key_id);
        let spooled =
            SpooledRecord { sequence: 1, partition, previous: 0, record: one.encode_to_vec().into() };
        report.ask(Message::Batch(Batch { epoch: format!("s{n}"), records: vec![spooled] })).await;
    }
}

async fn all(bed: &Bed, filter: &Filter, page: usize) -> Vec<String> {
    let (mut ids, mut before) = (Vec::new(), None::<String>);
    loop {
        let found = records::list(&bed.store, filter, before.as_deref(), page).await.unwrap();
        assert!(found.records.len() <= page);
        ids.extend(found.records.into_iter().map(|record| record.request_id));
        before = found.next;
        if before.is_none() {
            return ids;
        }
    }
}

/// Every filter against every record, page by page: what the index finds is what looking at all of them finds.
async fn searched(bed: Bed) {
    let sent = records_of_all_kinds();
    send(&bed, &sent).await;
    let at = |n: usize| domain::time::from_wire(sent[n].started_at.as_ref().unwrap());
    let filters = [
        Filter::default(),
        Filter { key_id: KEY.into(), ..Filter::default() },
        Filter { account_id: "a3".into(), ..Filter::default() },
        Filter { model: "model-1".into(), ..Filter::default() },
        Filter { outcome: "ok".into(), ..Filter::default() },
        Filter { outcome: "upstream_error".into(), ..Filter::default() },
        Filter { status: 529, ..Filter::default() },
        Filter { status: 200, model: "model-2".into(), ..Filter::default() },
        Filter { client_kind: "curl".into(), ..Filter::default() },
        Filter { node_id: "n1".into(), ..Filter::default() },
        Filter { start_ms: at(3), end_ms: at(8), ..Filter::default() },
        Filter { key_id: OTHER.into(), account_id: "a1".into(), start_ms: at(2), ..Filter::default() },
        Filter { client_kind: "claude_code".into(), end_ms: at(4), ..Filter::default() },
        Filter { model: "m".repeat(500), ..Filter::default() },
        Filter { account_id: "nobody".into(), ..Filter::default() },
    ];
    for filter in &filters {
        let mut wanted: Vec<_> = sent.iter().filter(|record| filter.admits(record)).collect();
        wanted.reverse();
        let wanted: Vec<_> = wanted.into_iter().map(|record| record.request_id.clone()).collect();
        for page in [1, 2, 50] {
            assert_eq!(all(&bed, filter, page).await, wanted, "{filter:?}, {page} a page");
        }
    }
    assert_eq!(records::get(&bed.store, "r4").await.unwrap().unwrap().attempts.len(), 1);
    assert!(records::get(&bed.store, "r99").await.unwrap().is_none());
    let key = Filter { key_id: KEY.into(), ..Filter::default() };
    records::forget_key(&bed.store, KEY).await.unwrap();
    assert!(all(&bed, &key, 10).await.is_empty(), "a purged key has no list");

    // Retention: what is older goes from every list, and the lists of what is gone go as well.
    records::trim_before(&bed.store, at(9).unwrap()).await.unwrap();
    assert_eq!(all(&bed, &Filter::default(), 50).await, ["r12", "r11", "r10"]);
    let failed = Filter { status: 529, ..Filter::default() };
    assert_eq!(all(&bed, &failed, 50).await, ["r12"]);
    records::trim_before(&bed.store, i64::MAX).await.unwrap();
    for partition in 0..16 {
        for log in [records::REQUESTS, "logs", "status/529", "model/model-0", "account/a1", "client/curl"] {
            assert!(bed.store.log_range(partition, log, None, 1).await.unwrap().is_empty(), "{log} is left");
        }
    }
    bed.end().await;
}

#[tokio::test]
async fn g11_a_search_finds_what_looking_at_every_record_finds() {
    searched(Bed::embedded().await).await;
}

#[tokio::test]
async fn g11_a_search_on_redis_finds_the_same() {
    let Ok(server) = store::testing::redis() else {
        eprintln!("SKIPPED: no redis-server");
        return;
    };
    searched(Bed::redis(&server.url()).await).await;
}

fn refused(n: u64, node: &str) -> UsageRecord {
    UsageRecord {
        request_id: format!("refused-{n}"),
        outcome: "refused".into(),
        status: 429,
        node_id: node.into(),
        attempts: Vec::new(),
        refusal: Some(Refusal { reason: "limit".into(), ..Refusal::default() }),
        ..record(n)
    }
}

#[tokio::test]
async fn g11_refused_requests_are_found_in_a_ring_that_forgets_the_oldest() {
    let bed = Bed::embedded().await;
    send(&bed, &records_of_all_kinds()).await;
    let mut client = UsageServiceClient::new(bed.node("n1", "e1"));
    let mut tell = async |number: u64, records: Vec<UsageRecord>| {
        let records = records.iter().map(UsageRecord::encode_to_vec).collect();
        soon("an answer", client.report_refused(ReportRefusedRequest { number, records })).await.unwrap();
    };
    // Told twice counts once; what is no record of a refused request is left out.
    tell(1, vec![refused(1, "n1"), record(77)]).await;
    tell(1, vec![refused(1, "n1")]).await;
    let only = Filter { outcome: "refused".into(), ..Filter::default() };
    assert_eq!(all(&bed, &only, 10).await, ["refused-1"]);
    let held = records::get(&bed.store, "refused-1").await.unwrap().unwrap();
    assert_eq!(held.refusal.unwrap().reason, "limit");
    assert!(records::get(&bed.store, "r77").await.unwrap().is_none());
    // Among the others in order; not where an account or another status is asked for.
    let key = Filter { key_id: KEY.into(), with_refused: true, ..Filter::default() };
    assert_eq!(all(&bed, &key, 3).await[0], "refused-1");
    let counted = Filter { with_refused: false, ..key };
    assert_eq!(all(&bed, &counted, 50).await.len(), 6, "what is listed by itself is what counts");
    let status = Filter { status: 429, ..Filter::default() };
    assert_eq!(all(&bed, &status, 10).await, ["refused-1"]);
    let account = Filter { account_id: "a1".into(), ..Filter::default() };
    assert!(!all(&bed, &account, 10).await.contains(&"refused-1".to_owned()));
    // A message was lost in between: no harm.
    for number in 0..20 {
        let many = (0..100).map(|n| refused(1000 + number * 100 + n, "n1")).collect();
        tell(5 + number, many).await;
    }
    let kept = bed.store.log_range(partition("n1"), records::REFUSED, None, 5_000).await.unwrap();
    assert_eq!(kept.len(), 1_000);
    assert!(records::get(&bed.store, "refused-1").await.unwrap().is_none());
    let counted = bed.app.fleet().figures().records_applied;
    assert_eq!(counted, 12, "refused requests count nothing");
    bed.end().await;
}

#[tokio::test]
async fn a_tail_hears_what_any_replica_applies_and_nothing_that_it_does_not_want() {
    let Ok(server) = store::testing::redis() else {
        eprintln!("SKIPPED: no redis-server");
        return;
    };
    let (one, two) = (Bed::redis(&server.url()).await, Bed::redis(&server.url()).await);
    let wanted = Filter { status: 529, ..Filter::default() };
    let mut tail = Box::pin(one.app.fleet().tail(wanted));
    let mut number = 0;
    // Until the other replica has heard that somebody watches, what it applies goes by.
    let heard = until("a record of the other replica", async || {
        number += 1;
        let again = UsageRecord {
            request_id: format!("x{number}"),
            status: if number % 2 == 0 { 529 } else { 200 },
            ..record(number)
        };
        let partition = partition(KEY);
        let spooled =
            SpooledRecord { sequence: 1, partition, previous: 0, record: again.encode_to_vec().into() };
        let mut report = Report::open(two.node("n1", "e1")).await;
        report.ask(Message::Batch(Batch { epoch: format!("t{number}"), records: vec![spooled] })).await;
        tokio::time::timeout(std::time::Duration::from_millis(200), tail.next()).await.ok().flatten()
    });
    let heard = heard.await.unwrap().request.unwrap();
    assert_eq!((heard.status, heard.explanation), (529, None));
    // Here at once.
    let mut failed = record(1);
    (failed.request_id, failed.status) = ("here".into(), 529);
    send(&one, &[record(500), failed]).await;
    let here = until("a record of this replica", async || {
        let item = soon("the tail", tail.next()).await.unwrap().unwrap();
        item.request.filter(|record| record.request_id == "here")
    });
    here.await;
    // A replica that ends says so.
    one.app.unready().await;
    let (_, ended) = tokio::join!(one.end(), async {
        soon("the tail's end", async {
            while let Some(item) = tail.next().await {
                if item.is_err() {
                    return true;
                }
            }
            false
        })
        .await
    });
    assert!(ended);
    two.end().await;
}
