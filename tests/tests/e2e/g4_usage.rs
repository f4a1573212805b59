//! G4 without kills: every attempt has exactly one record, and it says what the upstream counted.

use std::time::Duration;

use e2e::{
    mock::{Behaviour, Encoding, Fault, UsageQuirk, scenario},
    sandbox::{body, eventually},
};
use serde_json::json;

use crate::{
    bed::{Bed, Test},
    books,
};

#[tokio::test]
async fn g4_records_equal_the_ledger_to_the_token_and_the_nano_dollar() -> Test {
    let bed = Bed::start().await?;
    let plain = Behaviour::default;
    let kinds = [
        ("right", plain()),
        ("last-only", Behaviour { usage: UsageQuirk::LastOnly, ..plain() }),
        ("twice", Behaviour { usage: UsageQuirk::Twice, ..plain() }),
        ("gzip", Behaviour { encoding: Some(Encoding::Gzip), ..plain() }),
        ("br", Behaviour { encoding: Some(Encoding::Br), ..plain() }),
        ("zstd", Behaviour { encoding: Some(Encoding::Zstd), ..plain() }),
        ("burst", Behaviour { burst: true, deltas: 200, ..plain() }),
        ("huge", scenario::fault(Fault::HugeEvent { bytes: 500_000 })),
        ("utf8", scenario::fault(Fault::InvalidUtf8)),
    ];
    let cached = r#"{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}"#;
    let cached_1h = cached.replace("\"ephemeral\"", "\"ephemeral\",\"ttl\":\"1h\"");
    for (name, behaviour) in kinds {
        bed.mock.scenarios().name(name, behaviour);
        for (how, stream, system) in [
            ("whole", false, ""),
            ("stream", true, ""),
            ("cached", true, cached),
            ("cached-1h", true, &cached_1h),
        ] {
            let tag = format!("g4-{name}-{how}");
            let text = format!("[mock:{name}:{tag}]");
            let bytes = format!(
                r#"{{"model":"claude-sonnet-4-5-20250929","max_tokens":99,"stream":{stream},"system":[{system}],"messages":[{{"role":"user","content":"{text}"}}]}}"#
            );
            let reply = bed.talk.ask(bytes.as_bytes()).await?;
            assert_eq!(reply.status, 200, "{tag}: {}", reply.text());
            let entry = &bed.mock.ledger().tagged(&tag)[0];
            let (attempt, record) = books::recorded(&bed.crs.admin, entry).await?;
            books::equal(&attempt, entry).map_err(|error| error.context(tag.clone()))?;
            assert_eq!(record["outcome"], "ok", "{tag}");
            assert_eq!(record["key_id"], bed.key.as_str(), "{tag}");
            assert_eq!(attempt["account_id"], bed.account.as_str(), "{tag}");
        }
    }
    bed.close().await
}

#[tokio::test]
async fn g4_what_was_never_told_or_makes_no_sense_is_estimated_and_flagged() -> Test {
    let bed = Bed::start().await?;
    for (name, usage) in [("never", UsageQuirk::Never), ("negative", UsageQuirk::Negative)] {
        let told = Behaviour { usage, delta_bytes: 40, deltas: 20, ..Behaviour::default() };
        bed.mock.scenarios().name(name, told);
        let tag = format!("g4-{name}");
        let reply = bed.talk.stream(&format!("[mock:{name}:{tag}]")).await?;
        assert_eq!(reply.status, 200);
        let (attempt, _) = books::recorded(&bed.crs.admin, &bed.mock.ledger().tagged(&tag)[0]).await?;
        assert_eq!(attempt["estimated"], true, "{tag}: {attempt}");
        let tokens = books::tokens(&attempt);
        assert!(tokens.input > 0 && tokens.output > 0, "{tag}: {tokens:?}");
    }
    bed.close().await
}

#[tokio::test]
async fn g4_usage_as_text_is_read_or_flagged_never_lost() -> Test {
    let bed = Bed::start().await?;
    bed.mock.scenarios().name("text", Behaviour { usage: UsageQuirk::Text, ..Behaviour::default() });
    assert_eq!(bed.talk.stream("[mock:text:g4-text]").await?.status, 200);
    let entry = &bed.mock.ledger().tagged("g4-text")[0];
    let (attempt, _) = books::recorded(&bed.crs.admin, entry).await?;
    let tokens = books::tokens(&attempt);
    assert!(attempt["estimated"] == true || tokens == entry.counted.unwrap(), "{attempt}");
    assert!(tokens.input > 0 && tokens.output > 0, "{tokens:?}");
    bed.close().await
}

#[tokio::test]
async fn g4_a_client_that_leaves_is_recorded_and_the_upstream_let_go() -> Test {
    let bed = Bed::start().await?;
    let slow = Behaviour { deltas: 500, interval_ms: 20, ..Behaviour::default() };
    bed.mock.scenarios().name("slow", slow);
    let mut conn = bed.talk.begin(&body("[mock:slow:g4-left]", true)).await?;
    let head = conn.head().await?.unwrap();
    let mut framing = head.framing()?;
    for _ in 0..5 {
        conn.piece(&mut framing).await?;
    }
    drop(conn);
    eventually("the upstream sees the client leave", Duration::from_secs(5), || async {
        bed.mock.ledger().tagged("g4-left")[0].client_left.then_some(())
    })
    .await?;
    let entry = &bed.mock.ledger().tagged("g4-left")[0];
    let (attempt, record) = books::recorded(&bed.crs.admin, entry).await?;
    assert_eq!(record["outcome"], "client_gone", "{record}");
    assert_eq!(attempt["estimated"], true);
    let (ours, counted) = (books::tokens(&attempt), entry.counted.unwrap());
    assert_eq!(ours.input, counted.input, "the input was told in message_start");
    assert!(ours.output > 0 && ours.output < counted.output, "{ours:?}");
    bed.close().await
}

#[tokio::test]
async fn g4_reading_on_learns_the_true_figure_after_the_client_left() -> Test {
    let bed = Bed::with(Default::default(), json!({"read_on_after_abort": true}), json!({})).await?;
    let slow = Behaviour { deltas: 60, interval_ms: 20, ..Behaviour::default() };
    bed.mock.scenarios().name("slow", slow);
    let mut conn = bed.talk.begin(&body("[mock:slow:g4-read-on]", true)).await?;
    let head = conn.head().await?.unwrap();
    let mut framing = head.framing()?;
    conn.piece(&mut framing).await?;
    drop(conn);
    let entry = eventually("the mock has finished", Duration::from_secs(10), || async {
        bed.mock.ledger().tagged("g4-read-on").pop().filter(|entry| entry.finished)
    })
    .await?;
    let (attempt, _) = books::recorded(&bed.crs.admin, &entry).await?;
    books::equal(&attempt, &entry)?;
    bed.close().await
}

#[tokio::test]
async fn g4_every_attempt_of_a_failed_over_request_is_in_its_record() -> Test {
    let bed = Bed::start().await?;
    bed.crs.account("spare", &bed.mock.url(), "sk-ant-canary-spare-0002", json!({"priority": 90})).await?;
    bed.crs.admin.change_account(&bed.account, json!({"priority": 1})).await?;
    crate::bed::serves(&bed.talk).await?;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    bed.mock.scenarios().key(crate::bed::UPSTREAM_KEY, scenario::error(529));
    let reply = bed.talk.stream("[mock::g4-two]").await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let entries = bed.mock.ledger().tagged("g4-two");
    assert_eq!(entries.len(), 2);
    let (last, record) = books::recorded(&bed.crs.admin, &entries[1]).await?;
    books::equal(&last, &entries[1])?;
    let attempts = record["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2, "{record}");
    assert_eq!(attempts[0]["upstream_request_id"], entries[0].request_id.as_str());
    assert_eq!(attempts[0]["status"], 529);
    bed.close().await
}
