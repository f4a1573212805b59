//! How records are cut into runs, and which are refused.

use super::*;

fn spooled(sequence: u64, previous: u64) -> SpooledRecord {
    let key_id = "k1".to_owned();
    let record = UsageRecord { request_id: format!("r{sequence}"), key_id, ..UsageRecord::default() };
    SpooledRecord { sequence, partition: partition("k1"), previous, record: record.encode_to_vec().into() }
}

#[test]
fn a_run_ends_where_a_record_does_not_follow() {
    let records = [spooled(1, 0), spooled(4, 1), spooled(9, 7), spooled(10, 9)];
    let references: Vec<_> = records.iter().collect();
    let lengths: Vec<_> = runs(&references).map(<[_]>::len).collect();
    assert_eq!(lengths, [2, 2]);
}

#[test]
fn long_runs_are_cut() {
    let records: Vec<_> = (1..=450).map(|n| spooled(n, n - 1)).collect();
    let references: Vec<_> = records.iter().collect();
    let lengths: Vec<_> = runs(&references).map(<[_]>::len).collect();
    assert_eq!(lengths, [200, 200, 50]);
}

#[test]
fn a_record_without_sense_is_refused_by_reason() {
    assert!(read(&spooled(1, 0)).is_ok());
    let mut broken = spooled(1, 0);
    broken.record = vec![0xff, 0xff].into();
    assert_eq!(read(&broken), Err("it is no usage record"));
    let mut nameless = spooled(1, 0);
    nameless.record = UsageRecord::default().encode_to_vec().into();
    assert_eq!(read(&nameless), Err("it names no request or no key"));
    let mut astray = spooled(1, 0);
    astray.partition = (astray.partition + 1) % PARTITIONS;
    assert_eq!(read(&astray), Err("it lies in a partition that is not its key's"));
}
