//! The bytes on disk: a fixture for each version, and any bytes at all.

use proptest::prelude::*;
use proto::rules::usage::PARTITIONS;

use crate::{
    Record, inspect,
    record::{self, Kind},
    segment::{self, Chain, HEADER},
};

const EPOCH: &str = "00112233445566778899aabbccddeeff";

/// A segment as this version writes it: two intents, a note, an outcome of both, a recovered record.
fn example() -> Vec<u8> {
    let mut previous = [0; PARTITIONS as usize];
    (previous[3], previous[15]) = (6, 4);
    let chain = Chain { next_sequence: 7, next_intent: 9, previous };
    let mut file = segment::encode_header(2, &chain).to_vec();
    let seed = segment::seed(EPOCH, 2);
    let mut put = |kind, body: &[&[u8]]| {
        let mut bytes = Vec::new();
        record::encode(&mut bytes, seed, file.len() as u64, kind, body);
        file.extend_from_slice(&bytes);
    };
    put(Kind::Intent, &[&9_u64.to_le_bytes(), b"first"]);
    put(Kind::Intent, &[&10_u64.to_le_bytes(), b"second"]);
    put(Kind::Note, &[&9_u64.to_le_bytes(), b"noted"]);
    put(Kind::Outcome, &[&record::outcome_head(7, 3, [9, 10].into_iter()), b"both"]);
    put(Kind::Recovered, &[&record::outcome_head(8, 15, [11].into_iter()), b"found"]);
    file
}

/// Written by version 1; it must stay readable for as long as a spool may hold it.
const V1: &str = include_str!("segment-v1.hex");

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.as_chunks::<2>().0.iter();
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn version_1_is_read() {
    let found = inspect(EPOCH, 2, &bytes(V1)).unwrap();
    assert!(found.header && !found.damaged);
    assert_eq!(
        found.intents.into_iter().collect::<Vec<_>>(),
        [(9, b"first".to_vec()), (10, b"second".to_vec())]
    );
    assert_eq!(found.notes, [(9, b"noted".to_vec())]);
    let record = |sequence, partition, payload: &[u8]| Record {
        sequence,
        partition,
        previous: 0,
        payload: payload.into(),
    };
    assert_eq!(found.outcomes, [(record(7, 3, b"both"), vec![9, 10]), (record(8, 15, b"found"), vec![11])]);
}

#[test]
fn version_1_is_written() {
    let hex: String = example().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, V1.split_whitespace().collect::<String>());
}

#[test]
fn an_entry_is_none_in_another_place_epoch_or_segment() {
    let mut moved = example();
    moved.splice(HEADER as usize..HEADER as usize, [0xE5; 8]);
    assert_eq!(inspect(EPOCH, 2, &moved).unwrap().outcomes, []);
    assert_eq!(inspect("other", 2, &example()).unwrap().outcomes, []);
    assert_eq!(inspect(EPOCH, 3, &example()).unwrap().outcomes, []);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
        inspect(EPOCH, 1, &bytes).unwrap();
    }

    #[test]
    fn any_damage_is_read_without_panic(at in 0..600_usize, bytes in prop::collection::vec(any::<u8>(), 1..64)) {
        let mut file = example();
        let at = at.min(file.len() - 1);
        let end = (at + bytes.len()).min(file.len());
        file[at..end].copy_from_slice(&bytes[..end - at]);
        inspect(EPOCH, 2, &file).unwrap();
    }
}
