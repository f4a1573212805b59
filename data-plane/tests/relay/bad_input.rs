//! What must be refused, clearly, and without harm to what comes after.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use crate::bed::*;

#[tokio::test]
async fn malformed_requests_get_the_dialects_error_and_reach_no_upstream() {
    let up = Upstream::start([]).await;
    let bed = Bed::start(vec![account("a", &up)]).await;
    for (body, expected) in [
        ("", 400),
        ("{", 400),
        ("[]", 400),
        ("{\"model\":\"m\"", 400),
        ("{\"messages\":[]}", 400),
        ("{\"model\":\"m\"}", 400),
        ("{\"model\":7,\"messages\":[]}", 400),
        ("{\"model\":\"a\",\"messages\":[],\"model\":\"b\"}", 400),
        ("{\"model\":\"a\",\"messages\":[],\"mod\\u0065l\":\"b\"}", 400),
    ] {
        let got = bed.post("/v1/messages", body).await;
        assert_eq!(status(&got), expected, "{body}: {got}");
        assert!(got.contains("\"invalid_request_error\"") && got.contains("x-should-retry: false"), "{got}");
        assert!(got.contains("request-id: req_"), "{got}");
    }
    assert!(up.requests().await.is_empty());
    assert_eq!(bed.records().await.len(), 0);
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_are_told_in_their_dialect() {
    let bed = Bed::start(vec![]).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    for (request, expected, says) in [
        (get("/nothing"), 404, "not_found_error"),
        (get("/v1/messages"), 405, "error"),
        (post("/openai/v1/chat/completions", "{}"), 400, "\"code\":\"invalid_request\""),
        (post("/gemini/v1beta/models/m:generateContent", "{}"), 400, "INVALID_ARGUMENT"),
        (post("/gemini/v1beta/models/m:nothing", "{}"), 404, "NOT_FOUND"),
        (post("/bedrock/model/m/invoke", "{}"), 501, "not_found_error"),
        (get("/v1//messages"), 400, "invalid_request_error"),
        (get("/v1/%2e%2e/x"), 400, "invalid_request_error"),
        (get("/v1%2fmessages"), 400, "invalid_request_error"),
        (get("http://other/v1/messages"), 400, "invalid_request_error"),
        (get("/v1/responses\r\nupgrade: websocket\r\nconnection: upgrade\r\nx: HTTP"), 400, ""),
    ] {
        let got = bed.raw(&request).await;
        assert_eq!(status(&got), expected, "{request}: {got}");
        assert!(got.contains(says), "{request}: {got}");
    }
    let upgrade =
        "GET /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    assert_eq!(status(&bed.raw(upgrade).await), 426);
    for head in ["HEAD / HTTP/1.1", "HEAD /v1/messages HTTP/1.1", "GET /api/hello HTTP/1.1"] {
        assert_eq!(status(&bed.raw(&format!("{head}\r\nhost: x\r\n\r\n")).await), 200, "{head}");
    }
    let swallowed = "POST /api/event_logging/batch HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}";
    assert!(bed.raw(swallowed).await.ends_with("{\"success\":true}"));
    let health = bed.raw(&get("/health")).await;
    assert!(status(&health) == 200 && health.contains("\"healthy\""), "{health}");
}

#[tokio::test]
async fn smuggling_shapes_are_refused_and_end_the_connection() {
    let up = Upstream::start([]).await;
    let bed = Bed::start(vec![account("a", &up)]).await;
    let head = format!("POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {SECRET}\r\n");
    for shape in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n",
        "content-length: 4\r\ncontent-length: 5\r\n\r\nabcd",
        "content-length: +4\r\n\r\nabcd",
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "x-api-key: cr_another_key\r\ncontent-length: 2\r\n\r\n{}",
        "host: y\r\ncontent-length: 2\r\n\r\n{}",
        " folded: x\r\ncontent-length: 2\r\n\r\n{}",
        "bad header: x\r\ncontent-length: 2\r\n\r\n{}",
    ] {
        // Whatever follows must not be taken for a request of its own.
        let got = bed.raw(&format!("{head}{shape}GET /health HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        assert_eq!(status(&got), 400, "{shape}: {got}");
        assert!(!got.contains("healthy"), "{shape}: {got}");
        assert!(
            got.contains("\"invalid_request_error\"") && got.contains("request-id: req_"),
            "{shape}: {got}"
        );
    }
    let nowhere = bed.raw("GET /health HTTP/1.1\r\n\r\n").await;
    assert!(status(&nowhere) == 400 && nowhere.contains("host header"), "{nowhere}");
    assert!(up.requests().await.is_empty());
}

#[tokio::test]
async fn bodies_and_heads_beyond_their_bounds_are_refused() {
    let up = Upstream::start([]).await;
    let bed = Bed::start(vec![account("a", &up)]).await;
    // Announced too long: answered without a byte of it.
    let announced = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {SECRET}\r\ncontent-length: {}\r\n\r\n",
        2 << 20
    );
    let got = bed.raw(&announced).await;
    assert!(status(&got) == 413 && got.contains("request_too_large"), "{got}");
    // Not announced: refused when it becomes too long.
    let chunk = format!("{:x}\r\n{}\r\n", 64 * 1024, " ".repeat(64 * 1024));
    let chunked = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {SECRET}\r\ntransfer-encoding: chunked\r\n\r\n{}",
        chunk.repeat(17)
    );
    assert_eq!(status(&bed.raw(&chunked).await), 413);
    let long = format!("GET /health HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(70_000));
    let told = |got: &str, shape: &str| {
        assert!(status(got) == 431 && got.contains(shape) && got.contains("request-id: req_"), "{got}");
        assert!(got.contains("x-should-retry: false") && got.contains("connection: close"), "{got}");
    };
    told(&bed.raw(&long).await, "request_too_large");
    told(&bed.raw(&long.replace("/health", "/gemini/v1beta/models")).await, "INVALID_ARGUMENT");
    let many = format!("GET /health HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(300));
    told(&bed.raw(&many).await, "request_too_large");
    let nonsense = bed.raw("no HTTP at all\r\n\r\n").await;
    assert!(status(&nonsense) == 400 && nonsense.contains("invalid_request_error"), "{nonsense}");
    assert!(up.requests().await.is_empty());
}

#[tokio::test]
async fn a_body_in_chunks_is_relayed_with_its_length_and_ends_the_connection() {
    let up = Upstream::start([]).await;
    let bed = Bed::start(vec![account("a", &up)]).await;
    let (a, b) = BODY.split_at(20);
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {SECRET}\r\ntransfer-encoding: chunked\r\n\r\n{}{}0\r\n\r\n",
        chunk(a),
        chunk(b)
    );
    let got = bed.raw(&request).await;
    assert!(status(&got) == 200 && got.contains("connection: close"), "{got}");
    let seen = up.requests().await.remove(0);
    assert_eq!(body(&seen), BODY);
    assert!(seen.contains(&format!("content-length: {}", BODY.len())), "{seen}");
}

#[tokio::test]
async fn bad_keys_are_answered_before_the_body_all_alike_and_slowed_down() {
    let bed = Bed::start(vec![]).await;
    let mut answers = Vec::new();
    for key in
        ["", "x-api-key: cr_wrong_0123456789\r\n", "authorization: Bearer x\r\n", "x-api-key: \u{1}\r\n"]
    {
        let request = format!("POST /v1/messages HTTP/1.1\r\nhost: x\r\n{key}content-length: 100000\r\n\r\n");
        let got = bed.raw(&request).await;
        if status(&got) == 401 {
            assert!(got.contains("connection: close") && got.contains("x-should-retry: false"), "{got}");
            let mut value: serde_json::Value = serde_json::from_str(body(&got)).unwrap();
            value["request_id"].take();
            answers.push(value);
        }
    }
    assert!(answers.len() >= 3 && answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    let mut last = String::new();
    for _ in 0..40 {
        last = bed
            .raw("GET /v1/models HTTP/1.1\r\nhost: x\r\nanthropic-version: x\r\nx-api-key: nope\r\n\r\n")
            .await;
    }
    assert!(status(&last) == 429 && last.contains("retry-after: "), "{last}");
    // A good key passes all the same.
    let good =
        format!("GET /v1/models HTTP/1.1\r\nhost: x\r\nanthropic-version: x\r\nx-api-key: {SECRET}\r\n\r\n");
    assert_eq!(status(&bed.raw(&good).await), 200);
}

#[tokio::test]
async fn slow_heads_and_bodies_are_given_up_and_other_clients_do_not_wait() {
    let up = Upstream::start([]).await;
    let bed = Bed::start(vec![account("a", &up)]).await;
    let mut head = bed.connect().await;
    head.write_all(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut slow_body = bed.connect().await;
    let half = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {SECRET}\r\ncontent-length: {}\r\n\r\n{{",
        BODY.len()
    );
    slow_body.write_all(half.as_bytes()).await.unwrap();
    assert_eq!(status(&bed.post("/v1/messages", BODY).await), 200);
    let limit = Duration::from_secs(5);
    assert_eq!(tokio::time::timeout(limit, message(&mut head)).await.expect("the head was waited for"), None);
    let got =
        tokio::time::timeout(limit, message(&mut slow_body)).await.expect("the body was waited for").unwrap();
    assert_eq!(status(&got), 408, "{got}");
}

#[tokio::test]
async fn g9_bodies_beyond_the_nodes_budget_are_shed_with_a_time_to_come_back() {
    let up = Upstream::start([]).await;
    let small = |config: &mut data_plane::config::Config| config.relay.body_budget = 1 << 20;
    let bed = Bed::start_with(vec![account("a", &up)], key(), settings(), small).await;
    let holding = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {SECRET}\r\ncontent-length: {}\r\n\r\n{{",
        900 << 10
    );
    let mut holder = bed.connect().await;
    holder.write_all(holding.as_bytes()).await.unwrap();
    let big = format!("{}{}", &BODY[..BODY.len() - 1], " ".repeat(300 << 10)) + "}";
    let mut got = String::new();
    for _ in 0..50 {
        got = bed.post("/v1/messages", &big).await;
        if status(&got) == 503 {
            break;
        }
    }
    assert!(status(&got) == 503 && got.contains("retry-after: 1"), "{got}");
    drop(holder);
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while status(&bed.post("/v1/messages", &big).await) != 200 {
        assert!(std::time::Instant::now() < deadline, "the budget was not given back");
    }
}
