"""Asks the simulator for everything that it can answer, by the official SDK, and judges each reply by the SDK's types.

    python check.py SURFACE URL         SURFACE is a function of this file, URL that of the simulated resource

Its deployments are those of tests/sdk.rs. Prints what is wrong, line by line, and ends with 1 where something is.
"""

import json
import os
import sys
import traceback

import openai
from openai import AzureOpenAI, OpenAI
from openai.types import Completion, CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import CompactedResponse, Response
from openai.types.shared import ErrorObject
from pydantic import BaseModel

from strict import faults

KEY = "simulated-key"
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather at a place.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
# As the Responses API has it.
FLAT_TOOL = {"type": "function", **TOOL["function"]}

wrong = []


class Weather(BaseModel):
    city: str
    degrees: int


def expect(right, what):
    if not right:
        wrong.append(what)


def judge(kind, data, about):
    wrong.extend(f"{about}: {fault}" for fault in faults(kind, data))


def clients(url):
    """The surfaces of a resource, each with the SDK's client for it."""
    # What the environment of the machine says must not lead anywhere else.
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "AZURE_OPENAI_")) or name.lower().endswith("_proxy"):
            del os.environ[name]
    azure = {"azure_endpoint": url, "api_key": KEY, "max_retries": 0, "timeout": 60}
    plain = {"api_key": KEY, "max_retries": 0, "timeout": 60}
    return {
        "dated": AzureOpenAI(api_version="2025-04-01-preview", **azure),
        "v1": OpenAI(base_url=f"{url}/openai/v1/", **plain),
        "project": OpenAI(base_url=f"{url}/api/projects/p/openai/v1/", **plain),
    }


def says(text, **more):
    return {"messages": [{"role": "user", "content": text}], **more}


def is_filter_frame(frame):
    """Azure's first frame: what the filter thought of the prompt, and nothing else (wire §3.2)."""
    if "prompt_filter_results" not in frame:
        return False
    [prompt] = frame["prompt_filter_results"]
    blank = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
    expect(blank.items() <= frame.items(), f"filter frame: {frame}")
    expect(prompt.keys() == {"prompt_index", "content_filter_results"}, f"filter frame: {frame}")
    return True


def is_annotation(frame):
    """A frame of the asynchronous filter, which has no delta (wire §3.3)."""
    if not frame["choices"] or "delta" in frame["choices"][0]:
        return False
    keys = {"index", "finish_reason", "content_filter_results", "content_filter_offsets"}
    expect(frame["choices"][0].keys() == keys, f"annotation: {frame}")
    return True


# What a chat is asked for, and what the first choice of its answer is like.
CHATS = [
    (says("id:1 Hello."), "stop"),
    (says("id:2 Hello.", n=2, max_completion_tokens=400), "stop"),
    (says("sim:tokens=50", max_completion_tokens=3), "length"),
    (says("sim:refuse"), "stop"),
    (says("sim:filter-answer"), "content_filter"),
    (says("sim:tool", tools=[TOOL]), "tool_calls"),
    (says("weather?", tools=[TOOL], tool_choice="required"), "tool_calls"),
    (says("id:3", response_format={"type": "json_object"}), "stop"),
]


def models_on(surface, *models):
    """All of them on one surface, and one on the others: bodies do not depend on both."""
    return models if surface == "v1" else models[:1]


def chat(url):
    for surface, client in clients(url).items():
        for model in models_on(surface, "gpt", "thinker", "async", "bare", "filter-down"):
            for request, finish in CHATS:
                about = f"chat of {model} on {surface}, {request['messages'][0]['content']}"
                if model == "thinker" and finish == "length":
                    request = {**request, "reasoning_effort": "none"}
                raw = client.chat.completions.with_raw_response.create(model=model, **request)
                data = json.loads(raw.text)
                judge(ChatCompletion, data, about)
                whole = raw.parse()
                expect(whole.choices[0].finish_reason == finish, f"{about}: {whole.choices[0].finish_reason}")
                streamed_chat(client, model, request, whole, f"stream of {about}")
        structured_chat(client, f"chat on {surface}")


def streamed_chat(client, model, request, whole, about):
    for options in [None, {"include_usage": True}, {"include_usage": True, "include_obfuscation": False}]:
        more = {} if options is None else {"stream_options": options}
        texts = [""] * len(whole.choices)
        finishes = [None] * len(whole.choices)
        usage = None
        for chunk in client.chat.completions.create(model=model, stream=True, **request, **more):
            frame = chunk.to_dict(mode="python", warnings=False)
            if is_filter_frame(frame):
                continue
            if is_annotation(frame):
                finishes[frame["choices"][0]["index"]] = frame["choices"][0]["finish_reason"] or finishes[0]
                continue
            judge(ChatCompletionChunk, frame, about)
            usage = chunk.usage or usage
            for choice in chunk.choices:
                calls = choice.delta.tool_calls or []
                texts[choice.index] += choice.delta.content or choice.delta.refusal or ""
                texts[choice.index] += "".join(call.function.arguments for call in calls)
                finishes[choice.index] = choice.finish_reason or finishes[choice.index]
        for choice in whole.choices:
            message = choice.message
            calls = message.tool_calls or []
            text = message.content or message.refusal or "".join(call.function.arguments for call in calls)
            expect(texts[choice.index] == text, f"{about}: {texts[choice.index]!r} is not {text!r}")
            expect(finishes[choice.index] == choice.finish_reason, f"{about}: {finishes}")
        expect((usage is not None) == (options is not None), f"{about}: usage {usage}")


def structured_chat(client, about):
    parsed = client.chat.completions.parse(model="gpt", response_format=Weather, **says("id:4"))
    expect(isinstance(parsed.choices[0].message.parsed, Weather), f"{about}: not parsed: {parsed}")
    with client.chat.completions.stream(model="gpt", tools=[TOOL], **says("sim:tool")) as stream:
        final = stream.get_final_completion()
    [call] = final.choices[0].message.tool_calls
    expect(json.loads(call.function.arguments).keys() == {"city"}, f"{about}: {call}")


def completions(url):
    for surface, client in clients(url).items():
        for model in models_on(surface, "gpt", "bare", "filter-down"):
            for request in [{"prompt": "id:1"}, {"prompt": ["one", "two"], "n": 2}, {"prompt": "x", "max_tokens": 1}]:
                about = f"completion of {model} on {surface}, {request}"
                raw = client.completions.with_raw_response.create(model=model, **request)
                judge(Completion, json.loads(raw.text), about)
                whole = raw.parse()
                for options in [None, {"include_usage": True}]:
                    more = {} if options is None else {"stream_options": options}
                    texts = [""] * len(whole.choices)
                    for chunk in client.completions.create(model=model, stream=True, **request, **more):
                        frame = chunk.to_dict(mode="python", warnings=False)
                        for choice in frame["choices"]:
                            texts[choice["index"]] += choice["text"]
                            # The published examples of streams have `null` where the schema forgets it.
                            choice["finish_reason"] = choice["finish_reason"] or "stop"
                        judge(Completion, frame, f"stream of {about}")
                    expect(texts == [choice.text for choice in whole.choices], f"stream of {about}: {texts}")


def embeddings(url):
    for surface, client in clients(url).items():
        for request in [{"input": "x"}, {"input": ["x", "y"], "dimensions": 8}, {"input": [[1, 2], [3]]}]:
            about = f"embeddings on {surface}, {request}"
            # The SDK asks for base64 unless told otherwise, and reads it.
            raw = client.embeddings.with_raw_response.create(model="gpt", encoding_format="float", **request)
            floats = json.loads(raw.text)
            judge(CreateEmbeddingResponse, floats, about)
            read = client.embeddings.create(model="gpt", **request).to_dict(mode="python")
            judge(CreateEmbeddingResponse, read, about)
            expect(len(read["data"]) == len(floats["data"]), f"{about}: {len(read['data'])}")
            for one, other in zip(read["data"], floats["data"]):
                near = all(abs(x - y) < 1e-6 for x, y in zip(one["embedding"], other["embedding"], strict=True))
                expect(near, f"{about}: the forms differ")


# What a response is asked for, and how it ends.
RESPONSES = [
    ({"input": "id:1 Hello."}, "completed"),
    ({"input": "sim:refuse"}, "completed"),
    ({"input": "sim:tokens=50", "max_output_tokens": 3, "reasoning": {"effort": "none"}}, "incomplete"),
    ({"input": "sim:filter-answer"}, "incomplete"),
    ({"input": "sim:tool", "tools": [FLAT_TOOL]}, "completed"),
    (
        {
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "What is the weather?"}]},
                {"type": "function_call", "call_id": "c", "name": "get_weather", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "rain"},
                {"role": "user", "content": "id:2"},
            ],
            "instructions": "Be \"brief\".",
            "tools": [{**FLAT_TOOL, "strict": False}, {"type": "web_search"}],
            "tool_choice": {"type": "function", "name": "get_weather"},
            "parallel_tool_calls": False,
            "metadata": {"team": "blue"},
            "max_output_tokens": 500,
            "max_tool_calls": 4,
            "reasoning": {"effort": "low", "summary": "auto"},
            "text": {"verbosity": "low"},
            "top_logprobs": 2,
            "truncation": "auto",
            "store": False,
            "background": False,
            "service_tier": "flex",
            "user": "u",
            "safety_identifier": "s",
            "prompt_cache_key": "k",
            "prompt_cache_retention": "24h",
            "previous_response_id": "resp_1",
        },
        "completed",
    ),
    (
        {
            "input": "id:3",
            "text": {"format": {"type": "json_schema", "name": "w", "schema": {"type": "object", "properties": {}}}},
        },
        "completed",
    ),
]

# What is told as it was asked for.
ECHOED = [
    "instructions",
    "tool_choice",
    "parallel_tool_calls",
    "metadata",
    "max_output_tokens",
    "max_tool_calls",
    "top_logprobs",
    "truncation",
    "store",
    "background",
    "service_tier",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "previous_response_id",
]


def responses(url):
    for surface, client in clients(url).items():
        for model in models_on(surface, "gpt", "thinker", "bare"):
            for request, status in RESPONSES:
                about = f"response of {model} on {surface}, {str(request['input'])[:40]}"
                raw = client.responses.with_raw_response.create(model=model, **request)
                data = json.loads(raw.text)
                judge(Response, data, about)
                expect(data.get("status") == status, f"{about}: {data.get('status')}")
                expect("usage" in data, f"{about}: no usage")
                expect((data.get("completed_at") is None) == (status != "completed"), f"{about}: {data}")
                for key in ECHOED:
                    asked = request.get(key, data.get(key))
                    expect(data.get(key) == asked, f"{about}: {key} is {data.get(key)!r}, not {asked!r}")
                streamed_response(client, model, request, raw.parse(), f"stream of {about}")
        structured_response(client, f"response on {surface}")
        compaction(client, f"compaction on {surface}")


def streamed_response(client, model, request, whole, about):
    kinds = []
    items = {}
    for number, event in enumerate(client.responses.create(model=model, stream=True, **request)):
        data = event.to_dict(mode="python", warnings=False)
        kinds.append(event.type)
        judge(type(event), data, f"{about}, {event.type}")
        expect(event.sequence_number == number, f"{about}: {event.type} is number {event.sequence_number} of {number}")
        if event.type == "response.output_item.added":
            items[event.output_index] = event.item.id
        if "output_index" in data and "item_id" in data:
            expect(items.get(event.output_index) == event.item_id, f"{about}: {event.type} of an item that is not there")
    expect(kinds[:2] == ["response.created", "response.in_progress"], f"{about}: {kinds[:2]}")
    expect(kinds[-1] == f"response.{whole.status}", f"{about}: {kinds[-1]}")
    expect(kinds.count("response.output_item.done") == len(whole.output), f"{about}: {kinds}")
    last = event.response
    expect(last.output_text == whole.output_text, f"{about}: {last.output_text!r}")
    shape = [(item.type, getattr(item, "status", None)) for item in whole.output]
    found = [(item.type, getattr(item, "status", None)) for item in last.output]
    expect(found == shape, f"{about}: {found} is not {shape}")


def structured_response(client, about):
    for model in ["gpt", "thinker"]:
        parsed = client.responses.parse(model=model, input="id:4", text_format=Weather)
        expect(isinstance(parsed.output_parsed, Weather), f"{about}: not parsed: {parsed}")
        with client.responses.stream(model=model, input="sim:tool", tools=[FLAT_TOOL]) as stream:
            final = stream.get_final_response()
        calls = [item for item in final.output if item.type == "function_call"]
        expect([call.name for call in calls] == ["get_weather"], f"{about}: {final.output}")


def compaction(client, about):
    for given in ["id:1 Hello.", [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]]:
        raw = client.responses.with_raw_response.compact(model="gpt", input=given)
        data = json.loads(raw.text)
        # It begins with the user's messages, which the SDK has no type for.
        *messages, last = data["output"]
        for message in messages:
            expect(message.keys() == {"id", "type", "status", "role", "content"}, f"{about}: {message}")
            expect((message["type"], message["role"]) == ("message", "user"), f"{about}: {message}")
            expect([part["type"] for part in message["content"]] == ["input_text"], f"{about}: {message}")
        expect(len(messages) == 1 and last["type"] == "compaction", f"{about}: {data}")
        judge(CompactedResponse, {**data, "output": [last]}, about)


def models(url):
    for surface, client in clients(url).items():
        raw = client.models.with_raw_response.list()
        data = json.loads(raw.text)
        expect(data.keys() == {"object", "data"} and data["object"] == "list", f"models on {surface}: {data}")
        listed = [model.id for model in raw.parse()]
        expect(len(listed) == len(set(listed)) > 1, f"models on {surface}: {listed}")
        for model in data["data"]:
            if surface == "dated":
                # Azure's own form, older than OpenAI's.
                keys = {"capabilities", "created_at", "deprecation", "id", "lifecycle_status", "object", "status"}
                expect(model.keys() == keys, f"models on {surface}: {model}")
            else:
                judge(Model, model, f"models on {surface}")


def failure(call):
    try:
        call()
    except openai.APIError as error:
        return error
    return None


def errors(url):
    for surface, client in clients(url).items():
        asks(client, surface)
    stranger = OpenAI(base_url=f"{url}/openai/v1/", api_key="wrong", max_retries=0)
    error = failure(lambda: stranger.chat.completions.create(model="gpt", **says("x")))
    expect(isinstance(error, openai.AuthenticationError), f"401: {error!r}")
    expect(error.body.keys() == {"statusCode", "message"}, f"401: {error.body}")
    stranger = AzureOpenAI(azure_endpoint=url, api_version="2024-10-21", api_key="wrong", max_retries=0)
    error = failure(lambda: stranger.chat.completions.create(model="gpt", **says("x")))
    expect(isinstance(error, openai.AuthenticationError), f"401: {error!r}")
    expect(error.body.keys() == {"code", "message"}, f"401: {error.body}")


def asks(client, surface):
    chat = client.chat.completions.create
    respond = client.responses.create
    # (what is asked, the SDK's error, its code, whether the model wrote it: a gateway says no more than code and message)
    for call, kind, code, written_by_model in [
        (lambda: chat(model="gpt", messages=[]), openai.BadRequestError, None, True),
        (lambda: chat(model="gpt", **says("x", n=0)), openai.BadRequestError, None, True),
        (lambda: chat(model="gpt", **says("x " * 300_000)), openai.BadRequestError, "context_length_exceeded", True),
        (lambda: chat(model="thinker", **says("x", max_tokens=1)), openai.BadRequestError, "unsupported_parameter", True),
        (lambda: chat(model="thinker", **says("x", temperature=0.1)), openai.BadRequestError, "unsupported_value", True),
        (lambda: client.embeddings.create(model="gpt", input=[]), openai.BadRequestError, None, True),
        (lambda: respond(model="thinker", input="x", temperature=0.1), openai.BadRequestError, "unsupported_value", True),
        (lambda: chat(model="embedder", **says("x")), openai.BadRequestError, "OperationNotSupported", False),
        (lambda: chat(model="nobody", **says("x")), openai.NotFoundError, "DeploymentNotFound", False),
        (lambda: chat(model="status-403", **says("x")), openai.PermissionDeniedError, "403", False),
        (lambda: chat(model="status-408", **says("x")), openai.APIStatusError, "Timeout", False),
        (lambda: chat(model="status-500", **says("x")), openai.InternalServerError, None, True),
        (lambda: respond(model="status-500", input="x"), openai.InternalServerError, None, True),
        (lambda: chat(model="reached", **says("x")), openai.RateLimitError, "RateLimitReached", False),
        (lambda: chat(model="operation", **says("x")), openai.RateLimitError, "429", False),
        (lambda: chat(model="gateway", **says("x")), openai.RateLimitError, "429", False),
        (lambda: chat(model="exceeded", **says("x")), openai.RateLimitError, "rate_limit_exceeded", True),
        (lambda: chat(model="provisioned", **says("x")), openai.RateLimitError, "rate_limit_reached", True),
        (lambda: chat(model="no_capacity", **says("x")), openai.RateLimitError, "NoCapacity", False),
        (lambda: respond(model="exceeded", input="x"), openai.RateLimitError, "rate_limit_exceeded", True),
    ]:
        error = failure(call)
        about = f"{code} on {surface}: {error!r}"
        expect(isinstance(error, kind) and error.code == code, about)
        if written_by_model:
            judge(ErrorObject, error.body, about)
        else:
            expect(error.body.keys() == {"code", "message"}, f"{about}: {error.body}")
    # The filter's refusal has a type of `null` and says more (wire §4.2).
    for call in [
        lambda: chat(model="gpt", **says("sim:filter-prompt")),
        lambda: chat(model="gpt", stream=True, **says("sim:filter-prompt")),
        lambda: respond(model="gpt", input="sim:filter-prompt"),
    ]:
        error = failure(call)
        about = f"filtered prompt on {surface}: {error!r}"
        expect(isinstance(error, openai.BadRequestError) and error.code == "content_filter", about)
        expect(error.body.keys() == {"message", "type", "param", "code", "status", "innererror"}, about)
    broken_streams(client, surface)


def broken_streams(client, surface):
    for about, stream in [
        ("chat", lambda: client.chat.completions.create(model="breaks", stream=True, **says("x"))),
        ("completion", lambda: client.completions.create(model="breaks", stream=True, prompt="x")),
        ("chat", lambda: client.chat.completions.create(model="refuses", stream=True, **says("x"))),
    ]:
        error = failure(lambda: list(stream()))
        about = f"broken {about} on {surface}: {error!r}"
        expect(type(error) is openai.APIError, about)
        judge(ErrorObject, error.body, about)
    # Of a refused response the SDK makes an error at its first event, and never sees the second one.
    for model in ["breaks", "refuses"]:
        with client.responses.with_streaming_response.create(model=model, input="x", stream=True) as reply:
            lines = list(reply.iter_lines())
        events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
        [error] = [event for event in events if event["type"] == "error"]
        about = f"{model} on {surface}: {error}"
        # Nested, as Azure sends it (wire §3.4).
        expect(error.keys() == {"type", "error", "sequence_number"}, about)
        judge(ErrorObject, {key: value for key, value in error["error"].items() if key != "headers"}, about)
        if model == "refuses":
            failed = events[-1]
            expect(failed["type"] == "response.failed" and failed.keys() == {"type", "response", "sequence_number"}, about)
            judge(Response, failed["response"], f"{about}: response.failed")
        else:
            expect(events.index(error) == error["sequence_number"] == len(events) - 1, about)


if __name__ == "__main__":
    surface, url = sys.argv[1:]
    try:
        {check.__name__: check for check in [chat, completions, embeddings, responses, models, errors]}[surface](url)
    except Exception:  # What was found before it counts too.
        wrong.append(traceback.format_exc())
    # The same fault in hundreds of frames is one fault.
    wrong = list(dict.fromkeys(wrong))
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)
