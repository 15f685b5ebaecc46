"""What goes over the wire beside plain text: images, tools, schemas, thoughts, token counts, log-probabilities."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from PIL import Image as Pillow

from pipeline.dialects.tool_call import STOP, TOOLS, frame, write_call
from pipeline.errors import RowError, UsageError
from pipeline.identity import canonical_json, parse_json
from pipeline.models.chat import ChatRequest, Image, Message, Text, View
from pipeline.models.providers.openai_requests import EncodedImages
from pipeline.models.views import make_view
from pipeline.store.blobs import BlobStore
from pipeline.students.family import ViewRule
from tests.support.openai_asking import ANSWER, REQUEST, ask
from tests.support.servers.openai_server import OpenAIServer, Reply, completion


def view_of(blobs: BlobStore, colour: str) -> View:
    buffer = io.BytesIO()
    Pillow.new("RGB", (300, 200), colour).save(buffer, "PNG")
    return make_view(buffer.getvalue(), ViewRule("qwen2_5_vl", 262_144), blobs)


def changed(reply: Reply, **fields: Any) -> Reply:
    return replace(reply, body=json.dumps({**json.loads(reply.body), **fields}))


def test_a_view_is_encoded_once_and_memory_stays_bounded(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    views = [view_of(blobs, colour) for colour in ("red", "green", "blue")]
    sizes = [len(orjson.dumps(EncodedImages(blobs)(view))) for view in views]
    encode = EncodedImages(blobs, limit=2 * max(sizes))
    first = encode(views[0])
    encode(views[1])
    blobs.path(views[0].blob).unlink()
    assert orjson.dumps(encode(views[0])) == orjson.dumps(first)  # kept, though its blob is gone
    blobs.path(views[1].blob).unlink()
    encode(views[2])  # the least recently used one goes
    assert orjson.dumps(encode(views[0])) == orjson.dumps(first)
    with pytest.raises(Exception, match="missing"):
        encode(views[1])


def test_a_body_of_megabytes_arrives_as_it_was_sent(tmp_path: Path) -> None:
    text = "ä" * 1_500_000
    fake = OpenAIServer()
    request = REQUEST.model_copy(update={"messages": (Message(role="user", parts=(Text(text=text),)),)})
    ask(fake, tmp_path, request)
    assert fake.requests[0]["messages"][0]["content"][0]["text"] == text


def test_a_schema_and_log_probabilities_are_asked_for_and_read(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
    request = REQUEST.model_copy(update={"answer_schema": canonical_json(schema), "logprobs": True})
    body = json.loads(completion(ANSWER).body)
    tokens = [{"token": ANSWER[:5], "logprob": -0.5}, {"token": ANSWER[5:], "logprob": -0.25}]
    body["choices"][0]["logprobs"] = {"content": tokens}
    fake = OpenAIServer(script=lambda _: Reply(body=json.dumps(body)))
    (response,) = ask(fake, tmp_path, request)
    assert response.logprobs == (-0.5, -0.25)
    assert fake.requests[0]["logprobs"] is True
    format_ = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
    assert fake.requests[0]["response_format"] == format_


def test_log_probabilities_of_what_is_cut_are_cut_too(tmp_path: Path) -> None:
    body = json.loads(completion(f"{ANSWER}<think>more").body)
    body["choices"][0]["logprobs"] = {
        "content": [{"token": ANSWER, "logprob": -0.5}, {"token": "<think>more", "logprob": -0.25}]
    }
    fake = OpenAIServer(script=lambda _: Reply(body=json.dumps(body)))
    (response,) = ask(fake, tmp_path, REQUEST.model_copy(update={"logprobs": True}))
    assert (response.logprobs, response.cut_characters) == ((-0.5,), len("<think>more"))


def test_a_server_without_log_probabilities_is_the_recipes_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no log-probabilities"):
        ask(OpenAIServer(), tmp_path, REQUEST.model_copy(update={"logprobs": True}))


def test_a_conversation_with_calls_is_sent_as_structure_and_comes_back_as_text(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    view = view_of(blobs, "red")
    call = write_call("python", canonical_json({"code": "print(1)"}))
    request = REQUEST.model_copy(
        update={
            "tools": TOOLS,
            "stop": STOP,
            "messages": (
                *REQUEST.messages,
                Message(role="assistant", parts=(Text(text=f"<think>I look.</think>\n{call}"),)),
                Message(role="user", parts=(Text(text=frame("1\n")), Image(view=view))),
            ),
        }
    )
    native = [{"id": "x", "type": "function", "function": {"name": "search", "arguments": '{"query": "é"}'}}]
    said = completion(None, "tool_calls", reasoning="Look it up.", tool_calls=native)
    fake = OpenAIServer(script=lambda _: said)
    (response,) = ask(fake, tmp_path, request)
    sent = fake.requests[0]
    assert sent["tools"] == parse_json(TOOLS)
    assistant, result, pictures = sent["messages"][2:]
    assert assistant["content"] == "<think>I look.</think>"
    (sent_call,) = assistant["tool_calls"]
    assert sent_call["function"] == {"name": "python", "arguments": '{"code":"print(1)"}'}
    assert result == {"role": "tool", "tool_call_id": sent_call["id"], "content": result["content"]}
    assert "1" in result["content"]
    assert pictures["role"] == "user"
    assert [part["type"] for part in pictures["content"]] == ["image_url"]
    written = write_call("search", '{"query": "é"}')
    assert response.text == f"<think>Look it up.</think>\n{written}"
    assert response.finish == "stop"


def test_pictures_of_a_result_go_where_the_role_says(tmp_path: Path) -> None:
    view = view_of(BlobStore(tmp_path), "red")
    call = write_call("python", canonical_json({"code": "print(1)"}))
    history = (
        *REQUEST.messages,
        Message(role="assistant", parts=(Text(text=f"<think>I look.</think>\n{call}"),)),
        Message(
            role="user", parts=(Text(text="<tool_response>\n1\n"), Image(view=view), Text(text="\n</tool_response>"))
        ),
    )
    after = REQUEST.model_copy(update={"tools": TOOLS, "messages": history})
    inside = after.model_copy(update={"tool_images": "inside"})
    fake = OpenAIServer()
    for request in (after, inside):
        ask(fake, tmp_path, request)
    apart, within = (body["messages"][3:] for body in fake.requests)
    assert [message["role"] for message in apart] == ["tool", "user"]
    assert [message["role"] for message in within] == ["tool"]
    assert [part["type"] for part in within[0]["content"]] == ["text", "image_url"]
    # Another prompt is another request; the usual one keeps the key that it had.
    assert after.key(0) != inside.key(0)
    assert after.key(0) == after.model_copy(update={"context_length": 8_192}).key(0)


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_a_thought_that_a_parser_took_out_is_put_back(field: str, tmp_path: Path) -> None:
    fake = OpenAIServer(script=lambda _: completion("<answer>4</answer>", **{field: "t"}))
    (response,) = ask(fake, tmp_path)
    assert response.text == ANSWER


def test_cached_and_reasoning_tokens_are_counted_apart_and_a_fingerprint_is_part_of_the_version(
    tmp_path: Path,
) -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 80},
        "completion_tokens_details": {"reasoning_tokens": 30},
    }
    reply = changed(completion(ANSWER), usage=usage, system_fingerprint="fp_1")
    (response,) = ask(OpenAIServer(script=lambda _: reply), tmp_path)
    assert (response.prompt_tokens, response.cached_tokens) == (100, 80)
    assert (response.completion_tokens, response.reasoning_tokens) == (50, 30)
    assert response.model_version == "weights-1 fp_1"
    (response,) = ask(OpenAIServer(script=lambda _: reply), tmp_path, ignore_fingerprint=True)
    assert response.model_version == "weights-1"


def test_details_that_are_null_are_none(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": None}
    (response,) = ask(OpenAIServer(script=lambda _: changed(completion(ANSWER), usage=usage)), tmp_path)
    assert (response.cached_tokens, response.reasoning_tokens) == (0, 0)


TOO_LONG = (
    '{"error": {"message": "maximum context length is 8192 tokens", "code": "context_length_exceeded"}}',
    '{"object": "error", "message": "The prompt is longer than the maximum model length of 1024.", "code": 400}',
    '{"error": {"code": 400, "message": "the request is too large", "type": "exceed_context_size_error"}}',
    '{"message": "Requested token count exceeds the model\'s context length of 4096 tokens."}',
)


@pytest.mark.parametrize("body", TOO_LONG, ids=["openai", "vllm", "llama_cpp", "sglang"])
def test_a_conversation_that_no_longer_fits_has_a_reason_of_its_own(body: str, tmp_path: Path) -> None:
    fake = OpenAIServer(faults=[Reply(400, body)])
    with pytest.raises(RowError) as error:
        ask(fake, tmp_path)
    assert error.value.reason == "context_too_long"
    assert len(fake.requests) == 1


def test_a_prompt_that_a_safety_filter_stopped_is_a_refusal(tmp_path: Path) -> None:
    fake = OpenAIServer(faults=[Reply(400, '{"error": {"message": "filtered", "code": "content_filter"}}')])
    (response,) = ask(fake, tmp_path)
    assert response.finish == "refused"


def test_a_refusal_that_names_the_vllm_parameter_for_ever_ends(tmp_path: Path) -> None:
    fake = OpenAIServer(script=lambda _: Reply(400, "include_stop_str_in_output is in your text"))
    with pytest.raises(RowError, match="request_rejected"):
        ask(fake, tmp_path)
    assert len(fake.requests) == 2


def test_requests_of_several_samples_differ_in_their_seed_alone(tmp_path: Path) -> None:
    fake = OpenAIServer()
    ask(fake, tmp_path, samples=range(3))
    bodies = [{**body, "seed": 0} for body in fake.requests]
    assert bodies == [bodies[0]] * 3
    assert sorted(body["seed"] for body in fake.requests) == [100, 101, 102]
    assert ChatRequest.model_validate(REQUEST.model_dump()) == REQUEST
