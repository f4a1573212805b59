//! A real load balancer of our own (haproxy): in front of the nodes by HTTP, and in front of the replicas by TCP, each
//! watched by its readiness on its operations port.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::{Process, eventually, free_port};
use crate::wire;

/// How often readiness is looked at, milliseconds: a fifth of the shortest `drain_delay`, so that a node that is about to
/// end gets nothing new long before it stops accepting.
const CHECK_MS: u32 = 200;

/// A running balancer.
#[derive(Debug)]
pub struct Balancer {
    /// The process.
    pub process: Process,
    /// In front of the nodes.
    pub relay: SocketAddr,
    /// In front of the replicas' port for nodes.
    pub for_nodes: SocketAddr,
    _folder: TempDir,
}

/// Who stands behind: where it serves, and where it is watched.
pub type Behind = (SocketAddr, SocketAddr);

impl Balancer {
    /// Where haproxy lies; none: it is not installed.
    pub fn program() -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        folders.map(|folder| folder.join("haproxy")).find(|path| path.is_file())
    }

    /// Starts one and waits until it serves.
    pub async fn start(program: &Path, nodes: &[Behind], replicas: &[Behind]) -> Result<Self> {
        let (folder, relay, for_nodes) = (tempfile::tempdir()?, free_port()?, free_port()?);
        let path = folder.path().join("haproxy.cfg");
        std::fs::write(&path, configuration(relay, for_nodes, nodes, replicas))?;
        let arguments = ["-db", "-f"].map(str::to_owned).into_iter().chain([path.display().to_string()]);
        let arguments: Vec<String> = arguments.collect();
        let mut process = Process::start("haproxy", program, &arguments, &[], folder.path())?;
        eventually("the balancer serves", Duration::from_secs(10), || async {
            let reply = wire::call(relay, "GET", "/health", &[("connection", "close")], b"").await.ok()?;
            (reply.status == 200).then_some(())
        })
        .await
        .with_context(|| process.log_tail())?;
        anyhow::ensure!(process.ended()?.is_none(), "haproxy ended: {}", process.log_tail());
        Ok(Self { process, relay, for_nodes, _folder: folder })
    }
}

fn configuration(relay: SocketAddr, for_nodes: SocketAddr, nodes: &[Behind], replicas: &[Behind]) -> String {
    let servers = |behind: &[Behind]| -> String {
        let line = |(number, (at, ops)): (usize, &Behind)| {
            format!("  server s{number} {at} check addr {} port {}\n", ops.ip(), ops.port())
        };
        behind.iter().enumerate().map(line).collect()
    };
    let watched =
        "  option httpchk\n  http-check send meth GET uri /health/ready\n  http-check expect status 200\n";
    format!(
        "global\n  maxconn 4000\n\
         defaults\n  timeout connect 2s\n  timeout client 300s\n  timeout server 300s\n  option redispatch\n  retries 3\n  \
         default-server inter {CHECK_MS} fastinter {CHECK_MS} downinter {CHECK_MS} fall 1 rise 1\n\
         frontend relay\n  mode http\n  bind {relay}\n  default_backend nodes\n\
         backend nodes\n  mode http\n  balance roundrobin\n{watched}{}\
         frontend control\n  mode tcp\n  bind {for_nodes}\n  default_backend replicas\n\
         backend replicas\n  mode tcp\n  balance roundrobin\n{watched}{}",
        servers(nodes),
        servers(replicas),
    )
}
