//! Real clients through the relay: the official Anthropic SDKs for Python and TypeScript, OpenAI's and Google's for
//! Python, and Claude Code in print mode.
//! A recorder stands between client and relay, so that bytes are compared without asking the client.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests: a panic is a failure, and clocks and tasks end with the test"
)]

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    faults::{Exchange, Recorder},
    mock::{Behaviour, Mock, Options, scenario},
    sandbox::{Setup, Standalone, eventually},
};
use serde_json::{Value, json};
use sha2::Digest as _;

const UPSTREAM_KEY: &str = "sk-ant-canary-clients-0001";

struct Bed {
    mock: Mock,
    crs: Standalone,
    recorder: Recorder,
    secret: String,
}

impl Bed {
    async fn start() -> Result<Self> {
        let mock = Mock::start(Options { keys: vec![UPSTREAM_KEY.into()], ..Options::default() }).await?;
        let paced = Behaviour { deltas: 200, interval_ms: 25, ..Behaviour::default() };
        mock.scenarios().name("paced", paced);
        mock.scenarios().name("bad-request", scenario::error(400));
        let crs = Standalone::start(Setup::default()).await?;
        crs.account("console", &mock.url(), UPSTREAM_KEY, json!({})).await?;
        let (_, secret) = crs.key("client", json!({})).await?;
        let talk = crs.talk(&secret);
        eventually("the relay serves", Duration::from_secs(10), || async {
            talk.say("[mock::warm-up]").await.ok().filter(|reply| reply.status == 200)
        })
        .await?;
        let recorder = Recorder::start(crs.relay).await?;
        Ok(Self { mock, crs, recorder, secret })
    }

    fn base_url(&self) -> String {
        format!("http://{}/api", self.recorder.address)
    }

    /// What the client sent is what the mock got, what the mock sent is what the client got, and no key of ours went up.
    fn compare(&self) -> Result<usize> {
        let entries = self.mock.ledger().matching(|entry| entry.tag != "warm-up");
        let exchanges = self.recorder.exchanges()?;
        for entry in &entries {
            let seen = format!("{} {:?}", entry.target, entry.headers);
            ensure!(!seen.contains(&self.secret), "the relay key reached the upstream: {seen}");
            ensure!(entry.key == UPSTREAM_KEY, "{} came with {:?}", entry.target, entry.key);
            let same = |exchange: &&Exchange| sha256(&exchange.request_body) == entry.body_sha256;
            let exchange = exchanges.iter().find(|exchange| {
                same(exchange) && (!entry.finished || sha256(&exchange.answer_body) == entry.answer_sha256)
            });
            let exchange = exchange.with_context(|| {
                format!("{} {:?}: no client sent that body and got that answer", entry.target, entry.tag)
            })?;
            for name in ["anthropic-version", "anthropic-beta", "user-agent", "x-app", "content-type"] {
                ensure!(exchange.request.header(name) == entry.header(name), "{name} was changed on the way");
            }
        }
        Ok(entries.len())
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(sha2::Sha256::digest(bytes))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A tool of `.tools`, or a visible skip where it could not be installed.
fn tool(path: &str) -> Option<PathBuf> {
    let found = root().join(".tools").join(path);
    if found.exists() {
        return Some(found);
    }
    // Past the harness, which would keep what a passing test prints to itself.
    let _ =
        writeln!(std::io::stderr(), "SKIPPED: .tools/{path} is not installed (`make clients` installs it)");
    None
}

async fn run(mut command: Command) -> Result<Output> {
    let ended = tokio::task::spawn_blocking(move || command.output());
    Ok(tokio::time::timeout(Duration::from_secs(120), ended).await.context("the client did not end")???)
}

fn well(output: &Output) -> Result<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    Ok(text)
}

/// The mock saw the client leave its paced stream, and the relay recorded it as that.
async fn left(bed: &Bed, tag: &str) -> Result<()> {
    eventually("the abort reaches the upstream", Duration::from_secs(10), || async {
        bed.mock.ledger().tagged(tag).first()?.client_left.then_some(())
    })
    .await?;
    let id = bed.mock.ledger().tagged(tag)[0].request_id.clone();
    eventually("the abort is recorded", Duration::from_secs(10), || async {
        let records = bed.crs.admin.requests().await.ok()?;
        let gone = |record: &Value| {
            record["outcome"] == "client_gone" && record["attempts"][0]["upstream_request_id"] == id.as_str()
        };
        records.iter().any(gone).then_some(())
    })
    .await
}

#[tokio::test]
async fn the_python_sdk_works_unchanged() -> Result<()> {
    let Some(python) = tool("python/bin/python") else { return Ok(()) };
    let bed = Bed::start().await?;
    let mut command = Command::new(python);
    command.arg(root().join("tests/clients/python_sdk.py")).args([&bed.base_url(), &bed.secret]);
    assert!(well(&run(command).await?)?.contains("all well"));
    left(&bed, "py-abort").await?;
    assert_eq!(bed.compare()?, 10, "all that was asked but the list of models, which the relay knows");
    bed.crs.close().await
}

#[tokio::test]
async fn the_typescript_sdk_works_unchanged() -> Result<()> {
    let Some(modules) = tool("node") else { return Ok(()) };
    let bed = Bed::start().await?;
    let mut command = Command::new("node");
    command.arg(root().join("tests/clients/node_sdk.mjs")).arg(modules).args([&bed.base_url(), &bed.secret]);
    assert!(well(&run(command).await?)?.contains("all well"));
    left(&bed, "js-abort").await?;
    assert_eq!(bed.compare()?, 9, "all that was asked but the list of models, which the relay knows");
    bed.crs.close().await
}

/// A Python script of an SDK of another dialect, to an account of that dialect.
async fn speaks(script: &str, path: &str, platform: &str, aborted: Option<&str>) -> Result<()> {
    let Some(python) = tool("python/bin/python") else { return Ok(()) };
    let bed = Bed::start().await?;
    let mut account =
        json!({"name": platform, "base_url": bed.mock.url(), "credentials": {"api_key": UPSTREAM_KEY}});
    if platform == "openai" {
        account["credentials"]["responses"] = "yes".into();
    }
    bed.crs.admin.account_on(platform, account).await?;
    eventually("the node has the newest revision", Duration::from_secs(10), || async {
        let answer = bed.crs.admin.get("/api/v2/nodes").await.ok()?;
        let newest = answer["revision"].as_str()?.to_owned();
        answer["nodes"]
            .as_array()?
            .iter()
            .all(|node| node["applied_revision"] == newest.as_str())
            .then_some(())
    })
    .await?;
    let base = format!("http://{}{path}", bed.recorder.address);
    let mut command = Command::new(python);
    command.arg(root().join("tests/clients").join(script)).args([&base, &bed.secret]);
    assert!(well(&run(command).await?)?.contains("all well"));
    if let Some(tag) = aborted {
        left(&bed, tag).await?;
    }
    bed.crs.close().await
}

#[tokio::test]
async fn openais_python_sdk_works_unchanged() -> Result<()> {
    speaks("openai_sdk.py", "/openai/v1", "openai", Some("oa-abort")).await
}

#[tokio::test]
async fn googles_python_sdk_works_unchanged() -> Result<()> {
    speaks("google_sdk.py", "/gemini", "gemini-api", None).await
}

/// Claude Code, quiet, in a home of its own.
fn claude(bed: &Bed, program: &Path, home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .args(["--output-format", "json"])
        .current_dir(home)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("ANTHROPIC_BASE_URL", bed.base_url())
        .env("ANTHROPIC_AUTH_TOKEN", &bed.secret)
        .env("DISABLE_TELEMETRY", "1")
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .env("CLAUDE_CODE_MAX_RETRIES", "0");
    command
}

#[tokio::test]
async fn claude_code_holds_a_conversation() -> Result<()> {
    let Some(program) = tool("node/node_modules/.bin/claude") else { return Ok(()) };
    let (bed, home) = (Bed::start().await?, tempfile::tempdir()?);
    let ask = async |arguments: &[&str]| -> Result<Value> {
        let text = well(&run(claude(&bed, &program, home.path(), arguments)).await?)?;
        Ok(serde_json::from_str(text.trim())?)
    };
    let first = ask(&["-p", "say hi [mock::cc]"]).await?;
    assert_eq!(first["is_error"], false, "{first}");
    assert!(first["result"].as_str().is_some_and(|text| !text.is_empty()), "{first}");
    let question = r#"use the tool Bash with {"command":"echo relayed-$((40+2))","description":"add"}"#;
    let second = ask(&["--continue", "-p", question, "--allowedTools", "Bash"]).await?;
    assert_eq!(
        (second["is_error"].as_bool(), second["num_turns"].as_i64()),
        (Some(false), Some(2)),
        "{second}"
    );
    assert_eq!(first["session_id"], second["session_id"]);
    assert_eq!(bed.compare()?, 3, "a first turn, a call of a tool, and its result");
    let records = bed.crs.admin.requests().await?;
    let kinds: Vec<_> = records.iter().filter_map(|record| record["client_kind"].as_str()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "claude_code").count(), 3, "{kinds:?}");
    bed.crs.close().await
}
