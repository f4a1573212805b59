//! What is measured: each target started alone on the gateway's core, in front of the same mock.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use e2e::{
    load::Scenario,
    sandbox::{ADMIN, Admin, PASSWORD, Process, binary, eventually, free_port},
    wire,
};
use serde_json::json;
use tempfile::TempDir;

/// The core that gateways run on, and the one for everything else.
const GATEWAY_CORE: usize = 0;
const OTHER_CORE: usize = 1;
/// What shares the load's core without being the load: it steps back, or the gateway would be measured half asleep.
const BESIDE: &str = "crs-control";

/// The mock and a folder.
pub struct Bed {
    /// The mock's address.
    pub mock: SocketAddr,
    folder: TempDir,
    _process: Process,
}

/// One thing that is measured.
pub struct Target {
    /// Its name in the tables.
    pub name: &'static str,
    /// Where load goes.
    pub address: SocketAddr,
    /// Relay key to send.
    pub secret: String,
    process: Process,
    /// What else it needs, not measured.
    _beside: Vec<Process>,
}

impl Target {
    /// Processes whose time and memory are counted.
    pub fn pids(&self) -> Vec<u32> {
        vec![self.process.id()]
    }
}

/// Whether gateway and load have a core each. Found out once, before this process pins itself: afterwards it would see
/// one core only.
pub fn pinned() -> bool {
    static PINNED: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    let look = || {
        std::thread::available_parallelism().is_ok_and(|cores| cores.get() >= 2)
            && binary_in_path("taskset").is_some()
    };
    *PINNED.get_or_init(look)
}

/// Puts this process on the core for everything else.
pub fn pin_self() {
    if pinned() {
        let mut set = rustix::thread::CpuSet::new();
        set.set(OTHER_CORE);
        let _ = rustix::thread::sched_setaffinity(None, &set);
    }
}

fn binary_in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    places.map(|place| place.join(name)).find(|path| path.is_file())
}

fn launch(
    core: usize,
    name: &str,
    program: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
    folder: &Path,
) -> Result<Process> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let environment: Vec<_> = environment.iter().map(owned).collect();
    let mut words: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
    match binary_in_path("taskset").filter(|_| pinned()) {
        Some(taskset) => {
            let mut all = vec!["-c".to_owned(), core.to_string()];
            if name == BESIDE {
                all.extend(["nice", "-n", "10"].map(str::to_owned));
            }
            all.push(program.display().to_string());
            all.append(&mut words);
            Process::start(name, &taskset, &all, &environment, folder)
        }
        None => Process::start(name, program, &words, &environment, folder),
    }
}

impl Bed {
    /// Starts the mock.
    pub async fn start() -> Result<Self> {
        let (folder, mock) = (tempfile::tempdir()?, free_port()?);
        let arguments = ["--lean", "--listen", &mock.to_string()];
        let mut process =
            launch(OTHER_CORE, "mock", &binary("mock-upstream")?, &arguments, &[], folder.path())?;
        process.ready(mock, "/_mock/health", Duration::from_secs(10)).await?;
        Ok(Self { mock, folder, _process: process })
    }

    /// Tells the mock, and the mock that stands in the gateway's place, what a scenario is.
    pub async fn tell(&self, scenario: &Scenario) -> Result<()> {
        tell(self.mock, scenario).await
    }
}

async fn tell(mock: SocketAddr, scenario: &Scenario) -> Result<()> {
    let path = format!("/_mock/scenarios/{}", scenario.name);
    let told = serde_json::to_vec(&scenario.behaviour())?;
    wire::call(mock, "PUT", &path, &[], &told).await?;
    Ok(())
}

/// Starts those targets that are wanted (none named: all).
pub async fn start(bed: &Bed, wanted: &[String]) -> Result<Vec<Target>> {
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
    let mut targets = Vec::new();
    if wants("direct") {
        targets.push(direct(bed).await?);
    }
    if wants("hyper-proxy") {
        targets.push(hyper_proxy(bed).await?);
    }
    if wants("nginx") {
        match binary_in_path("nginx") {
            Some(program) => targets.push(nginx(bed, &program).await?),
            None => super::say("SKIPPED: nginx is not installed")?,
        }
    }
    if wants("crs-data") {
        targets.push(node(bed).await?);
    }
    if wants("crs") {
        targets.push(standalone(bed).await?);
    }
    Ok(targets)
}

fn target(name: &'static str, address: SocketAddr, process: Process) -> Target {
    Target { name, address, secret: "sk-bench-no-relay".into(), process, _beside: Vec::new() }
}

async fn direct(bed: &Bed) -> Result<Target> {
    let at = free_port()?;
    let arguments = ["--lean", "--listen", &at.to_string()];
    let program = binary("mock-upstream")?;
    let mut process = launch(GATEWAY_CORE, "direct", &program, &arguments, &[], bed.folder.path())?;
    process.ready(at, "/_mock/health", Duration::from_secs(10)).await?;
    for scenario in e2e::load::SCENARIOS {
        tell(at, scenario).await?;
    }
    Ok(target("direct", at, process))
}

async fn hyper_proxy(bed: &Bed) -> Result<Target> {
    let at = free_port()?;
    let arguments = ["--listen", &at.to_string(), "--upstream", &bed.mock.to_string()];
    let program = binary("hyper-proxy")?;
    let mut process = launch(GATEWAY_CORE, "hyper-proxy", &program, &arguments, &[], bed.folder.path())?;
    process.ready(at, "/_mock/health", Duration::from_secs(10)).await?;
    Ok(target("hyper-proxy", at, process))
}

async fn nginx(bed: &Bed, program: &Path) -> Result<Target> {
    let at = free_port()?;
    let folder = bed.folder.path().join("nginx");
    std::fs::create_dir_all(&folder)?;
    let place = folder.display();
    let config = format!(
        "daemon off; master_process off; pid {place}/pid; error_log {place}/error.log;\n\
         events {{ worker_connections 8192; }}\n\
         http {{ access_log off; client_max_body_size 64m; client_body_temp_path {place}/b; proxy_temp_path {place}/p;\n\
           fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;\n\
           keepalive_requests 1000000000; tcp_nodelay on;\n\
           upstream mock {{ server {}; keepalive 1024; keepalive_requests 1000000000; }}\n\
           server {{ listen {at} backlog=4096; location / {{ proxy_pass http://mock; proxy_http_version 1.1;\n\
             proxy_set_header Connection \"\"; proxy_buffering off; proxy_request_buffering off; }} }} }}\n",
        bed.mock
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, config)?;
    let file = file.display().to_string();
    let prefix = folder.display().to_string();
    let arguments = ["-p", &prefix, "-c", &file];
    let mut process = launch(GATEWAY_CORE, "nginx", program, &arguments, &[], &folder)?;
    process.ready(at, "/_mock/health", Duration::from_secs(10)).await?;
    Ok(target("nginx", at, process))
}

/// A node alone on the gateway's core; its control plane on the other.
async fn node(bed: &Bed) -> Result<Target> {
    let [control, for_nodes, control_ops] = [free_port()?, free_port()?, free_port()?];
    let key = e2e::sandbox::random_hex() + &e2e::sandbox::random_hex();
    let environment =
        [("CRS_ADMIN_USERNAME", ADMIN), ("CRS_ADMIN_PASSWORD", PASSWORD), ("CRS_MASTER_KEY", key.as_str())];
    let folder = bed.folder.path();
    let data = folder.join("control").display().to_string();
    let at = [control, for_nodes, control_ops].map(|address| address.to_string());
    let arguments = [
        "serve",
        "--data-dir",
        &data,
        "--control-listen",
        &at[0],
        "--node-listen",
        &at[1],
        "--ops-listen",
        &at[2],
    ];
    let program = binary("crs-control")?;
    let mut process = launch(OTHER_CORE, BESIDE, &program, &arguments, &environment, folder)?;
    process.ready(control_ops, "/health/ready", Duration::from_secs(20)).await?;
    let admin = Admin::login(control).await?;
    let token = admin.call("POST", "/api/v2/join-tokens", json!({"name": "bench"})).await?;
    let token = token["secret"].as_str().context("join token")?.to_owned();
    let [relay, ops] = [free_port()?, free_port()?];
    let data = folder.join("node").display().to_string();
    let (url, at) = (format!("http://{for_nodes}"), [relay, ops].map(|address| address.to_string()));
    let arguments =
        ["serve", "--data-dir", &data, "--control", &url, "--listen", &at[0], "--ops-listen", &at[1]];
    let environment = [("CRS_JOIN_TOKEN", token.as_str())];
    let program = binary("crs-data")?;
    let mut node = launch(GATEWAY_CORE, "crs-data", &program, &arguments, &environment, folder)?;
    node.ready(ops, "/health/ready", Duration::from_secs(20)).await?;
    let secret = supply(bed, &admin, relay).await?;
    Ok(Target { name: "crs-data", address: relay, secret, process: node, _beside: vec![process] })
}

async fn standalone(bed: &Bed) -> Result<Target> {
    let [relay, control, ops] = [free_port()?, free_port()?, free_port()?];
    let folder = bed.folder.path();
    let data = folder.join("standalone").display().to_string();
    let at = [relay, control, ops].map(|address| address.to_string());
    let arguments = [
        "serve",
        "--data-dir",
        &data,
        "--listen",
        &at[0],
        "--control-listen",
        &at[1],
        "--ops-listen",
        &at[2],
    ];
    let environment = [("CRS_ADMIN_USERNAME", ADMIN), ("CRS_ADMIN_PASSWORD", PASSWORD)];
    let mut process = launch(GATEWAY_CORE, "crs", &binary("crs")?, &arguments, &environment, folder)?;
    process.ready(ops, "/health/ready", Duration::from_secs(20)).await?;
    let admin = Admin::login(control).await?;
    let secret = supply(bed, &admin, relay).await?;
    Ok(Target { name: "crs", address: relay, secret, process, _beside: Vec::new() })
}

/// An account on the mock and a key with limits that never refuse, and waits until it is served.
async fn supply(bed: &Bed, admin: &Admin, relay: SocketAddr) -> Result<String> {
    let url = format!("http://{}", bed.mock);
    admin.account("bench", &url, "sk-ant-bench-upstream-key", json!({})).await?;
    let limits = json!([
        {"meter": "requests", "amount": 1_000_000_000_000_i64, "window": {"kind": "fixed", "minutes": 60}},
        {"meter": "concurrency", "amount": 1_000_000},
    ]);
    let (_, secret) = admin.key("bench", json!({"limits": limits})).await?;
    let talk = e2e::sandbox::Talk::new(relay, &secret);
    let served = || async { talk.say("hello").await.ok().filter(|reply| reply.status == 200).map(drop) };
    eventually("the relay serves", Duration::from_secs(15), served).await?;
    Ok(secret)
}
