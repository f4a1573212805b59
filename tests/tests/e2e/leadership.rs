//! The leader of the background jobs: a dead one is replaced within seconds, and one that was only frozen finds itself
//! replaced, under a higher fencing number, and does nothing more as leader.

use std::time::{Duration, Instant};

use e2e::sandbox::{Fleet, FleetOptions, Replica, eventually};

use crate::bed::Test;

/// How often a replica has said that it leads, and the last fencing number.
fn led(replica: &Replica) -> (usize, u64) {
    let log = replica.process.log();
    let said =
        log.lines().filter(|line| line.contains("leadership of the jobs") && line.contains("leads=true"));
    let numbers: Vec<u64> = said
        .filter_map(|line| {
            let number = line.split("fence=").nth(1)?;
            number.chars().filter(char::is_ascii_digit).collect::<String>().parse().ok()
        })
        .collect();
    (numbers.len(), numbers.last().copied().unwrap_or(0))
}

/// Which replica leads.
async fn leader(fleet: &Fleet, above: u64) -> anyhow::Result<(usize, u64)> {
    eventually("a replica leads", Duration::from_secs(20), || async {
        (0..fleet.replicas.len())
            .map(|number| (number, led(&fleet.replicas[number]).1))
            .find(|(_, fence)| *fence > above)
    })
    .await
}

#[tokio::test]
async fn a_dead_leader_is_replaced_within_seconds_and_a_frozen_one_leads_no_more() -> Test {
    let mut fleet = Fleet::start(FleetOptions { replicas: 2, nodes: 0, ..FleetOptions::default() }).await?;
    let (first, fence) = leader(&fleet, 0).await?;
    fleet.replicas[first].process.kill()?;
    let killed = Instant::now();
    let (second, higher) = leader(&fleet, fence).await?;
    println!("a killed leader was replaced after {:?}", killed.elapsed());
    assert!(second != first && killed.elapsed() < Duration::from_secs(10), "{:?}", killed.elapsed());
    fleet.replicas[first].restart().await?;

    fleet.replicas[second].process.freeze()?;
    let frozen = Instant::now();
    let (third, highest) = leader(&fleet, higher).await?;
    println!("a frozen leader was replaced after {:?}", frozen.elapsed());
    assert!(third == first && highest > higher && frozen.elapsed() < Duration::from_secs(10));
    fleet.replicas[second].process.thaw()?;
    eventually("it knows that it leads no more", Duration::from_secs(10), || async {
        let log = fleet.replicas[second].process.log();
        let last = log.lines().rfind(|line| line.contains("leadership of the jobs"))?.to_owned();
        last.contains("leads=false").then_some(())
    })
    .await?;
    assert_eq!(led(&fleet.replicas[third]).1, highest, "the new leader was not disturbed");
    fleet.admin = e2e::sandbox::Admin::login(fleet.replicas[0].control).await?;
    fleet.close().await
}
