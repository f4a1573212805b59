//! One node and the board: what a request meets.

use super::*;

#[tokio::test]
async fn without_limits_nothing_is_asked_of_anybody() {
    let limits = Limits::new();
    let permit = limits.admit(&[], within(0)).await.unwrap();
    assert!(permit.consulted().is_empty() && limits.meters().is_empty());
}

#[tokio::test]
async fn g3_a_window_admits_its_amount_and_not_one_more() {
    let limit = requests("r", 5);
    let board = Board::new(std::slice::from_ref(&limit));
    let node = board.node();
    for _ in 0..5 {
        node.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap().settle(&Used::default());
    }
    let refusal = node.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap_err();
    assert_eq!((refusal.amount, refusal.used, refusal.control_lost), (5, 5, false));
    let resets = refusal.resets_in_ms.unwrap();
    assert!((290_000..=300_000).contains(&resets) && refusal.retry_after_ms <= resets, "{refusal:?}");
    // The refusal is remembered: further requests cost the store nothing.
    let before = board.messages.load(Ordering::Relaxed);
    for _ in 0..100 {
        node.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap_err();
    }
    assert!(board.messages.load(Ordering::Relaxed) <= before + 1);
    assert_eq!(node.counts(), Counts { admitted: 5, refused: 101, ..Counts::default() });
}

#[tokio::test]
async fn a_lease_in_hand_admits_without_asking() {
    let limit = requests("r", 1_000_000);
    let board = Board::new(std::slice::from_ref(&limit));
    let node = board.node();
    for _ in 0..2_000 {
        node.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap().settle(&Used::default());
    }
    let messages = board.messages.load(Ordering::Relaxed);
    assert!(messages < 300, "{messages} messages for 2000 requests");
    let row = board.row(&limit);
    assert!(row.used() <= 2_000);
    until("every request is reported", || board.row(&limit).used() == 2_000).await;
}

#[tokio::test]
async fn a_slot_comes_back_when_its_permit_is_dropped() {
    let limit = slots("c", 2);
    let board = Board::new(std::slice::from_ref(&limit));
    let node = board.node();
    let first = node.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap();
    let second = node.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap();
    let refusal = node.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap_err();
    assert_eq!((refusal.meter, refusal.retry_after_ms, refusal.leased), (Meter::Concurrency, 1000, 2));
    drop(first);
    let third = node.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap();
    drop((second, third));
    until("idle slots go back to the store", || board.row(&limit).leased() == 0).await;
}

#[tokio::test]
async fn all_or_none() {
    let (wide, narrow) = (requests("a", 100), requests("z", 1));
    let board = Board::new(&[wide.clone(), narrow.clone()]);
    let node = board.node();
    // In whatever order they are named.
    let permit = node.admit(&[Demand::one(&narrow), Demand::one(&wide)], within(2_000)).await.unwrap();
    assert_eq!(permit.window_ids().len(), 2);
    let consulted = permit.consulted();
    assert_eq!((&*consulted[0].limit_id, &*consulted[1].limit_id), ("a", "z"));
    assert!(consulted.iter().all(|limit| limit.taken == 1) && consulted[1].lease_left == 0);
    for _ in 0..10 {
        let refusal =
            node.admit(&[Demand::one(&wide), Demand::one(&narrow)], within(2_000)).await.unwrap_err();
        assert_eq!(&*refusal.limit_id, "z");
    }
    until("the one request is reported", || board.row(&wide).used() == 1).await;
    let used = |id: &str| {
        node.meters().iter().find(|state| state.meter.as_str() == id).map(|state| state.lease.used)
    };
    assert_eq!(used("key/a"), Some(1), "refused requests took nothing of the other limit");
}

#[tokio::test]
async fn a_limit_named_twice_is_taken_once() {
    let limit = requests("r", 3);
    let board = Board::new(std::slice::from_ref(&limit));
    let node = board.node();
    assert_eq!(
        node.admit(&[Demand::one(&limit), Demand::one(&limit)], within(2_000))
            .await
            .unwrap()
            .consulted()
            .len(),
        1
    );
}

#[tokio::test]
async fn without_the_control_plane_limited_keys_are_refused_or_go_on_as_configured() {
    let limit = requests("r", 3);
    let board = Board::new(std::slice::from_ref(&limit));
    let node = board.node();
    board.cut.store(true, Ordering::Relaxed);
    let refusal = node.admit(&[Demand::one(&limit)], within(50)).await.unwrap_err();
    assert!(refusal.control_lost);
    node.set_control_loss(Policy::Allow);
    let permit = node.admit(&[Demand::one(&limit)], within(50)).await.unwrap();
    assert_eq!(permit.consulted()[0].taken, 0, "admitted, uncounted");
    assert_eq!((node.counts().control_lost, node.counts().overdrawn), (1, 1));
    // It is back: what was asked meanwhile is asked again.
    board.cut.store(false, Ordering::Relaxed);
    node.reconnected();
    node.set_control_loss(Policy::Refuse);
    node.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap().settle(&Used::default());
}

#[tokio::test]
async fn a_lease_in_hand_is_spent_without_the_control_plane() {
    let limit = requests("r", 1_000);
    let board = Board::new(std::slice::from_ref(&limit));
    let node = board.node();
    node.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap().settle(&Used::default());
    board.cut.store(true, Ordering::Relaxed);
    let mut admitted = 0;
    while node.admit(&[Demand::one(&limit)], within(30)).await.is_ok() {
        admitted += 1;
    }
    assert_eq!(admitted, 7, "the reserve, and no more");
}

#[tokio::test]
async fn a_waiting_request_that_leaves_gives_up_its_place_and_its_unit() {
    let limit = slots("c", 1);
    let board = Board::new(std::slice::from_ref(&limit));
    let node = board.node();
    let held = node.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap();
    let demands = [Demand::one(&limit)];
    {
        let leaving = node.admit_queued(&demands, within(60_000));
        let mut leaving = std::pin::pin!(leaving);
        let gone = tokio::time::timeout(Duration::from_millis(200), &mut leaving).await;
        assert!(gone.is_err());
        assert_eq!(node.meters()[0].waiting, 1);
    }
    assert_eq!(node.meters()[0].waiting, 0);
    drop(held);
    node.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap().settle(&Used::default());
}

#[tokio::test]
async fn a_queue_is_first_come_first_served() {
    let limit = Arc::new(slots("c", 1));
    let board = Board::new(&[(*limit).clone()]);
    let node = board.node();
    let held = node.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = tokio::task::JoinSet::new();
    for turn in 0..5 {
        let (node, limit, order) = (node.clone(), limit.clone(), order.clone());
        let queued = node.clone();
        waiting.spawn(async move {
            let permit = node.admit_queued(&[Demand::one(&limit)], within(20_000)).await.unwrap();
            order.lock().push(turn);
            permit.settle(&Used::default());
        });
        until("it waits", || queued.meters()[0].waiting == turn + 1).await;
    }
    drop(held);
    while waiting.join_next().await.is_some() {}
    assert_eq!(*order.lock(), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn a_queue_has_a_deadline() {
    let limit = slots("c", 1);
    let board = Board::new(std::slice::from_ref(&limit));
    let node = board.node();
    let held = node.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap();
    let refusal = node.admit_queued(&[Demand::one(&limit)], within(300)).await.unwrap_err();
    assert!(!refusal.control_lost && refusal.amount == 1, "{refusal:?}");
    held.settle(&Used::default());
}

#[tokio::test]
async fn a_raised_amount_is_asked_for_at_once() {
    let limit = requests("r", 1);
    let board = Board::new(std::slice::from_ref(&limit));
    let node = board.node();
    node.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap().settle(&Used::default());
    node.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap_err();
    let raised = requests("r", 2);
    let other = Board::new(std::slice::from_ref(&raised));
    *other.rows.lock() = board.rows.lock().clone();
    // The same node asks the same store, which knows the new amount.
    let refusal = node.admit(&[Demand::one(&raised)], within(200)).await;
    assert!(refusal.is_err(), "the old board still says no, but was asked: {refusal:?}");
    let exhausted = node.meters()[0].lease.exhausted;
    assert_eq!(exhausted.map(|said| said.amount), Some(1));
}

#[tokio::test]
async fn a_limit_made_into_another_kind_starts_with_nothing_of_the_old_one() {
    let before = requests("r", 5);
    let after = slots("r", 1);
    let board = Board::new(std::slice::from_ref(&before));
    let node = board.node();
    node.admit(&[Demand::one(&before)], within(2_000)).await.unwrap().settle(&Used::default());
    board.cut.store(true, Ordering::Relaxed);
    assert!(node.admit(&[Demand::one(&after)], within(50)).await.unwrap_err().control_lost);
    assert_eq!(node.meters()[0].kind, Meter::Concurrency);
}

#[tokio::test]
async fn ended_epochs_are_named_on_every_new_stream() {
    let limits = Limits::new();
    limits.set_ended(vec!["old".into()]);
    assert_eq!(limits.outgoing(Instant::now()).unwrap().ended_epochs, ["old"]);
    assert!(limits.outgoing(Instant::now()).is_none());
    limits.reconnected();
    assert_eq!(limits.outgoing(Instant::now()).unwrap().ended_epochs, ["old"]);
}

#[tokio::test]
async fn attempts_to_connect_that_fail_make_nobody_wait() {
    let limit = requests("r", 3);
    let board = Board::new(std::slice::from_ref(&limit));
    board.cut.store(true, Ordering::Relaxed);
    let node = board.node();
    node.disconnected();
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    node.reconnected();
    node.disconnected();
    let asked = Instant::now();
    assert!(node.admit(&[Demand::one(&limit)], within(5_000)).await.unwrap_err().control_lost);
    assert!(asked.elapsed() < Duration::from_millis(500), "took {:?}", asked.elapsed());
}
