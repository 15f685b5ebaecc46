from __future__ import annotations

import asyncio
import base64
import io
import json
import socket
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from pipeline.errors import InfrastructureError, RowError, UsageError
from pipeline.models.chat import ChatResponse, Image, Message, Text
from pipeline.models.providers.openai import Server
from pipeline.models.providers.openai_requests import KEEP_STOP
from pipeline.models.samples import Sampled, sample_once
from pipeline.models.views import make_view
from pipeline.store.blobs import BlobStore
from pipeline.store.calls import CallCache
from pipeline.students.family import ViewRule
from tests.support.openai_asking import ANSWER, REQUEST, TWO_CHOICES, ask, talk
from tests.support.servers.openai_server import DROPPED, GARBAGE, HANGING, RESET, OpenAIServer, Reply, completion


def test_a_request_is_sent_with_everything_that_decides_its_answer(tmp_path: Path) -> None:
    fake = OpenAIServer()
    (response,) = ask(fake, tmp_path, samples=[3])
    assert fake.requests == [
        {
            "model": "served",
            "messages": [
                {"role": "system", "content": "Be right."},
                {"role": "user", "content": [{"type": "text", "text": "2 + 2?"}]},
            ],
            "temperature": 0.7,
            "top_p": 0.9,
            "max_tokens": 64,
            "seed": 103,
            "stop": ["</code>", "</tool_call>", "</answer>"],
            "include_stop_str_in_output": True,
        }
    ]
    assert response == ChatResponse(
        text=ANSWER,
        finish="stop",
        prompt_tokens=11,
        completion_tokens=7,
        model_version="weights-1",
        seconds=response.seconds,
    )


def test_samples_have_their_own_seeds_and_come_back_in_order(tmp_path: Path) -> None:
    fake = OpenAIServer(script=lambda body: completion(f"seed {body['seed']}"))
    responses = ask(fake, tmp_path, samples=[5, 0, 2])
    assert [response.text for response in responses] == ["seed 105", "seed 100", "seed 102"]


def test_images_are_sent_in_place_as_the_bytes_of_their_view(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Pillow.new("RGB", (1200, 900), "red").save(buffer, "PNG")
    blobs = BlobStore(tmp_path)
    view = make_view(buffer.getvalue(), ViewRule("qwen2_5_vl", 262_144), blobs)
    parts = (Image(view=view), Text(text="What?"))
    fake = OpenAIServer()
    ask(fake, tmp_path, REQUEST.model_copy(update={"messages": (Message(role="user", parts=parts),)}))
    picture, text = fake.requests[0]["messages"][0]["content"]
    head, _, data = picture["image_url"]["url"].partition(",")
    assert (picture["type"], head) == ("image_url", "data:image/png;base64")
    assert base64.b64decode(data) == blobs.get(view.blob)
    assert text == {"type": "text", "text": "What?"}


@pytest.mark.parametrize(
    "faults",
    [
        [Reply(500), Reply(503)],
        [Reply(429)],
        [DROPPED],
        [RESET],
        [GARBAGE],
        [Reply(body="")],
        [Reply(body="[" * 100_000)],
        [Reply(body='{"choices": []}'), Reply(body="[]"), TWO_CHOICES],
        [completion(None, "abort")],
        [Reply(408), Reply(502), DROPPED, GARBAGE],
    ],
    ids=["500", "429", "dropped", "reset", "garbage", "empty", "nested", "no_choice", "no_content", "many"],
)
def test_what_passes_is_tried_again(faults: list[Reply], tmp_path: Path) -> None:
    fake = OpenAIServer(faults=list(faults))
    (response,) = ask(fake, tmp_path)
    assert response.text == ANSWER
    assert len(fake.requests) == len(faults) + 1


def test_a_server_that_never_answers_is_given_up_and_tried_again(tmp_path: Path) -> None:
    fake = OpenAIServer(faults=[HANGING])
    (response,) = ask(fake, tmp_path, timeout_seconds=0.2)
    assert response.text == ANSWER
    assert len(fake.requests) == 2


def test_what_does_not_pass_ends_as_infrastructure(tmp_path: Path) -> None:
    fake = OpenAIServer(script=lambda _: Reply(500, "out of memory"))
    with pytest.raises(InfrastructureError, match="answered 500: out of memory"):
        ask(fake, tmp_path, patience_seconds=0.2)
    assert len(fake.requests) > 3


def test_silence_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="TimeoutError"):
        ask(OpenAIServer(script=lambda _: HANGING), tmp_path, timeout_seconds=0.05, patience_seconds=0.1)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_request_that_is_refused_for_what_it_is_is_the_rows_error_and_asked_once(status: int, tmp_path: Path) -> None:
    fake = OpenAIServer(faults=[Reply(status, "no such picture")])
    with pytest.raises(RowError, match="request_rejected: no such picture"):
        ask(fake, tmp_path)
    assert len(fake.requests) == 1


def test_a_wrong_path_is_a_usage_error_and_asked_once(tmp_path: Path) -> None:
    fake = OpenAIServer(faults=[Reply(404, "no such model")])
    with pytest.raises(UsageError, match="answered 404: no such model"):
        ask(fake, tmp_path)
    assert len(fake.requests) == 1


@pytest.mark.parametrize("given", ["wrong", None])
def test_a_refused_key_names_its_variable_and_never_the_key(
    given: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEACHER_KEY", raising=False)
    if given is not None:
        monkeypatch.setenv("TEACHER_KEY", given)
    fake = OpenAIServer(key="right")
    for work in (lambda client: client.check(), lambda client: client.generate(REQUEST, [0])):
        with pytest.raises(UsageError, match=r"\$TEACHER_KEY") as error:
            talk(fake, tmp_path, work, api_key_env="TEACHER_KEY")
        assert "wrong" not in str(error.value)
    assert len(fake.requests) == (1 if given else 0)  # without a key nothing is sent


def test_the_key_of_the_environment_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", "right")
    (response,) = ask(OpenAIServer(key="right"), tmp_path, api_key_env="TEACHER_KEY")
    assert response.text == ANSWER


@pytest.mark.parametrize(
    ("said", "reason", "text", "finish"),
    [
        (None, "length", "", "length"),  # a reasoning parser: the limit came within the thought
        (None, "stop", "", "stop"),
        (f"{ANSWER}\n<think>and on", "stop", ANSWER, "stop"),
        (f"{ANSWER}\n<think>and on", "length", ANSWER, "stop"),
        (
            "<think>t</think>\n<tool_response>made up</tool_response><answer>4</answer>",
            "stop",
            "<think>t</think>\n",
            "stop",
        ),
        ("<think>t</think><code>x</code><answer>4</answer>", "stop", "<think>t</think><code>x</code>", "stop"),
        ("<think>t", "length", "<think>t", "length"),
        ("<think>half of \ud83d a pair", "stop", "<think>half of ? a pair", "stop"),
    ],
)
def test_a_message_ends_with_its_first_action(
    said: str | None, reason: str, text: str, finish: str, tmp_path: Path
) -> None:
    (response,) = ask(OpenAIServer(script=lambda _: completion(said, reason)), tmp_path)
    assert (response.text, response.finish) == (text, finish)


def with_choice(reply: Reply, **fields: Any) -> Reply:
    body = json.loads(reply.body)
    body["choices"][0].update(fields)
    return replace(reply, body=json.dumps(body))


OPEN = ANSWER.removesuffix("</answer>")


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (with_choice(completion(OPEN), stop_reason="</answer>"), ANSWER),
        (with_choice(completion(None), stop_reason="</answer>"), ""),  # it ended a thought, and nothing was said
        (with_choice(completion(OPEN), stop_reason=None), OPEN),  # the model itself forgot the tag
        (completion(OPEN), ANSWER),
        (completion(OPEN, "length"), OPEN),
        (completion("<think>t</think>\n4"), "<think>t</think>\n4"),
        (completion("<think>or <code>?</think>" + OPEN), "<think>or <code>?</think>" + ANSWER),
    ],
)
def test_a_stop_string_that_the_server_left_out_is_put_back(reply: Reply, text: str, tmp_path: Path) -> None:
    (response,) = ask(OpenAIServer(script=lambda _: reply), tmp_path)
    assert response.text == text


def test_a_server_that_refuses_the_vllm_parameter_is_asked_without_it(tmp_path: Path) -> None:
    fake = OpenAIServer(faults=[Reply(400, f"Unrecognized request argument supplied: {KEEP_STOP}")])

    async def twice(client: Server) -> None:
        for sample in (0, 1):
            await client.generate(REQUEST, [sample])

    talk(fake, tmp_path, twice)
    assert [KEEP_STOP in body for body in fake.requests] == [True, False, False]


@pytest.mark.parametrize(
    "reply", [completion(None, "content_filter"), completion("I can", "stop", refusal="I cannot help with that.")]
)
def test_a_refusal_is_a_response_and_asked_once(reply: Reply, tmp_path: Path) -> None:
    fake = OpenAIServer(script=lambda _: reply)
    (response,) = ask(fake, tmp_path)
    assert response.finish == "refused"
    assert len(fake.requests) == 1


def ask_and_store(fake: OpenAIServer, root: Path, samples: Sequence[int], **fields: Any) -> Sequence[Sampled]:
    """Ask as rollouts do: each sample holds a slot until its answer is stored."""

    async def work(client: Server) -> Sequence[Sampled]:
        with CallCache(root / "calls.sqlite") as calls:
            return await asyncio.gather(*(sample_once(calls, client, REQUEST, sample) for sample in samples))

    return talk(fake, root, work, **fields)


def test_no_more_requests_are_open_than_allowed(tmp_path: Path) -> None:
    fake = OpenAIServer()
    ask_and_store(fake, tmp_path, samples=range(12), in_flight=3)
    assert len(fake.requests) == 12
    assert 1 <= fake.at_once <= 3


def test_the_time_of_an_answer_is_that_of_its_successful_try_alone(tmp_path: Path) -> None:
    fake = OpenAIServer(faults=[HANGING, Reply(500)], latency=0.01)
    began = time.monotonic()
    sampled = ask_and_store(fake, tmp_path, samples=range(4), in_flight=1, timeout_seconds=0.5, first_pause_seconds=0.5)
    assert time.monotonic() - began > 0.5  # the time-out; the pauses after it may be short
    assert all(0 < one.seconds < 0.25 for one in sampled)


def check(fake: OpenAIServer, root: Path, **fields: Any) -> None:
    talk(fake, root, lambda client: client.check(), **fields)


def test_a_server_that_serves_the_model_passes_the_check_and_is_asked_for_no_answer(tmp_path: Path) -> None:
    fake = OpenAIServer()
    check(fake, tmp_path)
    assert fake.requests == []


def test_a_slash_at_the_end_of_the_url_is_no_part_of_it(tmp_path: Path) -> None:
    assert Server("http://127.0.0.1/v1/", "served", "openai/weights", BlobStore(tmp_path)).urls == (
        "http://127.0.0.1/v1",
    )


def test_a_server_of_another_model_is_a_usage_error_that_names_both(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="serves one, two, not served; correct `served_name`"):
        check(OpenAIServer(models=("one", "two")), tmp_path)


@pytest.mark.parametrize("reply", [GARBAGE, Reply(body="[]"), Reply(404, '{"detail": "Not Found"}'), Reply(body="{}")])
def test_what_is_no_model_server_is_a_usage_error(reply: Reply, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="correct `base_url`"):
        check(OpenAIServer(faults=[reply]), tmp_path)


def test_a_server_that_is_starting_is_infrastructure(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="answered 503; wait"):
        check(OpenAIServer(faults=[Reply(503)]), tmp_path)


UNREACHABLE = r"cannot be reached .*; start it, or correct `base_url`"


def test_a_connection_that_drops_names_the_fix(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=UNREACHABLE):
        check(OpenAIServer(faults=[DROPPED]), tmp_path)


def test_a_server_that_is_not_there_names_the_fix(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # held, but nobody listens
        url = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
        with pytest.raises(InfrastructureError, match=UNREACHABLE):
            check(OpenAIServer(), tmp_path, base_url=url)
        with pytest.raises(InfrastructureError, match=url):
            ask(OpenAIServer(), tmp_path, base_url=url, patience_seconds=0.1)


def test_a_key_that_is_not_set_is_noticed_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MISSING_KEY", raising=False)
    server = Server("http://127.0.0.1:9/v1", "m", "openai/m@1", BlobStore(tmp_path), api_key_env="MISSING_KEY")
    with pytest.raises(UsageError, match=r"\$MISSING_KEY is not set"):
        asyncio.run(server.check())
