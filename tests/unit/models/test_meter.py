"""A run's budget: it ends a run before a call begins, and loses no answer that was paid for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InfrastructureError
from pipeline.models.chat import ChatResponse
from pipeline.models.samples import Budget, BudgetReached, Meter, Metered, ModelChangedError, Price, Spent, sample_once
from pipeline.store.calls import CallCache
from tests.support.fakes import ScriptedModel
from tests.support.openai_asking import REQUEST


def model(meter: Meter, price: Price = Price(), **fields: float) -> Metered:  # noqa: B008 - frozen
    return Metered(ScriptedModel(lambda _, sample: "x" * (sample + 1), **fields), meter, price)  # type: ignore[arg-type]


def test_a_price_counts_cached_tokens_apart() -> None:
    response = ChatResponse(
        text="", finish="stop", prompt_tokens=1_000_000, completion_tokens=500_000, cached_tokens=400_000
    )
    assert Price(prompt=3.0, cached=0.3, completion=15.0).of(response) == pytest.approx(1.8 + 0.12 + 7.5)


def test_what_is_answered_is_counted_and_what_fails_is_not() -> None:
    async def main() -> Spent:
        meter = Meter()
        scripted = ScriptedModel(lambda *_: "four", fail_at=frozenset({2}))
        metered = Metered(scripted, meter, Price(prompt=1e6, completion=1e6))
        await metered.generate(REQUEST, (0,))
        with pytest.raises(InfrastructureError):
            await metered.generate(REQUEST, (1,))
        return meter.spent

    assert asyncio.run(main()) == Spent(calls=1, prompt_tokens=1, completion_tokens=4, cost=5.0)


@given(limit=st.integers(1, 30), at_once=st.integers(1, 12))
@settings(max_examples=25)
def test_no_call_begins_beyond_the_limit_and_none_in_flight_is_lost(limit: int, at_once: int) -> None:
    async def main() -> None:
        meter = Meter(Budget(max_calls=limit))
        metered = model(meter, latency=0.001)
        done: list[int] = []

        async def worker(number: int) -> None:
            for sample in range(number, 40, at_once):
                await metered.generate(REQUEST, (sample,))
                done.append(sample)

        results = await asyncio.gather(*(worker(number) for number in range(at_once)), return_exceptions=True)
        assert len(done) == meter.spent.calls == limit
        assert all(isinstance(result, BudgetReached) for result in results if result is not None)

    asyncio.run(main())


def test_who_meets_the_limit_waits_until_the_calls_in_flight_are_in_the_store(tmp_path: Path) -> None:
    async def main() -> None:
        metered = model(Meter(Budget(max_calls=5)), latency=0.05)
        tasks = [asyncio.create_task(sample_once(cache, metered, REQUEST, sample)) for sample in range(9)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        # What a stage does with the first failure.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with CallCache(tmp_path / "calls.sqlite") as cache:
        asyncio.run(main())
    again = Meter()
    with CallCache(tmp_path / "calls.sqlite") as cache:

        async def rest() -> None:
            await asyncio.gather(*(sample_once(cache, model(again), REQUEST, sample) for sample in range(9)))

        asyncio.run(rest())
    assert again.spent.calls == 4


@pytest.mark.parametrize(("budget", "name"), [(Budget(max_cost=0.5), "max_cost"), (Budget(max_tokens=7), "max_tokens")])
def test_money_and_tokens_stop_a_run_and_the_message_says_what_to_raise(budget: Budget, name: str) -> None:
    async def main() -> None:
        metered = model(Meter(budget), Price(completion=1e5))
        for sample in range(10):
            await metered.generate(REQUEST, (sample,))

    with pytest.raises(BudgetReached, match=f"--set runtime.budget.{name}="):
        asyncio.run(main())


def test_another_version_of_a_model_stops_the_run_and_is_not_stored(tmp_path: Path) -> None:
    async def main() -> None:
        meter = Meter(versions={"scripted/1": "scripted yesterday"})
        await sample_once(cache, model(meter), REQUEST, 0)

    with (
        CallCache(tmp_path / "calls.sqlite") as cache,
        pytest.raises(ModelChangedError, match="answered as scripted, and as scripted yesterday"),
    ):
        asyncio.run(main())
    with CallCache(tmp_path / "calls.sqlite") as cache:
        meter = Meter()
        asyncio.run(sample_once(cache, model(meter), REQUEST, 0))
        assert meter.spent.calls == 1


def test_a_new_version_is_saved_at_once() -> None:
    saved: list[dict[str, str]] = []
    meter = Meter()
    meter.save = lambda: saved.append(dict(meter.versions))
    asyncio.run(model(meter).generate(REQUEST, (0,)))
    assert saved[0] == {"scripted/1": "scripted"}
