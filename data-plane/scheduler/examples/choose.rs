//! How long a choice takes: `cargo run --release -p scheduler --example choose [accounts]`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "an example prints, and ends where something is wrong"
)]

use std::time::Instant;

use proto::{
    node::{AccountEntry, Entry, KeyEntry, Revision, SnapshotChunk, entry},
    rules::{
        ids::{AccountId, KeyId},
        session::SessionId,
    },
};
use scheduler::{Ask, Scheduler};
use snapshot::{Facts, Handle, PlatformFacts};

struct OnePlatform;

impl PlatformFacts for OnePlatform {
    fn facts(&self, _: &str) -> Option<Facts> {
        Some(Facts { family: "claude", service: "claude", dialect: "anthropic_messages", also: Vec::new() })
    }
}

fn handle(accounts: u32) -> Handle {
    let handle = Handle::new(&OnePlatform);
    let key = KeyEntry { id: "k".into(), active: true, ..KeyEntry::default() };
    let account = |n| {
        entry::Entry::Account(AccountEntry {
            id: format!("0190b0a4-0000-7000-8000-{n:012}"),
            platform: "one".into(),
            priority: 50,
            weight: 10,
            schedulable: true,
            status: "active".into(),
            ..AccountEntry::default()
        })
    };
    let entries = std::iter::once(entry::Entry::Key(key)).chain((0..accounts).map(account));
    let chunk = SnapshotChunk {
        revision: Some(Revision { incarnation: "i".into(), number: 1 }),
        store_identity: "s".into(),
        entries: entries.map(|entry| Entry { entry: Some(entry) }).collect(),
        last: true,
    };
    handle.apply_chunk(chunk).unwrap();
    handle
}

fn main() {
    let accounts: u32 = std::env::args().nth(1).map_or(1000, |text| text.parse().unwrap());
    let handle = handle(accounts);
    let (snapshot, scheduler) = (handle.current(), Scheduler::new());
    let key = snapshot.key(&KeyId::from("k")).unwrap();
    let bound = AccountId::from(format!("0190b0a4-0000-7000-8000-{:012}", accounts / 2).as_str());
    let session = SessionId::new("k", "example", b"x");
    let ask = Ask {
        snapshot: &snapshot,
        key,
        family: "claude",
        dialect: "anthropic_messages",
        model: "claude-opus-4-5",
        model_family: "opus",
        session: None,
        bound: None,
        patient: true,
        last_resort: false,
        excluded: &[],
        now_ms: 1,
    };
    let cases = [
        ("no session: least loaded", ask),
        ("new session: rendezvous", Ask { session: Some(&session), ..ask }),
        ("bound session", Ask { session: Some(&session), bound: Some(&bound), ..ask }),
    ];
    for (name, ask) in cases {
        drop(scheduler.choose(&ask));
        let rounds = 2_000;
        let mut times: Vec<u64> = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let began = Instant::now();
            let choice = scheduler.choose(&ask);
            times.push(began.elapsed().as_nanos() as u64);
            drop(choice);
        }
        times.sort_unstable();
        let micros = |share: f64| times[(share * (rounds - 1) as f64) as usize] as f64 / 1000.0;
        println!("{accounts} accounts, {name}: p50 {:.2} us, p99 {:.2} us", micros(0.5), micros(0.99));
    }
}
