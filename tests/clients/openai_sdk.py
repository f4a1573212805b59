"""The official OpenAI SDK for Python against a base URL: one conversation of every kind, in chat and Responses.

Usage: openai_sdk.py BASE_URL KEY. Ends non-zero, with the reason, on the first thing that is not as it should be.
"""

import json
import sys

import openai

base_url, key = sys.argv[1:3]
client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0)
MODEL = "gpt-4.1"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "get_weather", "description": "The weather in a city", "parameters": PARAMETERS}


def user(text):
    return [{"role": "user", "content": text}]


def chat():
    whole = client.chat.completions.create(model=MODEL, messages=user("hello, Ω [mock::oa-chat]"))
    assert whole.choices[0].message.content and whole.choices[0].finish_reason == "stop", whole
    assert whole.usage.prompt_tokens > 0 and whole._request_id.startswith("req_"), whole
    chunks = list(client.chat.completions.create(model=MODEL, messages=user("hello [mock::oa-stream]"), stream=True))
    assert all(len(chunk.choices) == 1 and chunk.usage is None for chunk in chunks), "not asked for"
    assert chunks[-1].choices[0].finish_reason == "stop"
    options = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(
            model=MODEL, messages=user("hello [mock::oa-usage]"), stream=True, stream_options=options
        )
    )
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0, chunks[-1]


def chat_tools():
    messages = user("use the tool get_weather [mock::oa-tools]")
    tools = [{"type": "function", "function": FUNCTION}]
    whole = client.chat.completions.create(model=MODEL, messages=messages, tools=tools)
    call = whole.choices[0].message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"city": "Paris"}, call
    messages += [whole.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    answer = client.chat.completions.create(model=MODEL, messages=messages, tools=tools)
    assert answer.choices[0].finish_reason == "stop", answer


def responses():
    whole = client.responses.create(model=MODEL, input="hello [mock::or-whole]")
    assert whole.output_text and whole.status == "completed" and whole.usage.output_tokens > 0, whole
    with client.responses.stream(model=MODEL, input="hello [mock::or-stream]") as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert text == final.output_text and final.usage.output_tokens > 0, final
    built_on = client.responses.create(model=MODEL, input="and then?", previous_response_id=whole.id)
    assert built_on.previous_response_id == whole.id, built_on
    tool = {"type": "function", "strict": False, **FUNCTION}
    asked = user("use the tool get_weather [mock::or-tools]")
    called = client.responses.create(model=MODEL, input=asked, tools=[tool])
    call = next(item for item in called.output if item.type == "function_call")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    answer = client.responses.create(model=MODEL, input=asked + called.output + [result], tools=[tool])
    assert answer.output_text, answer


def embeddings():
    vectors = client.embeddings.create(model="text-embedding-3-small", input=["one [mock::oe]", "two"])
    assert len(vectors.data) == 2 and len(vectors.data[0].embedding) == 8, vectors
    assert vectors.usage.prompt_tokens > 0, vectors


def errors():
    try:
        client.chat.completions.create(model=MODEL, messages=user("[mock:bad-request:oa-bad]"))
        raise AssertionError("no error")
    except openai.BadRequestError as error:
        assert "The mock was told to." in str(error), error
    try:
        openai.OpenAI(base_url=base_url, api_key="cr_no_such_key_000000").models.list()
        raise AssertionError("no error")
    except openai.AuthenticationError as error:
        assert error.code == "invalid_api_key", error
    assert any(model.id == MODEL for model in client.models.list()), "models"
    assert client.models.retrieve(MODEL).id == MODEL


def abort():
    stream = client.chat.completions.create(model=MODEL, messages=user("[mock:paced:oa-abort]"), stream=True)
    next(stream), next(stream), next(stream)
    stream.close()


for step in (chat, chat_tools, responses, embeddings, errors, abort):
    step()
print("all well")
