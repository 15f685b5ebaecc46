"""A process that asks by a batch API, and prints the answers' texts.

`python -m tests.support.jobs.batch_job STORE URL QUESTIONS`
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.models.batch.apis import AnthropicBatches
from pipeline.models.batch.open_waves import OpenWaves
from pipeline.models.batch.waves import Batched
from pipeline.models.chat import ChatRequest, Message, Sampling, Text
from pipeline.models.providers.anthropic import PROFILE
from pipeline.models.providers.hosted import HostedModel, encoder, open_api
from pipeline.models.samples import sample_once
from pipeline.store.blobs import BlobStore
from pipeline.store.calls import CallCache


def asked(question: str, model: str = "anthropic/claude-test/thinking-off") -> ChatRequest:
    """The request of one question."""
    parts = (Text(text=question),)
    return ChatRequest(model=model, messages=(Message(role="user", parts=parts),), sampling=Sampling(), seed=0)


async def main(store: Path, root: str, questions: Sequence[str]) -> list[str]:
    """Ask every question at once, through the call cache; return the answers."""
    api = open_api("anthropic", api_key_env="CLAUDE_KEY", base_url=f"{root}/v1", in_flight=4)
    single = HostedModel("anthropic", "claude-test", "off", PROFILE, api, encoder(BlobStore(store / "blobs")))
    journal = OpenWaves(store / "batches.sqlite", single.revision)
    model = Batched(single, AnthropicBatches(api), journal, 0.05, 100, first_poll_seconds=0.02)
    try:
        with CallCache(store / "calls.sqlite") as calls:
            sampled = await asyncio.gather(*(sample_once(calls, model, asked(text), 0) for text in questions))
        return [one.response.text for one in sampled]
    finally:
        await model.aclose()


if __name__ == "__main__":
    texts = asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3].split(",")))
    sys.stdout.write("\n".join(texts))
