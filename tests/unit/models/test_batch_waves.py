"""What of a wave is in memory, and whose error is whose."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import RowError
from pipeline.models.batch.interface import Done, Item, Result
from pipeline.models.batch.open_waves import OpenWaves, Wave
from pipeline.models.batch.waves import Batched
from pipeline.models.chat import ChatRequest, ChatResponse, Message, Sampling, Text

TOO_LARGE = "too large"


@dataclass
class Provider:
    """A model and its batch API in one, which notes what it is asked for."""

    revision: str = "script/1"
    max_items: int = 100
    max_bytes: int = 100
    done: list[str] = field(default_factory=list)
    made: dict[str, Sequence[Item]] = field(default_factory=dict)

    def payload(self, request: ChatRequest, sample: int) -> bytes:
        (part,) = request.messages[0].parts
        assert isinstance(part, Text)
        self.done.append(f"write {part.text} {sample}")
        if part.text == TOO_LARGE:
            raise RowError("request_too_large", "more than the provider takes")
        return part.text.encode()

    def read(self, body: Any, request: ChatRequest) -> ChatResponse:
        assert request.model == self.revision
        return ChatResponse(text=f"to {body}", finish="stop", prompt_tokens=1, completion_tokens=1)

    async def submit(self, wave: str, items: Sequence[Item]) -> str:
        self.done.append(f"submit {len(items)}")
        self.made[wave] = items
        return wave

    async def find(self, wave: Wave, keys: frozenset[str], known: frozenset[str]) -> str:
        raise AssertionError(f"nothing is looked for: {wave}, {keys}, {known}")

    async def ended(self, batch: str) -> bool:
        return batch in self.made

    async def results(self, batch: str) -> Mapping[str, Result]:
        return {item.key: Done(item.content.decode()) for item in self.made[batch]}

    async def check(self) -> None:
        """Nothing to check."""

    async def aclose(self) -> None:
        """Nothing to close."""


def ask(provider: Provider, root: Path, questions: Sequence[str], max_requests: int) -> list[Any]:
    async def main() -> list[Any]:
        model = Batched(provider, provider, OpenWaves(root / "batches.sqlite", provider.revision), 0.02, max_requests)
        asking = []
        for question in questions:
            said = Message(role="user", parts=(Text(text=question),))
            request = ChatRequest(model=provider.revision, messages=(said,), sampling=Sampling(), seed=0)
            asking.append(model.generate(request, [0]))
        try:
            return list(await asyncio.gather(*asking, return_exceptions=True))
        finally:
            await model.aclose()

    return asyncio.run(main())


def test_bodies_are_written_when_their_wave_is_sent_and_not_before(tmp_path: Path) -> None:
    provider = Provider()
    ask(provider, tmp_path, "abcd", max_requests=2)
    assert provider.done == ["write a 0", "write b 0", "submit 2", "write c 0", "write d 0", "submit 2"]


def test_a_wave_that_would_be_too_large_is_sent_in_parts(tmp_path: Path) -> None:
    provider = Provider(max_bytes=3)
    answers = ask(provider, tmp_path, ["ab", "c", "d"], max_requests=10)
    assert [response.text for (response,) in answers] == ["to ab", "to c", "to d"]
    assert [step for step in provider.done if step.startswith("submit")] == ["submit 2", "submit 1"]


def test_a_request_that_cannot_be_written_is_its_own_error_and_no_other_ones(tmp_path: Path) -> None:
    first, *others = ask(Provider(), tmp_path, [TOO_LARGE, "b", "c"], max_requests=10)
    assert isinstance(first, RowError)
    assert [response.text for (response,) in others] == ["to b", "to c"]
