//! What the pumps' tests share: a link to services in this process, over a real stream.

use std::{sync::Arc, time::Duration};

use link::{Connect, Identity, Link, Stream, Target};
use process::tasks::Tasks;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;

/// A link to services that are served until `tasks` stop.
pub fn link(services: Routes, tasks: &Tasks) -> Link {
    let (sender, incoming) = mpsc::channel::<std::io::Result<tokio::io::DuplexStream>>(4);
    let stop = tasks.stopping();
    tasks.spawn("server", async move {
        let server = tonic::transport::Server::builder().add_routes(services);
        tokio::select! {
            () = stop.cancelled() => {}
            ended = server.serve_with_incoming(ReceiverStream::new(incoming)) => ended.unwrap(),
        }
    });
    let connect: Connect = Arc::new(move || {
        let sender = sender.clone();
        Box::pin(async move {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            sender.send(Ok(theirs)).await.map_err(std::io::Error::other)?;
            Ok(Box::new(ours) as Box<dyn Stream>)
        })
    });
    let identity = Identity {
        node: "n".into(),
        epoch: "e".into(),
        name: "n".into(),
        version: "2.0.0".into(),
        join_token: "t".to_owned().into(),
    };
    Link::new(&identity, &Target::InProcess(connect)).unwrap()
}

/// Waits until something holds, for at most 20 s.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), waiting).await.is_ok(), "{what}");
}
