//! A TCP proxy between two of our processes that can cut, stall, lose one direction, and delay.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// What the proxy does to traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Passes it.
    Pass,
    /// Refuses new connections and has cut those there were.
    Cut,
    /// Keeps connections and passes nothing: a half-open peer.
    Stall,
    /// Passes what the client sends, and drops what comes back.
    DropAnswers,
    /// Passes what comes back, and drops what the client sends.
    DropRequests,
    /// Passes each piece this much later.
    Delay(Duration),
}

/// A running proxy. Dropping it cuts all its connections.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    mode: watch::Sender<Mode>,
    target: Arc<parking_lot::Mutex<SocketAddr>>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Starts a proxy in front of a listener.
    pub async fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (mode, watched) = watch::channel(Mode::Pass);
        let target = Arc::new(parking_lot::Mutex::new(target));
        let to = target.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (mode, to) = (watched.clone(), *to.lock());
                if *mode.borrow() != Mode::Cut {
                    connections.spawn(async move { drop(connection(client, to, mode).await) });
                }
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, mode, target, task })
    }

    /// Changes what it does, to connections that are open too.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Where new connections go.
    pub fn retarget(&self, target: SocketAddr) {
        *self.target.lock() = target;
    }
}

async fn connection(client: TcpStream, to: SocketAddr, mode: watch::Receiver<Mode>) -> Result<()> {
    let server = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    for socket in [&client, &server] {
        socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO))?;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut cut = mode.clone();
    tokio::select! {
        _ = cut.wait_for(|mode| *mode == Mode::Cut) => {}
        _ = async {
            let up = pump(from_client, to_server, mode.clone(), Mode::DropRequests);
            let down = pump(from_server, to_client, mode, Mode::DropAnswers);
            tokio::join!(up, down)
        } => {}
    }
    Ok(())
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    dropped_in: Mode,
) -> Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        let now = *mode.wait_for(|mode| *mode != Mode::Stall).await?;
        if let Mode::Delay(time) = now {
            tokio::time::sleep(time).await;
        }
        if read == 0 {
            return Ok(to.shutdown().await?);
        }
        if now != dropped_in {
            to.write_all(&buffer[..read]).await?;
        }
    }
}
