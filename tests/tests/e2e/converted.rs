//! Clients on accounts of another dialect: OpenAI's chat on Claude. Bytes are converted; all that is promised of answers
//! that pass untouched (usage to the token, failover until the first event, visible ends) holds for them too.

use e2e::{
    mock::{Behaviour, Fault, Scenario},
    wire::{self, Reply},
};
use serde_json::{Value, json};

use crate::{
    bed::{Bed, Test},
    books,
};

/// OpenAI's path, served by Claude accounts.
const CHAT: &str = "/openai/claude/v1/chat/completions";

async fn chat(bed: &Bed, body: &Value) -> anyhow::Result<Reply> {
    let authorization = format!("Bearer {}", bed.talk.secret);
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("user-agent", "OpenAI/Python 3.52.0"),
    ];
    wire::call(bed.talk.relay, "POST", CHAT, &headers, body.to_string().as_bytes()).await
}

fn ask(text: &str, stream: bool) -> Value {
    json!({
        "model": "claude-sonnet-4-5-20250929",
        "stream": stream,
        "stream_options": if stream { json!({"include_usage": true}) } else { Value::Null },
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}],
        "tools": [{"type": "function", "function": {"name": "weather", "description": "Weather", "parameters": {
            "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}],
        "seed": 7,
    })
}

/// The chunks of a stream, which must end with `[DONE]`.
fn chunks(reply: &Reply) -> Vec<Value> {
    let text = reply.text();
    let mut data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(data.pop(), Some("[DONE]"), "{text}");
    data.into_iter().map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn usage_of(entry: &e2e::mock::Entry) -> (i64, i64) {
    let counted = entry.counted.unwrap_or_default();
    let input = counted.input + counted.cache_read + counted.cache_write_5m + counted.cache_write_1h;
    (input, counted.output)
}

#[tokio::test]
async fn chat_streams_from_claude_with_tools_and_usage() -> Test {
    let bed = Bed::start().await?;
    let reply =
        chat(&bed, &ask("use the tool weather with {\"city\":\"Paris\"} [mock::chat-stream]", true)).await?;
    assert_eq!((reply.status, reply.complete), (200, true), "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert_eq!(reply.header("x-crs-dropped"), Some("seed"));
    let chunks = chunks(&reply);
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let deltas = || chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]);
    let text: String = deltas().filter_map(|delta| delta["content"].as_str()).collect();
    assert_eq!(text, "I will use weather.");
    let calls: Vec<&Value> =
        deltas().map(|delta| &delta["tool_calls"][0]).filter(|call| call.is_object()).collect();
    assert_eq!((&calls[0]["function"]["name"], &calls[0]["type"]), (&json!("weather"), &json!("function")));
    let arguments: String = calls.iter().filter_map(|call| call["function"]["arguments"].as_str()).collect();
    assert_eq!(serde_json::from_str::<Value>(&arguments)?, json!({"city": "Paris"}));
    let entry = &bed.mock.ledger().tagged("chat-stream")[0];
    let last = &chunks[chunks.len() - 1]["usage"];
    assert_eq!(
        (books::number(&last["prompt_tokens"]), books::number(&last["completion_tokens"])),
        usage_of(entry)
    );
    assert_eq!(chunks[chunks.len() - 2]["choices"][0]["finish_reason"], "tool_calls");
    // What the upstream got is a Messages request of an ordinary client with the account's key.
    assert!(entry.target.starts_with("/v1/messages"), "{}", entry.target);
    let sent: Value = serde_json::from_slice(&entry.body)?;
    assert_eq!(sent["system"][0]["text"], "Be brief.");
    assert_eq!((&sent["tools"][0]["name"], &sent["max_tokens"]), (&json!("weather"), &json!(4096)));
    let (attempt, record) = books::recorded(&bed.crs.admin, entry).await?;
    books::equal(&attempt, entry)?;
    assert_eq!((&record["dialect"], &record["outcome"]), (&json!("openai_chat"), &json!("ok")), "{record}");
    bed.close().await
}

#[tokio::test]
async fn chat_gets_whole_answers_from_claude() -> Test {
    let bed = Bed::start().await?;
    let reply = chat(&bed, &ask("hello [mock::chat-whole]", false)).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer = reply.json();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert!(
        answer["choices"][0]["message"]["content"].as_str().is_some_and(|text| text.len() > 10),
        "{answer}"
    );
    let entry = &bed.mock.ledger().tagged("chat-whole")[0];
    let usage = &answer["usage"];
    assert_eq!(
        (books::number(&usage["prompt_tokens"]), books::number(&usage["completion_tokens"])),
        usage_of(entry)
    );
    let (attempt, _) = books::recorded(&bed.crs.admin, entry).await?;
    books::equal(&attempt, entry)?;
    // The second turn brings the tool's answer back.
    let mut second = ask("hello [mock::chat-second]", false);
    second["messages"].as_array_mut().unwrap().extend([
        json!({"role": "assistant", "content": null, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Rome\"}"}}]}),
        json!({"role": "tool", "tool_call_id": "call_1", "content": "27"}),
    ]);
    assert_eq!(chat(&bed, &second).await?.status, 200);
    let entry = &bed.mock.ledger().tagged("chat-second")[0];
    let sent: Value = serde_json::from_slice(&entry.body)?;
    assert_eq!(sent["messages"][1]["content"][0]["input"], json!({"city": "Rome"}));
    assert_eq!(
        sent["messages"][2]["content"][0],
        json!({"type": "tool_result", "tool_use_id": "call_1", "content": "27"})
    );
    bed.close().await
}

#[tokio::test]
async fn what_cannot_be_carried_is_refused_in_the_clients_words() -> Test {
    let bed = Bed::start().await?;
    let before = bed.mock.ledger().all().len();
    let mut two = ask("hello", false);
    two["n"] = json!(2);
    let reply = chat(&bed, &two).await?;
    assert_eq!(reply.status, 400);
    let error = &reply.json()["error"];
    assert_eq!(error["type"], "invalid_request_error", "{error}");
    assert!(error["message"].as_str().is_some_and(|message| message.starts_with("`n` cannot")), "{error}");
    assert_eq!(reply.header("x-should-retry"), Some("false"));
    assert_eq!(bed.mock.ledger().all().len(), before, "a refused request reached the upstream");
    bed.close().await
}

#[tokio::test]
async fn g7_a_converted_stream_moves_on_until_its_first_event() -> Test {
    let bed = Bed::start().await?;
    let second = bed.crs.account("second", &bed.mock.url(), "sk-ant-canary-upstream-0002", json!({})).await?;
    bed.crs.admin.change_account(&second, json!({"priority": 90})).await?;
    let error = Fault::ErrorEvent { at: 1, error_type: "overloaded_error".into() };
    let steps = vec![Behaviour { fault: Some(error), ..Behaviour::default() }, Behaviour::default()];
    bed.mock.scenarios().name("first-fails", Scenario { steps, ..Scenario::default() });
    let reply = chat(&bed, &ask("[mock:first-fails:chat-g7]", true)).await?;
    assert_eq!((reply.status, reply.complete), (200, true), "{}", reply.text());
    chunks(&reply);
    assert_eq!(bed.mock.ledger().tagged("chat-g7").len(), 2);
    bed.close().await
}

#[tokio::test]
async fn g7_a_broken_converted_stream_ends_visibly() -> Test {
    let bed = Bed::start().await?;
    for (name, fault) in [
        ("closed", Fault::CloseAfter { events: 5 }),
        ("reset", Fault::ResetAfter { events: 5 }),
        ("no-stop", Fault::MissingStop),
        ("late", Fault::ErrorEvent { at: 6, error_type: "overloaded_error".into() }),
    ] {
        let steps = vec![Behaviour { fault: Some(fault), ..Behaviour::default() }];
        bed.mock.scenarios().name(name, Scenario { steps, ..Scenario::default() });
        let tag = format!("chat-{name}");
        let reply = chat(&bed, &ask(&format!("[mock:{name}:{tag}]"), true)).await?;
        let text = reply.text();
        assert_eq!(reply.status, 200, "{name}");
        assert!(!text.contains("[DONE]"), "{name}: the relay made an end up: {text}");
        assert!(!reply.complete || text.contains("\"error\""), "{name}: {text}");
        assert_eq!(text.matches("\"error\":{").count(), 1, "{name}: {text}");
        let entry = &bed.mock.ledger().tagged(&tag)[0];
        let (_, record) = books::recorded(&bed.crs.admin, entry).await?;
        assert_eq!(record["outcome"], "interrupted", "{name}: {record}");
    }
    bed.close().await
}

#[tokio::test]
async fn an_upstreams_refusal_is_told_in_the_clients_words() -> Test {
    let bed = Bed::start().await?;
    let refusal = Behaviour { status: 400, message: "max_tokens: too many".into(), ..Behaviour::default() };
    bed.mock.scenarios().name("refusal", Scenario { steps: vec![refusal], ..Scenario::default() });
    let reply = chat(&bed, &ask("[mock:refusal:chat-400]", true)).await?;
    assert_eq!(reply.status, 400, "{}", reply.text());
    let error = reply.json();
    assert_eq!(error["error"]["message"], "max_tokens: too many", "{error}");
    assert_eq!(error["error"]["type"], "invalid_request_error", "{error}");
    bed.close().await
}

/// A turn as Claude Code sends it, for a Gemini model.
fn code_on_gemini() -> Value {
    json!({
        "model": "gemini-2.5-flash", "max_tokens": 200, "stream": true,
        "system": [{"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "List."}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "", "signature": "EqQB"},
                {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "a.rs"}]},
            {"role": "user", "content": "Go on [mock::code-on-gemini]"}],
        "tools": [{"name": "Bash", "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}}}],
        "thinking": {"type": "adaptive", "display": "omitted"},
    })
}

/// Claude Code's and OpenAI's clients on a Gemini account.
#[tokio::test]
async fn messages_and_chat_are_served_by_gemini() -> Test {
    let bed = Bed::start().await?;
    let account = json!({
        "name": "google", "base_url": bed.mock.url(), "credentials": {"api_key": "canary-upstream-google-0001"},
    });
    bed.crs.admin.account_on("gemini-api", account).await?;
    let messages = code_on_gemini();
    let key = bed.talk.secret.clone();
    let headers = [
        ("x-api-key", key.as_str()),
        ("anthropic-version", "2023-06-01"),
        ("content-type", "application/json"),
    ];
    let bytes = messages.to_string().into_bytes();
    let reply =
        e2e::sandbox::eventually("the Gemini account serves", std::time::Duration::from_secs(10), || async {
            let reply =
                wire::call(bed.talk.relay, "POST", "/gemini/v1/messages", &headers, &bytes).await.ok()?;
            (reply.status == 200).then_some(reply)
        })
        .await?;
    let names = crate::bed::events(&reply.body);
    assert_eq!(names.first().map(String::as_str), Some("message_start"), "{}", reply.text());
    assert_eq!(names.last().map(String::as_str), Some("message_stop"), "{}", reply.text());
    let dropped = reply.header("x-crs-dropped").unwrap_or_default().to_owned();
    assert!(
        dropped.contains("cache_control") && dropped.contains("messages.thinking.signature"),
        "{dropped}"
    );
    let entry = &bed.mock.ledger().tagged("code-on-gemini")[0];
    assert!(entry.target.contains(":streamGenerateContent?alt=sse"), "{}", entry.target);
    let sent: Value = serde_json::from_slice(&entry.body)?;
    assert_eq!(sent["contents"][2]["parts"][0]["functionResponse"]["response"], json!({"output": "a.rs"}));
    let (attempt, record) = books::recorded(&bed.crs.admin, entry).await?;
    assert_eq!(books::tokens(&attempt), entry.counted.unwrap_or_default(), "{attempt}");
    assert_eq!(
        (&record["dialect"], &record["outcome"]),
        (&json!("anthropic_messages"), &json!("ok")),
        "{record}"
    );
    // OpenAI's client, by the model's name alone.
    let mut asked = ask("hello [mock::chat-on-gemini]", false);
    asked["model"] = json!("gemini-2.5-flash");
    let authorization = format!("Bearer {key}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let path = "/v1/chat/completions";
    let reply = wire::call(bed.talk.relay, "POST", path, &headers, asked.to_string().as_bytes()).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let usage = reply.json()["usage"].clone();
    let entry = &bed.mock.ledger().tagged("chat-on-gemini")[0];
    assert_eq!(
        (books::number(&usage["prompt_tokens"]), books::number(&usage["completion_tokens"])),
        usage_of(entry)
    );
    bed.close().await
}
