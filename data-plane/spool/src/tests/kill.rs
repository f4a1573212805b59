//! A real process on the real disk, killed at any moment, again and again: what it was told is there is there, once.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use super::sim::Random;
use crate::{OldEpoch, Options, Payload, Spool};

const ROUNDS: usize = 12;

fn recover(mut old: OldEpoch) {
    for unfinished in old.unfinished() {
        let text = format!("{} recovered", String::from_utf8(unfinished.payload).unwrap());
        old.recover(9, &[unfinished.id], Payload::new(text.as_bytes()).unwrap()).unwrap();
    }
    old.seal().unwrap();
}

fn options() -> Options {
    Options { segment_bytes: 256 << 10, ..Options::default() }
}

/// Not a test: the process that is killed. It reads a folder and a name from its standard input and appends for ever.
#[test]
#[ignore = "it is started by the test below"]
fn child() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let Some((name, folder)) = line.trim().split_once(' ') else { return };
    let (spool, old) = Spool::open(Path::new(folder), options()).unwrap();
    old.into_iter().for_each(recover);
    let lane = spool.lane().unwrap();
    let mut out = std::io::stdout();
    let mut open = Vec::new();
    for n in 0.. {
        let text = format!("{name}-{n}");
        open.push((text.clone(), lane.intent(Payload::new(text.as_bytes()).unwrap()).unwrap()));
        writeln!(out, "\nintent {text}").unwrap();
        if n % 3 > 0 {
            let (text, intent) = open.swap_remove(n * 7 % open.len());
            let done = format!("{text} done");
            let sequence = lane.outcome(n as u32 % 16, vec![intent], Payload::new(done.as_bytes()).unwrap());
            writeln!(out, "\noutcome {text} {} {sequence}", lane.epoch()).unwrap();
        }
        if open.len() > 40 {
            open.drain(..20).for_each(|(text, intent)| {
                let done = format!("{text} done");
                lane.outcome(0, vec![intent], Payload::new(done.as_bytes()).unwrap());
            });
        }
    }
}

#[test]
fn g4_kill_9_loses_nothing_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::new(u64::from(std::process::id()));
    let mut intents: Vec<String> = Vec::new();
    let mut outcomes: BTreeMap<String, (String, u64)> = BTreeMap::new();
    for round in 0..ROUNDS {
        let lines = 1 + random.below(3000);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["tests::kill::child", "--exact", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{round} {}", folder.path().display()).unwrap();
        let report = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut seen = 0;
        for line in report {
            let words: Vec<_> = line.split(' ').collect();
            match words.as_slice() {
                ["intent", text] => intents.push((*text).to_owned()),
                ["outcome", text, epoch, sequence] => {
                    let Ok(sequence) = sequence.parse() else { continue };
                    outcomes.insert((*text).to_owned(), ((*epoch).to_owned(), sequence));
                }
                _ => continue,
            }
            seen += 1;
            // What it still says after the kill was said before it.
            if seen == lines {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(seen >= lines, "the child ended by itself after {seen} of {lines} lines");
    }
    check(folder.path(), &intents, &outcomes);
}

fn check(folder: &Path, intents: &[String], outcomes: &BTreeMap<String, (String, u64)>) {
    let (spool, old) = Spool::open(folder, options()).unwrap();
    old.into_iter().for_each(recover);
    let mut found: BTreeMap<String, (String, u64, String)> = BTreeMap::new();
    for epoch in spool.sources() {
        let records = spool.read(&epoch, 0, usize::MAX, usize::MAX).unwrap();
        assert!(
            records.iter().map(|record| record.sequence).eq(1..=records.len() as u64),
            "numbers without gaps"
        );
        for record in records {
            let text = String::from_utf8(record.payload).unwrap();
            let (name, how) = text.split_once(' ').unwrap();
            let place = (epoch.as_str().to_owned(), record.sequence, how.to_owned());
            assert!(found.insert(name.to_owned(), place).is_none(), "{name} has two records");
        }
    }
    for intent in intents {
        assert!(found.contains_key(intent), "{intent} has no record");
    }
    for (name, (epoch, sequence)) in outcomes {
        assert_eq!(found[name], (epoch.clone(), *sequence, "done".to_owned()), "{name}");
    }
    assert!(intents.len() > ROUNDS && found.len() >= intents.len());
}
