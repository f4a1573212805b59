//! G7 after the first byte: what breaks then is seen by the client as broken, never as a clean end.

use e2e::mock::{Fault, scenario};

use crate::{
    bed::{Bed, Test, events},
    books,
};

#[tokio::test]
async fn g7_a_late_error_event_passes_through() -> Test {
    let bed = Bed::start().await?;
    let late = Fault::ErrorEvent { at: 10, error_type: "overloaded_error".into() };
    bed.mock.scenarios().name("late", scenario::fault(late));
    let reply = bed.talk.stream("[mock:late:g7-late]").await?;
    assert_eq!(reply.status, 200);
    let names = events(&reply.body);
    assert_eq!((names.len(), names.last().map(String::as_str)), (10, Some("error")));
    let entry = &bed.mock.ledger().tagged("g7-late")[0];
    assert_eq!(entry.answer_sha256, crate::bed::sha256(&reply.body));
    let (_, record) = books::recorded(&bed.crs.admin, entry).await?;
    assert_eq!(record["outcome"], "interrupted", "{record}");
    bed.close().await
}

#[tokio::test]
async fn g7_a_broken_stream_ends_visibly() -> Test {
    let bed = Bed::start().await?;
    for (name, fault) in [
        ("closed", Fault::CloseAfter { events: 5 }),
        ("reset", Fault::ResetAfter { events: 5 }),
        ("no-stop", Fault::MissingStop),
    ] {
        bed.mock.scenarios().name(name, scenario::fault(fault));
        let tag = format!("g7-{name}");
        let reply = bed.talk.stream(&format!("[mock:{name}:{tag}]")).await?;
        assert_eq!(reply.status, 200, "{name}");
        let names = events(&reply.body);
        let visible = !reply.complete || names.last().map(String::as_str) == Some("error");
        assert!(visible, "{name}: a broken stream ended as if it were whole: {names:?}");
        assert!(!names.contains(&"message_stop".to_owned()), "{name}: the relay made an end up");
        let entry = &bed.mock.ledger().tagged(&tag)[0];
        let (attempt, record) = books::recorded(&bed.crs.admin, entry).await?;
        assert_eq!(record["outcome"], "interrupted", "{name}: {record}");
        let told_all = name == "no-stop";
        assert!(told_all || attempt["estimated"] == true, "{name}: {attempt}");
    }
    bed.close().await
}

#[tokio::test]
async fn g7_a_wrong_length_is_no_clean_end() -> Test {
    let bed = Bed::start().await?;
    bed.mock.scenarios().name("long", scenario::fault(Fault::WrongLength { by: 50 }));
    // Either the failure was seen before the first byte, or the client sees the answer break off.
    if let Ok(reply) = bed.talk.say("[mock:long:g7-long]").await {
        assert!(reply.status >= 500 || !reply.complete, "{} {}", reply.status, reply.text());
    }
    bed.close().await
}

#[tokio::test]
async fn g7_a_trickle_is_passed_on_as_it_comes() -> Test {
    let bed = Bed::start().await?;
    bed.mock.scenarios().name("trickle", scenario::fault(Fault::Trickle { every_ms: 1 }));
    let reply = bed.talk.stream("[mock:trickle:g7-trickle]").await?;
    assert_eq!((reply.status, reply.complete), (200, true));
    let entry = &bed.mock.ledger().tagged("g7-trickle")[0];
    assert_eq!(entry.answer_sha256, crate::bed::sha256(&reply.body));
    let (attempt, _) = books::recorded(&bed.crs.admin, entry).await?;
    books::equal(&attempt, entry)?;
    bed.close().await
}
