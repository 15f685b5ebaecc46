"""What a batch API is to `pipeline.models.batch.waves`: four endpoints, and three ends of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from pipeline.errors import InfrastructureError
from pipeline.models.batch.open_waves import Wave
from pipeline.models.chat import ChatRequest, ChatResponse


class Item(NamedTuple):
    """One request of a wave."""

    key: str
    """Its cache key, and its name within the batch: results say themselves what they answer."""
    content: bytes
    """JSON of the body that would be posted for it alone."""


class Done(NamedTuple):
    """An answer: the body that a single call would have got."""

    body: Any


class Refused(NamedTuple):
    """The provider refused this request for what it is."""

    error: Exception


class Lost(NamedTuple):
    """No answer, and none will come: expired, cancelled, or a failure of the provider."""

    why: str


Result = Done | Refused | Lost


class FailedError(InfrastructureError):
    """A provider gave up a whole batch; none of its requests has an answer."""


class BatchApi(Protocol):
    """The batch endpoints of a provider."""

    @property
    def max_items(self) -> int:
        """Requests in a batch."""
        ...

    @property
    def max_bytes(self) -> int:
        """Of all bodies of a batch together."""
        ...

    async def submit(self, wave: str, items: Sequence[Item]) -> str:
        """Return the id of a new batch named `wave`; tried once, for a second try might make a second batch."""
        ...

    async def find(self, wave: Wave, keys: frozenset[str], known: frozenset[str]) -> str:
        """Return the id of the batch that was made for `wave`, if any, else an empty string.

        `known` are the ids of batches that belong to other waves.
        """
        ...

    async def ended(self, batch: str) -> bool:
        """Return whether the provider is done with a batch; MissingError: it does not know it."""
        ...

    async def results(self, batch: str) -> Mapping[str, Result]:
        """Return what became of each request of a batch that ended, by key; FailedError: of none anything."""
        ...


class SingleModel(Protocol):
    """A model that can also be asked one by one: it knows the bodies."""

    @property
    def revision(self) -> str:
        """As in `ChatModel`."""
        ...

    def payload(self, request: ChatRequest, sample: int) -> bytes:
        """Return the JSON body of one sample."""
        ...

    def read(self, body: Any, request: ChatRequest) -> ChatResponse:
        """Return the body of an answer to `request` in our terms."""
        ...

    async def check(self) -> None:
        """Ask whether the model is there."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
