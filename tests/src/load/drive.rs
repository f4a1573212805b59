//! Puts load on an address by raw connections and measures what comes back.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use bytes::Bytes;

use super::{Histogram, Kind, Scenario};
use crate::{
    mock::now_us,
    wire::{self, Conn, Framing},
};

/// What one run saw inside its measuring window.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Answers completed.
    pub answers: u64,
    /// Deltas read (paced scenarios).
    pub deltas: u64,
    /// Answers that were no 200, or broke off.
    pub errors: u64,
    /// What the first error was.
    pub first_error: String,
    /// From sent to the last byte; in paced scenarios from the mock's write to our read, per delta.
    pub latency: Histogram,
    /// From sent to the first byte of the body.
    pub first_byte: Histogram,
    /// How long the window was.
    pub window: Duration,
}

struct Shared {
    to: SocketAddr,
    bytes: Bytes,
    scenario: Scenario,
    measuring: AtomicBool,
    stop: AtomicBool,
    answers: AtomicU64,
}

/// Runs a scenario against an address: `warm` unmeasured, then `window` measured. `at_edge` is called at the window's
/// begin and end, to read the target's CPU time.
pub async fn run(
    to: SocketAddr,
    scenario: &Scenario,
    secret: &str,
    warm: Duration,
    window: Duration,
    mut at_edge: impl FnMut(),
) -> Result<Run> {
    let host = to.to_string();
    let body = scenario.request_body();
    let headers = [
        ("host", host.as_str()),
        ("x-api-key", secret),
        ("anthropic-version", "2023-06-01"),
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("user-agent", "Anthropic/Python 2.11.0"),
    ];
    let bytes = Bytes::from(wire::request("POST", "/api/v1/messages", &headers, &body));
    let shared = Arc::new(Shared {
        to,
        bytes,
        scenario: *scenario,
        measuring: AtomicBool::new(false),
        stop: AtomicBool::new(false),
        answers: AtomicU64::new(0),
    });
    let mut workers = tokio::task::JoinSet::new();
    for number in 0..scenario.concurrency {
        let shared = shared.clone();
        workers.spawn(async move { worker(shared, number).await });
    }
    tokio::time::sleep(warm).await;
    at_edge();
    let began = Instant::now();
    shared.measuring.store(true, Ordering::Relaxed);
    tokio::time::sleep(window).await;
    shared.measuring.store(false, Ordering::Relaxed);
    let measured = began.elapsed();
    at_edge();
    shared.stop.store(true, Ordering::Relaxed);
    let mut all = Run { window: measured, ..Run::default() };
    while let Some(one) = workers.join_next().await {
        let one = one?;
        all.answers += one.answers;
        all.deltas += one.deltas;
        all.errors += one.errors;
        all.latency.merge(&one.latency);
        all.first_byte.merge(&one.first_byte);
        if all.first_error.is_empty() {
            all.first_error = one.first_error;
        }
    }
    Ok(all)
}

async fn worker(shared: Arc<Shared>, number: usize) -> Run {
    let mut run = Run::default();
    if shared.scenario.kind == Kind::Paced {
        // Spread over one stream's length, so that deltas do not all fall together.
        let length = shared.scenario.interval_ms * u64::from(shared.scenario.deltas);
        let at = length * number as u64 / shared.scenario.concurrency.max(1) as u64;
        tokio::time::sleep(Duration::from_millis(at)).await;
    }
    let mut conn = None;
    while !shared.stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let result = one(&shared, &mut conn, &mut run, began).await;
        let counts = shared.measuring.load(Ordering::Relaxed);
        match result {
            Ok(()) => {
                shared.answers.fetch_add(1, Ordering::Relaxed);
                if counts {
                    run.answers += 1;
                    if shared.scenario.kind != Kind::Paced {
                        run.latency.add(began.elapsed());
                    }
                }
            }
            Err(error) => {
                conn = None;
                run.errors += u64::from(counts);
                if run.first_error.is_empty() {
                    run.first_error = format!("{error:#}");
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    run
}

async fn one(shared: &Shared, kept: &mut Option<Conn>, run: &mut Run, began: Instant) -> Result<()> {
    let mut conn = match kept.take() {
        Some(conn) => conn,
        None => Conn::connect(shared.to).await?,
    };
    conn.send(&shared.bytes).await?;
    let head = conn.head().await?;
    let head = head.ok_or_else(|| anyhow::anyhow!("closed without an answer"))?;
    let mut framing: Framing = head.framing()?;
    let mut first = true;
    let paced = shared.scenario.kind == Kind::Paced;
    while let Some(piece) = conn.piece(&mut framing).await? {
        let counts = shared.measuring.load(Ordering::Relaxed);
        if first && counts {
            run.first_byte.add(began.elapsed());
        }
        first = false;
        if paced && counts {
            stamps(&piece, run);
        }
    }
    ensure!(head.status == 200, "answered {}", head.status);
    if shared.scenario.kind != Kind::NewConnections {
        *kept = Some(conn);
    }
    Ok(())
}

/// Reads the mock's stamps in a piece: the time of writing of each delta.
fn stamps(piece: &[u8], run: &mut Run) {
    let now = now_us();
    for at in memchr::memmem::find_iter(piece, b"\"text\":\"") {
        let digits = piece.get(at + 8..at + 24).and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(sent) = digits.and_then(|digits| digits.parse::<i64>().ok()) {
            run.deltas += 1;
            run.latency.add(Duration::from_micros(u64::try_from(now - sent).unwrap_or(0)));
        }
    }
}
