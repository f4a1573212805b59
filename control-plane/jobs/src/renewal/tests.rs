//! Renewals against a real store and a token endpoint of our own, which counts and rotates.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use parking_lot::Mutex;
use store::{Expect, MasterKey};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

/// A token endpoint: each refresh token works once and is replaced.
#[derive(Default)]
struct Endpoint {
    asked: AtomicUsize,
    current: Mutex<String>,
    /// Answers with this status and no token.
    broken: Mutex<Option<u16>>,
}

impl Endpoint {
    async fn start(refresh: &str) -> (Arc<Self>, String) {
        let endpoint = Arc::new(Self { current: Mutex::new(refresh.to_owned()), ..Self::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let served = endpoint.clone();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            while let Ok((mut io, _)) = listener.accept().await {
                let mut text = String::new();
                let mut buffer = [0; 4096];
                while !text.contains("\r\n\r\n") || !text.ends_with('}') {
                    let read = io.read(&mut buffer).await.unwrap_or(0);
                    if read == 0 {
                        break;
                    }
                    text += &String::from_utf8_lossy(&buffer[..read]);
                }
                let (status, body) = served.answer(text.split("\r\n\r\n").nth(1).unwrap_or_default());
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                let _ = io.write_all((head + &body).as_bytes()).await;
            }
        });
        tasks.detach_all();
        (endpoint, url)
    }

    fn answer(&self, body: &str) -> (u16, String) {
        let number = self.asked.fetch_add(1, SeqCst) + 1;
        if let Some(status) = *self.broken.lock() {
            return (status, "{}".into());
        }
        let asked: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        let mut current = self.current.lock();
        if asked["refresh_token"] != current.as_str() {
            return (400, r#"{"error":"invalid_grant"}"#.into());
        }
        *current = format!("rt-{number}");
        let body = serde_json::json!({
            "access_token": format!("at-{number}"), "refresh_token": *current, "expires_in": 3600,
        });
        (200, body.to_string())
    }
}

struct Bed {
    _dir: tempfile::TempDir,
    store: Store,
    renewer: Renewer,
    endpoint: Arc<Endpoint>,
}

const ID: &str = "account-1";

impl Bed {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let master = "00112233445566778899aabbccddeeff0f1e2d3c4b5a69788796a5b4c3d2e1f0";
        let store = Store::open_embedded(dir.path(), MasterKey::parse(master).unwrap()).await.unwrap();
        let (endpoint, url) = Endpoint::start("rt-0").await;
        let field = |name: &str, value: &str| (name.to_owned(), SecretString::from(value.to_owned()));
        let account = Account {
            id: ID.into(),
            platform: "claude-official".into(),
            name: "a".into(),
            credentials: [field("refresh_token", "rt-0"), field("token_url", &url)].into(),
            withheld: vec!["refresh_token".into(), "token_url".into()],
            ..Account::default()
        };
        store.commit(Change::new(author()).put(&account, Expect::Absent)).await.unwrap();
        let renewer = Renewer::new(store.clone(), Http::to_this_machine().unwrap());
        Self { _dir: dir, store, renewer, endpoint }
    }

    async fn account(&self) -> Account {
        self.store.get::<Account>(ID).await.unwrap().unwrap().value
    }

    async fn edit(&self, change: impl FnOnce(&mut Account)) {
        let held = self.store.get::<Account>(ID).await.unwrap().unwrap();
        let mut account = held.value.clone();
        change(&mut account);
        self.store.commit(Change::new(author()).update(&held, &account)).await.unwrap();
    }

    fn asked(&self) -> usize {
        self.endpoint.asked.load(SeqCst)
    }
}

fn author() -> Author {
    Author::system("test")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_ask_at_once_the_platform_is_asked_once() {
    let bed = Bed::new().await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let renewer = bed.renewer.clone();
        asking.spawn(async move { renewer.renew(ID, 0, false, &author()).await });
    }
    while let Some(answer) = asking.join_next().await {
        assert_eq!(answer.unwrap(), Ok(1));
    }
    assert_eq!(bed.asked(), 1);
    let account = bed.account().await;
    assert_eq!(account.tokens.kept["refresh_token"].expose_secret(), "rt-1");
    assert_eq!(account.for_nodes()["access_token"].expose_secret(), "at-1");
    assert!(!account.for_nodes().contains_key("refresh_token"));
    // The next one goes on from the new refresh token.
    assert_eq!(bed.renewer.renew(ID, 1, false, &author()).await, Ok(2));
    assert_eq!((bed.asked(), bed.account().await.tokens.turn), (2, None));
}

#[tokio::test]
async fn a_turn_that_was_cut_off_is_waited_out_and_then_named() {
    let bed = Bed::new().await;
    // A process was killed between the platform's answer and the write: the token is used up, the turn is open.
    *bed.endpoint.current.lock() = "lost".into();
    let deadline_ms = bed.store.now_ms() + 400;
    bed.edit(|account| account.tokens.turn = Some(tokens::Turn { id: "other".into(), deadline_ms })).await;
    let refused = bed.renewer.renew(ID, 0, false, &author()).await;
    assert!(matches!(refused, Err(NotRenewed::Reauthorize(_))), "{refused:?}");
    assert!(bed.store.now_ms() >= deadline_ms);
    let account = bed.account().await;
    assert_eq!(account.state.status, Status::Reauthorize);
    assert!(account.state.reason.contains("invalid_grant"), "{}", account.state.reason);
    // Nobody asks again by himself; a person may, once the account was authorised again.
    let asked = bed.asked();
    assert!(bed.renewer.renew(ID, 0, false, &author()).await.is_err());
    assert!(!is_due(&bed.account().await, i64::MAX / 2));
    assert_eq!(bed.asked(), asked);
    bed.edit(|account| {
        account.tokens.kept.insert("refresh_token".into(), "lost".into());
    })
    .await;
    assert_eq!(bed.renewer.renew(ID, 0, true, &author()).await, Ok(1));
    assert_eq!(bed.account().await.state.status, Status::Active);
}

#[tokio::test]
async fn a_platform_that_is_away_is_asked_again_after_a_pause() {
    let bed = Bed::new().await;
    *bed.endpoint.broken.lock() = Some(503);
    assert!(matches!(bed.renewer.renew(ID, 0, false, &author()).await, Err(NotRenewed::Later(_))));
    let account = bed.account().await;
    assert_eq!((account.tokens.failures, account.state.status), (1, Status::Active));
    assert!(matches!(bed.renewer.renew(ID, 0, false, &author()).await, Err(NotRenewed::Later(_))));
    assert_eq!(bed.asked(), 1);
    assert!(
        !is_due(&account, account.tokens.retry_at_ms - 1) && is_due(&account, account.tokens.retry_at_ms)
    );
    *bed.endpoint.broken.lock() = None;
    assert_eq!(bed.renewer.renew(ID, 0, true, &author()).await, Ok(1));
    assert_eq!(bed.account().await.tokens.failures, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_editor_beside_a_renewal_costs_no_token() {
    let bed = Bed::new().await;
    let (renewer, store) = (bed.renewer.clone(), bed.store.clone());
    let mut both = tokio::task::JoinSet::new();
    both.spawn(async move { renewer.renew(ID, 0, false, &author()).await.map(drop) });
    both.spawn(async move {
        for number in 0..30 {
            let held = store.get::<Account>(ID).await.unwrap().unwrap();
            let mut account = held.value.clone();
            account.description = number.to_string();
            let _ = store.commit(Change::new(author()).update(&held, &account)).await;
        }
        Ok(())
    });
    while let Some(done) = both.join_next().await {
        assert_eq!(done.unwrap(), Ok(()));
    }
    let account = bed.account().await;
    assert_eq!(account.tokens.kept["refresh_token"].expose_secret(), "rt-1");
    assert_eq!(bed.asked(), 1);
}

#[tokio::test]
async fn what_has_no_tokens_is_told_so() {
    let bed = Bed::new().await;
    assert_eq!(bed.renewer.renew("nobody", 0, false, &author()).await, Err(NotRenewed::NoAccount));
    bed.edit(|account| account.credentials.clear()).await;
    let unsuited = bed.renewer.renew(ID, 0, false, &author()).await;
    assert!(matches!(unsuited, Err(NotRenewed::Unsuited(_))), "{unsuited:?}");
    assert_eq!((bed.asked(), bed.account().await.tokens.turn), (0, None));
}
