//! The planes apart: replicas of the control plane on a real Redis, and nodes, with a proxy that can fail on every way
//! between them.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    ADMIN, Admin, Canaries, PASSWORD, Process, Redis, Talk, binary, eventually, free_port, random_hex,
};
use crate::{faults::Proxy, sandbox::standalone::START, wire};

/// How many of each, and how they are set.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// Replicas of the control plane.
    pub replicas: usize,
    /// Nodes; node n is connected to replica n modulo replicas.
    pub nodes: usize,
    /// Redis' `appendfsync`.
    pub fsync: &'static str,
    /// More variables for nodes.
    pub node_environment: Vec<(String, String)>,
    /// More variables for replicas.
    pub replica_environment: Vec<(String, String)>,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self {
            replicas: 2,
            nodes: 3,
            fsync: "always",
            node_environment: Vec::new(),
            replica_environment: Vec::new(),
        }
    }
}

/// A running fleet.
#[derive(Debug)]
pub struct Fleet {
    /// The store.
    pub redis: Redis,
    /// Between replicas and store.
    pub store_way: Proxy,
    /// The control plane.
    pub replicas: Vec<Replica>,
    /// The data plane.
    pub nodes: Vec<Node>,
    /// Administrator, on the first replica.
    pub admin: Admin,
    /// What must not be found.
    pub canaries: Canaries,
    folder: TempDir,
}

/// A control-plane process.
#[derive(Debug)]
pub struct Replica {
    /// The process.
    pub process: Process,
    /// Where it is administered.
    pub control: SocketAddr,
    /// Where nodes come.
    pub for_nodes: SocketAddr,
    /// Where it is watched.
    pub ops: SocketAddr,
    start: Start,
}

/// A data-plane process.
#[derive(Debug)]
pub struct Node {
    /// The process.
    pub process: Process,
    /// Where it relays.
    pub relay: SocketAddr,
    /// Where it is watched.
    pub ops: SocketAddr,
    /// Between it and its replica.
    pub way: Proxy,
    start: Start,
}

/// All that it takes to start a process again.
#[derive(Clone, Debug)]
struct Start {
    name: String,
    program: &'static str,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    folder: std::path::PathBuf,
}

impl Start {
    fn launch(&self) -> Result<Process> {
        Process::start(&self.name, &binary(self.program)?, &self.arguments, &self.environment, &self.folder)
    }
}

fn pair(key: &str, value: impl Into<String>) -> (String, String) {
    (key.to_owned(), value.into())
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

impl Replica {
    async fn start(folder: &Path, number: usize, environment: &[(String, String)]) -> Result<Self> {
        let mut tries = 0;
        loop {
            let (control, for_nodes, ops) = (free_port()?, free_port()?, free_port()?);
            let name = format!("control-{number}");
            let data = folder.join(&name).display().to_string();
            let at = [control, for_nodes, ops].map(|address| address.to_string());
            let arguments = words(&[
                "serve",
                "--data-dir",
                &data,
                "--control-listen",
                &at[0],
                "--node-listen",
                &at[1],
                "--ops-listen",
                &at[2],
            ]);
            let start = Start {
                name,
                program: "crs-control",
                arguments,
                environment: environment.to_vec(),
                folder: folder.to_owned(),
            };
            let mut process = start.launch()?;
            tries += 1;
            match process.ready(ops, "/health/ready", START).await {
                Ok(()) => return Ok(Self { process, control, for_nodes, ops, start }),
                Err(error) if tries >= 4 || !process.log().contains("in use") => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// Starts it again after an end, and waits until it is ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.relaunch()?;
        self.process.ready(self.ops, "/health/ready", START).await
    }

    /// Starts it again without waiting.
    pub fn relaunch(&mut self) -> Result<()> {
        self.process = self.start.launch()?;
        Ok(())
    }
}

impl Node {
    async fn start(
        folder: &Path,
        number: usize,
        replica: SocketAddr,
        token: &str,
        more: &[(String, String)],
    ) -> Result<Self> {
        let way = Proxy::start(replica).await?;
        let mut tries = 0;
        loop {
            let (relay, ops) = (free_port()?, free_port()?);
            let name = format!("node-{number}");
            let data = folder.join(&name).display().to_string();
            let (control, at) =
                (format!("http://{}", way.address), [relay, ops].map(|address| address.to_string()));
            let arguments = words(&[
                "serve",
                "--data-dir",
                &data,
                "--control",
                &control,
                "--listen",
                &at[0],
                "--ops-listen",
                &at[1],
                "--node-name",
                &name,
            ]);
            let mut environment = vec![pair("CRS_JOIN_TOKEN", token)];
            environment.extend_from_slice(more);
            let start =
                Start { name, program: "crs-data", arguments, environment, folder: folder.to_owned() };
            let mut process = start.launch()?;
            tries += 1;
            match process.ready(ops, "/health/ready", START).await {
                Ok(()) => return Ok(Self { process, relay, ops, way, start }),
                Err(error) if tries >= 4 || !process.log().contains("in use") => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// Starts it again after an end, and waits until it is ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.relaunch()?;
        self.process.ready(self.ops, "/health/ready", START).await
    }

    /// Starts it again without waiting.
    pub fn relaunch(&mut self) -> Result<()> {
        self.process = self.start.launch()?;
        Ok(())
    }

    /// Starts it with another join token from now on.
    pub fn join_with(&mut self, token: &str) {
        self.start.environment.retain(|(name, _)| name != "CRS_JOIN_TOKEN");
        self.start.environment.push(pair("CRS_JOIN_TOKEN", token));
    }

    /// Starts it with another address of its control plane from now on; gives the one it had.
    pub fn controlled_by(&mut self, url: &str) -> String {
        let place = self.start.arguments.iter().position(|word| word == "--control").map_or(0, |at| at + 1);
        std::mem::replace(&mut self.start.arguments[place], url.to_owned())
    }

    /// A client with a key.
    pub fn talk(&self, secret: &str) -> Talk {
        Talk::new(self.relay, secret)
    }
}

impl Fleet {
    /// Starts one on an empty Redis.
    pub async fn start(options: FleetOptions) -> Result<Self> {
        let redis = Redis::start(options.fsync).await?;
        let store_way = Proxy::start(redis.address).await?;
        let folder = tempfile::tempdir()?;
        let canaries = Canaries::default();
        let master_key = random_hex() + &random_hex();
        canaries.add("the master key", &master_key);
        canaries.add("the administrator's password", PASSWORD);
        let mut environment = vec![
            pair("CRS_ADMIN_USERNAME", ADMIN),
            pair("CRS_ADMIN_PASSWORD", PASSWORD),
            pair("CRS_MASTER_KEY", master_key),
            pair("CRS_STORE", redis.url_by(store_way.address)),
        ];
        environment.extend(options.replica_environment);
        let mut replicas = Vec::new();
        for number in 0..options.replicas {
            replicas.push(Replica::start(folder.path(), number, &environment).await?);
        }
        let admin = Admin::login(replicas[0].control).await?;
        canaries.add("the administrator's token", &admin.token);
        let made = admin.call("POST", "/api/v2/join-tokens", json!({"name": "sandbox"})).await?;
        let token = made["secret"].as_str().unwrap_or_default().to_owned();
        canaries.add("the join token", &token);
        let mut nodes = Vec::new();
        for number in 0..options.nodes {
            let replica = replicas[number % options.replicas].for_nodes;
            nodes.push(Node::start(folder.path(), number, replica, &token, &options.node_environment).await?);
        }
        Ok(Self { redis, store_way, replicas, nodes, admin, canaries, folder })
    }

    /// A new key, noted as a canary; its id and secret.
    pub async fn key(&self, name: &str, more: Value) -> Result<(String, String)> {
        let (id, secret) = self.admin.key(name, more).await?;
        self.canaries.add("a relay key", &secret);
        Ok((id, secret))
    }

    /// A new account, its key noted as a canary; its id.
    pub async fn account(&self, name: &str, url: &str, key: &str, more: Value) -> Result<String> {
        self.canaries.add("an upstream key", key);
        self.admin.account(name, url, key, more).await
    }

    /// Waits until every connected node has applied the newest revision.
    pub async fn settled(&self) -> Result<()> {
        eventually("every node has the newest revision", Duration::from_secs(20), || async {
            let answer = self.admin.get("/api/v2/nodes").await.ok()?;
            let nodes = answer["nodes"].as_array()?.clone();
            let newest = answer["revision"].as_str()?.to_owned();
            let live = |node: &&Value| node["state"] == "connected";
            let all = nodes.iter().filter(live).count() == self.nodes.len()
                && nodes.iter().filter(live).all(|node| node["applied_revision"] == newest.as_str());
            all.then_some(())
        })
        .await
    }

    /// Searches metrics, logs and disks (Redis' too) for secrets.
    pub async fn search(&self) -> Result<()> {
        let watched =
            self.nodes.iter().map(|node| node.ops).chain(self.replicas.iter().map(|replica| replica.ops));
        for ops in watched {
            let metrics = wire::call(ops, "GET", "/metrics", &[], b"").await?;
            ensure!(metrics.status == 200, "/metrics answers {}", metrics.status);
            self.canaries.search_text("/metrics", &metrics.body)?;
        }
        self.canaries.search_files(self.folder.path())?;
        self.canaries.search_files(self.redis.folder.path())?;
        Ok(())
    }

    /// Searches for secrets, ends everything by SIGTERM, nodes first, and searches again.
    pub async fn close(mut self) -> Result<()> {
        self.search().await?;
        let nodes = self.nodes.iter_mut().map(|node| &mut node.process);
        for process in nodes.chain(self.replicas.iter_mut().map(|replica| &mut replica.process)) {
            process.terminate()?;
            let status = process.wait(Duration::from_secs(30)).await?;
            ensure!(status.success(), "SIGTERM ended it with {status}; its log:\n{}", process.log_tail());
        }
        self.canaries.search_files(self.folder.path())?;
        Ok(())
    }
}
