//! The single binary, both planes in one process.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, ensure};
use tempfile::TempDir;

use super::{ADMIN, Admin, Canaries, PASSWORD, Process, Talk, binary, free_port};
use crate::wire;

/// How long a process may take to be ready: it builds nothing, but the machine may be busy.
pub const START: Duration = Duration::from_secs(60);

/// How a standalone is started.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// More arguments after `serve`.
    pub arguments: Vec<String>,
    /// More variables.
    pub environment: Vec<(String, String)>,
}

/// A running `crs`.
#[derive(Debug)]
pub struct Standalone {
    /// The process.
    pub process: Process,
    /// Where it relays.
    pub relay: SocketAddr,
    /// Where it is administered.
    pub control: SocketAddr,
    /// Where it is watched.
    pub ops: SocketAddr,
    /// Its administrator.
    pub admin: Admin,
    /// What must not be found.
    pub canaries: Canaries,
    setup: Setup,
    folder: TempDir,
}

impl Standalone {
    /// Starts one on an empty folder.
    pub async fn start(setup: Setup) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut tries = 0;
        loop {
            let (relay, control, ops) = (free_port()?, free_port()?, free_port()?);
            let mut process = launch(folder.path(), &setup, relay, control, ops)?;
            tries += 1;
            match process.ready(ops, "/health/ready", START).await {
                Ok(()) => {
                    let admin = Admin::login(control).await?;
                    let canaries = Canaries::default();
                    canaries.add("the administrator's password", PASSWORD);
                    canaries.add("the administrator's token", &admin.token);
                    return Ok(Self { process, relay, control, ops, admin, canaries, setup, folder });
                }
                Err(error) if tries >= 4 || !process.log().contains("in use") => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// Starts it again on the same folder and ports, after an end of whatever kind, and waits until it is ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.relaunch()?;
        self.process.ready(self.ops, "/health/ready", START).await
    }

    /// Starts it again without waiting.
    pub fn relaunch(&mut self) -> Result<()> {
        self.process = launch(self.folder.path(), &self.setup, self.relay, self.control, self.ops)?;
        Ok(())
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A client with a key.
    pub fn talk(&self, secret: &str) -> Talk {
        Talk::new(self.relay, secret)
    }

    /// A new key, noted as a canary; its id and secret.
    pub async fn key(&self, name: &str, more: serde_json::Value) -> Result<(String, String)> {
        let (id, secret) = self.admin.key(name, more).await?;
        self.canaries.add("a relay key", &secret);
        Ok((id, secret))
    }

    /// A new account, its key noted as a canary; its id.
    pub async fn account(&self, name: &str, url: &str, key: &str, more: serde_json::Value) -> Result<String> {
        self.canaries.add("an upstream key", key);
        self.admin.account(name, url, key, more).await
    }

    /// Searches metrics, logs and disk for secrets, ends it by SIGTERM, and searches again.
    pub async fn close(mut self) -> Result<()> {
        self.search().await?;
        self.process.terminate()?;
        let status = self.process.wait(Duration::from_secs(30)).await?;
        ensure!(status.success(), "SIGTERM ended it with {status}; its log:\n{}", self.process.log_tail());
        self.canaries.search_files(self.folder.path())?;
        Ok(())
    }

    /// Searches metrics, logs and disk for secrets.
    pub async fn search(&self) -> Result<()> {
        let metrics = wire::call(self.ops, "GET", "/metrics", &[], b"").await?;
        ensure!(metrics.status == 200, "/metrics answers {}", metrics.status);
        self.canaries.search_text("/metrics", &metrics.body)?;
        let files = self.canaries.search_files(self.folder.path())?;
        ensure!(files > 1, "nothing to search in {}", self.folder.path().display());
        Ok(())
    }
}

fn launch(
    folder: &Path,
    setup: &Setup,
    relay: SocketAddr,
    control: SocketAddr,
    ops: SocketAddr,
) -> Result<Process> {
    let mut arguments: Vec<String> = vec!["serve".into()];
    let data = folder.join("data").display().to_string();
    for (flag, value) in [
        ("--listen", relay.to_string()),
        ("--control-listen", control.to_string()),
        ("--ops-listen", ops.to_string()),
        ("--data-dir", data),
    ] {
        arguments.extend([flag.to_owned(), value]);
    }
    arguments.extend(setup.arguments.clone());
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let mut environment = vec![pair("CRS_ADMIN_USERNAME", ADMIN), pair("CRS_ADMIN_PASSWORD", PASSWORD)];
    environment.extend(setup.environment.clone());
    Process::start("crs", &binary("crs")?, &arguments, &environment, folder)
}
