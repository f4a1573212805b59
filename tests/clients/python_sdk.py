"""The official Anthropic SDK for Python against a base URL: one conversation of every kind.

Usage: python_sdk.py BASE_URL KEY. Every text carries a marker by which the mock's ledger knows it. Ends non-zero, with
the reason, on the first thing that is not as it should be.
"""

import sys

import anthropic

base_url, key = sys.argv[1:3]
client = anthropic.Anthropic(base_url=base_url, api_key=key, max_retries=0)
MODEL = "claude-sonnet-4-5-20250929"
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def user(text):
    return [{"role": "user", "content": text}]


def whole():
    message = client.messages.create(model=MODEL, max_tokens=100, messages=user("hello, Ω [mock::py-whole]"))
    assert message.role == "assistant" and message.content[0].text, message
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0, message.usage
    assert message.stop_reason == "end_turn", message.stop_reason


def stream():
    with client.messages.stream(model=MODEL, max_tokens=100, messages=user("hello [mock::py-stream]")) as events:
        pieces = list(events.text_stream)
        final = events.get_final_message()
    assert len(pieces) == 8 and "".join(pieces) == final.content[0].text, pieces
    assert final.usage.output_tokens > 1, final.usage


def cached():
    block = {"type": "text", "text": "hello [mock::py-cached]", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    message = client.messages.create(model=MODEL, max_tokens=100, messages=[{"role": "user", "content": [block]}])
    assert message.usage.cache_creation.ephemeral_1h_input_tokens > 0, message.usage


def tools(streaming):
    tag = "py-tools-stream" if streaming else "py-tools"
    messages = user(f"use the tool get_weather [mock::{tag}]")
    arguments = {"model": MODEL, "max_tokens": 100, "tools": [WEATHER]}
    if streaming:
        with client.messages.stream(messages=messages, **arguments) as events:
            message = events.get_final_message()
    else:
        message = client.messages.create(messages=messages, **arguments)
    assert message.stop_reason == "tool_use", message
    call = message.content[-1]
    assert call.type == "tool_use" and call.input == {"city": "Paris"}, call
    result = {"type": "tool_result", "tool_use_id": call.id, "content": f"sunny [mock::{tag}-2]"}
    messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
    # The first marker of the body counts for the ledger, so the second turn goes by the first one's tag.
    answer = client.messages.create(messages=messages, **arguments)
    assert answer.stop_reason == "end_turn", answer


def count():
    counted = client.messages.count_tokens(model=MODEL, messages=user("hello [mock::py-count]"))
    assert counted.input_tokens > 0, counted


def models():
    assert client.models.list().data, "no models"


def abort():
    with client.messages.stream(model=MODEL, max_tokens=100, messages=user("[mock:paced:py-abort]")) as events:
        for count, _ in enumerate(events.text_stream):
            if count == 2:
                break


def errors():
    try:
        client.messages.create(model=MODEL, max_tokens=100, messages=user("[mock:bad-request:py-error]"))
    except anthropic.BadRequestError as error:
        assert error.body["error"]["type"] == "invalid_request_error", error.body
    else:
        raise AssertionError("a 400 did not raise")
    try:
        wrong = anthropic.Anthropic(base_url=base_url, api_key="cr_wrong", max_retries=2)
        wrong.messages.create(model=MODEL, max_tokens=100, messages=user("x"))
    except anthropic.AuthenticationError as error:
        assert error.body["error"]["type"] == "authentication_error", error.body
    else:
        raise AssertionError("a wrong key did not raise")


for step in (whole, stream, cached, lambda: tools(False), lambda: tools(True), count, models, abort, errors):
    step()
print("all well")
