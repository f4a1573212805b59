//! G2: no credential crosses, in either direction, into a log or onto the disk.

use std::path::Path;

use crate::bed::*;

fn search(folder: &Path, secret: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path, secret);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            assert!(
                memchr::memmem::find(&bytes, secret.as_bytes()).is_none(),
                "{secret} is in {}",
                path.display()
            );
        }
    }
}

#[tokio::test]
async fn g2_no_credential_crosses() {
    // A gateway that tells its key in an error, and headers that carry it back.
    let told = format!(
        "{{\"error\":{{\"type\":\"invalid_request_error\",\"message\":\"bad key {UPSTREAM_KEY}\"}}}}"
    );
    let spoken =
        whole(200, &answer()).replacen("request-id", &format!("x-echo: {UPSTREAM_KEY}\r\nrequest-id"), 1);
    let up = Upstream::start([Act::Say(spoken), Act::Say(whole(400, &told))]).await;
    let bed = Bed::start(vec![account("a", &up)]).await;
    let everywhere = format!(
        "POST /v1/messages?key={SECRET}&beta=true HTTP/1.1\r\nhost: x\r\nx-api-key: {SECRET}\r\nx-goog-api-key: {SECRET}\r\n\
         authorization: Bearer {SECRET}\r\napi-key: {SECRET}\r\ncookie: a={SECRET}\r\nx-custom: {SECRET}\r\n\
         content-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let first = bed.raw(&everywhere).await;
    let second = bed.raw(&everywhere).await;
    assert_eq!(status(&first), 200, "{first}");
    for answer in [&first, &second] {
        assert!(!answer.contains(UPSTREAM_KEY) && !answer.contains(SECRET), "{answer}");
    }
    for request in up.requests().await {
        assert!(!request.contains(SECRET), "{request}");
        assert!(request.contains(&format!("x-api-key: {UPSTREAM_KEY}")) && request.contains("?beta=true "));
    }
    let folder = bed.folder.path().to_owned();
    let log = bed.log.clone();
    until("the access log is written", || {
        std::fs::read_to_string(&log).is_ok_and(|log| log.lines().count() >= 2)
    })
    .await;
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("\"path\":\"/v1/messages\"") && log.contains("\"input_tokens\":11"), "{log}");
    for secret in [SECRET, UPSTREAM_KEY, "crs_jt_bed", "\"hi\""] {
        search(&folder, secret);
    }
}
