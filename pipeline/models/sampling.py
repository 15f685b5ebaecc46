"""One sample of one request, paid for at most once."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.identity import canonical_json
from pipeline.models.chat import ChatModel, ChatRequest, ChatResponse
from pipeline.store.calls import CallCache, Made


class Sampled(NamedTuple):
    """A response and how long its one successful try took when it was paid for, in seconds."""

    response: ChatResponse
    seconds: float


async def sample_once(calls: CallCache, model: ChatModel, request: ChatRequest, sample: int) -> Sampled:
    """Return sample `sample` of `request`, from the store if anyone paid for it before.

    A refusal is not stored: a server that was set up wrongly refuses what it would answer, and nothing but
    asking again tells the two apart.

    Raises:
        InfrastructureError: the backend failed; nothing is stored.
        RowError: the backend refused the request itself; nothing is stored.
    """

    async def make() -> Made:
        (response,) = await model.generate(request, [sample])
        value = response.model_dump(exclude={"model_version", "seconds"})
        facts = {"model_version": response.model_version}
        return Made(canonical_json(value), canonical_json(facts), response.seconds)

    entry = await calls.once("model", request.key(sample), make, model.slots)
    return Sampled(ChatResponse.model_validate_json(entry.value), entry.seconds)
