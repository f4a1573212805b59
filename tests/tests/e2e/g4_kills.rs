//! G4 with kills (distribution 1.6): random `kill -9` of standalone, nodes, replicas and Redis under load, and at the end
//! the mock's ledger against our records. `make test` runs a few kills, `make kill200` all of them.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    mock::{Behaviour, Entry, Mock, Options, now_us},
    sandbox::{Admin, Fleet, FleetOptions, Setup, Standalone, Talk, body},
};
use serde_json::{Value, json};

use crate::{
    bed::{Test, UPSTREAM_KEY, serves},
    books,
};

/// A clock's and a pipe's difference between a kill and what the mock saw of it, in microseconds.
const SLACK: i64 = 300_000;

/// One client that asks one thing after another with a key of its own.
struct Worker {
    /// `node-1`, `standalone`.
    by: String,
    key: String,
    talk: Talk,
}

/// What was killed, and when.
#[derive(Debug)]
struct Kill {
    who: String,
    at_us: i64,
}

fn random(below: usize) -> usize {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    (u64::from_le_bytes(bytes) % below as u64) as usize
}

#[tokio::test]
async fn g4_no_record_is_lost_or_doubled_by_kill_9_of_anything() -> Test {
    let kills: usize = std::env::var("E2E_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let mock = Mock::start(Options::default()).await?;
    mock.scenarios().name("short", Behaviour { deltas: 12, interval_ms: 6, ..Behaviour::default() });
    let mut fleet = Fleet::start(FleetOptions { fsync: "everysec", ..FleetOptions::default() }).await?;
    let mut alone = Standalone::start(Setup::default()).await?;
    let workers = workers(&mock, &fleet, &alone).await?;
    let warm_up = mock.ledger().len();
    let stop = Arc::new(AtomicBool::new(false));
    let mut load = tokio::task::JoinSet::new();
    for (number, worker) in workers.iter().enumerate() {
        load.spawn(ask_on(worker.talk.clone(), number, stop.clone()));
    }
    let killed = kill_at_random(kills, &mut fleet, &mut alone).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = load.join_next().await {
        ended?;
    }
    everything_up(&mut fleet, &mut alone).await?;
    fleet.admin = Admin::login(fleet.replicas[0].control).await?;
    alone.admin = Admin::login(alone.control).await?;
    let entries: Vec<Entry> =
        mock.ledger().matching(|entry| entry.number >= warm_up && entry.scenario == "short");
    // What is still on its way arrives; what is lost stays lost, however long one looks.
    let end = Instant::now() + Duration::from_secs(60);
    let report = loop {
        match settle_accounts(&workers, &entries, &killed, &fleet.admin, &alone.admin).await {
            Ok(report) => break report,
            Err(error) if Instant::now() > end => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    };
    // The figures belong in the log of a run.
    println!("{kills} kills: {report:?}");
    ensure!(report.unflagged > kills, "too little load: {report:?}");
    fleet.search().await?;
    alone.search().await
}

async fn workers(mock: &Mock, fleet: &Fleet, alone: &Standalone) -> Result<Vec<Worker>> {
    fleet.account("first", &mock.url(), UPSTREAM_KEY, json!({})).await?;
    alone.account("first", &mock.url(), UPSTREAM_KEY, json!({})).await?;
    let mut workers = Vec::new();
    for number in 0..6 {
        let (key, secret) = fleet.key(&format!("worker {number}"), json!({})).await?;
        let by = format!("node-{}", number % 3);
        workers.push(Worker { by, key, talk: fleet.nodes[number % 3].talk(&secret) });
    }
    for number in 6..9 {
        let (key, secret) = alone.key(&format!("worker {number}"), json!({})).await?;
        workers.push(Worker { by: "standalone".into(), key, talk: alone.talk(&secret) });
    }
    for worker in &workers {
        serves(&worker.talk).await?;
    }
    Ok(workers)
}

/// Asks until told to stop; failures are what the test is about, and go by.
async fn ask_on(talk: Talk, number: usize, stop: Arc<AtomicBool>) {
    for count in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let text = format!("[mock:short:w{number}-{count}]");
        let asked =
            tokio::time::timeout(Duration::from_secs(20), talk.ask(&body(&text, count % 4 != 0))).await;
        if !matches!(asked, Ok(Ok(_))) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Kills one thing after another at random instants, and starts each again at once, ready or not.
async fn kill_at_random(count: usize, fleet: &mut Fleet, alone: &mut Standalone) -> Result<Vec<Kill>> {
    let mut kills = Vec::new();
    for round in 0..count {
        tokio::time::sleep(Duration::from_millis(150 + random(700) as u64)).await;
        // Everything is hit, and then whatever chance says.
        let victim = if round < 7 { round } else { random(7) };
        let at_us = now_us();
        let who = match victim {
            0..=2 => {
                fleet.nodes[victim].process.kill()?;
                fleet.nodes[victim].relaunch()?;
                format!("node-{victim}")
            }
            3 | 4 => {
                fleet.replicas[victim - 3].process.kill()?;
                fleet.replicas[victim - 3].relaunch()?;
                format!("replica-{}", victim - 3)
            }
            5 => {
                fleet.redis.process.kill()?;
                fleet.redis.restart().await?;
                "redis".into()
            }
            _ => {
                alone.process.kill()?;
                alone.relaunch()?;
                "standalone".into()
            }
        };
        kills.push(Kill { who, at_us });
    }
    Ok(kills)
}

/// Waits until everything that was killed is ready; what ended by itself meanwhile is an error of its own.
async fn everything_up(fleet: &mut Fleet, alone: &mut Standalone) -> Result<()> {
    let bound = Duration::from_secs(60);
    for replica in &mut fleet.replicas {
        replica.process.ready(replica.ops, "/health/ready", bound).await?;
    }
    for node in &mut fleet.nodes {
        node.process.ready(node.ops, "/health/ready", bound).await?;
    }
    alone.process.ready(alone.ops, "/health/ready", bound).await
}

/// The bijection and the totals, as the records are now.
async fn settle_accounts(
    workers: &[Worker],
    entries: &[Entry],
    killed: &[Kill],
    fleet: &Admin,
    alone: &Admin,
) -> Result<Report> {
    let mut report = Report::default();
    let (by_fleet, by_alone) = (fleet.requests().await?, alone.requests().await?);
    for (number, worker) in workers.iter().enumerate() {
        let standalone = worker.by == "standalone";
        let (admin, records) = if standalone { (alone, &by_alone) } else { (fleet, &by_fleet) };
        let prefix = format!("w{number}-");
        let asked: Vec<&Entry> = entries.iter().filter(|entry| entry.tag.starts_with(&prefix)).collect();
        reconcile(worker, &asked, records, killed, &mut report)?;
        totals_agree(admin, worker, records).await?;
    }
    Ok(report)
}

/// What a run came to.
#[derive(Debug, Default)]
struct Report {
    /// Equal to the ledger in all figures.
    unflagged: usize,
    /// In flight at a kill, and said so.
    flagged: usize,
    /// Intents whose request had not reached the mock when the process was killed.
    never_arrived: usize,
}

/// The bijection for one worker: each of the mock's entries has exactly one attempt of ours, and the other way round.
fn reconcile(
    worker: &Worker,
    entries: &[&Entry],
    records: &[Value],
    kills: &[Kill],
    report: &mut Report,
) -> Result<()> {
    let mine: Vec<Value> =
        records.iter().filter(|record| record["key_id"] == worker.key.as_str()).cloned().collect();
    let mut known = books::by_upstream_id(&mine);
    let nameless = |attempt: &&Value| attempt["upstream_request_id"].as_str().unwrap_or_default().is_empty();
    let attempts = mine.iter().flat_map(|record| record["attempts"].as_array().into_iter().flatten());
    let mut unknown: Vec<&Value> = attempts.filter(nameless).collect();
    for entry in entries {
        let at_kill = kills.iter().any(|kill| kill.who == worker.by && in_flight(entry, kill));
        let attempt = match known.remove(&entry.request_id) {
            Some((attempt, _)) => attempt,
            // The process died before it knew the upstream's id: the one of that time belongs to it.
            None => {
                ensure!(
                    at_kill,
                    "{}: no record of {} {}, and no kill then",
                    worker.by,
                    entry.tag,
                    entry.request_id
                );
                let away = |attempt: &Value| (started_us(attempt) - entry.at_us).abs();
                let nearest = unknown.iter().enumerate().min_by_key(|(_, attempt)| away(attempt));
                let near = nearest.filter(|(_, attempt)| away(attempt) < 2_000_000).map(|(at, _)| at);
                let near = near.with_context(|| {
                    let story = story(worker, entry, &mine, kills);
                    format!(
                        "{}: no record at all of {}
{story}",
                        worker.by, entry.tag
                    )
                })?;
                unknown.remove(near).clone()
            }
        };
        if attempt["estimated"] == true {
            ensure!(
                at_kill,
                "{}: {} is flagged though nothing was killed then: {attempt}",
                worker.by,
                entry.tag
            );
            report.flagged += 1;
        } else {
            books::equal(&attempt, entry).with_context(|| entry.tag.clone())?;
            report.unflagged += 1;
        }
    }
    for attempt in unknown {
        let at = started_us(attempt);
        let at_kill = kills.iter().any(|kill| kill.who == worker.by && (kill.at_us - at).abs() < 2_000_000);
        ensure!(at_kill && attempt["estimated"] == true, "{}: a record of nothing: {attempt}", worker.by);
        report.never_arrived += 1;
    }
    known.retain(|_, (_, record)| started_us(record) > entries.first().map_or(i64::MAX, |entry| entry.at_us));
    ensure!(known.is_empty(), "{}: records of what the mock never saw: {known:?}", worker.by);
    Ok(())
}

/// What happened around an entry, for a person to read.
fn story(worker: &Worker, entry: &Entry, records: &[Value], kills: &[Kill]) -> String {
    let near = |at: i64| (at - entry.at_us).abs() < 4_000_000;
    let after = |at: i64| (at - entry.at_us) / 1000;
    let mut lines = vec![(
        0,
        format!("the mock: {} asked, answered {}, {} events", entry.request_id, entry.status, entry.events),
    )];
    for kill in kills.iter().filter(|kill| near(kill.at_us) && kill.who == worker.by) {
        lines.push((after(kill.at_us), "killed".into()));
    }
    for attempt in records.iter().flat_map(|record| record["attempts"].as_array().into_iter().flatten()) {
        let at = started_us(attempt);
        if near(at) {
            let (id, outcome) = (&attempt["upstream_request_id"], &attempt["outcome"]);
            lines.push((after(at), format!("attempt {id} {outcome} flagged {}", attempt["estimated"])));
        }
    }
    lines.sort();
    lines.iter().map(|(ms, line)| format!("  {ms:+} ms {line}\n")).collect()
}

fn in_flight(entry: &Entry, kill: &Kill) -> bool {
    let ended = if entry.ended_us == 0 { i64::MAX - SLACK } else { entry.ended_us };
    entry.at_us <= kill.at_us + SLACK && kill.at_us <= ended + SLACK
}

fn started_us(value: &Value) -> i64 {
    let text = value["started_at"].as_str().unwrap_or_default();
    rfc3339_us(text).unwrap_or(0)
}

/// Unix microseconds of an RFC 3339 time in UTC.
fn rfc3339_us(text: &str) -> Option<i64> {
    let time: prost_types::Timestamp = text.parse().ok()?;
    Some(time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000)
}

/// The key's totals are the sum over its records: nothing was added up twice or not at all.
async fn totals_agree(admin: &Admin, worker: &Worker, records: &[Value]) -> Result<()> {
    let mut sums: HashMap<&str, i64> = HashMap::new();
    for record in records.iter().filter(|record| record["key_id"] == worker.key.as_str()) {
        *sums.entry("requests").or_default() += 1;
        for attempt in record["attempts"].as_array().into_iter().flatten() {
            let tokens = books::tokens(attempt);
            *sums.entry("input").or_default() += tokens.input;
            *sums.entry("output").or_default() += tokens.output;
            *sums.entry("real_cost").or_default() += books::number(&attempt["cost"]["real"]);
        }
    }
    let totals = admin.key_totals(&worker.key).await?;
    let stated = [
        ("requests", &totals["requests"]),
        ("input", &totals["tokens"]["input"]),
        ("output", &totals["tokens"]["output"]),
        ("real_cost", &totals["real_cost"]),
    ];
    for (name, value) in stated {
        let sum = sums.get(name).copied().unwrap_or_default();
        ensure!(books::number(value) == sum, "{}: {name} totals {value}, records sum to {sum}", worker.by);
    }
    Ok(())
}
