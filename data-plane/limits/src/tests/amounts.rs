//! Amounts: what is reserved, settled and given back.

use super::*;

fn tokens(id: &str, amount: i64, strict: bool) -> Compiled {
    Compiled { kind: Meter::Tokens, strict, ..requests(id, amount) }
}

fn of(limit: &Compiled, units: i64) -> Demand<'_> {
    Demand { limit, units }
}

fn used(tokens: i64) -> Used {
    Used { tokens, ..Used::default() }
}

#[tokio::test]
async fn what_was_reserved_and_not_used_can_be_had_again() {
    let limit = tokens("t", 1_000, true);
    let board = Board::new(std::slice::from_ref(&limit));
    let node = board.node();
    for _ in 0..9 {
        node.admit(&[of(&limit, 900)], within(2_000)).await.unwrap().settle(&used(10));
    }
    let refusal = node.admit(&[of(&limit, 911)], within(2_000)).await.unwrap_err();
    assert_eq!((refusal.meter, refusal.needed, refusal.amount), (Meter::Tokens, 911, 1_000));
    // One that needs less is served all the same.
    node.admit(&[of(&limit, 910)], within(2_000)).await.unwrap().settle(&used(910));
    node.admit(&[of(&limit, 1)], within(2_000)).await.unwrap_err();
    until("all of it is reported", || board.row(&limit).used() == 1_000).await;
}

#[tokio::test]
async fn g3_what_is_used_beyond_its_reservation_stops_the_next() {
    let limit = tokens("t", 1_000, false);
    let board = Board::new(std::slice::from_ref(&limit));
    let node = board.node();
    let first = node.admit(&[of(&limit, 100)], within(2_000)).await.unwrap();
    let second = node.admit(&[of(&limit, 100)], within(2_000)).await.unwrap();
    first.settle(&used(700));
    second.settle(&used(700));
    until("the overshoot is reported", || board.row(&limit).used() == 1_400).await;
    let refusal = node.admit(&[of(&limit, 1)], within(2_000)).await.unwrap_err();
    assert!(refusal.used >= 1_000 && !refusal.control_lost, "{refusal:?}");
}

#[tokio::test]
async fn an_estimate_beyond_the_whole_limit_stands_for_all_of_it_unless_strict() {
    let (loose, strict) = (tokens("l", 100, false), tokens("s", 100, true));
    let board = Board::new(&[loose.clone(), strict.clone()]);
    let node = board.node();
    node.admit(&[of(&loose, 5_000)], within(2_000)).await.unwrap().settle(&used(20));
    node.admit(&[of(&strict, 5_000)], within(2_000)).await.unwrap_err();
}

#[tokio::test]
async fn a_permit_that_is_dropped_counts_what_it_reserved() {
    let limit = tokens("t", 1_000, true);
    let board = Board::new(std::slice::from_ref(&limit));
    let node = board.node();
    drop(node.admit(&[of(&limit, 400)], within(2_000)).await.unwrap());
    until("it is reported", || board.row(&limit).used() == 400).await;
}

#[tokio::test]
async fn a_further_attempt_reserves_more_or_stops() {
    let limit = tokens("t", 1_000, true);
    let board = Board::new(std::slice::from_ref(&limit));
    let node = board.node();
    let mut permit = node.admit(&[of(&limit, 600)], within(2_000)).await.unwrap();
    permit.extend(&[of(&limit, 300)], within(2_000)).await.unwrap();
    permit.extend(&[of(&limit, 300)], within(2_000)).await.unwrap_err();
    let consulted = permit.consulted();
    assert_eq!((consulted.len(), consulted[0].taken), (1, 900));
    permit.settle(&used(850));
    until("what was used of both is reported", || board.row(&limit).used() == 850).await;
}

#[tokio::test]
async fn g3_nodes_together_never_exceed_a_strict_amount_and_pieces_are_put_together() {
    let limit = tokens("t", 10_000, true);
    let board = Board::new(std::slice::from_ref(&limit));
    let nodes: Vec<_> = (0..4).map(|_| board.node()).collect();
    let mut tasks = tokio::task::JoinSet::new();
    let admitted = Arc::new(AtomicI64::new(0));
    for (index, node) in nodes.into_iter().enumerate() {
        let (limit, admitted) = (limit.clone(), admitted.clone());
        tasks.spawn(async move {
            for turn in 0..60 {
                let units = 50 + (index as i64 * 37 + turn * 91) % 400;
                if let Ok(permit) = node.admit(&[of(&limit, units)], within(3_000)).await {
                    tokio::task::yield_now().await;
                    let really = units * (turn % 3) / 2;
                    admitted.fetch_add(really, Ordering::Relaxed);
                    permit.settle(&used(really));
                }
            }
            node
        });
    }
    let nodes = tasks.join_all().await;
    let total = admitted.load(Ordering::Relaxed);
    assert!(total <= 10_000, "{total}");
    until("all of it is reported", || board.row(&limit).used() == total).await;
    // What is left lies idle on several nodes, and one request can have all of it.
    let left = 10_000 - total;
    if left > 0 {
        nodes[0].admit_queued(&[of(&limit, left)], within(5_000)).await.unwrap().settle(&used(left));
        nodes[1].admit(&[of(&limit, 1)], within(2_000)).await.unwrap_err();
    }
}
