"""Waves of requests by the batch APIs of three providers: nothing is submitted twice, nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest

from pipeline.errors import InfrastructureError, RowError, UsageError
from pipeline.models.batch.apis import AnthropicBatches, GeminiBatches, OpenAIBatches, OpenAISingle, open_openai_api
from pipeline.models.batch.interface import Done, Lost
from pipeline.models.batch.open_waves import OpenWaves
from pipeline.models.batch.waves import Batched
from pipeline.models.chat import ChatRequest, ChatResponse
from pipeline.models.client import Retry
from pipeline.models.providers import anthropic, gemini
from pipeline.models.providers.hosted import TRIES, HostedModel, encoder, open_api
from pipeline.models.providers.openai import Server
from pipeline.store.blobs import BlobStore
from tests.support.command import ROOT
from tests.support.jobs.batch_job import asked
from tests.support.servers import anthropic_server, gemini_server
from tests.support.servers.batch_server import BatchServer, Fate
from tests.support.servers.openai_server import completion

T = TypeVar("T")
QUICK = Retry(TRIES, first_pause_seconds=0.001)
Kind = Literal["anthropic", "gemini", "openai"]

KINDS: tuple[Kind, ...] = ("anthropic", "gemini", "openai")
QUESTIONS = ("a", "b", "c", "d")


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_KEY", "key")


def said(body: Any) -> str:
    """The question within a body."""
    content = body.get("messages") or body.get("contents")
    return str((content[0].get("content") or content[0].get("parts"))[0]["text"])


def anthropic_answer(body: dict[str, Any]) -> dict[str, Any]:
    anthropic_server.check(body)
    return anthropic_server.message(anthropic_server.text(f"to {said(body)}"))


def gemini_answer(body: dict[str, Any]) -> dict[str, Any]:
    gemini_server.check(body)
    return gemini_server.answer({"text": f"to {said(body)}"})


def openai_answer(body: dict[str, Any]) -> dict[str, Any]:
    assert body["model"] == "served"
    content: dict[str, Any] = json.loads(completion(f"to {said(body)}").body)
    return content


def server_of(kind: Kind, **fields: Any) -> BatchServer:
    scripts = {"anthropic": anthropic_answer, "gemini": gemini_answer, "openai": openai_answer}
    return BatchServer(script=scripts[kind], **fields)


def open_batched(kind: Kind, root: str, store: Path, **fields: Any) -> Batched:
    settings = {"max_wait_seconds": 0.05, "max_requests": 100, "first_poll_seconds": 0.01, **fields}
    if kind == "openai":
        server = Server(f"{root}/v1", "served", "openai/weights", BlobStore(store / "blobs"), api_key_env="CLAUDE_KEY")
        api = open_openai_api(f"{root}/v1", "CLAUDE_KEY", QUICK)
        journal = OpenWaves(store / "batches.sqlite", server.revision)
        return Batched(OpenAISingle(server, api), OpenAIBatches(api), journal, **settings)
    version = "v1" if kind == "anthropic" else "v1beta"
    api = open_api(kind, api_key_env="CLAUDE_KEY", base_url=f"{root}/{version}", in_flight=4, retry=QUICK)
    encode = encoder(BlobStore(store / "blobs"))
    if kind == "anthropic":
        model = HostedModel(kind, "claude-test", "off", anthropic.PROFILE, api, encode)
    else:
        model = HostedModel(kind, "gemini-test", "minimal", gemini.PROFILE, api, encode)
    batches = AnthropicBatches(api) if kind == "anthropic" else GeminiBatches(api, "gemini-test")
    return Batched(model, batches, OpenWaves(store / "batches.sqlite", model.revision), **settings)


def talk(kind: Kind, server: BatchServer, store: Path, work: Callable[[Batched], Awaitable[T]], **fields: Any) -> T:
    async def main() -> T:
        async with server.serving() as root:
            model = open_batched(kind, root, store, **fields)
            try:
                return await work(model)
            finally:
                await model.aclose()

    return asyncio.run(main())


async def ask_all(model: Batched, questions: Sequence[str] = QUESTIONS) -> list[str]:
    requests: list[ChatRequest] = [asked(text, model.revision) for text in questions]
    found: list[Sequence[ChatResponse]] = await asyncio.gather(*(model.generate(its, [0]) for its in requests))
    return [response.text for (response,) in found]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_asked_at_once_is_one_batch_and_each_gets_its_own_answer(kind: Kind, tmp_path: Path) -> None:
    server = server_of(kind, polls=3)
    assert talk(kind, server, tmp_path, ask_all) == [f"to {text}" for text in QUESTIONS]
    assert len(server.batches) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_wave_is_bounded_in_requests(kind: Kind, tmp_path: Path) -> None:
    server = server_of(kind)
    talk(kind, server, tmp_path, ask_all, max_requests=3)
    assert sorted(len(batch.bodies) for batch in server.batches.values()) == [1, 3]


def test_a_wave_is_bounded_in_bytes(tmp_path: Path) -> None:
    server = server_of("anthropic")

    async def work(model: Batched) -> list[str]:
        size = len(model.model.payload(asked("a", model.revision), 0))
        assert isinstance(model.api, AnthropicBatches)
        return await ask_all(replace(model, api=replace(model.api, max_bytes=2 * size)))

    assert talk("anthropic", server, tmp_path, work) == [f"to {text}" for text in QUESTIONS]
    assert [len(batch.bodies) for batch in server.batches.values()] == [2, 2]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fate", ["expired", "failed"])
def test_what_a_batch_did_not_answer_is_asked_again_and_the_rest_is_not(kind: Kind, fate: Fate, tmp_path: Path) -> None:
    server = server_of(kind, fates=lambda number, _, body: fate if number == 0 and said(body) in "ab" else "done")
    assert talk(kind, server, tmp_path, ask_all) == [f"to {text}" for text in QUESTIONS]
    assert [len(batch.bodies) for batch in server.batches.values()] == [4, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_provider_refuses_in_a_batch_is_the_rows_error_alone(kind: Kind, tmp_path: Path) -> None:
    server = server_of(kind, fates=lambda _, __, body: "refused" if said(body) == "a" else "done")

    async def work(model: Batched) -> Sequence[Any]:
        asking = (model.generate(asked(text, model.revision), [0]) for text in QUESTIONS)
        return await asyncio.gather(*asking, return_exceptions=True)

    first, *others = talk(kind, server, tmp_path, work)
    assert isinstance(first, RowError)
    assert [response.text for (response,) in others] == ["to b", "to c", "to d"]
    assert len(server.batches) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_lost_in_every_wave_stops_the_run(kind: Kind, tmp_path: Path) -> None:
    server = server_of(kind, fates=lambda *_: "expired")
    with pytest.raises(InfrastructureError, match="lost 3 times"):
        talk(kind, server, tmp_path, ask_all)
    assert len(server.batches) == 3


@pytest.mark.parametrize("error", ["billing_error", "authentication_error", "permission_error", "overloaded_error"])
def test_an_error_of_the_account_is_never_the_rows(error: str) -> None:
    api = open_api("anthropic", api_key_env="CLAUDE_KEY", base_url="http://127.0.0.1:1", in_flight=1)
    said = {"type": "error", "error": {"type": error, "message": "credit"}}
    assert isinstance(AnthropicBatches(api)._result({"type": "errored", "error": said}), Lost)


def test_what_an_empty_account_did_not_get_is_submitted_again_when_it_was_filled(tmp_path: Path) -> None:
    server = server_of("openai", fates=lambda number, _, __: "unpaid" if number == 0 else "done")
    with pytest.raises(UsageError):
        talk("openai", server, tmp_path, ask_all)
    assert talk("openai", server, tmp_path, ask_all) == [f"to {text}" for text in QUESTIONS]


@pytest.mark.parametrize("kind", ["gemini", "openai"])
def test_a_batch_that_failed_whole_is_made_anew(kind: Kind, tmp_path: Path) -> None:
    server = server_of(kind, broken={0})
    assert talk(kind, server, tmp_path, ask_all) == [f"to {text}" for text in QUESTIONS]
    assert len(server.batches) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_submission_whose_answer_was_lost_is_found_and_not_repeated(kind: Kind, tmp_path: Path) -> None:
    server = server_of(kind, lose_answers=1)
    assert talk(kind, server, tmp_path, ask_all) == [f"to {text}" for text in QUESTIONS]
    assert len(server.batches) == 1


def test_an_answer_that_is_none_is_asked_for_anew(tmp_path: Path) -> None:
    reasons = iter(["pause_turn", *["end_turn"] * 9])
    answer = anthropic_server.text("whole")
    server = BatchServer(script=lambda _: anthropic_server.message(answer, stop_reason=next(reasons)))
    assert talk("anthropic", server, tmp_path, ask_all) == ["whole"] * 4
    assert [len(batch.bodies) for batch in server.batches.values()] == [4, 1]


def test_a_submission_that_is_refused_is_no_batch(tmp_path: Path) -> None:
    server = server_of("anthropic", refuse="requests: too many")
    # Of the batch and not of its rows, which must not be quarantined for it.
    with pytest.raises(UsageError, match="batch of 4 requests"):
        talk("anthropic", server, tmp_path, ask_all)
    server.refuse = ""
    assert talk("anthropic", server, tmp_path, ask_all) == [f"to {text}" for text in QUESTIONS]


@pytest.mark.parametrize("kind", KINDS)
def test_answers_that_were_fetched_are_fetched_again_and_not_paid_again(kind: Kind, tmp_path: Path) -> None:
    server = server_of(kind)
    talk(kind, server, tmp_path, ask_all)
    assert talk(kind, server, tmp_path, ask_all) == [f"to {text}" for text in QUESTIONS]
    assert len(server.batches) == 1


def test_a_batch_that_the_account_does_not_know_is_not_paid_again_in_silence(tmp_path: Path) -> None:
    server = server_of("anthropic")
    talk("anthropic", server, tmp_path, ask_all)
    server.batches.clear()
    with pytest.raises(UsageError, match="not known to this account"):
        talk("anthropic", server, tmp_path, ask_all)
    assert server.batches == {}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_given_up_and_asked_again_is_submitted_once(kind: Kind, tmp_path: Path) -> None:
    server = server_of(kind, held=True)

    async def work(model: Batched) -> list[str]:
        for moment in (lambda: len(model._tasks) > 0, lambda: len(server.batches) == 1):
            asking = asyncio.ensure_future(ask_all(model))
            await until(moment)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        server.held = False
        return await ask_all(model)

    assert talk(kind, server, tmp_path, work) == [f"to {text}" for text in QUESTIONS]
    assert len(server.batches) == 1


async def start_job(store: Path, root: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.jobs.batch_job", str(store), root, ",".join(QUESTIONS),
        cwd=ROOT, env=os.environ, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)  # a look at the condition, which another process fulfils


@pytest.mark.parametrize("moment", ["open", "id_unknown"])
def test_a_process_killed_in_the_middle_of_a_batch_fetches_the_same_batch_when_started_again(
    moment: str, tmp_path: Path
) -> None:
    server = server_of("anthropic", held=True)

    async def main() -> str:
        async with server.serving() as root:
            job = await start_job(tmp_path, root)
            if moment == "open":
                await until(lambda: any(batch.polls for batch in server.batches.values()))
            else:
                await until(lambda: len(server.batches) == 1)
            job.kill()
            await job.wait()
            if moment == "id_unknown":
                forget_id(tmp_path)
            server.held = False
            again = await start_job(tmp_path, root)
            out, _ = await again.communicate()
            return out.decode()

    assert asyncio.run(main()).split("\n") == [f"to {text}" for text in QUESTIONS]
    assert (len(server.batches), len(server.submitted)) == (1, 4)


def forget_id(store: Path) -> None:
    """Put the journal in the state of a process that was killed before the provider's id had arrived."""
    journal = OpenWaves(store / "batches.sqlite", "anthropic/claude-test/thinking-off")
    journal._db.execute("UPDATE waves SET batch = ''")
    journal.close()


def test_a_prompt_that_a_filter_stopped_is_an_outcome_in_a_batch_too(tmp_path: Path) -> None:
    api = open_openai_api("http://127.0.0.1:1/v1", "CLAUDE_KEY")
    error = {"code": "content_filter", "message": "the prompt was filtered"}
    result = OpenAIBatches(api)._result({"response": {"status_code": 400, "body": {"error": error}}})
    assert isinstance(result, Done)

    async def main() -> ChatResponse:
        single = OpenAISingle(Server("http://127.0.0.1:1/v1", "served", "openai/weights", BlobStore(tmp_path)), api)
        return single.read(result.body, asked("a", "openai/weights"))

    assert asyncio.run(main()).finish == "refused"
