//! The spool on the real disk: what it promises, one by one.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::sim::Sim;
use crate::{Full, Lane, MAX_PAYLOAD, Options, Payload, Spool};

fn payload(bytes: &[u8]) -> Payload<'_> {
    Payload::new(bytes).unwrap()
}

fn request(lane: &Lane, partition: u32, bytes: &[u8]) -> u64 {
    let intent = lane.intent(payload(bytes)).unwrap();
    lane.outcome(partition, vec![intent], payload(bytes))
}

fn open(folder: &Path, options: Options) -> Arc<Spool> {
    let (spool, old) = Spool::open(folder, options).unwrap();
    old.into_iter().for_each(|old| old.seal().unwrap());
    spool
}

#[test]
fn records_come_in_order_with_the_one_before_in_their_partition() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), Options::default());
    let lane = spool.lane().unwrap();
    let sequences: Vec<_> = [3, 4, 3].map(|partition| request(&lane, partition, b"x")).into();
    assert_eq!(sequences, [1, 2, 3]);
    spool.sync().unwrap();
    let found = spool.read(lane.epoch(), 0, 10, 1000).unwrap();
    let chain: Vec<_> =
        found.iter().map(|record| (record.sequence, record.partition, record.previous)).collect();
    assert_eq!(chain, [(1, 3, 0), (2, 4, 0), (3, 3, 1)]);
    assert_eq!(spool.lag(), 3);
    spool.acked(lane.epoch(), 3, 3);
    assert_eq!(
        (spool.lag(), spool.pending(lane.epoch(), 0), spool.pending(lane.epoch(), 2)),
        (1, true, false)
    );
    assert!(spool.compare(lane.epoch(), 3, 1).unwrap(), "the store has lost one");
    assert_eq!((spool.lag(), spool.pending(lane.epoch(), 2)), (2, true));
    let found = spool.read(lane.epoch(), 0, 10, 1000).unwrap();
    assert_eq!(found.iter().map(|record| record.sequence).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn what_is_written_ships_soon_without_being_asked() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), Options::default());
    let lane = spool.lane().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        request(&lane, 0, b"x");
        tokio::time::timeout(Duration::from_secs(10), spool.wake().notified()).await.unwrap();
    });
    assert_eq!(spool.read(lane.epoch(), 0, 10, 1000).unwrap().len(), 1);
}

#[test]
fn a_full_spool_refuses_before_the_attempt_and_never_after() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { max_bytes: 256 << 10, segment_bytes: 64 << 10, ..Options::default() };
    let spool = open(folder.path(), options);
    let lane = spool.lane().unwrap();
    let mut owed = Vec::new();
    let refused = loop {
        match lane.intent(payload(&[1; 100])) {
            Ok(intent) => owed.push(intent),
            Err(full) => break full,
        }
    };
    assert_eq!(refused, Full::Cap { max_bytes: 256 << 10 });
    assert!(owed.len() >= 16, "{}", owed.len());
    let count = owed.len();
    for mut intent in owed {
        // All the room that notes are promised, to the last byte.
        lane.note(&mut intent, payload(&[2; 1000])).unwrap();
        lane.note(&mut intent, payload(&[2; 1000])).unwrap();
        lane.outcome(0, vec![intent], payload(&[3; MAX_PAYLOAD]));
    }
    spool.sync().unwrap();
    assert_eq!(spool.read(lane.epoch(), 0, 1000, usize::MAX).unwrap().len(), count);
    assert!(spool.bytes() <= 256 << 10);
    // What the store has applied gives way to new requests, also before its time.
    spool.acked(lane.epoch(), 0, count as u64);
    assert!(lane.intent(payload(&[1; 100])).is_ok());
}

#[test]
fn an_epoch_of_a_live_process_is_left_alone_until_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path(), Options::default());
    let lane = first.lane().unwrap();
    let _unfinished = lane.intent(payload(b"left")).unwrap();
    request(&lane, 1, b"done");
    let epoch = lane.epoch().clone();
    let (second, old) = Spool::open(folder.path(), Options::default()).unwrap();
    assert!(old.is_empty() && second.adopt().unwrap().is_empty());
    drop((lane, first));
    // The syncer thread may hold the lane for one moment more.
    let until = Instant::now() + Duration::from_secs(10);
    let mut old = loop {
        match second.adopt().unwrap().pop() {
            Some(old) => break old,
            None => assert!(Instant::now() < until, "the lock was not released"),
        }
        std::thread::yield_now();
    };
    assert_eq!(old.epoch(), &epoch);
    let unfinished = old.unfinished();
    assert_eq!(unfinished.iter().map(|intent| intent.payload.as_slice()).collect::<Vec<_>>(), [b"left"]);
    old.recover(2, &[unfinished[0].id], payload(b"recovered")).unwrap();
    old.seal().unwrap();
    let found = second.read(&epoch, 0, 10, 1000).unwrap();
    assert_eq!(
        found.iter().map(|record| record.payload.as_slice()).collect::<Vec<_>>(),
        [&b"done"[..], b"recovered"]
    );
    assert_eq!(found.iter().map(|record| record.sequence).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn an_old_epoch_goes_when_all_is_acknowledged_and_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { retain_acked: Duration::from_secs(60), sync_after: None, ..Options::default() };
    let first = open(folder.path(), options.clone());
    let lane = first.lane().unwrap();
    request(&lane, 1, b"done");
    let epoch = lane.epoch().clone();
    drop((lane, first));
    let second = open(folder.path(), options);
    let now = Instant::now();
    second.sweep(now).unwrap();
    assert_eq!(second.sources(), std::slice::from_ref(&epoch), "not acknowledged");
    second.acked(&epoch, 1, 1);
    second.sweep(now).unwrap();
    second.sweep(now + Duration::from_secs(59)).unwrap();
    assert_eq!(second.sources(), std::slice::from_ref(&epoch), "kept for a failover");
    second.sweep(now + Duration::from_secs(60)).unwrap();
    assert!(second.sources().is_empty());
    assert!(!folder.path().join(epoch.as_str()).exists());
    assert_eq!(second.bytes(), 0);
}

#[test]
fn a_store_that_lost_what_is_not_kept_any_more_can_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 64 << 10, retain_acked: Duration::ZERO, ..Options::default() };
    let spool = open(folder.path(), options);
    let lane = spool.lane().unwrap();
    let count = 30;
    for _ in 0..count {
        request(&lane, 0, &[1; MAX_PAYLOAD]);
    }
    spool.sync().unwrap();
    spool.acked(lane.epoch(), 0, count - 1);
    spool.sweep(Instant::now()).unwrap();
    assert!(spool.compare(lane.epoch(), 0, 3).unwrap());
    let found = spool.read(lane.epoch(), 0, 1000, usize::MAX).unwrap();
    assert!(found.len() > 1 && found[0].sequence > 4, "the first segments are gone");
    assert_eq!(found[0].previous, 3, "or the store would wait for what nobody has");
    assert_eq!(found[1].previous, found[0].sequence);
}

#[test]
fn g4_no_power_cut_lets_an_outcome_go_before_its_intent() {
    for seed in 0..40 {
        let sim = Sim::new(seed);
        let options = Options {
            segment_bytes: 64 << 10,
            retain_acked: Duration::ZERO,
            sync_after: None,
            ..Options::default()
        };
        let start = || Spool::open_on(Arc::new(sim.clone()), Path::new("/spool"), options.clone()).unwrap();
        let (spool, _) = start();
        let lane = spool.lane().unwrap();
        let mut open = std::collections::VecDeque::new();
        for n in 0..120 {
            open.push_back(lane.intent(payload(&[1; 2000])).unwrap());
            if n >= 20 {
                lane.outcome(0, open.drain(..1).collect(), payload(&[2; 2000]));
            }
        }
        for intent in open {
            lane.outcome(0, vec![intent], payload(b"x"));
        }
        spool.sync().unwrap();
        spool.acked(lane.epoch(), 0, 120);
        // It dies at some point of the sweep, and the power goes.
        sim.light_fuse(seed as usize / 2);
        let _ = spool.sweep(Instant::now());
        drop((lane, spool));
        sim.restart(true);
        let (_spool, old) = start();
        assert!(old.iter().all(|old| old.unfinished().is_empty()), "finished intents came back");
    }
}

#[test]
fn a_payload_has_bounds() {
    assert!(Payload::new(&[0; MAX_PAYLOAD]).is_ok());
    assert!(Payload::new(&[0; MAX_PAYLOAD + 1]).is_err());
}

#[test]
fn settling_may_come_from_another_thread() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), Options { segment_bytes: 128 << 10, ..Options::default() });
    let lane = spool.lane().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let lane = &lane;
            scope.spawn(move || {
                for n in 0..500_u32 {
                    request(lane, thread, &n.to_le_bytes());
                }
            });
        }
    });
    spool.sync().unwrap();
    let found = spool.read(lane.epoch(), 0, usize::MAX, usize::MAX).unwrap();
    assert!(found.iter().map(|record| record.sequence).eq(1..=2000));
    for partition in 0..4 {
        let of = found.iter().filter(|record| record.partition == partition);
        assert!(of.map(|record| record.payload.clone()).eq((0..500_u32).map(|n| n.to_le_bytes().to_vec())));
    }
}
