//! Deltas cost what changed, and always lead to the same entries as a full snapshot.

use std::collections::BTreeMap;

use domain::snapshot::diff::Kind;
use proptest::prelude::*;

use super::*;

fn name(id: &str) -> Name {
    Name::new(Kind::Key, id)
}

fn set(id: &str, value: &str) -> (Name, Option<Bytes>) {
    (name(id), Some(Bytes::from(format!("{id}={value}"))))
}

#[test]
fn what_is_equal_is_not_said_again() {
    let mut catalog = Catalog::new([], 5);
    assert_eq!(catalog.advance(6, [set("a", "1"), set("b", "1")]), 2);
    assert_eq!(catalog.advance(7, [set("a", "1")]), 0);
    let part = catalog.since(6, None, 1000).unwrap();
    assert_eq!(part, Changed { to: 7, ..Changed::default() });
}

#[test]
fn the_order_of_a_map_is_no_difference() {
    let entry = |order: [&str; 2]| {
        // Two encodings of one message: the map's entries in either order.
        let mut bytes = Vec::new();
        for service in order {
            let one = node::KeyEntry {
                service_multipliers: [(service.to_owned(), 2.0)].into(),
                ..node::KeyEntry::default()
            };
            let entry = node::Entry { entry: Some(node::entry::Entry::Key(one)) };
            bytes.extend(entry.encode_to_vec());
        }
        (name("a"), Some(Bytes::from(bytes)))
    };
    let mut catalog = Catalog::new([], 0);
    assert_eq!(catalog.advance(1, [entry(["x", "y"])]), 1);
    assert_eq!(catalog.advance(2, [entry(["y", "x"])]), 0);
}

#[test]
fn a_number_before_the_log_is_too_old_unless_the_store_tells_what_changed() {
    let mut catalog = Catalog::new([(name("a"), Bytes::from("a=0"))], 5);
    catalog.advance(6, [set("b", "1")]);
    assert_eq!(catalog.since(4, None, 1000), None);
    let part = catalog.since(4, Some(&[name("a"), name("gone")]), 1000).unwrap();
    assert_eq!(part.upserts, ["a=0", "b=1"]);
    assert_eq!(part.deletes, [name("gone")]);
}

#[test]
fn a_large_change_comes_in_parts_that_end_at_numbers() {
    let mut catalog = Catalog::new([], 0);
    for number in 1..=10 {
        catalog.advance(number, [set(&format!("k{number}"), "0123456789"), set(&format!("l{number}"), "x")]);
    }
    let first = catalog.since(0, None, 30).unwrap();
    assert_eq!((first.to, first.upserts.len()), (2, 4));
    let second = catalog.since(first.to, None, usize::MAX).unwrap();
    assert_eq!((second.to, second.upserts.len()), (10, 16));
}

#[test]
fn a_long_log_forgets_its_begin() {
    let mut catalog = Catalog::new([], 0);
    for number in 1..=(LOG_LIMIT as u64 + 10) {
        catalog.advance(number, [set("a", &number.to_string())]);
    }
    assert_eq!(catalog.floor(), 10);
    assert_eq!(catalog.since(9, None, 100), None);
    assert_eq!(catalog.since(10, None, 100).unwrap().upserts.len(), 1);
}

proptest! {
    #[test]
    fn deltas_lead_where_a_snapshot_leads(
        steps in prop::collection::vec((0..6_u8, prop::option::of(0..3_u8), any::<bool>()), 1..60),
        limit in 1..40_usize,
    ) {
        let mut catalog = Catalog::new([], 0);
        let mut node: BTreeMap<Vec<u8>, Bytes> = BTreeMap::new();
        let mut held = 0;
        for (number, (id, value, deliver)) in (1..).zip(steps) {
            let change = (name(&id.to_string()), value.map(|value| Bytes::from(vec![id, value])));
            catalog.advance(number, [change]);
            while deliver && held < catalog.number() {
                let part = catalog.since(held, None, limit).unwrap();
                for bytes in part.upserts {
                    node.insert(bytes[..1].to_vec(), bytes);
                }
                for gone in part.deletes {
                    node.remove(&vec![gone.id.parse::<u8>().unwrap()]);
                }
                prop_assert!(part.to > held);
                held = part.to;
            }
            if deliver {
                let mut all = catalog.all();
                all.sort();
                prop_assert_eq!(&all, &node.values().cloned().collect::<Vec<_>>());
            }
        }
    }
}
