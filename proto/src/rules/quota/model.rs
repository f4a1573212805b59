//! The model test of the quota machine: nodes and a store, joined by a network that delays, loses, doubles and reorders,
//! with nodes that crash and come back under new epochs, and clocks that have nothing to do with each other.

use proptest::prelude::*;

use super::Meter;

mod world;

use world::{Action, Outage, World};

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let node = 0..world::NODES;
    let action = prop_oneof![
        8 => (1..60_i64).prop_map(Action::Pass),
        2 => (60..1500_i64).prop_map(Action::Pass),
        1 => (1500..70_000_i64).prop_map(Action::Pass),
        // About as long as a window: what counts at its edges.
        1 => (55_000..62_000_i64).prop_map(Action::Pass),
        14 => (node.clone(), 1..9_i64).prop_map(|(node, units)| Action::Ask(node, units)),
        10 => node.clone().prop_map(Action::Send),
        16 => any::<u16>().prop_map(Action::Deliver),
        2 => any::<u16>().prop_map(Action::Double),
        2 => any::<u16>().prop_map(Action::Lose),
        8 => (node.clone(), any::<u16>(), 0..250_i64)
            .prop_map(|(node, pick, percent)| Action::End(node, pick, percent)),
        2 => node.clone().prop_map(Action::GiveUp),
        1 => node.clone().prop_map(Action::Crash),
        1 => node.clone().prop_map(Action::Reconnect),
        1 => node.prop_map(Action::Forget),
        1 => Just(Action::Reset),
        5 => Just(Action::Calm),
    ];
    prop::collection::vec(action, 1..400)
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 200,
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn requests_of_a_window_are_never_over_admitted(amount in 0..15_i64, run in actions()) {
        let mut world = World::new(Meter::Requests, amount);
        for action in run {
            world.act(action)?;
        }
        world.settle(Outage::Over)?;
        world.what_is_free_is_granted_in_time()?;
    }

    #[test]
    fn slots_in_use_never_exceed_the_cap_and_all_come_back(amount in 0..7_i64, run in actions()) {
        let mut world = World::new(Meter::Concurrency, amount);
        for action in run {
            world.act(action)?;
        }
        world.settle(Outage::Over)?;
        prop_assert_eq!(world.row.leased(), 0, "slots did not come back: {:#?}", world.row);
        world.what_is_free_is_granted_in_time()?;
    }

    #[test]
    fn a_calendar_window_is_never_over_admitted(amount in 0..15_i64, run in actions()) {
        let mut world = World::new(Meter::Requests, amount).hourly();
        for action in run {
            world.act(action)?;
        }
        world.settle(Outage::Over)?;
    }

    #[test]
    fn strict_amounts_are_never_exceeded(amount in 0..40_i64, run in actions()) {
        let mut world = World::new(Meter::Cost, amount);
        for action in run {
            world.act(action)?;
        }
        world.settle(Outage::Over)?;
        world.what_is_free_is_granted_in_time()?;
    }

    #[test]
    fn amounts_are_exceeded_by_what_was_in_flight_at_most(amount in 0..40_i64, run in actions()) {
        let mut world = World::new(Meter::Tokens, amount).total().loose();
        for action in run {
            world.act(action)?;
        }
        world.settle(Outage::Over)?;
        world.what_is_free_is_granted_in_time()?;
    }

    #[test]
    fn a_sliding_window_of_requests_is_never_over_admitted(amount in 0..15_i64, run in actions()) {
        let mut world = World::new(Meter::Requests, amount).sliding();
        for action in run {
            world.act(action)?;
        }
        world.settle(Outage::Over)?;
        world.what_is_free_is_granted_in_time()?;
    }

    #[test]
    fn a_sliding_window_of_amounts_is_never_exceeded(amount in 0..40_i64, run in actions()) {
        let mut world = World::new(Meter::Cost, amount).sliding();
        for action in run {
            world.act(action)?;
        }
        world.settle(Outage::Over)?;
        world.what_is_free_is_granted_in_time()?;
    }

    #[test]
    fn a_budget_without_end_is_never_over_admitted(amount in 0..60_i64, run in actions()) {
        let mut world = World::new(Meter::Requests, amount).total();
        for action in run {
            world.act(action)?;
        }
        world.settle(Outage::Over)?;
    }
}
