//! The link against a real server: identity on each call, streams that come back.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use proto::node::{
    BindRequest, BindResponse,
    session_service_client::SessionServiceClient,
    session_service_server::{SessionService, SessionServiceServer},
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response};

use super::*;

/// Answers with the identity it saw.
struct Echo;

#[tonic::async_trait]
impl SessionService for Echo {
    async fn bind(&self, request: Request<BindRequest>) -> Result<Response<BindResponse>, Status> {
        let seen = |name: &str| request.metadata().get(name).unwrap().to_str().unwrap().to_owned();
        let names = ["authorization", "crs-node-id", "crs-node-epoch", "crs-node-name", "crs-version"];
        let account_id = names.map(seen).join("|");
        Ok(Response::new(BindResponse { account_id, ..BindResponse::default() }))
    }
}

fn identity() -> Identity {
    Identity {
        node: "n1".into(),
        epoch: "e1".into(),
        name: "häuschen".into(),
        version: "2.0.0".into(),
        join_token: "crs_jt_x".to_owned().into(),
    }
}

async fn serve(listener: TcpListener, stop: CancellationToken) {
    tonic::transport::Server::builder()
        .add_service(SessionServiceServer::new(Echo))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop.cancelled_owned())
        .await
        .unwrap();
}

fn link(address: SocketAddr) -> Link {
    Link::new(
        &identity(),
        &Target::Remote { url: format!("http://{address}"), authorities: None, certificate: None },
    )
    .unwrap()
}

async fn bind(link: &Link) -> Result<String, Status> {
    let answer = SessionServiceClient::new(link.channel()).bind(BindRequest::default()).await?;
    Ok(answer.into_inner().account_id)
}

#[tokio::test]
async fn every_call_carries_the_identity() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = process::tasks::Tasks::new("test");
    tasks.spawn("server", serve(listener, tasks.stopping()));
    assert_eq!(bind(&link(address)).await.unwrap(), "Bearer crs_jt_x|n1|e1|h?uschen|2.0.0");
    assert!(tasks.drain(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn in_process_is_the_same_services_over_a_pipe() {
    let (sender, incoming) = tokio::sync::mpsc::channel::<std::io::Result<tokio::io::DuplexStream>>(4);
    let tasks = process::tasks::Tasks::new("test");
    let stop = tasks.stopping();
    tasks.spawn("server", async move {
        tonic::transport::Server::builder()
            .add_service(SessionServiceServer::new(Echo))
            .serve_with_incoming_shutdown(
                tokio_stream::wrappers::ReceiverStream::new(incoming),
                stop.cancelled_owned(),
            )
            .await
            .unwrap();
    });
    let connect: Connect = Arc::new(move || {
        let sender = sender.clone();
        Box::pin(async move {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            sender.send(Ok(theirs)).await.map_err(std::io::Error::other)?;
            Ok(Box::new(ours) as Box<dyn Stream>)
        })
    });
    let link = Link::new(&identity(), &Target::InProcess(connect)).unwrap();
    assert!(bind(&link).await.unwrap().contains("|n1|"));
    drop(link);
    assert!(tasks.drain(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn an_absent_control_plane_is_away_and_its_return_is_noticed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let link = link(address);
    assert!(is_away(&bind(&link).await.unwrap_err()));

    let tasks = process::tasks::Tasks::new("test");
    tasks.spawn("server", serve(TcpListener::bind(address).await.unwrap(), tasks.stopping()));
    let done = CancellationToken::new();
    let tries = Arc::new(AtomicUsize::new(0));
    let session = |link: Link| {
        let (done, tries) = (done.clone(), tries.clone());
        async move {
            tries.fetch_add(1, Ordering::Relaxed);
            bind(&link).await?;
            done.cancel();
            Ok(())
        }
    };
    tokio::time::timeout(Duration::from_secs(20), link.keep("test", done.clone(), session)).await.unwrap();
    assert!(tries.load(Ordering::Relaxed) >= 1);
    assert!(tasks.drain(Duration::from_secs(10)).await);
}

#[test]
fn waits_grow_and_stay_within_bounds() {
    let mut backoff = Backoff::default();
    let waits: Vec<_> = (0..10).map(|_| backoff.next(u32::MAX)).collect();
    assert_eq!(waits[0], Duration::from_millis(50));
    assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]));
    assert_eq!(waits[9], Duration::from_secs(2));
    assert_eq!(backoff.next(0), Duration::from_secs(1));
    backoff.reset();
    assert_eq!(backoff.next(0), Duration::from_millis(25));
}

#[test]
fn mistakes_in_the_configuration_are_told() {
    for url in ["", "control:4001", "ftp://x", "http://"] {
        let target = Target::Remote { url: url.into(), authorities: None, certificate: None };
        assert!(matches!(target::channel(&target), Err(Error::Address(_))), "{url}");
    }
    let token = Identity { join_token: "a\nb".to_owned().into(), ..identity() };
    assert!(matches!(token.stamp(), Err(Error::Identity("the join token"))));
    assert!(!format!("{:?}", identity().stamp().unwrap()).contains("crs_jt_"));
}
