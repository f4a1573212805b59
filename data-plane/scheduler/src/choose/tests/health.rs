//! States that come and end, trials, usage windows.

use proto::rules::upstream_window::Window;

use super::*;

/// What an answer says, the word for it in explanations, and what is told of it.
fn states_with_an_end() -> [(Verdict, Reason, &'static str); 6] {
    let until_ms = 2_000;
    [
        (Verdict::Limited { until_ms }, Reason::RateLimited, "rate_limited"),
        (Verdict::Overloaded { until_ms }, Reason::Overloaded, "overloaded"),
        (Verdict::Unauthorized { until_ms }, Reason::Unauthorized, "unauthorized"),
        (Verdict::Forbidden { until_ms }, Reason::Forbidden, "forbidden"),
        (Verdict::PaymentRequired { until_ms }, Reason::Error, "error"),
        (Verdict::Broken { until_ms: Some(until_ms) }, Reason::Error, "error"),
    ]
}

#[test]
fn every_state_ends_at_its_time_by_one_request_that_tries_the_account() {
    for (verdict, reason, name) in states_with_an_end() {
        let world = world(vec![account("a"), account("b")], None);
        let a = world.account("a");
        let event = world.scheduler.judge(a, &verdict, 1_000, 1_000).unwrap();
        assert_eq!((event.state, event.until_ms), (name, Some(2_000)));
        let early = world.choose().unwrap();
        assert_eq!((early.account.id.as_str(), early.considered.count(reason)), ("b", 1), "{name}");
        // Its time is over: one tries it, the others go elsewhere until it is known how that one fared.
        let later = Ask { now_ms: 2_000, ..world.ask(None, None) };
        let first = std::iter::repeat_with(|| world.scheduler.choose(&later).unwrap());
        let probe = first.take(3).find(|choice| choice.account.id.as_str() == "a").unwrap();
        for _ in 0..4 {
            let other = world.scheduler.choose(&later).unwrap();
            assert_eq!((other.account.id.as_str(), other.considered.count(Reason::OnTrial)), ("b", 1));
        }
        let event = world.scheduler.judge(a, &Verdict::Fine, 2_000, 2_100).unwrap();
        assert_eq!(event.state, "active", "{name}");
        drop(probe);
        assert_eq!(world.scheduler.state(a, 2_100), None);
        let all = (0..4).map(|_| world.scheduler.choose(&later).unwrap().account.id.clone());
        assert!(all.collect::<Vec<_>>().contains(&a.id), "{name}: it serves again");
    }
}

#[test]
fn a_state_that_others_saw_is_tried_by_one_request_too() {
    let mut entry = account("a");
    (entry.status, entry.status_until_ms) = ("error".into(), 900);
    let world = world(vec![entry], None);
    let probe = world.choose().unwrap();
    let refused = world.refused();
    assert!(refused.busy && refused.considered.count(Reason::OnTrial) == 1);
    // Nobody else is there: who has waited takes it all the same.
    let last_resort = Ask { last_resort: true, ..world.ask(None, None) };
    assert!(world.scheduler.choose(&last_resort).is_ok());
    // A request that ends without a word of the account leaves it to the next one.
    drop(probe);
    let probe = world.choose().unwrap();
    let event = world.scheduler.judge(world.account("a"), &Verdict::Fine, 1_000, 1_000).unwrap();
    assert_eq!(event.state, "active");
    assert!(world.choose().is_ok() && world.choose().is_ok());
    drop(probe);
}

#[test]
fn a_trial_that_fails_cools_the_account_down_for_longer() {
    let world = world(vec![account("a")], None);
    let broken = Verdict::Unreachable { until_ms: None };
    let mut now = 1_000;
    for _ in 0..3 {
        world.scheduler.judge(world.account("a"), &broken, now, now);
    }
    for pause in [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
        let refused = world.scheduler.choose(&Ask { now_ms: now + pause - 1, ..world.ask(None, None) });
        let Err(Unchosen::NoAccount(why)) = refused else { panic!("{refused:?}") };
        assert_eq!(why.retry_at_ms, Some(now + pause));
        now += pause;
        let probe = world.scheduler.choose(&Ask { now_ms: now, ..world.ask(None, None) }).unwrap();
        assert!(world.scheduler.choose(&Ask { now_ms: now, ..world.ask(None, None) }).is_err());
        world.scheduler.judge(world.account("a"), &broken, now, now);
        drop(probe);
    }
    // The fault of a client shows that the upstream is there.
    now += 60_000;
    world.scheduler.judge(world.account("a"), &Verdict::ClientFault, now, now);
    assert_eq!(world.scheduler.state(world.account("a"), now), None);
}

#[test]
fn a_success_that_began_before_a_block_does_not_end_it() {
    let world = world(vec![account("a")], None);
    world.scheduler.judge(world.account("a"), &Verdict::Limited { until_ms: 9_000 }, 1_000, 1_500);
    assert_eq!(world.scheduler.judge(world.account("a"), &Verdict::Fine, 1_400, 1_600), None);
    assert_eq!(world.refused().considered.count(Reason::RateLimited), 1);
    assert!(world.scheduler.judge(world.account("a"), &Verdict::Fine, 1_500, 1_700).is_some());
    assert!(world.choose().is_ok());
}

fn window(name: &str, used: u32, seen_at_ms: i64) -> Window {
    Window {
        name: name.into(),
        family: name.strip_prefix("7d_").map(str::to_owned),
        used_permille: Some(used),
        resets_at_ms: 50_000,
        length_ms: 100_000,
        seen_at_ms,
        ..Window::default()
    }
}

#[test]
fn a_window_that_is_used_up_is_waited_out_and_told_once() {
    let world = world(vec![account("a")], None);
    let a = world.account("a");
    let event = world.scheduler.observe(a, vec![window("5h", 1000, 1)]).unwrap();
    assert_eq!((event.state, event.windows.len()), ("", 1));
    assert_eq!(world.scheduler.observe(a, vec![window("5h", 1002, 2)]), None, "no news");
    let refused = world.refused();
    assert_eq!((refused.retry_at_ms, refused.considered.count(Reason::WindowUsedUp)), (Some(50_000), 1));
    let later = Ask { now_ms: 50_000, ..world.ask(None, None) };
    assert!(world.scheduler.choose(&later).is_ok(), "it has started anew");
}

#[test]
fn a_familys_window_leaves_the_others_alone_and_an_operators_share_holds() {
    let mut entry = account("a");
    entry.windows = vec![window("7d_opus", 1000, 1).to_wire()];
    assert_eq!(world(vec![entry.clone()], None).refused().considered.count(Reason::WindowUsedUp), 1);
    let opus = world(vec![entry], None);
    assert!(opus.scheduler.choose(&Ask { model_family: "sonnet", ..opus.ask(None, None) }).is_ok());
    let mut entry = account("a");
    entry.windows = vec![window("5h", 800, 1).to_wire()];
    assert!(world(vec![entry.clone()], None).choose().is_ok());
    entry.window_pause_percent = 80;
    let paused = world(vec![entry], None);
    assert_eq!(paused.refused().considered.count(Reason::WindowUsedUp), 1);
    // What this node saw later is the newer word.
    paused.scheduler.observe(paused.account("a"), vec![window("5h", 10, 2)]);
    assert!(paused.choose().is_ok());
}

#[test]
fn windows_are_spent_evenly() {
    let (mut fast, slow) = (account("fast"), account("slow"));
    // Three quarters used with half of the time to go: half the weight.
    fast.windows = vec![window("5h", 750, 1).to_wire()];
    let world = world(vec![fast, slow], None);
    let mut served: HashMap<String, u32> = HashMap::new();
    for _ in 0..300 {
        let at = Ask { now_ms: 0, ..world.ask(None, None) };
        *served.entry(world.scheduler.choose(&at).unwrap().account.id.to_string()).or_default() += 1;
    }
    assert!((98..=102).contains(&served["fast"]), "{served:?}");
    let mut homes: HashMap<String, u32> = HashMap::new();
    for n in 0..3000 {
        let session = session(n);
        let at = Ask { now_ms: 0, ..world.ask(Some(&session), None) };
        *homes.entry(world.scheduler.choose(&at).unwrap().account.id.to_string()).or_default() += 1;
    }
    assert!((900..1100).contains(&homes["fast"]), "{homes:?}");
}

#[test]
fn a_familys_limit_leaves_other_families_alone() {
    let world = world(vec![account("a")], None);
    let verdict = Verdict::FamilyLimited { family: "opus".into(), until_ms: 2_000 };
    let event = world.scheduler.judge(world.account("a"), &verdict, 1_000, 1_000).unwrap();
    assert_eq!(event.family.as_deref(), Some("opus"));
    assert_eq!(world.refused().considered.count(Reason::FamilyBlocked), 1);
    let sonnet = Ask { model_family: "sonnet", ..world.ask(None, None) };
    assert!(world.scheduler.choose(&sonnet).is_ok());
}

#[test]
fn failures_running_cool_an_account_down_and_one_success_ends_it() {
    let world = world(vec![account("a")], None);
    let broken = Verdict::Broken { until_ms: None };
    for _ in 0..2 {
        assert_eq!(world.scheduler.judge(world.account("a"), &broken, 1_000, 1_000), None);
        assert!(world.choose().is_ok());
    }
    world.scheduler.judge(world.account("a"), &broken, 1_000, 1_000);
    assert_eq!(world.refused().considered.count(Reason::CoolingDown), 1);
    world.scheduler.judge(world.account("a"), &Verdict::Fine, 1_000, 1_000);
    assert!(world.choose().is_ok());
}
