//! The other dialects, natively: OpenAI's chat and Responses and Gemini, each from a client of that dialect to an account
//! of that dialect. What holds for Anthropic's (G1, G4, G7) holds for them.

use std::time::Duration;

use e2e::{
    mock::{Behaviour, Encoding, Entry, Fault, Mock, Options, UsageQuirk, scenario},
    sandbox::{Setup, Standalone, eventually},
    wire::{self, Reply},
};
use serde_json::{Value, json};

use crate::{
    bed::{Test, sha256},
    books,
};

const FIRST: &str = "canary-upstream-first-0001";
const SPARE: &str = "canary-upstream-spare-0002";

/// A way to speak: a dialect, and for Gemini a framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Chat,
    Responses,
    Gemini,
    GeminiArray,
}

const WAYS: [Way; 4] = [Way::Chat, Way::Responses, Way::Gemini, Way::GeminiArray];

impl Way {
    fn platform(self) -> &'static str {
        if matches!(self, Self::Gemini | Self::GeminiArray) { "gemini-api" } else { "openai" }
    }

    fn path(self, stream: bool) -> &'static str {
        match (self, stream) {
            (Self::Chat, _) => "/openai/v1/chat/completions",
            (Self::Responses, _) => "/openai/v1/responses",
            (_, false) => "/gemini/v1beta/models/gemini-2.5-flash:generateContent",
            (Self::Gemini, true) => "/gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
            (Self::GeminiArray, true) => "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
        }
    }

    /// A body written as no serialiser would. Chat asks for its usage itself, so that nothing is rewritten.
    fn body(self, text: &str, stream: bool) -> Vec<u8> {
        let text = Value::from(text);
        match self {
            Self::Chat => format!(
                "{{ \"stream\" :{stream},\t\"stream_options\": {{\"include_usage\" : true}},\n\"model\":\"gpt-4.1\" ,\"x\":1.50e2,\
                 \"messages\":[{{\"role\":\"system\",\"content\":\"s\"}},{{\"role\":\"user\",\"content\":{text}}}] }}\n"
            ),
            Self::Responses => format!(
                "{{ \"stream\" :{stream},\n\"model\":\"gpt-4.1\" , \"x\":1.50e2, \"input\" : [ {{\"role\":\"user\",\"content\":{text}}} ] }}\n"
            ),
            _ => format!(
                "{{ \"contents\" :[ {{\"role\":\"user\",\"parts\":[{{\"text\":{text}}}]}} ],\n\"x\":1.50e2 }}\n"
            ),
        }
        .into_bytes()
    }

    /// Whether a stream came to its own end.
    fn is_whole(self, body: &str) -> bool {
        match self {
            Self::Chat => body.ends_with("data: [DONE]\n\n"),
            Self::Responses => body.contains("event: response.completed"),
            Self::Gemini => body.contains("\"finishReason\":\"STOP\""),
            Self::GeminiArray => body.ends_with("\n]") && serde_json::from_str::<Value>(body).is_ok(),
        }
    }
}

struct Bed {
    mock: Mock,
    crs: Standalone,
    secret: String,
}

impl Bed {
    async fn start() -> anyhow::Result<Self> {
        let mock = Mock::start(Options { keep_bodies: true, ..Options::default() }).await?;
        let crs = Standalone::start(Setup::default()).await?;
        let (_, secret) = crs.key("client", json!({})).await?;
        let bed = Self { mock, crs, secret };
        bed.account("openai", FIRST, 1).await?;
        bed.account("gemini-api", FIRST, 1).await?;
        bed.applied().await?;
        Ok(bed)
    }

    async fn account(&self, platform: &str, key: &str, priority: i32) -> anyhow::Result<String> {
        self.crs.canaries.add("an upstream key", key);
        let mut credentials = json!({"api_key": key});
        if platform == "openai" {
            credentials["responses"] = "yes".into();
        }
        let account = json!({
            "name": format!("{platform} {priority}"), "base_url": self.mock.url(), "credentials": credentials,
            "priority": priority,
        });
        self.crs.admin.account_on(platform, account).await
    }

    /// Waits until the node has the newest revision.
    async fn applied(&self) -> Test {
        eventually("the node has the newest revision", Duration::from_secs(10), || async {
            let answer = self.crs.admin.get("/api/v2/nodes").await.ok()?;
            let newest = answer["revision"].as_str()?.to_owned();
            let nodes = answer["nodes"].as_array()?;
            let all = nodes.iter().all(|node| node["applied_revision"] == newest.as_str());
            (all && !nodes.is_empty()).then_some(())
        })
        .await
    }

    async fn call(&self, path: &str, body: &[u8]) -> anyhow::Result<Reply> {
        let bearer = format!("Bearer {}", self.secret);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        wire::call(self.crs.relay, "POST", path, &headers, body).await
    }

    async fn ask(&self, way: Way, text: &str, stream: bool) -> anyhow::Result<Reply> {
        self.call(way.path(stream), &way.body(text, stream)).await
    }

    fn entry(&self, tag: &str) -> Entry {
        self.mock.ledger().tagged(tag).pop().unwrap_or_else(|| panic!("{tag} did not reach the mock"))
    }

    async fn is_recorded(&self, tag: &str) -> Test {
        let (attempt, record) = books::recorded(&self.crs.admin, &self.entry(tag)).await?;
        books::equal(&attempt, &self.entry(tag)).map_err(|error| error.context(tag.to_owned()))?;
        anyhow::ensure!(record["outcome"] == "ok", "{tag}: {record}");
        Ok(())
    }
}

#[tokio::test]
async fn g1_g4_every_dialect_is_byte_exact_and_recorded_to_the_token_and_the_nano_dollar() -> Test {
    let bed = Bed::start().await?;
    let plain = Behaviour::default;
    let kinds = [
        ("right", plain()),
        ("twice", Behaviour { usage: UsageQuirk::Twice, ..plain() }),
        ("last-only", Behaviour { usage: UsageQuirk::LastOnly, ..plain() }),
        ("gzip", Behaviour { encoding: Some(Encoding::Gzip), ..plain() }),
        ("burst", Behaviour { burst: true, deltas: 100, ..plain() }),
        ("huge", scenario::fault(Fault::HugeEvent { bytes: 500_000 })),
        ("comments", Behaviour { leading: ": hello\n\n".into(), ..plain() }),
    ];
    for (name, behaviour) in kinds {
        bed.mock.scenarios().name(name, behaviour);
        for way in WAYS {
            if way == Way::GeminiArray && name == "comments" {
                continue;
            }
            for stream in [false, true] {
                let tag = format!("d-{way:?}-{name}-{stream}");
                let text = format!("[mock:{name}:{tag}] prompt_cache_key cachedContent Ωmega 😀");
                let reply = bed.ask(way, &text, stream).await?;
                assert_eq!((reply.status, reply.complete), (200, true), "{tag}: {}", reply.text());
                let entry = bed.entry(&tag);
                assert_eq!(entry.body, way.body(&text, stream), "{tag}: the body was changed on the way");
                assert_eq!(entry.answer_sha256, sha256(&reply.body), "{tag}: the answer was changed");
                if stream && name != "gzip" {
                    assert!(way.is_whole(&reply.text()), "{tag}: {}", reply.text());
                }
                bed.is_recorded(&tag).await?;
            }
        }
    }
    bed.crs.close().await
}

#[tokio::test]
async fn g1_g4_a_chat_that_does_not_ask_for_usage_gets_none_and_is_recorded_all_the_same() -> Test {
    let bed = Bed::start().await?;
    for (at, options) in
        ["", r#""stream_options":null,"#, r#""stream_options":{"include_usage":false},"#].iter().enumerate()
    {
        let tag = format!("d-unasked-{at}");
        let body = format!(
            r#"{{"model":"gpt-4.1",{options}"stream":true,"messages":[{{"role":"user","content":"[mock::{tag}]"}}]}}"#
        );
        let reply = bed.call("/v1/chat/completions", body.as_bytes()).await?;
        assert_eq!((reply.status, reply.complete), (200, true), "{}", reply.text());
        let text = reply.text();
        assert!(Way::Chat.is_whole(&text) && text.contains("\"finish_reason\":\"stop\""), "{text}");
        assert!(!text.contains("prompt_tokens") && !text.contains("\"choices\":[]"), "{text}");
        let sent: Value = serde_json::from_slice(&bed.entry(&tag).body)?;
        assert_eq!(sent["stream_options"], json!({"include_usage": true}));
        bed.is_recorded(&tag).await?;
    }
    bed.crs.close().await
}

#[tokio::test]
async fn g4_embeddings_and_compaction_are_passed_through_and_recorded() -> Test {
    let bed = Bed::start().await?;
    let body =
        br#"{"model":"text-embedding-3-small","input":["[mock::d-embed]","two"],"encoding_format":"base64"}"#;
    let reply = bed.call("/openai/v1/embeddings", body).await?;
    assert_eq!((reply.status, reply.json()["data"].as_array().map(Vec::len)), (200, Some(2)));
    assert_eq!(bed.entry("d-embed").body, body);
    bed.is_recorded("d-embed").await?;
    let body = br#"{"model":"gpt-4.1","input":[{"role":"user","content":"[mock::d-compact]"}]}"#;
    let reply = bed.call("/openai/v1/responses/compact", body).await?;
    assert_eq!(reply.json()["object"], "response.compaction", "{}", reply.text());
    assert!(bed.entry("d-compact").target.ends_with("/responses/compact"));
    bed.is_recorded("d-compact").await?;
    let body = br#"{"contents":[{"parts":[{"text":"[mock::d-count]"}]}]}"#;
    let reply = bed.call("/gemini/v1beta/models/gemini-2.5-flash:countTokens", body).await?;
    assert!(reply.json()["totalTokens"].as_i64().is_some_and(|count| count > 0), "{}", reply.text());
    bed.crs.close().await
}

#[tokio::test]
async fn g7_in_every_dialect_a_failing_account_is_served_by_another() -> Test {
    let bed = Bed::start().await?;
    let mut ids = Vec::new();
    for platform in ["openai", "gemini-api"] {
        bed.account(platform, SPARE, 90).await?;
        let accounts = bed.crs.admin.get(&format!("/api/v2/accounts/{platform}")).await?;
        let first = accounts["accounts"].as_array().and_then(|all| {
            all.iter().find(|account| account["name"].as_str().is_some_and(|name| name.ends_with(" 1")))
        });
        ids.push((platform, first.and_then(|account| account["id"].as_str()).unwrap_or_default().to_owned()));
    }
    bed.applied().await?;
    let first = |kind: &str| scenario::fault(Fault::ErrorEvent { at: 1, error_type: kind.into() });
    for way in WAYS {
        let gemini = way.platform() == "gemini-api";
        let (limited, away) =
            if gemini { ("RESOURCE_EXHAUSTED", "UNAVAILABLE") } else { ("rate_limit_error", "server_error") };
        for (name, behaviour) in [
            ("401", scenario::error(401)),
            ("403", scenario::error(403)),
            ("429", scenario::error(429)),
            ("500", scenario::error(500)),
            ("503", scenario::error(503)),
            ("first-limited", first(limited)),
            ("first-away", first(away)),
            ("empty", scenario::fault(Fault::EmptyStream)),
            ("closed", scenario::fault(Fault::CloseAfter { events: 0 })),
            ("garbage", scenario::fault(Fault::Garbage)),
        ] {
            bed.mock.scenarios().key(FIRST, behaviour);
            let tag = format!("d7-{way:?}-{name}");
            let reply = bed.ask(way, &format!("[mock::{tag}]"), true).await?;
            assert_eq!((reply.status, reply.complete), (200, true), "{tag}: {}", reply.text());
            assert!(way.is_whole(&reply.text()), "{tag}: {}", reply.text());
            let keys: Vec<String> =
                bed.mock.ledger().tagged(&tag).into_iter().map(|entry| entry.key).collect();
            assert_eq!(keys, [FIRST, SPARE], "{tag}");
            bed.is_recorded(&tag).await?;
            bed.mock.scenarios().forget_key(FIRST);
            for (platform, id) in ids.iter().filter(|(platform, _)| *platform == way.platform()) {
                let path = format!("/api/v2/accounts/{platform}/{id}/reset-status");
                eventually("the account is reset", Duration::from_secs(5), || async {
                    let reply = bed.crs.admin.raw("POST", &path, &json!({})).await.ok()?;
                    (reply.status == 200).then_some(())
                })
                .await?;
            }
            bed.applied().await?;
        }
    }
    bed.crs.close().await
}

#[tokio::test]
async fn g7_in_every_dialect_a_stream_that_breaks_off_ends_visibly() -> Test {
    let bed = Bed::start().await?;
    let cuts = [
        ("cut", scenario::fault(Fault::CloseAfter { events: 4 })),
        ("unfinished", scenario::fault(Fault::MissingStop)),
    ];
    for way in WAYS {
        for (name, behaviour) in cuts.clone() {
            bed.mock.scenarios().name(name, behaviour);
            let tag = format!("d8-{way:?}-{name}");
            let reply = bed.ask(way, &format!("[mock:{name}:{tag}]"), true).await?;
            let text = reply.text();
            assert!(!reply.complete, "{tag} ended as if all were well: {text}");
            let error = match way {
                Way::Chat => "data: {\"error\":{",
                Way::Responses => "event: error\ndata: {",
                Way::Gemini => "data: {\"error\":{\"code\":502",
                Way::GeminiArray => ",{\"error\":{\"code\":502",
            };
            assert!(text.contains(error), "{tag}: {text}");
            if way == Way::GeminiArray {
                assert!(serde_json::from_str::<Value>(&text).is_ok(), "{tag}: {text}");
            }
            let (_, record) = books::recorded(&bed.crs.admin, &bed.entry(&tag)).await?;
            assert_eq!(record["outcome"], "interrupted", "{tag}: {record}");
        }
    }
    bed.crs.close().await
}

#[tokio::test]
async fn refusals_and_errors_are_told_in_each_dialect() -> Test {
    let bed = Bed::start().await?;
    bed.mock.scenarios().name("wrong", scenario::error(400));
    for way in WAYS {
        let reply = bed.ask(way, "[mock:wrong:d9]", true).await?;
        assert_eq!(reply.status, 400, "{}", reply.text());
        assert_eq!(reply.json()["error"]["message"], "The mock was told to.", "{way:?}");
        let bad = [("authorization", "Bearer cr_no_such_key_000000"), ("content-type", "application/json")];
        let reply = wire::call(bed.crs.relay, "POST", way.path(true), &bad, &way.body("x", true)).await?;
        let error = &reply.json()["error"];
        let said = if way.platform() == "openai" { &error["code"] } else { &error["status"] };
        let expected = if way.platform() == "openai" { "invalid_api_key" } else { "UNAUTHENTICATED" };
        assert_eq!((reply.status, said.as_str()), (401, Some(expected)), "{way:?}: {}", reply.text());
        assert_eq!(reply.header("x-should-retry"), Some("false"));
    }
    let twice = br#"{"model":"gpt-4.1","messages":[],"model":"x"}"#;
    assert_eq!(bed.call("/v1/chat/completions", twice).await?.status, 400);
    let forbidden = bed.crs.key("claude only", json!({"permissions": ["claude"]})).await?.1;
    let bed = Bed { secret: forbidden, ..bed };
    bed.applied().await?;
    for way in WAYS {
        let reply = bed.ask(way, "[mock::d10]", false).await?;
        assert_eq!(reply.status, 403, "{way:?}: {}", reply.text());
    }
    bed.crs.close().await
}

#[tokio::test]
async fn models_are_listed_by_key_in_each_shape() -> Test {
    let bed = Bed::start().await?;
    let get = async |path: &str, header: (&str, &str)| -> anyhow::Result<Value> {
        let reply = wire::call(bed.crs.relay, "GET", path, &[header], b"").await?;
        anyhow::ensure!(reply.status == 200, "{path}: {} {}", reply.status, reply.text());
        Ok(reply.json())
    };
    let bearer = format!("Bearer {}", bed.secret);
    let listed = |value: &Value, name: &str, key: &str| {
        value[key].as_array().is_some_and(|all| {
            all.iter().any(|model| model["id"] == name || model["name"] == format!("models/{name}"))
        })
    };
    for path in ["/v1/models", "/openai/v1/models"] {
        assert!(listed(&get(path, ("authorization", &bearer)).await?, "gpt-4.1", "data"), "{path}");
    }
    for path in ["/v1/models", "/v1beta/models", "/gemini/v1beta/models", "/gemini/v1/models"] {
        let models = get(path, ("x-goog-api-key", &bed.secret)).await?;
        assert!(listed(&models, "gemini-2.5-flash", "models"), "{path}: {models}");
    }
    let one = get("/openai/v1/models/gpt-4.1", ("authorization", &bearer)).await?;
    assert_eq!((one["id"].as_str(), one["object"].as_str()), (Some("gpt-4.1"), Some("model")));
    bed.crs.close().await
}

#[tokio::test]
async fn rule_21_a_response_is_built_on_at_the_account_that_keeps_it_or_not_at_all() -> Test {
    let bed = Bed::start().await?;
    bed.account("openai", SPARE, 1).await?;
    bed.applied().await?;
    for stream in [false, true] {
        let mut keys = std::collections::BTreeSet::new();
        for turn in 0..8 {
            let tag = format!("d21-{stream}-{turn}");
            let reply = bed.ask(Way::Responses, &format!("[mock::{tag}] hello {turn}"), stream).await?;
            let text = reply.text();
            let id = text
                .split("\"id\":\"resp_")
                .nth(1)
                .and_then(|rest| rest.split('"').next())
                .unwrap_or_default();
            let next = format!(
                r#"{{"model":"gpt-4.1","input":"[mock::{tag}-next]","previous_response_id":"resp_{id}"}}"#
            );
            let reply = bed.call("/v1/responses", next.as_bytes()).await?;
            assert_eq!(reply.status, 200, "{tag}: {}", reply.text());
            assert_eq!(bed.entry(&tag).key, bed.entry(&format!("{tag}-next")).key, "{tag}");
            keys.insert(bed.entry(&tag).key);
        }
        assert_eq!(keys.len(), 2, "both accounts must have served, or nothing is shown");
    }
    let lost = br#"{"model":"gpt-4.1","input":"x","previous_response_id":"resp_of_nobody"}"#;
    let reply = bed.call("/v1/responses", lost).await?;
    assert_eq!(
        (reply.status, reply.json()["error"]["code"].as_str()),
        (400, Some("previous_response_not_found"))
    );
    bed.crs.close().await
}
