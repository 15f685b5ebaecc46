"""The client, the store and the budget against a language model that really samples."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from pipeline.errors import RowError, UsageError
from pipeline.models.chat import ChatModel, ChatRequest, ChatResponse, Message, Sampling, Text
from pipeline.models.providers.openai import Server
from pipeline.models.samples import Budget, BudgetReached, Meter, Metered, Price, Sampled, sample_once
from pipeline.store.blobs import BlobStore
from pipeline.store.calls import CallCache
from tests.support.servers.llama_server import AT_ONCE, CONTEXT, MODEL, llama_server

T = TypeVar("T")
REVISION = "openai/smollm2-135m@q4_1"
REQUEST = ChatRequest(
    model=REVISION,
    messages=(
        Message(role="system", parts=(Text(text="You are brief."),)),
        Message(role="user", parts=(Text(text="Name a fruit and say "), Text(text="what it tastes of."))),
    ),
    sampling=Sampling(temperature=1.0, max_tokens=12),
    seed=40,
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with llama_server() as url:
        yield url


def talk(
    url: str, root: Path, work: Callable[[Server], Awaitable[T]], *, served_name: str = MODEL, at_once: int = 1
) -> T:
    """Run `work` with a client; one request at a time unless told: what shares a batch shares its rounding."""

    async def main() -> T:
        client = Server(url, served_name, REVISION, BlobStore(root), in_flight=at_once)
        try:
            return await work(client)
        finally:
            await client.aclose()

    return asyncio.run(main())


def ask(url: str, root: Path, request: ChatRequest = REQUEST, samples: Sequence[int] = (0,)) -> Sequence[ChatResponse]:
    return talk(url, root, lambda client: client.generate(request, samples))


def test_the_server_is_recognised_and_another_name_refused(url: str, tmp_path: Path) -> None:
    talk(url, tmp_path, lambda client: client.check())
    with pytest.raises(UsageError, match=rf"serves {MODEL}, not another; correct `served_name`"):
        talk(url, tmp_path, lambda client: client.check(), served_name="another")


def test_a_seed_is_a_text_and_other_seeds_are_others(url: str, tmp_path: Path) -> None:
    texts = [response.text for response in ask(url, tmp_path, samples=range(4))]
    assert len(set(texts)) == 4
    # Sample i runs under the request's seed + i.
    (third,) = ask(url, tmp_path, REQUEST.model_copy(update={"seed": REQUEST.seed + 2}))
    assert third.text == texts[2]
    assert [response.text for response in ask(url, tmp_path, samples=range(4))] == texts


def test_tokens_are_counted_as_the_model_counts_them(url: str, tmp_path: Path) -> None:
    (response,) = ask(url, tmp_path)
    assert response.finish == "length"
    assert response.completion_tokens == REQUEST.sampling.max_tokens
    longer = REQUEST.model_copy(
        update={"messages": (*REQUEST.messages, Message(role="user", parts=(Text(text="Go."),)))}
    )
    (more,) = ask(url, tmp_path, longer)
    assert 0 < response.prompt_tokens < more.prompt_tokens
    assert response.model_version.startswith(MODEL)
    assert response.seconds > 0


def test_a_stop_string_ends_the_text(url: str, tmp_path: Path) -> None:
    (free,) = ask(url, tmp_path)
    mark = free.text[3:6]
    (stopped,) = ask(url, tmp_path, REQUEST.model_copy(update={"stop": (mark,)}))
    assert stopped.finish == "stop"
    # llama.cpp does not say which string it was and leaves it out; only a closing tag can be put back.
    assert stopped.text == free.text[: free.text.index(mark)]


def test_log_probabilities_come_for_each_token(url: str, tmp_path: Path) -> None:
    (response,) = ask(url, tmp_path, REQUEST.model_copy(update={"logprobs": True}))
    assert len(response.logprobs) == response.completion_tokens
    assert all(value <= 0 for value in response.logprobs)


def test_an_answer_follows_its_schema(url: str, tmp_path: Path) -> None:
    schema = '{"enum":["yes","no"]}'
    (response,) = ask(url, tmp_path, REQUEST.model_copy(update={"answer_schema": schema}))
    assert response.text in {'"yes"', '"no"'}


def test_a_prompt_that_is_too_long_is_the_rows_error(url: str, tmp_path: Path) -> None:
    long = Message(role="user", parts=(Text(text="word " * 2 * CONTEXT),))
    with pytest.raises(RowError) as caught:
        ask(url, tmp_path, REQUEST.model_copy(update={"messages": (long,)}))
    assert caught.value.reason == "context_too_long"


async def _all(model: ChatModel, calls: CallCache, samples: int) -> list[Sampled]:
    return list(await asyncio.gather(*(sample_once(calls, model, REQUEST, sample) for sample in range(samples))))


def test_what_was_paid_for_is_never_asked_again(url: str, tmp_path: Path) -> None:
    def run(url: str) -> tuple[list[Sampled], int]:
        with CallCache(tmp_path / "calls.sqlite") as calls:
            sampled = talk(url, tmp_path, lambda client: _all(client, calls, 6), at_once=AT_ONCE)
            return sampled, calls.counts.paid["model"]

    first, paid = run(url)
    assert paid == 6
    nobody = "http://127.0.0.1:9/v1"  # the discard port: whoever asked would fail
    assert run(nobody) == (first, 0)


def test_a_budget_ends_the_work_and_what_it_paid_for_stays(url: str, tmp_path: Path) -> None:
    def run(meter: Meter) -> list[Sampled]:
        with CallCache(tmp_path / "calls.sqlite") as calls:

            async def work(client: Server) -> list[Sampled]:
                return await _all(Metered(client, meter, Price(prompt=1.0, completion=2.0)), calls, 6)

            return talk(url, tmp_path, work)

    limited = Meter(Budget(max_calls=4))
    with pytest.raises(BudgetReached, match="max_calls is 4"):
        run(limited)
    assert limited.spent.calls == 4
    rest = Meter()
    answers = [sampled.response for sampled in run(rest)]
    assert rest.spent.calls == 2
    prompt = sum(answer.prompt_tokens for answer in answers)
    completion = sum(answer.completion_tokens for answer in answers)
    assert limited.spent.cost + rest.spent.cost == pytest.approx((prompt + 2 * completion) / 1e6)
