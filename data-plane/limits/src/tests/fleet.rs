//! Several nodes and the board, at once and on several threads.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn g3_many_nodes_never_admit_more_than_the_amount_and_waste_none_of_it() {
    let limit = Arc::new(requests("r", 500));
    let board = Board::new(&[(*limit).clone()]);
    let nodes: Vec<_> = (0..4).map(|_| board.node()).collect();
    let admitted = Arc::new(AtomicI64::new(0));
    let mut load = tokio::task::JoinSet::new();
    for worker in 0..16 {
        let (node, limit, admitted) = (nodes[worker % 4].clone(), limit.clone(), admitted.clone());
        load.spawn(async move {
            let mut refused = 0;
            while refused < 3 {
                match node.admit(&[Demand::one(&limit)], within(3_000)).await {
                    Ok(permit) => {
                        admitted.fetch_add(1, Ordering::Relaxed);
                        permit.settle(&Used::default());
                    }
                    Err(refusal) => {
                        assert!(!refusal.control_lost, "{refusal:?}");
                        refused += 1;
                        tokio::time::sleep(Duration::from_millis(40)).await;
                    }
                }
            }
        });
    }
    while let Some(done) = load.join_next().await {
        done.unwrap();
    }
    // What is left idle somewhere is found by who asks long enough.
    let bound = within(5_000);
    while admitted.load(Ordering::Relaxed) < 500 && Instant::now() < bound {
        match nodes[0].admit(&[Demand::one(&limit)], within(500)).await {
            Ok(permit) => {
                admitted.fetch_add(1, Ordering::Relaxed);
                permit.settle(&Used::default());
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    assert_eq!(admitted.load(Ordering::Relaxed), 500);
    assert!(nodes[1].admit(&[Demand::one(&limit)], within(500)).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn g3_slots_in_use_over_all_nodes_never_exceed_the_cap() {
    let limit = Arc::new(slots("c", 5));
    let board = Board::new(&[(*limit).clone()]);
    let nodes: Vec<_> = (0..3).map(|_| board.node()).collect();
    let (in_use, served) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let mut load = tokio::task::JoinSet::new();
    for worker in 0..24_u64 {
        let (node, limit) = (nodes[worker as usize % 3].clone(), limit.clone());
        let (in_use, served) = (in_use.clone(), served.clone());
        load.spawn(async move {
            for turn in 0..20 {
                let permit = match node.admit_queued(&[Demand::one(&limit)], within(20_000)).await {
                    Ok(permit) => permit,
                    Err(refusal) => panic!("{refusal:?}"),
                };
                let now = in_use.fetch_add(1, Ordering::SeqCst) + 1;
                assert!(now <= 5, "{now} slots in use");
                tokio::time::sleep(Duration::from_millis((worker + turn) % 4)).await;
                in_use.fetch_sub(1, Ordering::SeqCst);
                permit.settle(&Used::default());
                served.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    while let Some(done) = load.join_next().await {
        done.unwrap();
    }
    assert_eq!(served.load(Ordering::SeqCst), 24 * 20);
    until("every slot is back at the store", || board.row(&limit).leased() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_what_one_node_holds_idle_reaches_another_within_a_round() {
    for limit in [requests("r", 8), slots("c", 4)] {
        let board = Board::new(std::slice::from_ref(&limit));
        let (rich, poor) = (board.node(), board.node());
        // The rich one takes all there is and uses little of it.
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(rich.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap());
        }
        drop(held);
        let asked = Instant::now();
        for _ in 0..4 {
            poor.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap().settle(&Used::default());
        }
        assert!(asked.elapsed() < Duration::from_millis(400), "took {:?}", asked.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_felt_by_nodes_that_had_nothing_left() {
    let limit = requests("r", 2);
    let board = Board::new(std::slice::from_ref(&limit));
    let node = board.node();
    for _ in 0..2 {
        node.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap().settle(&Used::default());
    }
    node.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap_err();
    let outcome = board.step(limit.meter.as_str(), &Op::Reset);
    board.carry(limit.meter.as_str(), &outcome);
    for _ in 0..2 {
        node.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap().settle(&Used::default());
    }
    node.admit(&[Demand::one(&limit)], within(2_000)).await.unwrap_err();
}
