//! Throw-away Redis servers for tests, of this crate and of the cross-plane ones: each on a port and in a directory of
//! its own, gone when its handle is.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a server may take to answer its first ping.
const START: Duration = Duration::from_secs(15);
/// Ports tried before giving up: another process may take one first.
const PORTS: usize = 5;

/// The option that makes a server a Sentinel.
const SENTINEL: &str = "--sentinel";

/// A Redis server of its own.
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    port: u16,
    directory: TempDir,
    options: Vec<String>,
}

/// A server that writes an append-only file, synced every second.
pub fn redis() -> io::Result<RedisServer> {
    redis_with(&["--appendonly", "yes"])
}

/// A server with options of `redis-server`.
pub fn redis_with(options: &[&str]) -> io::Result<RedisServer> {
    let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    let mut last = io::Error::other("no port was tried");
    for _ in 0..PORTS {
        let directory = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut server = RedisServer {
            child: spawn(port, &directory, &options)?,
            port,
            directory,
            options: options.clone(),
        };
        match server.wait() {
            Ok(()) => return Ok(server),
            Err(why) => last = why,
        }
    }
    Err(last)
}

impl RedisServer {
    /// Its address as a store's URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it at once, as a power cut of the process would.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }

    /// Starts it again on the same port and data.
    pub fn restart(&mut self) -> io::Result<()> {
        self.child = spawn(self.port, &self.directory, &self.options)?;
        self.wait()
    }

    /// Makes it silent without ending it or its connections.
    pub fn pause(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a silent one go on.
    pub fn resume(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Sends one command and gives what came back, as it came.
    pub fn command(&self, words: &[&str]) -> io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        stream.write_all(request.as_bytes())?;
        let mut buffer = [0; 64 * 1024];
        let length = stream.read(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid =
            Pid::from_raw(self.child.id().cast_signed()).ok_or_else(|| io::Error::other("no process id"))?;
        kill_process(pid, signal).map_err(io::Error::from)
    }

    /// Waits until it answers.
    fn wait(&mut self) -> io::Result<()> {
        let until = Instant::now() + START;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("redis-server ended: {status}")));
            }
            if self.command(&["PING"]).is_ok_and(|answer| answer.contains("PONG")) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(io::Error::other("redis-server did not answer"))
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // A stopped process takes a kill as well; one that is gone already is gone.
        let _ = self.kill();
    }
}

fn spawn(port: u16, directory: &TempDir, options: &[String]) -> io::Result<Child> {
    let mut command = Command::new("redis-server");
    if let [first, watched] = options
        && first == SENTINEL
    {
        // A Sentinel keeps what it knows in its configuration file.
        let path = directory.path().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\nlogfile redis.log\ndir {}\nsentinel monitor main 127.0.0.1 {watched} 1\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 5000\n",
            directory.path().display()
        );
        std::fs::write(&path, text)?;
        command.arg(path).arg(SENTINEL);
    } else {
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"])
            .args(["--logfile", "redis.log", "--dir"])
            .arg(directory.path())
            .args(options);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
        .spawn()
        .map_err(|why| io::Error::new(why.kind(), format!("redis-server cannot be started: {why}")))
}

/// A Sentinel that watches a master under the name `main` and promotes a replica of it half a second after it fell
/// silent. Its store's URL is `redis-sentinel://127.0.0.1:<port>/main`.
pub fn redis_sentinel(master: &RedisServer) -> io::Result<RedisServer> {
    redis_with(&[SENTINEL, &master.port.to_string()])
}

/// A cluster of three masters.
#[derive(Debug)]
pub struct RedisCluster {
    servers: Vec<RedisServer>,
}

/// Starts a cluster; `None` when there is no `redis-cli` to make one with.
pub fn redis_cluster() -> io::Result<Option<RedisCluster>> {
    if Command::new("redis-cli").arg("--version").stdout(Stdio::null()).status().is_err() {
        return Ok(None);
    }
    let options = ["--appendonly", "yes", "--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
    let servers: io::Result<Vec<_>> = (0..3).map(|_| cluster_node(&options)).collect();
    let servers = servers?;
    let made = Command::new("redis-cli")
        .args(["--cluster", "create", "--cluster-yes", "--cluster-replicas", "0"])
        .args(servers.iter().map(|server| format!("127.0.0.1:{}", server.port)))
        .output()?;
    if !made.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&made.stdout).into_owned()));
    }
    let cluster = RedisCluster { servers };
    cluster.wait()?;
    Ok(Some(cluster))
}

/// A node whose second port, ten thousand above the first, exists.
fn cluster_node(options: &[&str]) -> io::Result<RedisServer> {
    loop {
        let server = redis_with(options);
        match server {
            Ok(server) if server.port < 55_000 => return Ok(server),
            Ok(_) => {}
            Err(why) => return Err(why),
        }
    }
}

impl RedisCluster {
    /// Its address as a store's URL.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    fn wait(&self) -> io::Result<()> {
        let until = Instant::now() + START;
        let whole = |server: &RedisServer| {
            server.command(&["CLUSTER", "INFO"]).is_ok_and(|info| info.contains("cluster_state:ok"))
        };
        while Instant::now() < until {
            if self.servers.iter().all(whole) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(io::Error::other("the cluster did not come up"))
    }
}
