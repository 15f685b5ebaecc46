"""One sample of a request, paid for at most once; what a run's samples have cost, and what they may cost.

One meter serves every model of a run. `Metered` puts it between a model and whoever asks: a call is counted
when it is begun, its tokens and price when it is answered. Once a limit is reached no call begins; those in
flight are waited for first, since they are paid for and the store must get them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.errors import ColdforgeError, LimitError
from pipeline.identity import canonical_json
from pipeline.models.chat import ChatModel, ChatRequest, ChatResponse
from pipeline.models.refusals import RejectedError, Takes, TooLongError
from pipeline.models.traffic import Traffic
from pipeline.store.calls import CallCache, Made

SAVE_SECONDS = 5.0
"""A run that is killed forgets at most what it spent within this time; writing it for every call would cost more."""


class BudgetReached(LimitError):  # noqa: N818 - an end that the user asked for
    """The run's budget is spent; everything that was paid for is stored."""


class ModelChangedError(ColdforgeError):
    """A server answers with other weights than at the start of the run: no try of ours repairs that."""


class Budget(NamedTuple):
    """Limits of a run over all its invocations; None is no limit."""

    max_cost: float | None = None
    """In the currency of the prices."""
    max_tokens: int | None = None
    """Of prompts and completions together."""
    max_calls: int | None = None


class Price(NamedTuple):
    """Of one model, per million tokens."""

    prompt: float = 0.0
    cached: float = 0.0
    """Of the prompt's tokens that the provider had in its cache."""
    completion: float = 0.0

    def of(self, response: ChatResponse) -> float:
        """Return what a response costs."""
        fresh = response.prompt_tokens - response.cached_tokens
        cost = fresh * self.prompt + response.cached_tokens * self.cached + response.completion_tokens * self.completion
        return cost / 1e6


class Spent(NamedTuple):
    """What was paid for."""

    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Of the prompt's."""
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    """Of the completion's."""
    cut_characters: int = 0
    """Written after a complete action and discarded."""
    cost: float = 0.0

    def plus(self, response: ChatResponse, cost: float) -> Spent:
        """Return the sum of this and one answered call (the call itself was counted when it began)."""
        return self._replace(
            prompt_tokens=self.prompt_tokens + response.prompt_tokens,
            cached_tokens=self.cached_tokens + response.cached_tokens,
            completion_tokens=self.completion_tokens + response.completion_tokens,
            reasoning_tokens=self.reasoning_tokens + response.reasoning_tokens,
            cut_characters=self.cut_characters + response.cut_characters,
            cost=self.cost + cost,
        )

    def since(self, before: Spent) -> Spent:
        """Return what was spent after `before`."""
        return Spent(*(now - then for now, then in zip(self, before, strict=True)))  # type: ignore[arg-type] # field by field


@dataclass
class Meter:
    """The budget and the account of one run. Use from one event loop."""

    budget: Budget = field(default_factory=Budget)
    spent: Spent = field(default_factory=Spent)
    """Over all invocations of the run."""
    versions: dict[str, str] = field(default_factory=dict)
    """Role's revision → what its server first said it was, over all invocations of the run."""
    save: Callable[[], None] = lambda: None
    """Called when a version is new, and every `SAVE_SECONDS` while calls are answered."""
    _flying: int = field(default=0, init=False)
    _quiet: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """Set while no call is in flight."""
    _saved: float = field(default=0.0, init=False)

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """Hold a call's place while it is made.

        Raises:
            BudgetReached: the budget is spent. No call is in flight any more.
        """
        if (reached := self._reached()) is not None:
            while self._flying:
                await self._quiet.wait()
            raise reached
        self.spent = self.spent._replace(calls=self.spent.calls + 1)
        self._flying += 1
        self._quiet.clear()
        try:
            yield
        except BaseException:
            # Nothing was answered, so nothing is paid for.
            self.spent = self.spent._replace(calls=self.spent.calls - 1)
            raise
        finally:
            self._flying -= 1
            if not self._flying:
                self._quiet.set()

    def count(self, revision: str, response: ChatResponse, cost: float) -> None:
        """Account for an answer.

        Raises:
            ModelChangedError: its model is not the one that answered before; the answer must not be used.
        """
        self.spent = self.spent.plus(response, cost)
        if response.model_version:
            self._require_version(revision, response.model_version)
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self._save()

    def _require_version(self, revision: str, version: str) -> None:
        first = self.versions.get(revision)
        if first is None:
            self.versions[revision] = version
            self._save()
        elif first != version:
            raise ModelChangedError(
                f"the server of {revision} answered as {version}, and as {first} when this run began; serve that "
                "again and run again, or give `model` of this role a new revision in the recipe: what the other has "
                "said is kept, and the rest is asked anew"
            )

    def _save(self) -> None:
        self._saved = time.monotonic()
        self.save()

    def _reached(self) -> BudgetReached | None:
        budget, spent = self.budget, self.spent
        tokens = spent.prompt_tokens + spent.completion_tokens
        for name, limit, used in (
            ("max_calls", budget.max_calls, spent.calls),
            ("max_tokens", budget.max_tokens, tokens),
            ("max_cost", budget.max_cost, spent.cost),
        ):
            if limit is not None and used >= limit:
                return BudgetReached(
                    f"the budget is spent: runtime.budget.{name} is {limit:,g}, used are {used:,.10g}; everything paid "
                    f"for is stored. Raise it (--set runtime.budget.{name}=...) and run again to pay for the rest"
                )
        return None


@dataclass(frozen=True)
class Metered:
    """A model whose calls are counted against the run's budget."""

    model: ChatModel
    meter: Meter
    price: Price
    takes: Takes = field(default_factory=Takes)
    """How much of what it is asked the model takes."""
    traffic: Traffic = field(default_factory=Traffic)

    @property
    def revision(self) -> str:
        """Return the model's."""
        return self.model.revision

    @property
    def slots(self) -> AbstractAsyncContextManager[object]:
        """Return the model's."""
        return self.model.slots

    async def generate(self, request: ChatRequest, samples: Sequence[int]) -> Sequence[ChatResponse]:
        """Return the model's responses, one call per sample.

        Raises:
            BudgetReached: the run's budget is spent.
            ModelChangedError: the model is not the one that answered before.
        """
        if len(samples) == 1:
            return (await self._one(request, samples[0]),)
        return await asyncio.gather(*(self._one(request, sample) for sample in samples))

    async def _one(self, request: ChatRequest, sample: int) -> ChatResponse:
        # Whoever awaits this in its own task hands the answer to the store before anyone who waits for quiet wakes.
        async with self.meter.call():
            self.traffic.in_flight += 1
            try:
                (response,) = await self.model.generate(request, (sample,))
            finally:
                self.traffic.in_flight -= 1
            self.meter.count(self.model.revision, response, self.price.of(response))
            return response


class Sampled(NamedTuple):
    """A response and how long its one successful try took when it was paid for, in seconds."""

    response: ChatResponse
    seconds: float


async def sample_once(calls: CallCache, model: ChatModel, request: ChatRequest, sample: int) -> Sampled:
    """Return sample `sample` of `request`, from the store if anyone paid for it before.

    That a request is too long for the context which it states is stored, too. Any other refusal is not: a server that
    was set up wrongly refuses what it would answer, and nothing but asking again tells the two apart.

    Raises:
        InfrastructureError: the backend failed; nothing is stored.
        RefusedError: the backend refuses the request itself.
        RejectionsError: and it does so with more of a stage's requests than the recipe allows.
    """
    key = request.key(sample)

    async def make() -> Made:
        said = await calls.too_long(key, request.context_length)
        if said is not None:
            raise TooLongError(said)
        try:
            (response,) = await model.generate(request, [sample])
        except TooLongError as error:
            await calls.keep_too_long(key, request.context_length, error.detail)
            raise
        value = response.model_dump(exclude={"model_version", "seconds"})
        facts = {"model_version": response.model_version}
        return Made(canonical_json(value), canonical_json(facts), response.seconds)

    takes = model.takes if isinstance(model, Metered) else Takes()
    takes.asked += 1
    try:
        entry = await calls.once("model", key, make, model.slots)
    except RejectedError as error:
        takes.reject(error)
        raise
    return Sampled(ChatResponse.model_validate_json(entry.value), entry.seconds)
