//! Random traces against models that fit on a page.

use std::collections::BTreeMap;

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, TestRunner},
};

use super::{
    bed::Bed,
    samples::{Plain, author, plain},
};
use crate::{Applied, Apply, Change, Changes, Error, Expect};

/// Batches of one source, cut anywhere, sent twice, out of order, again from before: what is counted is every record
/// up to the marker, once.
pub async fn g4_random_applies_agree_with_a_model(bed: &Bed) {
    let mut runner = TestRunner::new(Config::default());
    let sends = prop::collection::vec((0..3_u8, 0..12_u64, 1..6_u64, any::<bool>()), 1..60);
    for trace in 0..12_u32 {
        let mut markers: BTreeMap<u8, u64> = BTreeMap::new();
        for (source, from, length, as_told) in sends.new_tree(&mut runner).unwrap().current() {
            let have = *markers.entry(source).or_default();
            // A sender that listens goes on from the marker; one that does not sends whatever it likes.
            let previous = if as_told { have } else { from };
            let last = previous + length;
            let mut apply = Apply {
                partition: trace % 16,
                source: format!("{trace}-{source}"),
                previous,
                last,
                now_ms: bed.one.now_ms(),
                ..Apply::default()
            };
            for record in previous + 1..=last {
                apply.add(&format!("row-{trace}-{}", record % 3), None, "sum", weight(source, record));
            }
            let store = if as_told { &bed.one } else { &bed.two };
            let expected = if have >= last {
                Applied::Already { have }
            } else if have == previous {
                markers.insert(source, last);
                Applied::Done
            } else {
                Applied::Gap { have }
            };
            assert_eq!(store.apply(apply).await.unwrap(), expected);
        }
        let mut sums = [0; 3];
        for (source, last) in &markers {
            (1..=*last).for_each(|record| sums[(record % 3) as usize] += weight(*source, record));
        }
        let names: Vec<_> = (0..3).map(|n| format!("row-{trace}-{n}")).collect();
        let rows = bed.two.rows(trace % 16, &names).await.unwrap();
        let found: Vec<_> = rows.iter().map(|row| row.get("sum").copied().unwrap_or(0)).collect();
        assert_eq!(found, sums);
    }
}

fn weight(source: u8, record: u64) -> i64 {
    i64::from(source) * 1_000_000 + record.cast_signed() * record.cast_signed()
}

type Model = BTreeMap<String, (String, u64)>;

/// Changes of a few records with a few index values: each is made or refused as the model says, and at the end store
/// and feed agree with it.
pub async fn random_changes_agree_with_a_model(bed: &Bed) {
    let mut runner = TestRunner::new(Config::default());
    let one = (0..5_u8, 0..4_u8, 0..4_u8);
    let changes = prop::collection::vec(prop::collection::vec(one, 1..4), 80);
    let start = bed.one.revision().await.unwrap();
    let mut model = Model::new();
    for (index, items) in changes.new_tree(&mut runner).unwrap().current().into_iter().enumerate() {
        let store = if index % 2 == 0 { &bed.one } else { &bed.two };
        let Planned { change, touched, mut next, fine } = plan(&model, items);
        match store.commit(change).await {
            Ok(revision) => {
                assert!(fine, "a change was made that the model refuses");
                for id in touched {
                    if let Some(held) = next.get_mut(&id) {
                        held.1 = revision.number;
                    }
                }
                model = next;
            }
            Err(Error::Conflict { .. } | Error::Duplicate { .. }) => {
                assert!(!fine, "the model makes this change")
            }
            Err(why) => panic!("{why}"),
        }
    }
    agrees(bed, &model).await;
    let Changes::Since { events, .. } = bed.two.changes(&start, 1000).await.unwrap() else {
        panic!("too old")
    };
    let last: BTreeMap<_, _> =
        events.iter().map(|event| (&event.id, (event.number, event.deleted))).collect();
    for (id, (number, deleted)) in last {
        assert_eq!(model.get(id).map(|held| held.1), (!deleted).then_some(number), "{id}");
    }
}

/// A change, and what the model makes of it.
struct Planned {
    change: Change,
    touched: Vec<String>,
    next: Model,
    fine: bool,
}

fn plan(model: &Model, items: Vec<(u8, u8, u8)>) -> Planned {
    let (mut change, mut next, mut fine) = (Change::new(author("trace")), model.clone(), true);
    let mut touched = Vec::new();
    for (record, name, verb) in items {
        let id = format!("r{record}");
        if touched.contains(&id) {
            continue;
        }
        touched.push(id.clone());
        let (version, name) = (model.get(&id).map(|held| held.1), ["", "x", "y", "z"][usize::from(name)]);
        if verb == 3 {
            change = change.delete::<Plain>(&id, Expect::Any);
            next.remove(&id);
            continue;
        }
        let (expect, agrees) = match verb {
            0 => (Expect::Absent, version.is_none()),
            1 => (Expect::Version(version.unwrap_or(1)), version.is_some()),
            _ => (Expect::Any, true),
        };
        fine &= agrees;
        change = change.put(&plain(&id, name), expect);
        next.insert(id, (name.to_owned(), 0));
    }
    let mut names: Vec<_> = next.values().map(|(name, _)| name).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    fine &= names.windows(2).all(|pair| pair[0] != pair[1]);
    Planned { change, touched, next, fine }
}

async fn agrees(bed: &Bed, model: &Model) {
    let stored = bed.two.scan::<Plain>(None, 100).await.unwrap();
    let stored: Model = stored.into_iter().map(|r| (r.value.id, (r.value.name, r.version))).collect();
    assert_eq!(stored, *model);
    for name in ["x", "y", "z"] {
        let holder = bed.one.find::<Plain>("name", name).await.unwrap().map(|found| found.value.id);
        let expected = model.iter().find(|(_, held)| held.0 == name).map(|(id, _)| id.clone());
        assert_eq!(holder, expected, "{name}");
    }
}
