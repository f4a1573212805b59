//! Memory of each target: idle, under 1000 paced streams, and some time after.

use std::time::Duration;

use anyhow::Result;
use e2e::load::{Scenario, Usage, run, tree};

use super::targets::{Bed, Target};

/// One target's memory.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Its name.
    pub target: String,
    /// Before any load.
    pub idle: Usage,
    /// With 1000 paced streams open.
    pub streams: Usage,
    /// After the settling time.
    pub after: Usage,
}

fn now(target: &Target) -> Usage {
    let mut sum = Usage::default();
    for pid in target.pids() {
        let one = tree(pid);
        sum.rss_kib += one.rss_kib;
        sum.pss_kib += one.pss_kib;
    }
    sum
}

/// Idle memory of all.
pub fn idle(targets: &[Target]) -> Vec<Memory> {
    let one = |target: &Target| Memory { target: target.name.into(), idle: now(target), ..Memory::default() };
    targets.iter().map(one).collect()
}

/// Memory under 1000 streams, one target after another.
pub async fn under_streams(bed: &Bed, targets: &[Target], memory: &mut [Memory]) -> Result<()> {
    let Some(scenario) = Scenario::find("S3") else { return Ok(()) };
    bed.tell(scenario).await?;
    for (target, memory) in targets.iter().zip(memory) {
        let mut edges = Vec::new();
        let (warm, window) = (Duration::from_millis(2500), Duration::from_secs(1));
        run(target.address, scenario, &target.secret, warm, window, || edges.push(now(target))).await?;
        memory.streams = edges.last().copied().unwrap_or_default();
    }
    Ok(())
}

/// Memory after load.
pub fn after(targets: &[Target], memory: &mut [Memory]) {
    for (target, memory) in targets.iter().zip(memory) {
        memory.after = now(target);
    }
}
