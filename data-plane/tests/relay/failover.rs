//! G7: until the first byte has gone out, a failure of one account is another one's request.

use crate::bed::*;

async fn pair(first: Act, then: Act) -> (Upstream, Upstream, Bed) {
    let (bad, good) = (Upstream::start([first]).await, Upstream::start([then]).await);
    let mut preferred = account("bad", &bad);
    preferred.priority = 1;
    let bed = Bed::start(vec![preferred, account("good", &good)]).await;
    (bad, good, bed)
}

#[tokio::test]
async fn g7_every_failure_before_the_first_byte_moves_the_request() {
    let failures = [
        ("401", Act::Say(error(401, "authentication_error"))),
        ("402", Act::Say(error(402, "billing_error"))),
        ("403", Act::Say(error(403, "permission_error"))),
        ("429", Act::Say(error(429, "rate_limit_error"))),
        ("500", Act::Say(error(500, "api_error"))),
        ("529", Act::Say(error(529, "overloaded_error"))),
        ("no JSON", Act::Say("HTTP/1.1 502 Bad\r\ncontent-length: 6\r\n\r\n<html>".into())),
        ("an error as the first event", Act::Say(stream(&[OVERLOADED]))),
        (
            "an error behind a ping",
            Act::Say(stream(&[": hi\n\n", "event: ping\ndata: {\"type\":\"ping\"}\n\n", OVERLOADED])),
        ),
        ("an empty stream", Act::Say(stream(&[]))),
        ("a stream that closes at once", Act::SayAndClose(stream_head())),
        ("no answer", Act::Close),
    ];
    for (what, failure) in failures {
        let (bad, good, bed) = pair(failure, Act::Say(stream(&EVENTS))).await;
        let answer = bed.post("/v1/messages", STREAMING).await;
        assert_eq!(status(&answer), 200, "{what}: {answer}");
        assert_eq!(unchunked(&answer), EVENTS.concat(), "{what}");
        assert_eq!((bad.requests().await.len(), good.requests().await.len()), (1, 1), "{what}");
        let records = bed.records().await;
        assert_eq!(records.len(), 1, "{what}");
        let outcomes: Vec<_> = records[0].attempts.iter().map(|attempt| attempt.outcome.as_str()).collect();
        assert_eq!(outcomes, ["upstream_error", "ok"], "{what}");
        assert_eq!(records[0].attempts[1].usage.unwrap().output, 7);
        assert!(!records[0].attempts[1].estimated && records[0].outcome == "ok");
    }
}

#[tokio::test]
async fn g7_an_account_that_refuses_connections_is_passed_over() {
    let (gone, good) = (Upstream::start([]).await, Upstream::start([]).await);
    let mut nobody = account("nobody", &gone);
    nobody.base_url = "http://127.0.0.1:1".into();
    nobody.priority = 1;
    let bed = Bed::start(vec![nobody, account("good", &good)]).await;
    assert_eq!(status(&bed.post("/v1/messages", BODY).await), 200);
    let records = bed.records().await;
    assert_eq!(records[0].attempts[0].status, 0);
    assert_eq!(records[0].attempts[0].usage, Some(Default::default()));
}

#[tokio::test]
async fn g7_no_first_event_in_time_moves_the_request() {
    let (bad, good) =
        (Upstream::start([Act::Hang]).await, Upstream::start([Act::Say(stream(&EVENTS))]).await);
    let mut preferred = account("bad", &bad);
    preferred.priority = 1;
    let mut settings = settings();
    settings.first_event_timeout = Some(prost_types::Duration { seconds: 0, nanos: 200_000_000 });
    let bed = Bed::start_with(vec![preferred, account("good", &good)], key(), settings, |_| {}).await;
    let answer = bed.post("/v1/messages", STREAMING).await;
    assert_eq!(status(&answer), 200, "{answer}");
    bad.was_left().await;
    let records = bed.records().await;
    assert!(records[0].attempts[0].estimated && !records[0].attempts[1].estimated);
}

#[tokio::test]
async fn a_wrong_request_is_the_clients_and_comes_back_as_it_was_told() {
    let said = r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 300000 tokens > 200000 maximum"}}"#;
    let (bad, good, bed) = pair(Act::Say(whole(400, said)), Act::Say(whole(200, &answer()))).await;
    let answer = bed.post("/v1/messages", BODY).await;
    assert_eq!((status(&answer), body(&answer)), (400, said));
    assert_eq!((bad.requests().await.len(), good.requests().await.len()), (1, 0));
    assert_eq!(bed.records().await[0].outcome, "upstream_error");
}

#[tokio::test]
async fn when_nobody_is_left_the_last_failure_is_told_and_never_a_401() {
    let ups = [Upstream::start([]).await, Upstream::start([]).await];
    let mut accounts = Vec::new();
    for (n, up) in ups.iter().enumerate() {
        accounts.push(account(&format!("a{n}"), up));
    }
    for up in &ups {
        // Every request of theirs is refused.
        up.refuse_with(error(401, "authentication_error")).await;
    }
    let bed = Bed::start(accounts).await;
    let answer = bed.post("/v1/messages", BODY).await;
    assert_eq!(status(&answer), 503, "{answer}");
    assert!(answer.contains("\"type\":\"error\"") && !answer.contains("said so"), "{answer}");
    assert_eq!(bed.records().await[0].attempts.len(), 2);
}

#[tokio::test]
async fn a_kept_connection_that_dies_under_a_request_costs_another_try_at_the_same_account() {
    let up = Upstream::start([Act::Say(whole(200, &answer())), Act::Close]).await;
    let bed = Bed::start(vec![account("a", &up)]).await;
    assert_eq!(status(&bed.post("/v1/messages", BODY).await), 200);
    assert_eq!(status(&bed.post("/v1/messages", BODY).await), 200);
    assert_eq!(up.requests().await.len(), 3);
    let records = bed.records().await;
    let statuses: Vec<_> = records[1].attempts.iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [0, 200]);
}

#[tokio::test]
async fn attempts_are_at_most_five() {
    let up = Upstream::start([]).await;
    up.refuse_with(error(500, "api_error")).await;
    let accounts = (0..8).map(|n| account(&format!("a{n}"), &up)).collect();
    let bed = Bed::start(accounts).await;
    assert_eq!(status(&bed.post("/v1/messages", BODY).await), 502);
    assert_eq!(bed.records().await[0].attempts.len(), 5);
}
