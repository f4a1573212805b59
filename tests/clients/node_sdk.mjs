// The official Anthropic SDK for TypeScript against a base URL: one conversation of every kind.
//
// Usage: node node_sdk.mjs MODULES BASE_URL KEY, where MODULES is the folder in which the SDK is installed. Every text
// carries a marker by which the mock's ledger knows it. Ends non-zero, with the reason, on the first thing amiss.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [modules, baseURL, apiKey] = process.argv.slice(2);
const imported = createRequire(`${modules}/`)("@anthropic-ai/sdk");
const Anthropic = imported.default ?? imported;
const client = new Anthropic({ baseURL, apiKey, maxRetries: 0 });
const model = "claude-sonnet-4-5-20250929";
const weather = {
  name: "get_weather",
  description: "The weather in a city",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const user = (content) => [{ role: "user", content }];
const ask = (content, more = {}) => ({ model, max_tokens: 100, messages: user(content), ...more });

async function whole() {
  const message = await client.messages.create(ask("hello, Ω [mock::js-whole]"));
  assert.equal(message.role, "assistant");
  assert.ok(message.content[0].text);
  assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
}

async function stream() {
  const events = client.messages.stream(ask("hello [mock::js-stream]"));
  const pieces = [];
  events.on("text", (piece) => pieces.push(piece));
  const message = await events.finalMessage();
  assert.equal(pieces.length, 8);
  assert.equal(pieces.join(""), message.content[0].text);
  assert.ok(message.usage.output_tokens > 1);
}

async function tools(tag, streaming) {
  const question = ask(`use the tool get_weather [mock::${tag}]`, { tools: [weather] });
  const message = streaming
    ? await client.messages.stream(question).finalMessage()
    : await client.messages.create(question);
  assert.equal(message.stop_reason, "tool_use");
  const call = message.content.at(-1);
  assert.deepEqual(call.input, { city: "Paris" });
  const result = { type: "tool_result", tool_use_id: call.id, content: "sunny" };
  const messages = [
    ...question.messages,
    { role: "assistant", content: message.content },
    { role: "user", content: [result] },
  ];
  const answer = await client.messages.create({ ...question, messages });
  assert.equal(answer.stop_reason, "end_turn");
}

async function count() {
  const counted = await client.messages.countTokens({ model, messages: user("hello [mock::js-count]") });
  assert.ok(counted.input_tokens > 0);
}

async function models() {
  const list = await client.models.list();
  assert.ok(list.data.length > 0);
}

async function abort() {
  const events = await client.messages.create(ask("[mock:paced:js-abort]", { stream: true }));
  let seen = 0;
  for await (const event of events) {
    if (event.type === "content_block_delta" && ++seen === 3) break;
  }
  assert.equal(seen, 3);
}

async function errors() {
  await assert.rejects(client.messages.create(ask("[mock:bad-request:js-error]")), (error) => {
    assert.equal(error.status, 400);
    assert.equal(error.error.error.type, "invalid_request_error");
    return true;
  });
  const wrong = new Anthropic({ baseURL, apiKey: "cr_wrong" });
  await assert.rejects(wrong.messages.create(ask("x")), (error) => error.status === 401);
}

await whole();
await stream();
await tools("js-tools", false);
await tools("js-tools-stream", true);
await count();
await models();
await abort();
await errors();
console.log("all well");
process.exit(0);
