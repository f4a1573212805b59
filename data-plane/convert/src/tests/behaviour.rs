//! What clients rely on over several turns, and what v1's clients relied on.

use dialects::Dialect;
use http::StatusCode;
use serde_json::{Value, json};

use super::{convert, reply};
use crate::{Converted, Refused, StreamConverter};

const CLAUDE: &str = "claude-opus-5-5";

fn body(converted: &Converted) -> Value {
    serde_json::from_slice(&converted.body).unwrap()
}

fn to_claude(request: Value) -> Converted {
    convert(Dialect::OpenaiChat, Dialect::AnthropicMessages, CLAUDE, request.to_string().as_bytes()).unwrap()
}

/// A stream's documents.
fn streamed(mut stream: StreamConverter, events: &[Value]) -> Vec<Value> {
    let mut out = Vec::new();
    for event in events {
        stream.push(format!("data: {event}\n\n").as_bytes(), &mut out);
    }
    stream.finish(&mut out);
    let text = String::from_utf8(out).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[test]
fn v1_defaults_to_4096_tokens_and_keeps_system_messages_unlike_v1() {
    let converted = to_claude(json!({"messages": [
        {"role": "system", "content": "S"}, {"role": "user", "content": "U"}]}));
    let body = body(&converted);
    assert_eq!(body["max_tokens"], 4096);
    assert_eq!(body["system"][0]["text"], "S");
    assert!(!converted.stream && body.get("stream").is_none());
    assert_eq!(converted.losses, vec![]);
}

#[test]
fn a_long_tool_name_is_another_for_the_upstream_and_itself_for_the_client() {
    let name = format!("mcp__{}__search", "server".repeat(20));
    let request = json!({"max_tokens": 5, "messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": name, "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "x"}]}],
        "tool_choice": {"type": "tool", "name": name}, "tools": [{"name": name, "input_schema": {"type": "object"}}]});
    let converted =
        convert(Dialect::AnthropicMessages, Dialect::OpenaiChat, "gpt-4.1", request.to_string().as_bytes())
            .unwrap();
    let sent = body(&converted);
    let short = sent["tools"][0]["function"]["name"].as_str().unwrap().to_owned();
    assert_eq!(short.len(), 64);
    assert_eq!(sent["tool_choice"]["function"]["name"], *short);
    assert_eq!(sent["messages"][1]["tool_calls"][0]["function"]["name"], *short);
    let answer = json!({"id": "c", "model": "m", "choices": [{"message": {"tool_calls": [
        {"id": "call_9", "type": "function", "function": {"name": short, "arguments": "{}"}}]}, "finish_reason": "tool_calls"}]});
    let answer: Value =
        serde_json::from_slice(&converted.reply.answer(answer.to_string().as_bytes()).unwrap()).unwrap();
    assert_eq!(answer["content"][0]["name"], *name);
    assert_eq!(answer["stop_reason"], "tool_use");
    let events = [
        json!({"id": "c", "model": "m", "choices": [{"delta": {"tool_calls": [
            {"index": 0, "id": "call_9", "function": {"name": short, "arguments": "{}"}}]}}]}),
        json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}),
    ];
    let documents = streamed(converted.reply.stream(), &events);
    assert_eq!(documents[1]["content_block"]["name"], *name);
}

const PATCH: &str = "*** Begin Patch\n\"x\"";

/// Claude's stream: signed thoughts, and a call of each tool.
fn claude_calls() -> Vec<Value> {
    let block = |index: u64, block: Value, deltas: &[Value]| {
        let mut events = vec![json!({"type": "content_block_start", "index": index, "content_block": block})];
        events.extend(
            deltas.iter().map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})),
        );
        events.push(json!({"type": "content_block_stop", "index": index}));
        events
    };
    let mut events = vec![
        json!({"type": "message_start", "message": {"id": "msg_1", "model": CLAUDE, "usage": {"input_tokens": 1}}}),
    ];
    events.extend(block(
        0,
        json!({"type": "thinking", "thinking": "", "signature": ""}),
        &[
            json!({"type": "thinking_delta", "thinking": "A patch."}),
            json!({"type": "signature_delta", "signature": "U2ln.natur=="}),
        ],
    ));
    let arguments = json!({ "input": PATCH }).to_string();
    let (one, two) = arguments.split_at(9);
    events.extend(block(
        1,
        json!({"type": "tool_use", "id": "toolu_1", "name": "apply_patch", "input": {}}),
        &[
            json!({"type": "input_json_delta", "partial_json": one}),
            json!({"type": "input_json_delta", "partial_json": two}),
        ],
    ));
    events.extend(block(
        2,
        json!({"type": "tool_use", "id": "toolu_2", "name": "mcp__docs__search", "input": {}}),
        &[json!({"type": "input_json_delta", "partial_json": "{}"})],
    ));
    events.push(
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}}),
    );
    events.push(json!({"type": "message_stop"}));
    events
}

/// Codex: name spaces and tools of any text on Claude, and what Claude thought comes back signed.
#[test]
fn codex_holds_a_conversation_with_claude() {
    let tools = json!([
        {"type": "custom", "name": "apply_patch", "description": "Patches"},
        {"type": "namespace", "name": "mcp__docs", "tools": [
            {"type": "function", "name": "search", "parameters": {"type": "object", "properties": {}}}]}]);
    let mut input =
        vec![json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Fix."}]})];
    let ask = |input: &[Value]| {
        let request = json!({"model": "m", "stream": true, "input": input, "tools": tools, "reasoning": {"effort": "high"}});
        convert(Dialect::OpenaiResponses, Dialect::AnthropicMessages, CLAUDE, request.to_string().as_bytes())
            .unwrap()
    };
    let first = ask(&input);
    let sent = body(&first);
    assert_eq!(sent["tools"][1]["name"], "mcp__docs__search");
    assert_eq!(sent["tools"][0]["input_schema"]["required"], json!(["input"]));
    assert_eq!(sent["thinking"]["type"], "adaptive");
    assert_eq!(sent["output_config"]["effort"], "high");
    let events = claude_calls();
    let documents = streamed(first.reply.stream(), &events);
    let numbers: Vec<u64> =
        documents.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..documents.len() as u64).collect::<Vec<_>>());
    let done = &documents.last().unwrap()["response"];
    assert_eq!(done["status"], "completed");
    let output = done["output"].as_array().unwrap();
    assert_eq!(output[1]["type"], "custom_tool_call");
    assert_eq!(output[1]["input"], PATCH);
    assert_eq!((&output[2]["namespace"], &output[2]["name"]), (&json!("mcp__docs"), &json!("search")));
    // The client sends the items back as they came, with its tools' answers.
    input.extend(output.iter().cloned());
    input.push(json!({"type": "custom_tool_call_output", "call_id": "toolu_1", "output": "ok"}));
    input.push(json!({"type": "function_call_output", "call_id": "toolu_2", "output": "none"}));
    let sent = body(&ask(&input));
    let said = &sent["messages"][1]["content"];
    assert_eq!(said[0], json!({"type": "thinking", "thinking": "A patch.", "signature": "U2ln.natur=="}));
    assert_eq!(
        said[1],
        json!({"type": "tool_use", "id": "toolu_1", "name": "apply_patch", "input": {"input": PATCH}})
    );
    assert_eq!(said[2]["name"], "mcp__docs__search");
    assert_eq!(
        sent["messages"][2]["content"][0],
        json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"})
    );
}

/// Claude Code over Gemini: the signature of a call comes back to the call.
#[test]
fn claude_code_holds_a_conversation_with_gemini() {
    let tools = json!([{"name": "Bash", "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}}}]);
    let ask = |messages: &Value| {
        let request =
            json!({"max_tokens": 9, "messages": messages, "tools": tools, "thinking": {"type": "adaptive"}});
        let model = "gemini-3-pro-preview";
        convert(Dialect::AnthropicMessages, Dialect::Gemini, model, request.to_string().as_bytes()).unwrap()
    };
    let mut messages = json!([{"role": "user", "content": "ls"}]);
    let answer = json!({"responseId": "r", "candidates": [{"finishReason": "STOP", "content": {"parts": [
        {"text": "I list.", "thought": true},
        {"functionCall": {"name": "Bash", "args": {"command": "ls"}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "Bash", "args": {"command": "pwd"}}}]}}]});
    let answer = ask(&messages).reply.answer(answer.to_string().as_bytes()).unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["content"][0]["type"], "thinking");
    let ids: Vec<&str> = [1, 2].map(|at| answer["content"][at]["id"].as_str().unwrap()).into();
    assert_ne!(ids[0], ids[1]);
    let results: Vec<Value> =
        ids.iter().map(|id| json!({"type": "tool_result", "tool_use_id": id, "content": "a"})).collect();
    let history = messages.as_array_mut().unwrap();
    history.push(json!({"role": "assistant", "content": answer["content"]}));
    history.push(json!({"role": "user", "content": results}));
    let converted = ask(&messages);
    let sent = body(&converted);
    assert_eq!(
        sent["contents"][1]["parts"],
        json!([
        {"functionCall": {"name": "Bash", "args": {"command": "ls"}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "Bash", "args": {"command": "pwd"}}}])
    );
    assert_eq!(
        sent["contents"][2]["parts"][1],
        json!({"functionResponse": {"name": "Bash", "response": {"output": "a"}}})
    );
    assert_eq!(converted.losses.iter().filter(|loss| loss.is_dropped).count(), 0);
}

/// What another provider signed is told to nobody else: what was said is, and the loss is declared.
#[test]
fn foreign_signatures_are_never_sent_on() {
    let request = json!({"max_tokens": 9, "messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "secret", "signature": "EqQB"}, {"type": "text", "text": "b"}]},
        {"role": "user", "content": "c"}]});
    for to in [Dialect::OpenaiChat, Dialect::OpenaiResponses, Dialect::Gemini] {
        let converted = convert(Dialect::AnthropicMessages, to, "m", request.to_string().as_bytes()).unwrap();
        let sent = body(&converted).to_string();
        assert!(!sent.contains("EqQB") && !sent.contains("secret"), "{sent}");
        assert_eq!(converted.losses[0].field, "messages.thinking.signature");
    }
}

#[test]
fn state_that_another_holds_is_refused() {
    let refused = |from, request: Value| {
        let to =
            if from == Dialect::AnthropicMessages { Dialect::Gemini } else { Dialect::AnthropicMessages };
        match convert(from, to, "m", request.to_string().as_bytes()) {
            Err(Refused::Feature { field, .. }) => field.into_owned(),
            other => panic!("{other:?}"),
        }
    };
    let responses = |field: &str, value: Value| {
        let mut request = json!({"input": "a"});
        request[field] = value;
        refused(Dialect::OpenaiResponses, request)
    };
    assert_eq!(responses("previous_response_id", json!("resp_1")), "previous_response_id");
    assert_eq!(responses("conversation", json!("conv_1")), "previous_response_id");
    assert_eq!(responses("background", json!(true)), "background");
    assert_eq!(
        responses("input", json!([{"type": "item_reference", "id": "msg_1"}])),
        "previous_response_id"
    );
    let gemini = json!({"contents": [{"parts": [{"text": "a"}]}], "cachedContent": "cachedContents/1"});
    assert_eq!(refused(Dialect::Gemini, gemini), "cachedContent");
    let container =
        json!({"messages": [{"role": "user", "content": "a"}], "max_tokens": 1, "container": "c_1"});
    assert_eq!(refused(Dialect::AnthropicMessages, container), "container");
}

#[test]
fn errors_keep_their_status_and_message() {
    let chat = reply(Dialect::OpenaiChat, Dialect::AnthropicMessages);
    let error = br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let (status, body) = chat.error(StatusCode::from_u16(529).unwrap(), error);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status.as_u16(), &body["error"]["code"]), (529, &json!("overloaded")));
    let anthropic = reply(Dialect::AnthropicMessages, Dialect::Gemini);
    let error = br#"{"error":{"code":400,"message":"Bad schema","status":"INVALID_ARGUMENT"}}"#;
    let (status, body) = anthropic.error(StatusCode::BAD_REQUEST, error);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, 400);
    assert_eq!(body["error"], json!({"type": "invalid_request_error", "message": "Bad schema"}));
    let gemini = reply(Dialect::Gemini, Dialect::OpenaiChat);
    let (status, body) = gemini.error(StatusCode::BAD_GATEWAY, b"<html>bad gateway</html>");
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status.as_u16(), &body["error"]["code"]), (502, &json!(502)));
}

#[test]
fn mixed_arguments_end_the_stream_visibly() {
    let call = |index: u64, name: &str, arguments: &str| {
        let mut call = json!({"index": index, "function": {"arguments": arguments}});
        if !name.is_empty() {
            call["id"] = json!(format!("call_{index}"));
            call["function"]["name"] = json!(name);
        }
        json!({"id": "c", "model": "m", "choices": [{"delta": {"tool_calls": [call]}}]})
    };
    let events = [call(0, "a", "{"), call(1, "b", "{}"), call(0, "", "}")];
    let documents = streamed(reply(Dialect::AnthropicMessages, Dialect::OpenaiChat).stream(), &events);
    assert_eq!(documents.last().unwrap()["type"], "error");
}

/// OpenAI's own API knows tools that take any text; those like it are told functions.
#[test]
fn custom_tools_are_functions_for_apis_like_openais() {
    let request = json!({"input": [
        {"type": "message", "role": "user", "content": "a"},
        {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "p\"q"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"}],
        "tools": [{"type": "custom", "name": "patch"}]});
    let ask = |model| {
        let request = request.to_string();
        convert(Dialect::OpenaiResponses, Dialect::OpenaiChat, model, request.as_bytes()).unwrap()
    };
    assert_eq!(body(&ask("gpt-5.1"))["tools"][0]["type"], "custom");
    let converted = ask("deepseek-chat");
    let sent = body(&converted);
    assert_eq!(sent["tools"][0]["function"]["parameters"]["required"], json!(["input"]));
    assert_eq!(sent["messages"][1]["tool_calls"][0]["function"]["arguments"], r#"{"input":"p\"q"}"#);
    let answer = json!({"choices": [{"message": {"tool_calls": [{"id": "d", "type": "function",
        "function": {"name": "patch", "arguments": r#"{"input":"x"}"#}}]}, "finish_reason": "tool_calls"}]});
    let answer = converted.reply.answer(answer.to_string().as_bytes()).unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(
        (&answer["output"][0]["type"], &answer["output"][0]["input"]),
        (&json!("custom_tool_call"), &json!("x"))
    );
}
