//! Leases: exact over two replicas of one Redis, and pushed across them.

use std::time::Duration;

use domain::{
    Key, Node,
    limit::{Limit, Window},
};
use proto::node::{
    LeaseExhausted, LeaseGrant, LeaseReport, LeaseRequest, LeaseResponse, LeaseWant,
    quota_service_client::QuotaServiceClient,
};
use store::{Author, testing};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::{
    bed::{Bed, Wire, key, soon, until},
    feed::Watch,
};

const METER: &str = "k1/l1";

struct Lease {
    say: mpsc::Sender<LeaseRequest>,
    hear: Streaming<LeaseResponse>,
    sequence: u64,
    grant: LeaseGrant,
    spent: i64,
    returned: i64,
    pushed: Vec<LeaseResponse>,
}

impl Lease {
    async fn open(wire: Wire, ended_epochs: Vec<String>) -> Self {
        let (say, said) = mpsc::channel(8);
        let mut client = QuotaServiceClient::new(wire);
        let hear = soon("a stream", client.lease(ReceiverStream::new(said))).await.unwrap().into_inner();
        let mut lease = Self {
            say,
            hear,
            sequence: 0,
            grant: LeaseGrant::default(),
            spent: 0,
            returned: 0,
            pushed: Vec::new(),
        };
        lease.ask(LeaseRequest { ended_epochs, ..LeaseRequest::default() }).await;
        lease
    }

    async fn ask(&mut self, request: LeaseRequest) -> LeaseResponse {
        self.sequence += 1;
        let sequence = self.sequence;
        self.say.send(LeaseRequest { sequence, ..request }).await.unwrap();
        loop {
            let answer = soon("an answer", self.hear.message()).await.unwrap().unwrap();
            if answer.sequence == sequence {
                assert_eq!(answer.ttl_ms, fleet::TTL_MS);
                self.grant = answer.grants.first().cloned().unwrap_or(std::mem::take(&mut self.grant));
                return answer;
            }
            self.pushed.push(answer);
        }
    }

    /// Tells what is used and given back, and asks for `waiting` units.
    async fn want(&mut self, waiting: i64) -> Option<LeaseExhausted> {
        let report = LeaseReport {
            meter: METER.into(),
            window_id: self.grant.window_id.clone(),
            generation: self.grant.generation,
            spent: self.spent,
            returned: self.returned,
        };
        let wants = match waiting {
            0 => Vec::new(),
            _ => vec![LeaseWant { meter: METER.into(), waiting, rate: 0, least: 0 }],
        };
        let reports = if self.grant.granted > 0 { vec![report] } else { Vec::new() };
        self.ask(LeaseRequest { reports, wants, ..LeaseRequest::default() })
            .await
            .exhausted
            .into_iter()
            .next()
    }

    fn held(&self) -> i64 {
        self.grant.granted - self.returned - self.spent
    }

    async fn push(&mut self) -> LeaseResponse {
        if let Some(pushed) = self.pushed.pop() {
            return pushed;
        }
        soon("a push", self.hear.message()).await.unwrap().unwrap()
    }
}

fn limited(meter: &str, amount: i64, window: Option<Window>) -> Key {
    let limit = Limit {
        id: "l1".into(),
        meter: meter.into(),
        scope: Default::default(),
        window,
        amount,
        strict: false,
        cost_kind: String::new(),
    };
    Key { limits: vec![limit], ..key("k1") }
}

fn minutes(minutes: u32) -> Option<Window> {
    Some(Window { kind: "fixed".into(), minutes, ..Window::default() })
}

/// Spends one unit at a time until the meter says that no more comes; gives what was spent.
async fn spend(mut lease: Lease) -> i64 {
    loop {
        if lease.held() > 0 {
            lease.spent += 1;
            continue;
        }
        let Some(dry) = lease.want(1).await else { continue };
        // Nothing is held by anybody: what is used is all that there is.
        if dry.used + dry.leased == dry.amount && dry.leased == 0 {
            return lease.spent;
        }
        // What another holds is given back when it is asked to.
        while let Some(pushed) = lease.pushed.pop() {
            if !pushed.reclaims.is_empty() {
                lease.returned += lease.held();
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn g3_two_nodes_on_two_replicas_never_get_more_than_there_is() {
    let redis = testing::redis().unwrap();
    let (one, two) = (Bed::redis(&redis.url()).await, Bed::redis(&redis.url()).await);
    one.put(&limited("requests", 57, minutes(60))).await;
    let a = Lease::open(one.node("n1", "e1"), Vec::new()).await;
    let b = Lease::open(two.node("n2", "e2"), Vec::new()).await;
    let (a, b) = soon("both", async { tokio::join!(spend(a), spend(b)) }).await;
    assert_eq!(a + b, 57);
    one.end().await;
    two.end().await;
}

#[tokio::test]
async fn what_is_given_back_is_pushed_to_who_waits_on_another_replica() {
    let redis = testing::redis().unwrap();
    let (one, two) = (Bed::redis(&redis.url()).await, Bed::redis(&redis.url()).await);
    one.put(&limited("concurrency", 3, None)).await;
    let mut a = Lease::open(one.node("n1", "e1"), Vec::new()).await;
    let mut b = Lease::open(two.node("n2", "e2"), Vec::new()).await;
    assert!(a.want(3).await.is_none());
    assert_eq!(a.held(), 3);
    let dry = b.want(1).await.unwrap();
    assert_eq!((dry.amount, dry.leased), (3, 3));
    let plea = a.push().await;
    assert_eq!((plea.sequence, plea.reclaims[0].meter.as_str(), plea.reclaims[0].amount), (0, METER, 1));
    a.returned += 1;
    a.want(0).await;
    let hint = b.push().await;
    assert_eq!((hint.sequence, hint.exhausted[0].meter.as_str()), (0, METER));
    assert!(b.want(1).await.is_none());
    assert_eq!(b.held(), 1);
    one.end().await;
    two.end().await;
}

#[tokio::test]
async fn slots_of_an_ended_life_are_free_and_only_their_node_may_end_it() {
    let bed = Bed::embedded().await;
    bed.put(&limited("concurrency", 2, None)).await;
    let mut old = Lease::open(bed.node("n1", "e1"), Vec::new()).await;
    assert!(old.want(2).await.is_none());
    drop(old);
    let mut thief = Lease::open(bed.node("n2", "e9"), vec!["e1".into()]).await;
    assert!(thief.want(1).await.is_some());
    let mut new = Lease::open(bed.node("n1", "e2"), vec!["e1".into()]).await;
    until("a slot", async || new.want(1).await.is_none().then_some(())).await;
    assert_eq!(new.held(), 1);
    bed.end().await;
}

#[tokio::test]
async fn a_meter_that_is_not_there_says_so_at_once() {
    let bed = Bed::embedded().await;
    let mut lease = Lease::open(bed.node("n1", "e1"), Vec::new()).await;
    let dry = lease.want(1).await.unwrap();
    assert_eq!((dry.amount, dry.retry_in_ms > 0), (0, true));
    bed.end().await;
}

#[tokio::test]
async fn a_node_that_is_written_off_frees_what_it_held_and_one_that_is_heard_is_left_alone() {
    for meter in ["concurrency", "requests"] {
        let bed = Bed::embedded().await;
        let window = if meter == "requests" { minutes(60) } else { None };
        bed.put(&limited(meter, 2, window)).await;
        bed.put(&Node { id: "n1".into(), ..Node::default() }).await;
        let mut gone = Lease::open(bed.node("n1", "e1"), Vec::new()).await;
        assert!(gone.want(2).await.is_none());
        drop(gone);
        let mut other = Lease::open(bed.node("n2", "e2"), Vec::new()).await;
        assert!(other.want(1).await.is_some(), "{meter}: a silent node keeps what it holds");
        let node = bed.store.get::<Node>("n1").await.unwrap().unwrap();
        let watch = Watch::open(bed.node("n1", "e1"), None).await;
        let author = || Author { actor: "op".into(), address: String::new(), action: "write-off".into() };
        assert_eq!(bed.app.fleet().write_off(&node, author()).await.unwrap(), None, "it is heard");
        drop(watch);
        // As if it had been silent for long.
        until("it disconnects", async || {
            let condition = bed.store.meter("node:n1", |row: &mut Option<serde_json::Value>, _| row.clone());
            condition.await.unwrap()
        })
        .await;
        bed.store.forget_meter("node:n1").await.unwrap();
        let written = bed.app.fleet().write_off(&node, author()).await.unwrap().unwrap();
        let expected = if meter == "requests" { (1, 0) } else { (0, 2) };
        assert_eq!((written.leases, written.slots), expected, "{meter}");
        assert!(bed.store.get::<Node>("n1").await.unwrap().is_none());
        until("its budget", async || other.want(2).await.is_none().then_some(())).await;
        assert_eq!(other.held(), 2, "{meter}");
        bed.end().await;
    }
}
