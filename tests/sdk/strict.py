"""Judges what a service sends by the types of the official SDK, and more strictly than the SDK does, which looks at
nothing: every value has its very type, no member is missing but those that may be, and none is there that nobody knows.
"""

from pydantic import BaseModel, TypeAdapter, ValidationError

# Members beyond OpenAI's types. Azure's own, but where it is said.
MORE = {
    "chat_completion.ChatCompletion": {"prompt_filter_results"},
    "chat_completion.Choice": {"content_filter_results"},
    "chat_completion_chunk.Choice": {"content_filter_results"},
    "completion.Completion": {"prompt_filter_results"},
    "completion_choice.CompletionChoice": {"content_filter_results"},
    # OpenAI's example of a response has it, its type has not.
    "response.Response": {"store"},
    # Published as required, and not yet in the SDK.
    "response_function_call_arguments_done_event.ResponseFunctionCallArgumentsDoneEvent": {"name"},
}

# Members that may be left out, as nothing was asked for that they tell of.
LESS = {
    "chat_completion.ChatCompletion": {"metadata", "moderation", "service_tier"},
    "chat_completion_message.ChatCompletionMessage": {"audio", "function_call", "tool_calls"},
    "chat_completion_chunk.ChatCompletionChunk": {"moderation", "obfuscation", "service_tier", "usage"},
    "chat_completion_chunk.ChoiceDelta": {"audio", "content", "function_call", "refusal", "role", "tool_calls"},
    "chat_completion_chunk.ChoiceDeltaToolCall": {"id", "type"},
    "chat_completion_chunk.ChoiceDeltaToolCallFunction": {"name"},
    "completion.Completion": {"usage", "system_fingerprint"},
    # Azure has the rest of them (wire §2.3).
    "completion_usage.PromptTokensDetails": {"cache_write_tokens", "image_tokens", "text_tokens"},
    "completion_usage.CompletionTokensDetails": {"text_tokens"},
    "model.Model": {"shutdown_date"},
    # What is told of features that the simulator has not; `usage` of one that has only begun; `user` where none was given.
    "response.Response": {
        "access_programs",
        "conversation",
        "image",
        "input_transformations",
        "moderation",
        "prompt",
        "prompt_cache_diagnostics",
        "prompt_cache_options",
        "tool_usage",
        "usage",
        "user",
    },
    "compacted_response.CompactedResponse": {"image"},
    "reasoning.Reasoning": {"context", "generate_summary", "mode"},
    "response_usage.InputTokensDetails": {"cache_write_tokens_details"},
    "response_output_message.ResponseOutputMessage": {"phase"},
    "response_reasoning_item.ResponseReasoningItem": {"content", "encrypted_content", "status"},
    "response_function_tool_call.ResponseFunctionToolCall": {"async", "caller", "namespace"},
    "response_compaction_item.ResponseCompactionItem": {"created_by"},
    "function_tool.FunctionTool": {"allowed_callers", "async", "defer_loading", "output_schema"},
    "web_search_tool.WebSearchTool": {"external_web_access", "filters", "search_context_size", "user_location"},
    "response_format_text_json_schema_config.ResponseFormatTextJSONSchemaConfig": {"description"},
    "response_error.ResponseError": {"misalignment", "param", "type"},
    "error_object.ErrorObject": {"misalignment"},
}


def name(kind):
    """A type's name with that of its module: several are called `Choice`."""
    return f"{kind.__module__.rsplit('.', 1)[-1]}.{kind.__name__}"


def faults(kind, data):
    """What is wrong with `data`, which is to be of the type `kind`; one line each."""
    try:
        value = TypeAdapter(kind).validate_python(data, strict=True)
    except ValidationError as error:
        return [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    return list(walk(value, data, ""))


def walk(value, data, where):
    if isinstance(value, BaseModel):
        kind = type(value)
        known = {field.alias or key: key for key, field in kind.model_fields.items()}
        for key in data.keys() - known.keys() - MORE.get(name(kind), set()):
            yield f"{where}.{key}: unknown to {name(kind)}"
        for key in known.keys() - data.keys() - LESS.get(name(kind), set()):
            yield f"{where}.{key}: missing of {name(kind)}"
        for key in known.keys() & data.keys():
            yield from walk(getattr(value, known[key]), data[key], f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, (one, raw) in enumerate(zip(value, data)):
            yield from walk(one, raw, f"{where}.{index}")
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from walk(one, data[key], f"{where}.{key}")
