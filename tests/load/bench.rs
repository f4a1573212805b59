//! `make bench`: the relay beside the mock directly, a minimal hyper proxy and nginx, in one run, scenario by scenario and
//! round by round, and the page with the figures. Gateways run alone on one core; mock and load share the other.
#![allow(clippy::disallowed_methods, reason = "a measuring tool")]

#[path = "bench/memory.rs"]
mod memory;
#[path = "bench/page.rs"]
mod page;
#[path = "bench/targets.rs"]
mod targets;

use std::{io::Write as _, time::Duration};

use anyhow::Result;
use clap::Parser;
use e2e::load::{Kind, Run, SCENARIOS, Scenario, run, tree};

use targets::{Bed, Target};

/// Measures the relay.
#[derive(Parser, Debug)]
pub struct Arguments {
    /// Rounds; the tables show medians.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds measured per scenario and round.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Only these scenarios.
    #[arg(long, value_delimiter = ',')]
    scenarios: Vec<String>,
    /// Only these targets (direct, hyper-proxy, nginx, crs-data, crs).
    #[arg(long, value_delimiter = ',')]
    targets: Vec<String>,
    /// Seconds to wait before memory after load is read.
    #[arg(long, default_value_t = 60)]
    settle: u64,
    /// Where the page goes.
    #[arg(long, default_value = "tests/load/RESULTS.md")]
    page: std::path::PathBuf,
}

/// One scenario against one target in one round.
#[derive(Clone, Debug)]
pub struct Sample {
    scenario: &'static str,
    target: String,
    /// CPU microseconds of the target's processes per answer, or per delta where those are counted.
    cpu_us: f64,
    /// Answers (deltas) per second.
    rate: f64,
    /// CPU time per wall time, in percent of one core.
    busy: f64,
    run: Run,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    targets::pin_self();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(bench(&arguments))
}

async fn bench(arguments: &Arguments) -> Result<()> {
    let bed = Bed::start().await?;
    let targets = targets::start(&bed, &arguments.targets).await?;
    let wanted = |scenario: &&Scenario| {
        arguments.scenarios.is_empty()
            || arguments.scenarios.iter().any(|name| name.eq_ignore_ascii_case(scenario.name))
    };
    let mut memory = memory::idle(&targets);
    let mut samples = Vec::new();
    for round in 0..arguments.rounds {
        for scenario in SCENARIOS.iter().filter(wanted) {
            bed.tell(scenario).await?;
            for target in &targets {
                let sample = measure(scenario, target, arguments.seconds).await?;
                say(&format!(
                    "round {} {:7} {:12} {:9.1} us CPU {:9.0}/s p50 {:7} us p99 {:7} us {:4.0} % {} errors {}",
                    round + 1,
                    scenario.name,
                    target.name,
                    sample.cpu_us,
                    sample.rate,
                    sample.run.latency.quantile(0.5),
                    sample.run.latency.quantile(0.99),
                    sample.busy,
                    sample.run.errors,
                    sample.run.first_error,
                ))?;
                samples.push(sample);
            }
        }
    }
    memory::under_streams(&bed, &targets, &mut memory).await?;
    tokio::time::sleep(Duration::from_secs(arguments.settle)).await;
    memory::after(&targets, &mut memory);
    std::fs::write(&arguments.page, page::write(arguments, &targets, &samples, &memory))?;
    say(&format!("written: {}", arguments.page.display()))
}

async fn measure(scenario: &'static Scenario, target: &Target, seconds: u64) -> Result<Sample> {
    let paced = scenario.kind == Kind::Paced;
    // All paced streams have begun after one stream's length.
    let warm = if paced { 3_000 } else { 700 };
    let mut cpu = Vec::new();
    let run = run(
        target.address,
        scenario,
        &target.secret,
        Duration::from_millis(warm),
        Duration::from_secs(seconds),
        || cpu.push(target.pids().iter().map(|pid| tree(*pid).cpu_us).sum::<u64>()),
    )
    .await?;
    let spent = cpu.last().copied().unwrap_or(0).saturating_sub(cpu.first().copied().unwrap_or(0)) as f64;
    let count = if paced { run.deltas } else { run.answers };
    Ok(Sample {
        scenario: scenario.name,
        target: target.name.to_owned(),
        cpu_us: spent / count.max(1) as f64,
        rate: count as f64 / run.window.as_secs_f64(),
        busy: spent / run.window.as_micros() as f64 * 100.0,
        run,
    })
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
