"""Batch APIs behind `ChatModel`: requests are collected into waves, and their answers fetched when they are ready.

For half the price a provider answers within a day. Many conversations wait at once, so each wave holds the
next message of all of them. A wave is bounded in number, bytes and the time its first request waits.
A batch that was submitted is never submitted again while it may still be answered: the journal knows it, and
a run that is started again after it was killed fetches the same batch.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline.errors import ColdforgeError, InfrastructureError, RowError, UsageError
from pipeline.models.batch.interface import BatchApi, Done, FailedError, Item, Lost, Refused, Result, SingleModel
from pipeline.models.batch.open_waves import OpenWaves, Wave
from pipeline.models.chat import ChatRequest, ChatResponse
from pipeline.models.client import MissingError

TRIES = 3
"""Waves in which a request may be lost (expired, a server's failure) before the run stops."""
SUBMIT_TRIES = 5
FIRST_POLL_SECONDS = 5.0
LONGEST_POLL_SECONDS = 60.0
"""Providers ask for 30 to 60 s; the first polls are quicker because small batches are."""
ANSWERED_WITHIN_SECONDS = 72 * 3600.0
"""After this no provider works on a batch any more (Gemini: two days, the others: one)."""


class _Waiting(NamedTuple):
    """Its body is written when its wave is sent: bodies with images are all that is large."""

    request: ChatRequest
    sample: int
    future: asyncio.Future[Result]


@dataclass
class Batched:
    """A model that is asked in waves. Use from one event loop."""

    model: SingleModel
    api: BatchApi
    journal: OpenWaves
    max_wait_seconds: float
    """How long a wave's first request waits for company."""
    max_requests: int
    """Per wave; a smaller limit of the provider's goes first."""
    first_poll_seconds: float = FIRST_POLL_SECONDS
    _queue: dict[str, _Waiting] = field(default_factory=dict, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)
    _sent: dict[str, asyncio.Future[Result]] = field(default_factory=dict, init=False)
    """Whoever waits for an answer of a wave."""
    _held: dict[str, Result] = field(default_factory=dict, init=False)
    """Answers that were fetched with others and not asked for yet."""
    _following: set[str] = field(default_factory=set, init=False)
    """Waves whose answers are being waited for."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _dispatching: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    """One wave at a time: whoever finds a wave without an id in the journal finds one that nobody is submitting, and
    no two waves' bodies are in memory."""

    @property
    def revision(self) -> str:
        """Return that of the model: an answer is the same at half the price."""
        return self.model.revision

    @property
    def slots(self) -> AbstractAsyncContextManager[object]:
        """Return no bound: a batch that a kill interrupts is not lost, its journal knows it."""
        return nullcontext()

    async def generate(self, request: ChatRequest, samples: Sequence[int]) -> Sequence[ChatResponse]:
        """Return one response per sample index, each when its wave is answered.

        Raises:
            InfrastructureError: the provider lost the request several times, or cannot be reached.
            RowError: it refuses the request.
            UsageError: it refuses the key or the settings.
        """
        return await asyncio.gather(*(self._one(request, sample) for sample in samples))

    @property
    def process(self) -> None:
        """Return nothing: it is not ours to start."""
        return

    async def check(self) -> None:
        """Check the model as if it were asked one by one."""
        await self.model.check()

    async def aclose(self) -> None:
        """Close connections and journal; batches that are open stay open."""
        if self._timer is not None:
            self._timer.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.model.aclose()
        self.journal.close()

    async def _one(self, request: ChatRequest, sample: int) -> ChatResponse:
        key, why = request.key(sample), ""
        for _ in range(TRIES):
            match await self._wanted(key, request, sample):
                case Done(body):
                    try:
                        # A batch has a day, and its requests no time of their own: their seconds stay 0.
                        return self.model.read(body, request)
                    except InfrastructureError as error:  # an answer that is none, and would be none tomorrow
                        self.journal.lost([key])
                        why = str(error)
                case Refused(error):
                    if not isinstance(error, RowError):  # such as an empty account: asked anew when that was repaired
                        self.journal.lost([key])
                    raise error
                case Lost(said):
                    why = said
        raise InfrastructureError(f"a batch request was lost {TRIES} times ({why}); run again later")

    def _wanted(self, key: str, request: ChatRequest, sample: int) -> asyncio.Future[Result]:
        """Put a request into the next wave."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        if key in self._held:
            future.set_result(self._held.pop(key))
            return future
        self._queue[key] = _Waiting(request, sample, future)
        if len(self._queue) >= min(self.max_requests, self.api.max_items):
            self._flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.max_wait_seconds, self._flush)
        return future

    def _flush(self) -> None:
        """Send what was collected on its way."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        waiting, self._queue = self._queue, {}
        if waiting:
            self._start(self._dispatch(waiting))

    async def _dispatch(self, waiting: Mapping[str, _Waiting]) -> None:
        """Find each request's wave, or make one for those that have none."""
        try:
            async with self._dispatching:
                for key in waiting.keys() & self._held.keys():  # fetched while these waited for company
                    _settle(waiting[key].future, self._held.pop(key))
                waiting = {key: one for key, one in waiting.items() if not one.future.done()}
                waves = self.journal.find(waiting)
                for wave in set(waves.values()):
                    mine = {key: waiting[key] for key, its in waves.items() if its == wave}
                    if not await self._joined(wave, mine):
                        waves = {key: its for key, its in waves.items() if its != wave}
                await self._send({key: one for key, one in waiting.items() if key not in waves})
        except Exception as error:  # noqa: BLE001 - whoever waits for an answer gets it
            for key, one in waiting.items():
                if self._sent.get(key) is not one.future:  # of a wave that is being followed all the same
                    _fail(one.future, error)

    async def _joined(self, wave: Wave, mine: Mapping[str, _Waiting]) -> bool:
        """Wait for a wave that an earlier run, or this one, began; return whether there is its batch."""
        if not wave.batch:
            batch = await self.api.find(wave, self.journal.keys(wave), self.journal.batches())
            if not batch:
                self.journal.drop(wave)
                return False
            wave = self.journal.submitted(wave, batch)
        self._follow(wave, mine)
        return True

    async def _send(self, new: Mapping[str, _Waiting]) -> None:
        """Write the bodies and submit them, in as many waves as the provider's limit on bytes makes of them."""
        items: list[Item] = []
        nbytes = 0
        for key, one in new.items():
            try:
                # In a thread: a wave's images are seconds of work.
                item = Item(key, await asyncio.to_thread(self.model.payload, one.request, one.sample))
            except ColdforgeError as error:
                _fail(one.future, error)
                continue
            # A wave over the provider's bytes would be refused whole.
            if items and nbytes + len(item.content) > self.api.max_bytes:
                await self._submit(items, new)
                items, nbytes = [], 0
            items.append(item)
            nbytes += len(item.content)
        if items:
            await self._submit(items, new)

    async def _submit(self, items: Sequence[Item], new: Mapping[str, _Waiting]) -> None:
        """Make a batch, exactly one."""
        wave = self.journal.begin([item.key for item in items])
        try:
            batch = await self._make(wave, items)
        except InfrastructureError:
            raise  # the provider may have it all the same: whoever asks for these keys next will look
        except RowError as error:
            self.journal.drop(wave)
            # Requests are looked at one by one, later: what is refused here is none of them.
            raise UsageError(
                f"the provider refuses a batch of {len(items)} requests: {error.detail}; "
                "lower `batch.max_requests` of this model in the recipe, or remove its `batch`"
            ) from error
        except Exception:
            self.journal.drop(wave)  # refused: there is no batch
            raise
        self._follow(self.journal.submitted(wave, batch), {item.key: new[item.key] for item in items})

    async def _make(self, wave: Wave, items: Sequence[Item]) -> str:
        """Submit; after a failure the provider is asked whether it has the batch before it is sent once more."""
        for attempt in range(SUBMIT_TRIES):
            if attempt:
                await asyncio.sleep(self.first_poll_seconds * 2**attempt)
            try:
                return await self.api.submit(wave.wave, items)
            except InfrastructureError as error:
                failure = error
            batch = await self.api.find(wave, frozenset(item.key for item in items), self.journal.batches())
            if batch:
                return batch
        raise failure

    def _follow(self, wave: Wave, waiting: Mapping[str, _Waiting]) -> None:
        self._sent.update({key: one.future for key, one in waiting.items()})
        if wave.wave not in self._following:
            self._following.add(wave.wave)
            self._start(self._fetch(wave))

    async def _fetch(self, wave: Wave) -> None:
        """Wait until a batch has ended and hand out its answers."""
        keys = self.journal.keys(wave)
        try:
            results = await self._results(wave, keys)
        except Exception as error:  # noqa: BLE001 - whoever waits for an answer gets it
            for key in keys & self._sent.keys():
                _fail(self._sent.pop(key), error)
            return
        finally:
            self._following.discard(wave.wave)  # nothing waits between this and the last answer handed out
        self.journal.lost(key for key, result in results.items() if isinstance(result, Lost))
        for key, result in results.items():
            future = self._sent.pop(key, None)
            if future is not None:
                _settle(future, result)
            elif not isinstance(result, Lost):
                self._held[key] = result

    async def _results(self, wave: Wave, keys: frozenset[str]) -> dict[str, Result]:
        """Return what became of each of `keys` when the batch has ended."""
        pause, why = self.first_poll_seconds, "not among the results"
        found: Mapping[str, Result] = {}
        try:
            while not await self.api.ended(wave.batch):
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, max(LONGEST_POLL_SECONDS, self.first_poll_seconds))
            found = await self.api.results(wave.batch)
        except FailedError as error:
            why = str(error)
        except MissingError as error:
            age = time.time() - wave.began
            if age < ANSWERED_WITHIN_SECONDS:
                raise UsageError(
                    f"batch {wave.batch}, submitted {age:.0f} s ago, is not known to this account; "
                    "run with the key and `base_url` that it was submitted with"
                ) from error
            why = "the provider keeps its results no longer"
        return {key: found.get(key, Lost(why)) for key in keys}

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop itself holds its tasks weakly
        task.add_done_callback(self._tasks.discard)
        return task


def _fail(future: asyncio.Future[Result], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _settle(future: asyncio.Future[Result], result: Result) -> None:
    if not future.done():
        future.set_result(result)
