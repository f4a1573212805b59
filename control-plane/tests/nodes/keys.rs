//! Activation, what a key's bearer may know, bindings, verdicts on accounts.

use domain::{Account, Key, account::Status, key::Expiration};
use proto::node::{
    AccountEvent, AccountEventRequest, ActivateRequest, BindRequest, KeyInfoRequest,
    account_event_service_client::AccountEventServiceClient, key_info_service_client::KeyInfoServiceClient,
    session_service_client::SessionServiceClient,
};
use store::AuditFilter;

use crate::bed::{Bed, key};

#[tokio::test]
async fn the_earliest_activation_wins() {
    let bed = Bed::embedded().await;
    let life = Expiration::Activation { duration_ms: 1000, activated_at_ms: None };
    bed.put(&Key { expiration: Some(life), created_at_ms: 100, ..key("k1") }).await;
    let mut client = KeyInfoServiceClient::new(bed.node("n1", "e1"));
    let mut activate = async |at_ms: i64| {
        let ask = ActivateRequest { key_id: "k1".into(), at_ms };
        client.activate(ask).await.unwrap().into_inner().expires_at_ms
    };
    assert_eq!(activate(5000).await, 6000);
    assert_eq!(activate(9000).await, 6000);
    assert_eq!(activate(4000).await, 5000);
    assert_eq!(activate(-7).await, 1100, "a key is not used before it is made");
    let held = bed.store.get::<Key>("k1").await.unwrap().unwrap();
    assert_eq!(held.value.ends_at_ms(), Some(1100));
    bed.end().await;
}

#[tokio::test]
async fn a_bearer_knows_its_key_without_hashes() {
    let bed = Bed::embedded().await;
    bed.put(&key("k1")).await;
    let mut client = KeyInfoServiceClient::new(bed.node("n1", "e1"));
    let info = client.get(KeyInfoRequest { key_id: "k1".into() }).await.unwrap().into_inner();
    assert_eq!(info.key.unwrap().name, "key k1");
    assert_eq!(info.total.unwrap().requests, 0);
    assert!(info.recent.is_empty());
    bed.end().await;
}

#[tokio::test]
async fn the_first_to_bind_wins() {
    let bed = Bed::embedded().await;
    let mut client = SessionServiceClient::new(bed.node("n1", "e1"));
    let mut bind = async |candidate: &str, replaces: &str| {
        let ask = BindRequest {
            key_id: "k1".into(),
            session: vec![7; 32],
            candidate: candidate.into(),
            replaces: replaces.into(),
            ttl_ms: 60_000,
            renew_below_ms: 1000,
            family: "claude".into(),
        };
        let bound = client.bind(ask).await.unwrap().into_inner();
        (bound.account_id, bound.existed)
    };
    assert_eq!(bind("a1", "").await, ("a1".into(), false));
    assert_eq!(bind("a2", "").await, ("a1".into(), true));
    assert_eq!(bind("a2", "a9").await, ("a1".into(), true));
    assert_eq!(bind("a2", "a1").await.0, "a2");
    bed.end().await;
}

#[tokio::test]
async fn g8_what_many_nodes_say_of_an_account_is_one_change_with_its_author() {
    let bed = Bed::embedded().await;
    bed.put(&Account { id: "a1".into(), platform: "p".into(), ..Account::default() }).await;
    let now = process::clock::unix_ms();
    let event = |state: &str, until_ms: i64| AccountEvent {
        account_id: "a1".into(),
        at_ms: now,
        state: state.into(),
        until_ms,
        ..AccountEvent::default()
    };
    for node in ["n1", "n2", "n3"] {
        let mut client = AccountEventServiceClient::new(bed.node(node, "e1"));
        let events = vec![event("rate_limited", now + 60_000), event("overloaded", now + 10_000)];
        client.report(AccountEventRequest { events }).await.unwrap();
    }
    let held = bed.store.get::<Account>("a1").await.unwrap().unwrap();
    assert_eq!(
        (held.value.state.status, held.value.state.until_ms),
        (Status::RateLimited, Some(now + 60_000))
    );
    let filter = AuditFilter { target_id: "a1".into(), ..AuditFilter::default() };
    let entries = bed.store.audit_entries(&filter, None, 10).await.unwrap();
    let actors: Vec<_> = entries.iter().map(|entry| entry.fact.actor.as_str()).collect();
    assert_eq!(actors, ["node:n1", "test"]);
    bed.end().await;
}
