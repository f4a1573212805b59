//! What a key may and may not do, as far as it can be told without a control plane.

use proto::types::{Limit, ModelRule, Window};

use crate::bed::*;

async fn asked(change: impl FnOnce(&mut proto::node::KeyEntry), body: &str) -> String {
    let up = Upstream::start([]).await;
    let mut key = key();
    change(&mut key);
    let bed = Bed::start_with(vec![account("a", &up)], key, settings(), |_| {}).await;
    bed.post("/v1/messages", body).await
}

#[tokio::test]
async fn each_rule_refuses_in_its_own_words() {
    let refused = [
        (asked(|key| key.active = false, BODY).await, 401, "disabled"),
        (asked(|key| key.expires_at_ms = 1, BODY).await, 401, "expired"),
        (asked(|key| key.permissions = vec!["gemini".into()], BODY).await, 403, "permission"),
        (asked(|key| key.networks = vec!["10.0.0.0/8".into()], BODY).await, 403, "network"),
        (asked(|key| key.clients = vec!["claude_code".into()], BODY).await, 403, "client"),
        (
            asked(
                |key| {
                    let patterns = vec!["claude-opus-*".into()];
                    key.models = Some(ModelRule { mode: "allow".into(), patterns });
                },
                BODY,
            )
            .await,
            403,
            "model",
        ),
    ];
    for (got, expected, says) in refused {
        assert_eq!(status(&got), expected, "{got}");
        assert!(body(&got).contains(says) && got.contains("x-should-retry: false"), "{got}");
    }
}

#[tokio::test]
async fn rules_that_let_it_pass_do() {
    let got = asked(
        |key| {
            key.permissions = vec!["claude".into()];
            key.networks = vec!["127.0.0.0/8".into()];
            key.models = Some(ModelRule { mode: "deny".into(), patterns: vec!["*opus*".into()] });
            key.activation_ms = 60_000;
        },
        BODY,
    )
    .await;
    assert_eq!(status(&got), 200, "{got}");
}

#[tokio::test]
async fn g5_unlimited_keys_relay_without_a_control_plane_and_limited_ones_are_told() {
    let limit = Limit {
        id: "l".into(),
        meter: "requests".into(),
        amount: 10,
        window: Some(Window { kind: "fixed".into(), minutes: 5, ..Window::default() }),
        ..Limit::default()
    };
    assert_eq!(status(&asked(|_| {}, BODY).await), 200);
    let got = asked(|key| key.limits = vec![limit], BODY).await;
    assert!(status(&got) == 503 && got.contains("retry-after"), "{got}");
}

#[tokio::test]
async fn a_session_stays_on_its_account_and_another_key_is_another_session() {
    let ups = [Upstream::start([]).await, Upstream::start([]).await, Upstream::start([]).await];
    let accounts = ups.iter().enumerate().map(|(n, up)| account(&format!("a{n}"), up)).collect();
    let bed = Bed::start(accounts).await;
    let in_session = |session: &str| {
        post("/v1/messages", BODY).replacen(
            "host: relay",
            &format!("host: relay\r\nx-claude-code-session-id: {session}"),
            1,
        )
    };
    for _ in 0..6 {
        assert_eq!(status(&bed.raw(&in_session("one")).await), 200);
    }
    let mut counts = Vec::new();
    for up in &ups {
        counts.push(up.requests().await.len());
    }
    counts.sort_unstable();
    assert_eq!(counts, [0, 0, 6]);
    for n in 0..30 {
        bed.raw(&in_session(&n.to_string())).await;
    }
    for up in &ups {
        assert!(up.requests().await.len() > 2, "sessions do not spread");
    }
    let records = bed.records().await;
    let explanation = records[1].explanation.as_ref().unwrap();
    assert_eq!(
        (explanation.choice.as_str(), explanation.session_source.as_str()),
        ("binding", "header:x-claude-code-session-id")
    );
}

#[tokio::test]
async fn models_are_those_of_the_accounts_by_the_keys_rule() {
    let up = Upstream::start([]).await;
    let mut entry = account("a", &up);
    entry.model_mapping = [("my-model".to_owned(), "x".to_owned())].into();
    let bed = Bed::start(vec![entry]).await;
    let got = bed
        .raw(&format!("GET /api/v1/models?limit=1000 HTTP/1.1\r\nhost: x\r\nx-api-key: {SECRET}\r\n\r\n"))
        .await;
    let list: serde_json::Value = serde_json::from_str(body(&got)).unwrap();
    let ids: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"my-model") && ids.contains(&"claude-sonnet-5-5"), "{ids:?}");
    let me = bed.raw(&format!("GET /api/v1/me HTTP/1.1\r\nhost: x\r\nx-api-key: {SECRET}\r\n\r\n")).await;
    assert!(me.contains("user_key-1"), "{me}");
    let usage =
        bed.raw(&format!("GET /api/v1/usage HTTP/1.1\r\nhost: x\r\nx-api-key: {SECRET}\r\n\r\n")).await;
    assert!(status(&usage) == 503 && usage.contains("retry-after"), "{usage}");
}
