//! A whole API over an embedded store in a directory that goes when the test ends. For this crate's tests only.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    Account, Role, Session, SigningKeys, User,
    account::{NotRenewed, Tokens},
    signing,
};
use fleet::Fleet;
use futures_util::{StreamExt as _, stream};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use platforms::oauth::Begin;
use process::{clock, tasks::Tasks};
use proto::admin::TestAccountResponse;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use store::{Author, Change, Expect, Kinds, MasterKey, Store, View};
use tonic::body::Body;
use tower::ServiceExt as _;

use crate::{Admin, Deps, Options, Peer, Prober, bootstrap};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A running API.
pub(crate) struct Bench {
    pub admin: Admin,
    pub store: Store,
    pub view: View,
    tasks: Tasks,
    _directory: tempfile::TempDir,
}

/// A prober that connects nowhere, and would to public addresses only.
struct Still;

#[tonic::async_trait]
impl Prober for Still {
    async fn probe(&self, _: &Account, model: &str) -> TestAccountResponse {
        TestAccountResponse { ok: true, status: 200, model: model.to_owned(), ..Default::default() }
    }

    async fn renew(&self, _: &str, _: u64, _: store::Author) -> Result<(), NotRenewed> {
        Err(NotRenewed::Later("nobody is asked here".into()))
    }

    async fn exchange_code(&self, _: &Account, begin: &Begin<'_>, code: &str) -> Result<Tokens, NotRenewed> {
        if code != "good-code" || begin.verifier.len() < 43 {
            return Err(NotRenewed::Reauthorize("invalid_grant".into()));
        }
        Ok(Tokens {
            kept: [("refresh_token".to_owned(), "rt-canary".into())].into(),
            issued: [("access_token".to_owned(), "at-canary".into())].into(),
            facts: [("email".to_owned(), "a@b.c".to_owned())].into(),
            generation: 1,
            ..Tokens::default()
        })
    }

    fn may_connect(&self, address: IpAddr) -> Result<(), String> {
        match address.is_loopback() {
            true => Err("is a loopback address; allow it with `upstream-allow-private`".into()),
            false => Ok(()),
        }
    }
}

#[tonic::async_trait]
impl fleet::Renewer for Still {
    async fn renew(&self, _: &str, _: u64, _: store::Author) -> Result<u64, NotRenewed> {
        Err(NotRenewed::NoAccount)
    }
}

/// What a REST call answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|why| panic!("{why}: {}", self.text))
    }

    /// The reason of an error, for programs.
    pub(crate) fn reason(&self) -> String {
        self.json()["error"]["details"][0]["reason"].as_str().unwrap_or_default().to_owned()
    }
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options { strangers_burst: 100_000, ..Options::default() }).await
    }

    pub(crate) async fn start_with(options: Options) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let master = MasterKey::load_or_create(&directory.path().join("master.key")).unwrap();
        let store = Store::open_embedded(directory.path(), master).await.unwrap();
        let password = SecretString::from(PASSWORD);
        let made = bootstrap::ensure(&store, None, Some(&password), clock::unix_ms()).await.unwrap();
        assert!(made.is_none());
        let tasks = Tasks::new("test");
        let kinds = crate::with_kinds(Kinds::new().with::<domain::Node>());
        let view = View::start(&store, kinds, &tasks).await.unwrap();
        let open: fleet::OpenFeed = Arc::new(|_| stream::pending().boxed());
        let fleet = Fleet::start(&store, &view, open, Arc::new(Still), "test".into(), &tasks).await.unwrap();
        let (prober, now_ms) = (Arc::new(Still), clock::unix_ms as fn() -> i64);
        let deps = Deps { store: store.clone(), view: view.clone(), fleet, prober, now_ms, options };
        let admin = crate::admin(deps).await.unwrap();
        Self { admin, store, view, tasks, _directory: directory }
    }

    pub(crate) async fn stop(self) {
        self.tasks.drain(Duration::from_secs(5)).await;
        self.store.close().await;
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let response = self.admin.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    /// A REST call as `verb path`, with a body unless it is empty.
    pub(crate) async fn call(&self, token: &str, line: &str, body: &str) -> Answer {
        let (verb, uri) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(verb).uri(uri);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        self.send(request.body(Full::from(body.to_owned())).unwrap()).await
    }

    /// A call that must succeed, as JSON.
    pub(crate) async fn ok(&self, token: &str, line: &str, body: &str) -> Value {
        let answer = self.call(token, line, body).await;
        assert_eq!(answer.status, 200, "{line}: {}", answer.text);
        answer.json()
    }

    /// Logs the first administrator in.
    pub(crate) async fn login(&self) -> Value {
        let body = format!(r#"{{"username":"admin","password":"{PASSWORD}"}}"#);
        self.ok("", "POST /api/v2/auth/admin/login", &body).await
    }

    /// An administrator's access token.
    pub(crate) async fn token(&self) -> String {
        self.login().await["access_token"].as_str().unwrap().to_owned()
    }

    /// A user of a role with a session: its id, and its access token as of a time.
    pub(crate) async fn session(&self, role: Role, now_ms: i64) -> (Session, String) {
        let id = format!("user-{role}");
        let user = User {
            id: id.clone(),
            username: format!("some-{role}"),
            role,
            disabled: false,
            password_hash: "none".into(),
            password_changed_at_ms: 0,
            created_at_ms: 0,
            updated_at_ms: 0,
        };
        let (mut session, _) = Session::begin(&id, String::new(), String::new(), now_ms).unwrap();
        session.expires_at_ms = clock::unix_ms() + 1_000_000;
        let change =
            Change::new(Author::system("test")).put(&user, Expect::Any).put(&session, Expect::Absent);
        self.commit(change).await;
        let keys = self.store.get::<SigningKeys>(signing::ID).await.unwrap().unwrap().value;
        let token = keys.sign(&id, &session.id, now_ms).unwrap();
        (session, token.expose_secret().to_owned())
    }

    pub(crate) async fn commit(&self, change: Change) {
        let revision = self.store.commit(change).await.unwrap();
        assert!(self.view.caught_up(&revision, Duration::from_secs(5)).await);
    }

    /// A gRPC call with an empty message: its status. A stream that has begun was let in: it may go on for ever.
    pub(crate) async fn grpc(&self, path: &str, token: Option<&str>) -> tonic::Status {
        let mut request = Request::builder()
            .method("POST")
            .uri(path)
            .version(http::Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .extension(Peer(([192, 0, 2, 1], 1).into()));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Body::new(Full::from(&[0_u8; 5][..]))).unwrap();
        let response = self.admin.clone().oneshot(request).await.unwrap();
        if let Some(status) = tonic::Status::from_header_map(response.headers()) {
            return status;
        }
        let streams = |method: &prost_reflect::MethodDescriptor| method.is_server_streaming();
        if crate::contract::methods()
            .find(|method| crate::contract::path(method) == path)
            .is_some_and(|one| streams(&one))
        {
            return tonic::Status::ok("it has begun");
        }
        let collected = response.into_body().collect().await.unwrap();
        let trailers = collected.trailers().cloned().unwrap_or_default();
        tonic::Status::from_header_map(&trailers).unwrap_or_else(|| tonic::Status::unknown("no trailers"))
    }
}
