"""What servers answer in practice, and what a rollout, the store and the message make of it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from filters.validate.rules import AcceptSettings, not_repetitive
from pipeline.errors import ColdforgeError, GivenUpError
from pipeline.images import encode_png, put_image
from pipeline.models.chat import Sampling
from pipeline.models.providers.openai import Server
from pipeline.models.refusals import RejectedError
from pipeline.models.samples import Meter, Metered, Price
from pipeline.records import Question, Trajectory
from pipeline.rollout.loop import Limits, rollout
from pipeline.sandbox import Pool, guest
from pipeline.store import Store
from pipeline.store.blobs import BlobStore
from tests.support.asking import teacher_ask, tools
from tests.support.builders import question
from tests.support.servers.cases import CASES, CaseServer, has_said, served

PATIENCE_SECONDS = 1.5
PATIENT = frozenset({"429_with_retry_after"})


@dataclass(frozen=True)
class Seen:
    """What came of a rollout against a server."""

    server: CaseServer
    done: Trajectory | None
    error: ColdforgeError | None
    stored: list[str]
    """Texts in the call cache."""
    seconds: float

    @property
    def said(self) -> str:
        return str(self.error)

    def ended(self) -> Trajectory:
        assert self.error is None, self.said
        assert self.done is not None
        return self.done


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    guest.setup()
    with Pool(workers=1) as pool:
        yield pool


def asked(store: Path) -> Question:
    picture = put_image(BlobStore(store / "blobs"), encode_png(Image.effect_noise((400, 300), 50)))
    return question("How many?", images=(picture,), answers=("3",), answer_type="number")


def seen(pool: Pool, store: Path, server: CaseServer) -> Seen:
    """Roll out once, as synthesis does."""
    dialect = server.case.get("dialect", "deepeyesv2")
    ask = teacher_ask(
        model="openai/weights", dialect=dialect, limits=Limits(max_turns=3), sampling=Sampling(max_tokens=2048)
    )

    async def main(opened: Store, url: str) -> Trajectory:
        client = Server(
            url,
            "served",
            "openai/weights",
            opened.blobs,
            first_pause_seconds=0.001,
            patience_seconds=60.0 if server.case["name"] in PATIENT else PATIENCE_SECONDS,
        )
        try:
            model = Metered(client, Meter(), Price())
            return (await rollout(asked(store), 0, ask, model, tools(opened, pool))).trajectory
        finally:
            await client.aclose()

    began, done, error = time.monotonic(), None, None
    with server.in_thread() as url, Store(store) as opened:
        try:
            done = asyncio.run(main(opened, url))
        except ColdforgeError as raised:
            error = raised
    seconds = time.monotonic() - began
    with closing(sqlite3.connect(store / "calls.sqlite")) as db:
        values = [json.loads(value) for (value,) in db.execute("SELECT value FROM calls WHERE kind = 'model'")]
    return Seen(server, done, error, [value["text"] for value in values], seconds)


def stops(*words: str) -> Callable[[Seen], None]:
    def check(one: Seen) -> None:
        assert isinstance(one.error, GivenUpError)
        assert all(word in one.said for word in words), one.said
        assert "start it" not in one.said

    return check


def stops_half_way(reason: str) -> Callable[[Seen], None]:
    def check(one: Seen) -> None:
        stops(f"finish_reason {reason}")(one)
        assert "The crop shows" not in "".join(one.stored)
        assert 2 < len(one.server.requests) < 12

    return check


def answers(think: str | None = None) -> Callable[[Seen], None]:
    def check(one: Seen) -> None:
        done = one.ended()
        assert (done.finish, done.answer) == ("answer", "3")
        assert think is None or done.turns[-1].think == think
        assert all(turn.raw_text.count("<think>") == 1 for turn in done.turns)

    return check


def rejected(one: Seen) -> None:
    assert isinstance(one.error, RejectedError)
    assert one.error.reason == "request_rejected"
    assert all(words in one.said for words in one.server.case["quotes"])
    assert len(one.stored) == 1  # the message before


def fits(one: Seen) -> None:
    answers()(one)
    limits = [body["max_tokens"] for body in one.server.requests if has_said(body)]
    assert limits[0] == 2048
    assert 8192 - 6855 >= limits[1] > limits[-1] > 32


def renamed(one: Seen) -> None:
    answers()(one)
    assert ["max_tokens" in body for body in one.server.requests] == [True, *[False] * (len(one.server.requests) - 1)]
    assert one.server.requests[-1]["max_completion_tokens"] == 2048


def calls_python(one: Seen) -> None:
    done = one.ended()
    assert [turn.action for turn in done.turns] == ["python"] * 3
    assert "1" in (done.turns[0].observation or "")


def told(one: Seen) -> None:
    done = one.ended()
    assert {turn.action for turn in done.turns} == {"none"}
    assert "tool" in (done.turns[0].observation or "")


def waits(one: Seen) -> None:
    answers()(one)
    assert one.seconds >= 2


def loops(one: Seen) -> None:
    done = one.ended()
    assert not_repetitive(done, AcceptSettings()).outcome == "reject"


def too_long(one: Seen) -> None:
    done = one.ended()
    assert (done.finish, done.answer, done.verdict) == ("length", None, "unknown")
    assert done.detail == one.server.case["body"]["error"]["message"]
    assert len(one.stored) == 1


def refused(one: Seen) -> None:
    done = one.ended()
    assert done.finish == "refused"
    assert done.detail == one.server.case["body"]["error"]["message"]


CHECKS: Mapping[str, Callable[[Seen], None]] = {
    "finish_abort": stops_half_way("abort"),
    "finish_null": stops_half_way("null"),
    "error_in_200_sometimes": answers(),
    "error_in_200_always": stops("Insufficient credits", "pay, then run again"),
    "content_as_parts": answers("I look."),
    "reasoning_content_required": rejected,
    "one_image_per_prompt": rejected,
    "prompt_fits_max_tokens_does_not": fits,
    "max_completion_tokens_only": renamed,
    "template_opens_think": answers("The crop shows three."),
    "tool_call_arguments_object": calls_python,
    "tool_call_name_null": told,
    "500_for_ever": stops("device-side assert", "answered 500"),
    "429_with_retry_after": waits,
    "thought_repeats_one_word": loops,
    "not_too_long_4": refused,
}


def check_of(name: str) -> Callable[[Seen], None]:
    if name in CHECKS:
        return CHECKS[name]
    return too_long if name.startswith("too_long") else rejected


@pytest.mark.parametrize("name", CASES)
def test_what_a_server_answers_is_read_asked_again_or_said(name: str, pool: Pool, tmp_path: Path) -> None:
    check_of(name)(seen(pool, tmp_path, served(name)))
