//! One process: started with its own environment and logs, signalled, waited for; killed when dropped.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A running (or ended) process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a binary of this build lies: beside the one that runs, or one folder up (tests lie in `deps`).
pub fn binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folders = own.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("no binary {name} beside {}: `make build` makes it", own.display()))
}

impl Process {
    /// Starts a program; standard output and error go to `<folder>/<name>.log`, appended.
    ///
    /// The environment is the given one and nothing else but `PATH`, so that no variable of the machine steers it.
    pub fn start(
        name: &str,
        program: &Path,
        arguments: &[String],
        environment: &[(String, String)],
        folder: &Path,
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The end of its log, for messages.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }

    /// Where its log lies.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Its exit status once it has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = i32::try_from(self.child.id())?;
        let pid = Pid::from_raw(id).context("process id 0")?;
        kill_process(pid, signal).with_context(|| format!("signal {}", self.name))
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, without waiting.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Stops it where it stands: it keeps its sockets and answers nothing.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Waits for its end.
    pub async fn wait(&mut self, bound: Duration) -> Result<ExitStatus> {
        let end = Instant::now() + bound;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if Instant::now() >= end {
                bail!("{} did not end within {bound:?}; its log:\n{}", self.name, self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until an HTTP path answers 200; fails at once when the process ends before.
    pub async fn ready(&mut self, at: std::net::SocketAddr, path: &str, bound: Duration) -> Result<()> {
        let end = Instant::now() + bound;
        loop {
            if let Some(status) = self.ended()? {
                bail!("{} ended ({status}) before it was ready; its log:\n{}", self.name, self.log_tail());
            }
            let probe = crate::wire::call(at, "GET", path, &[("connection", "close")], b"");
            let answer = tokio::time::timeout(Duration::from_secs(2), probe).await;
            if matches!(answer, Ok(Ok(ref reply)) if reply.status == 200) {
                return Ok(());
            }
            if Instant::now() >= end {
                bail!("{} was not ready within {bound:?}; its log:\n{}", self.name, self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
