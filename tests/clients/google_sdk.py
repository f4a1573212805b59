"""Google's official SDK for Python against a base URL: one conversation of every kind.

Usage: google_sdk.py BASE_URL KEY. Ends non-zero, with the reason, on the first thing that is not as it should be.
"""

import sys

from google import genai
from google.genai import errors, types

base_url, key = sys.argv[1:3]
MODEL = "gemini-2.5-flash"


def client(version, secret=key):
    options = types.HttpOptions(base_url=base_url, api_version=version)
    return genai.Client(api_key=secret, http_options=options)


def conversation(google):
    whole = google.models.generate_content(model=MODEL, contents="hello, Ω [mock::gg-whole]")
    assert whole.text and whole.usage_metadata.candidates_token_count > 0, whole
    parts = list(google.models.generate_content_stream(model=MODEL, contents="hello [mock::gg-stream]"))
    assert len(parts) == 8 and parts[-1].candidates[0].finish_reason == "STOP", parts
    counted = google.models.count_tokens(model=MODEL, contents="hello [mock::gg-count]")
    assert counted.total_tokens > 0, counted


def tools(google):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    function = types.FunctionDeclaration(name="get_weather", description="d", parameters_json_schema=schema)
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[function])])
    chat = google.chats.create(model=MODEL, config=config)
    called = chat.send_message("use the tool get_weather [mock::gg-tools]")
    call = called.function_calls[0]
    assert call.args == {"city": "Paris"}, call
    result = types.Part.from_function_response(name=call.name, response={"result": "sunny"})
    assert chat.send_message(result).text


def failures(google):
    try:
        google.models.generate_content(model=MODEL, contents="[mock:bad-request:gg-bad]")
        raise AssertionError("no error")
    except errors.ClientError as error:
        assert error.code == 400 and error.status == "INVALID_ARGUMENT", error
    try:
        stranger = client("v1beta", "cr_no_such_key_000000")
        stranger.models.generate_content(model=MODEL, contents="x")
        raise AssertionError("no error")
    except errors.ClientError as error:
        assert error.code == 401, error
    assert any(model.name == f"models/{MODEL}" for model in google.models.list()), "models"


for version in ("v1beta", "v1"):
    google = client(version)
    conversation(google)
    tools(google)
google = client("v1beta")
failures(google)
print("all well")
