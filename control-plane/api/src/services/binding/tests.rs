use domain::Role;
use process::clock;

use crate::testing::Bench;

/// A binding as a node makes it.
async fn bind(bench: &Bench, key: &str, family: &str, session: u8, account: &str) -> String {
    let name = fleet::bindings::Name::new(key, family, &format!("{session:02x}").repeat(32)).unwrap();
    bench.store.bind(&name.stored(), account, "", 60_000, 0).await.unwrap();
    name.id()
}

#[tokio::test]
async fn bindings_are_listed_filtered_and_paged() {
    let bench = Bench::start().await;
    let token = bench.token().await;
    for n in 0..30 {
        let (key, family) = (format!("key-{}", n % 3), if n % 2 == 0 { "claude" } else { "gemini" });
        bind(&bench, &key, family, n, &format!("account-{}", n % 5)).await;
    }
    let all = |query: &'static str| {
        let (bench, token) = (&bench, &token);
        async move {
            let (mut found, mut next) = (Vec::new(), String::new());
            loop {
                let line = format!("GET /api/v2/bindings?page_size=4&page_token={next}{query}");
                let page = bench.ok(token, &line, "").await;
                let list = page["bindings"].as_array().unwrap().clone();
                assert!(list.len() <= 4);
                found.extend(list);
                next = page["next_page_token"].as_str().unwrap().to_owned();
                if next.is_empty() {
                    return found;
                }
            }
        }
    };
    let mut ids: Vec<_> = all("").await.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 30);
    assert_eq!(all("&key_id=key-1").await.len(), 10);
    assert_eq!(all("&account_id=account-4").await.len(), 6);
    assert_eq!(all("&family=gemini&key_id=key-0").await.len(), 5);
    assert!(all("&key_id=none").await.is_empty());
    for wrong in ["page_token=%21", "family=llama", "key_id=a/b", "page_size=1001"] {
        assert_eq!(
            bench.call(&token, &format!("GET /api/v2/bindings?{wrong}"), "").await.status,
            400,
            "{wrong}"
        );
    }
    bench.stop().await;
}

#[tokio::test]
async fn bindings_are_dropped_one_or_many_by_who_may_and_nodes_are_told() {
    let bench = Bench::start().await;
    let token = bench.token().await;
    let one = bind(&bench, "k1", "claude", 1, "a").await;
    for session in 2..6 {
        bind(&bench, if session < 4 { "k1" } else { "k2" }, "claude", session, "b").await;
    }
    let (_, viewer) = bench.session(Role::Viewer, clock::unix_ms()).await;
    assert_eq!(bench.call(&viewer, &format!("DELETE /api/v2/bindings/{one}"), "").await.status, 403);
    assert_eq!(bench.ok(&viewer, &format!("GET /api/v2/bindings/{one}"), "").await["account_id"], "a");
    assert_eq!(bench.ok(&token, &format!("DELETE /api/v2/bindings/{one}"), "").await["dropped"], 1);
    for line in ["GET", "DELETE"] {
        assert_eq!(bench.call(&token, &format!("{line} /api/v2/bindings/{one}"), "").await.status, 404);
    }
    assert_eq!(bench.call(&token, "DELETE /api/v2/bindings", "").await.status, 400, "not all at once");
    let by = bench.ok(&token, "DELETE /api/v2/bindings?account_id=b&key_id=k1", "").await;
    assert_eq!(by["dropped"], 2);
    assert_eq!(bench.ok(&token, "DELETE /api/v2/bindings?key_id=k2", "").await["dropped"], 2);
    let left = bench.ok(&token, "GET /api/v2/bindings", "").await;
    assert!(left["bindings"].as_array().unwrap().is_empty());
    let drops = bench.view.all::<domain::BindingDrop>();
    let mut told: Vec<_> = drops.iter().map(|drop| (drop.value.at_ms, drop.value.clone())).collect();
    told.sort_by_key(|(at, drop)| (*at, drop.id.clone()));
    let told: Vec<_> =
        told.iter().map(|(_, d)| (d.key_id.as_str(), d.account_id.as_str(), d.session.len())).collect();
    assert_eq!(told, [("k1", "", 64), ("k1", "b", 0), ("k2", "", 0)]);
    let audit = bench.ok(&token, "GET /api/v2/audit?page_size=3", "").await;
    assert_eq!(audit["entries"][0]["action"], "BindingService.DropBindings");
    bench.stop().await;
}
