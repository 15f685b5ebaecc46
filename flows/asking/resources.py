"""What the model stages of a run act with: models by role, tools, views; opened by `flows.run.opening`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.models.batch.waves import Batched
from pipeline.models.local.offline import Offline
from pipeline.models.local.served import Served
from pipeline.models.providers.hosted import HostedModel
from pipeline.models.providers.openai import Server
from pipeline.models.samples import Meter, Metered
from pipeline.rollout.loop import World
from pipeline.sandbox import Sandbox


@dataclass(frozen=True)
class Stock:
    """Everything that is opened once per invocation."""

    world: World
    base: Metered
    teachers: tuple[Metered, ...]
    stronger: Metered | None
    judge: Metered | None
    families: Mapping[str, str]
    """Of each model's revision that attempts questions."""
    meter: Meter
    """Counts what all models cost."""
    replay: Sandbox
    """Zygotes that no rollout used; they start with the first replay. A service's sessions are fresh ones."""
    slots: asyncio.Semaphore
    """Conversations in flight, over all stages."""

    async def check(self) -> None:
        """Ask every model server whether it is there, before any work.

        Raises:
            UsageError: a server does not serve the model, or refuses the key.
            InfrastructureError: a server cannot be reached.
        """
        models = (metered.model for metered in self._models())
        servers = (model for model in models if isinstance(model, Server | HostedModel | Batched | Served | Offline))
        await asyncio.gather(*(server.check() for server in servers))

    async def stop_unasked(self, stage: str) -> None:
        """Stop the model servers of ours that a stage does not ask: others may need their GPUs."""
        by_stage: Mapping[str, tuple[Metered | None, ...]] = {
            "gate1": (self.base, self.stronger, self.judge),
            "gate2": (self.base, self.judge),
            "synthesize": (*self.teachers, self.judge),
        }
        asked = [of for of in by_stage.get(stage, ()) if of is not None]
        needed = {of.model.launch for of in asked if isinstance(of.model, Served | Offline)}
        for of in self._models():
            if isinstance(of.model, Served | Offline) and of.model.launch not in needed:
                await of.model.aclose()

    def _models(self) -> tuple[Metered, ...]:
        return tuple(of for of in (self.base, *self.teachers, self.stronger, self.judge) if of is not None)
