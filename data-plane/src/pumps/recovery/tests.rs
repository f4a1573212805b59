//! What is made of intents without outcome.

use spool::Options;

use super::*;
use crate::records::INTENT_VERSION;

fn intent(request: &str, attempt: &str) -> AttemptIntent {
    AttemptIntent {
        version: INTENT_VERSION,
        request_id: request.into(),
        attempt_id: attempt.into(),
        key_id: "key".into(),
        model: "claude-x".into(),
        model_sent: "claude-y".into(),
        input_tokens: 100,
        output_tokens: 7,
        request_started_us: 1_700_000_000_123_456,
        ..AttemptIntent::default()
    }
}

fn unfinished(id: u64, intent: &AttemptIntent, notes: Vec<Vec<u8>>) -> Unfinished {
    Unfinished { id, payload: intent.encode_to_vec(), notes }
}

#[test]
fn a_request_has_one_record_and_what_was_known_is_kept() {
    let known =
        Attempt { id: "a1".into(), status: 529, outcome: "upstream_error".into(), ..Attempt::default() };
    let found = records(
        vec![
            unfinished(3, &intent("r1", "a1"), vec![b"\xff".to_vec(), known.encode_to_vec()]),
            unfinished(4, &intent("r2", "b1"), vec![]),
            unfinished(5, &intent("r1", "a2"), vec![]),
        ],
        "node",
    );
    let closes: Vec<_> =
        found.iter().map(|(intents, record)| (intents.as_slice(), record.request_id.as_str())).collect();
    assert_eq!(closes, [(&[3, 5][..], "r1"), (&[4][..], "r2")]);
    let (_, record) = &found[0];
    assert_eq!(
        (record.outcome.as_str(), record.estimated, record.node_id.as_str()),
        ("unknown", true, "node")
    );
    assert_eq!(record.attempts[0], known);
    let unknown = &record.attempts[1];
    assert_eq!((unknown.id.as_str(), unknown.outcome.as_str(), unknown.estimated), ("a2", "unknown", true));
    assert_eq!(unknown.usage.as_ref().map(|usage| (usage.input, usage.output)), Some((100, 7)));
    assert_eq!(record.started_at, Some(Timestamp { seconds: 1_700_000_000, nanos: 123_456_000 }));
}

#[test]
fn an_intent_that_cannot_be_read_is_still_a_record() {
    let bad = |id| Unfinished { id, payload: b"\xff\xff".to_vec(), notes: vec![] };
    assert_eq!(records(vec![bad(1), bad(2)], "node").len(), 2);
}

#[test]
fn g4_what_a_kill_left_is_shipped_as_records_once() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { sync_after: None, ..Options::default() };
    let (spool, _) = Spool::open(folder.path(), options.clone()).unwrap();
    let lane = spool.lane().unwrap();
    for n in 0..3 {
        // Texts that no record could hold in full.
        let intent = AttemptIntent { model: "m".repeat(7000), ..intent(&format!("r{n}"), "a") };
        let bytes = intent.encode_to_vec();
        let _dropped = lane.intent(Payload::new(&bytes).unwrap()).unwrap();
    }
    drop((lane, spool));
    for _ in 0..2 {
        let (spool, old) = Spool::open(folder.path(), options.clone()).unwrap();
        old.into_iter().for_each(|old| recover(old, "node"));
        let epoch = spool.sources().pop().unwrap();
        let found = spool.read(&epoch, 0, 100, 1 << 20).unwrap();
        let ids: Vec<_> = found
            .iter()
            .map(|record| UsageRecord::decode(record.payload.as_slice()).unwrap().request_id)
            .collect();
        assert_eq!(ids, ["r0", "r1", "r2"]);
        assert!(found.iter().all(|record| record.partition == partition("key")));
    }
}
