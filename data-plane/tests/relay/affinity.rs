//! What an upstream keeps under an id is asked for at the account that keeps it, or nowhere.

use crate::bed::*;

fn kept(id: &str) -> String {
    whole(
        200,
        &format!(
            r#"{{"id":"{id}","object":"response","model":"gpt-5.4","status":"completed","output":[],"usage":{{"input_tokens":3,"output_tokens":2,"total_tokens":5}}}}"#
        ),
    )
}

fn ask(number: u32, more: &str) -> String {
    format!(r#"{{"model":"gpt-5.4","input":"conversation {number}"{more}}}"#)
}

#[tokio::test]
async fn an_answer_is_built_on_at_the_account_that_gave_it() {
    let upstreams = [Upstream::start([]).await, Upstream::start([]).await];
    let mut accounts = Vec::new();
    for (upstream, id) in upstreams.iter().zip(["resp_a", "resp_b"]) {
        upstream.refuse_with(kept(id)).await;
        let mut entry = account(id, upstream);
        entry.platform = "openai".into();
        entry.credentials.insert("responses".into(), "yes".into());
        accounts.push(entry);
    }
    let bed = Bed::start(accounts).await;
    // Conversations of all kinds, until both accounts have answered one.
    let mut number = 0;
    while upstreams[0].requests().await.is_empty() || upstreams[1].requests().await.is_empty() {
        number += 1;
        assert!(number < 64, "one account gets everything");
        assert_eq!(status(&bed.post("/v1/responses", &ask(number, "")).await), 200);
    }
    for (which, id) in ["resp_a", "resp_b"].into_iter().enumerate() {
        for _ in 0..4 {
            number += 1;
            let (own, other) =
                (upstreams[which].requests().await.len(), upstreams[1 - which].requests().await.len());
            let more = format!(r#","previous_response_id":"{id}""#);
            let answer = bed.post("/v1/responses", &ask(number, &more)).await;
            assert_eq!(status(&answer), 200, "{answer}");
            let now = (upstreams[which].requests().await.len(), upstreams[1 - which].requests().await.len());
            assert_eq!(now, (own + 1, other), "{id} went elsewhere");
        }
    }
    // Nobody is guessed: who keeps it cannot be asked for, since there is no control plane here.
    let before = upstreams[0].requests().await.len() + upstreams[1].requests().await.len();
    let answer = bed.post("/v1/responses", &ask(99, r#","previous_response_id":"resp_unknown""#)).await;
    assert_eq!(status(&answer), 503, "{answer}");
    assert_eq!(upstreams[0].requests().await.len() + upstreams[1].requests().await.len(), before);
}

#[tokio::test]
async fn an_answer_that_is_not_kept_is_not_remembered() {
    let upstream = Upstream::start([]).await;
    upstream.refuse_with(kept("resp_a")).await;
    let mut entry = account("a", &upstream);
    entry.platform = "openai".into();
    entry.credentials.insert("responses".into(), "yes".into());
    let bed = Bed::start(vec![entry]).await;
    let answer = bed.post("/v1/responses", &ask(1, r#","store":false"#)).await;
    assert_eq!(status(&answer), 200, "{answer}");
    let answer = bed.post("/v1/responses", &ask(2, r#","previous_response_id":"resp_a""#)).await;
    assert_eq!(status(&answer), 503, "{answer}");
}
