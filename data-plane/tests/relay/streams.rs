//! Answers on their way: byte for byte, never held back, visibly broken when they break, and paid for when the client
//! leaves.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::bed::*;

/// Reads until a text has come.
async fn read_until(stream: &mut tokio::net::TcpStream, text: &str) -> String {
    let mut bytes = Vec::new();
    while !String::from_utf8_lossy(&bytes).contains(text) {
        let mut buffer = [0; 4096];
        let n = stream.read(&mut buffer).await.unwrap();
        assert!(n > 0, "ended before {text:?}: {}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&buffer[..n]);
    }
    String::from_utf8(bytes).unwrap()
}

async fn rest(stream: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn g1_bodies_pass_byte_for_byte_both_ways() {
    let up = Upstream::start([]).await;
    let bed = Bed::start(vec![account("a", &up)]).await;
    let odd = "{ \"model\" : \"claude-sonnet-4-5\",\n\t\"messages\":[ {\"role\":\"user\",\"content\":\"\\u00e9\\ud83d\\ude00 é\"} ], \"new\":1.0e2 }";
    let got = bed.post("/api/v1/messages?beta=true", odd).await;
    assert_eq!(body(&got), answer());
    let seen = up.requests().await.remove(0);
    assert!(seen.starts_with("POST /v1/messages?beta=true HTTP/1.1\r\n"), "{seen}");
    assert_eq!(body(&seen), odd);
    let records = bed.records().await;
    assert_eq!(records[0].request_bytes, odd.len() as i64);
    assert_eq!(records[0].response_bytes, answer().len() as i64);
}

#[tokio::test]
async fn g1_a_mapped_model_is_spliced_and_nothing_else() {
    let up = Upstream::start([]).await;
    let mut entry = account("a", &up);
    entry.model_mapping = [("claude-sonnet-*".to_owned(), "glm-5".to_owned())].into();
    let bed = Bed::start(vec![entry]).await;
    bed.post("/v1/messages", BODY).await;
    assert_eq!(body(&up.requests().await[0]), BODY.replace("claude-sonnet-4-5", "glm-5"));
    assert_eq!(bed.records().await[0].attempts[0].model_sent, "glm-5");
}

#[tokio::test]
async fn g1_no_event_waits_for_the_next() {
    let first = format!("{}{}", stream_head(), chunk(EVENTS[0]));
    let up = Upstream::start([Act::SayAndHang(first)]).await;
    let bed = Bed::start(vec![account("a", &up)]).await;
    let mut client = bed.connect().await;
    client.write_all(post("/v1/messages", STREAMING).as_bytes()).await.unwrap();
    // The upstream says nothing more: what came must be here without it.
    let got = read_until(&mut client, "message_start\"").await;
    assert!(got.contains("request-id: req_") && got.contains("content-type: text/event-stream"), "{got}");
}

#[tokio::test]
async fn a_cut_stream_ends_with_an_error_event_and_a_reset() {
    let cut = format!("{}{}{}", stream_head(), chunk(EVENTS[0]), chunk(EVENTS[2]));
    let clean = format!("{cut}0\r\n\r\n");
    for said in [cut, clean] {
        let up = Upstream::start([Act::SayAndClose(said)]).await;
        let bed = Bed::start(vec![account("a", &up)]).await;
        let mut client = bed.connect().await;
        client.write_all(post("/v1/messages", STREAMING).as_bytes()).await.unwrap();
        let got = rest(&mut client).await;
        assert!(got.contains("event: error\ndata: {"), "{got}");
        assert!(!got.ends_with("0\r\n\r\n"), "a clean end: {got}");
        let records = bed.records().await;
        assert_eq!((records[0].outcome.as_str(), records[0].estimated), ("interrupted", true));
        assert_eq!(records[0].attempts[0].usage.unwrap().input, 11);
    }
}

#[tokio::test]
async fn an_error_within_a_stream_passes_as_it_came_and_speaks_of_the_account() {
    let said = stream(&[EVENTS[0], EVENTS[2], OVERLOADED]);
    let up = Upstream::start([Act::Say(said), Act::Say(stream(&EVENTS))]).await;
    let bed = Bed::start(vec![account("a", &up)]).await;
    let got = bed.post("/v1/messages", STREAMING).await;
    assert_eq!(unchunked(&got), [EVENTS[0], EVENTS[2], OVERLOADED].concat());
    assert_eq!(bed.records().await[0].outcome, "interrupted");
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_upstream_and_pays_for_what_was_counted() {
    let said = format!("{}{}{}", stream_head(), chunk(EVENTS[0]), chunk(EVENTS[2]));
    let up = Upstream::start([Act::SayAndHang(said)]).await;
    let bed = Bed::start(vec![account("a", &up)]).await;
    let mut client = bed.connect().await;
    client.write_all(post("/v1/messages", STREAMING).as_bytes()).await.unwrap();
    read_until(&mut client, "hello").await;
    drop(client);
    up.was_left().await;
    let records = bed.records().await;
    let attempt = &records[0].attempts[0];
    assert_eq!((records[0].outcome.as_str(), attempt.outcome.as_str()), ("client_gone", "client_gone"));
    assert!(attempt.estimated && attempt.usage.unwrap().input == 11 && attempt.usage.unwrap().output >= 1);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_cancels_the_upstream_too() {
    let up = Upstream::start([Act::Hang]).await;
    let bed = Bed::start(vec![account("a", &up)]).await;
    let mut client = bed.connect().await;
    client.write_all(post("/v1/messages", STREAMING).as_bytes()).await.unwrap();
    let seen = std::sync::Arc::clone(&up.seen);
    until("the request has reached the upstream", || seen.try_lock().is_ok_and(|seen| seen.len() == 1)).await;
    drop(client);
    up.was_left().await;
    let records = bed.records().await;
    assert_eq!(
        (records[0].outcome.as_str(), records[0].status, records[0].estimated),
        ("client_gone", 0, true)
    );
}

#[tokio::test]
async fn an_account_that_says_so_is_read_to_its_end_after_the_client_left() {
    let up = Upstream::start([Act::Say(stream(&EVENTS[..3]).trim_end_matches("0\r\n\r\n").to_owned())]).await;
    let mut entry = account("a", &up);
    entry.read_on_after_abort = true;
    let bed = Bed::start(vec![entry]).await;
    let mut client = bed.connect().await;
    client.write_all(post("/v1/messages", STREAMING).as_bytes()).await.unwrap();
    read_until(&mut client, "hello").await;
    drop(client);
    // The rest comes only now, and is read all the same.
    up.say_more(&format!("{}{}0\r\n\r\n", chunk(EVENTS[3]), chunk(EVENTS[4]))).await;
    let records = bed.records().await;
    let attempt = &records[0].attempts[0];
    assert_eq!((records[0].outcome.as_str(), attempt.estimated), ("client_gone", false));
    assert_eq!(attempt.usage.unwrap().output, 7);
}

#[tokio::test]
async fn what_waits_for_nobody_is_not_recorded_twice() {
    let up = Upstream::start([Act::Say(stream(&EVENTS)), Act::Say(whole(200, &answer()))]).await;
    let bed = Bed::start(vec![account("a", &up)]).await;
    let mut client = bed.connect().await;
    for body in [STREAMING, BODY] {
        client.write_all(post("/v1/messages", body).as_bytes()).await.unwrap();
        assert_eq!(status(&message(&mut client).await.unwrap()), 200);
    }
    drop(client);
    let records = bed.records().await;
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| record.outcome == "ok" && !record.estimated));
    assert!(records.iter().all(|record| record.attempts[0].cost.as_ref().is_some_and(|cost| cost.rated > 0)));
}

#[tokio::test]
async fn count_tokens_is_relayed_recorded_and_free() {
    let up = Upstream::start([Act::Say(whole(200, "{\"input_tokens\":42}"))]).await;
    let bed = Bed::start(vec![account("a", &up)]).await;
    let got = bed.post("/api/v1/messages/count_tokens?beta=true", BODY).await;
    assert_eq!(body(&got), "{\"input_tokens\":42}");
    assert!(up.requests().await[0].starts_with("POST /v1/messages/count_tokens?beta=true "));
    let records = bed.records().await;
    assert_eq!(records[0].operation, "count_tokens");
    assert_eq!((records[0].attempts[0].usage, records[0].estimated), (Some(Default::default()), false));
}
