//! A real redis-server of our own.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Process, eventually, free_port};

/// A running Redis with its append-only file in its own folder.
#[derive(Debug)]
pub struct Redis {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its folder.
    pub folder: TempDir,
    fsync: String,
}

impl Redis {
    /// Starts one; `fsync` is `always`, `everysec` or `no`.
    pub async fn start(fsync: &str) -> Result<Self> {
        let mut last = anyhow::anyhow!("no try");
        for _ in 0..4 {
            let (folder, address) = (tempfile::tempdir()?, free_port()?);
            let process = launch(&folder, address, fsync)?;
            let mut redis = Self { process, address, folder, fsync: fsync.to_owned() };
            match redis.ready().await {
                Ok(()) => return Ok(redis),
                Err(error) => last = error.context(redis.process.log_tail()),
            }
        }
        Err(last)
    }

    /// Starts it again on the same folder and port, after a kill.
    pub async fn restart(&mut self) -> Result<()> {
        self.process = launch(&self.folder, self.address, &self.fsync)?;
        self.ready().await
    }

    /// Makes it follow another, and waits until it has what that one has.
    pub async fn follow(&self, other: &Self) -> Result<()> {
        self.command(&format!("REPLICAOF 127.0.0.1 {}", other.address.port())).await?;
        let offset = |info: &str| {
            let line = info.lines().find(|line| line.starts_with("master_repl_offset:"))?;
            line.rsplit(':').next()?.trim().parse::<u64>().ok()
        };
        eventually("the replica is in step", Duration::from_secs(30), || async {
            let theirs = offset(&other.command("INFO replication").await.ok()?)?;
            let info = self.command("INFO replication").await.ok()?;
            let ours = offset(&info)?;
            (info.contains("master_link_status:up") && ours > 0 && ours >= theirs).then_some(())
        })
        .await
    }

    /// Sends one command in words without spaces of their own; gives the beginning of what came back.
    pub async fn command(&self, words: &str) -> Result<String> {
        let mut io = tokio::net::TcpStream::connect(self.address).await?;
        io.write_all(format!("{words}\r\n").as_bytes()).await?;
        let mut answer = vec![0; 16 * 1024];
        let length = io.read(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
    }

    /// Its URL, by way of any address (its own, or a proxy's).
    pub fn url_by(&self, address: SocketAddr) -> String {
        format!("redis://{address}/0")
    }

    async fn ready(&mut self) -> Result<()> {
        let address = self.address;
        eventually("redis-server answers PING", Duration::from_secs(20), || async move {
            let mut io = tokio::net::TcpStream::connect(address).await.ok()?;
            io.write_all(b"PING\r\n").await.ok()?;
            let mut answer = [0; 5];
            io.read_exact(&mut answer).await.ok()?;
            (&answer == b"+PONG").then_some(())
        })
        .await
    }
}

fn launch(folder: &TempDir, address: SocketAddr, fsync: &str) -> Result<Process> {
    let dir = folder.path().display().to_string();
    let arguments = format!(
        "--port {} --bind 127.0.0.1 --dir {dir} --save '' --appendonly yes --appendfsync {fsync} --daemonize no",
        address.port()
    );
    let arguments: Vec<String> =
        arguments.split(' ').map(|part| if part == "''" { String::new() } else { part.to_owned() }).collect();
    Process::start("redis", std::path::Path::new("redis-server"), &arguments, &[], folder.path())
}
