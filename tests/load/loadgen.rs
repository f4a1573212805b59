//! Load on any address, for people: one scenario of `make bench`, its figures on standard output.
#![allow(clippy::disallowed_methods, reason = "a measuring tool")]

use std::{io::Write as _, net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use clap::Parser;
use e2e::load::{Scenario, run, tree};

/// Puts load on a relay whose upstream is a `mock-upstream --lean`.
#[derive(Parser)]
struct Arguments {
    /// Where to.
    #[arg(long)]
    to: SocketAddr,
    /// Scenario: S1c1 S1c64 S1c256 S2 S2c S3 S4 S5.
    #[arg(long)]
    scenario: String,
    /// Relay key.
    #[arg(long, default_value = "any")]
    key: String,
    /// Seconds to measure.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Process whose CPU time is counted.
    #[arg(long)]
    pid: Option<u32>,
    /// The mock, to be told the scenario.
    #[arg(long)]
    mock: Option<SocketAddr>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let scenario = Scenario::find(&arguments.scenario).context("no such scenario")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        if let Some(mock) = arguments.mock {
            let told = serde_json::to_vec(&scenario.behaviour())?;
            let path = format!("/_mock/scenarios/{}", scenario.name);
            e2e::wire::call(mock, "PUT", &path, &[], &told).await?;
        }
        let mut cpu = Vec::new();
        let edge = || cpu.push(arguments.pid.map(|pid| tree(pid).cpu_us).unwrap_or_default());
        let window = Duration::from_secs(arguments.seconds);
        let run = run(arguments.to, scenario, &arguments.key, Duration::from_secs(1), window, edge).await?;
        let count = if run.deltas > 0 { run.deltas } else { run.answers };
        let spent = cpu.last().copied().unwrap_or(0) - cpu.first().copied().unwrap_or(0);
        writeln!(
            std::io::stdout(),
            "{}: {} answers, {:.0}/s, p50 {} us, p99 {} us, {} errors {}, {:.1} us CPU each",
            scenario.name,
            count,
            count as f64 / run.window.as_secs_f64(),
            run.latency.quantile(0.5),
            run.latency.quantile(0.99),
            run.errors,
            run.first_error,
            spent as f64 / count.max(1) as f64,
        )?;
        Ok(())
    })
}
