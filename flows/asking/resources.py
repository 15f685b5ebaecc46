"""What the model stages of a run act with: models by role, tools, a judge; opened by `flows.run.opening`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from flows.asking.formed import Formed
from flows.asking.judge import AnswerAsk, AnswerJudge, Judge, JudgeAsk
from flows.asking.work import Work
from pipeline.models.chat import ChatModel
from pipeline.models.samples import Meter, Metered
from pipeline.models.traffic import Traffic
from pipeline.rollout.loop import Tools
from pipeline.sandbox import Sandbox
from pipeline.store import Store
from pipeline.students.tokens import TokenCounter


class Backend(ChatModel, Protocol):
    """An opened model: beside answering it can be looked at, and stopped."""

    @property
    def process(self) -> object | None:
        """What it runs in, if we start that ourselves; models that share it are stopped together."""
        ...

    async def check(self) -> None:
        """Ask whether it is there, before any work.

        Raises:
            UsageError: it does not serve the model, or refuses the key.
            InfrastructureError: it cannot be reached.
        """
        ...

    async def aclose(self) -> None:
        """Close connections, and stop what we started; whoever asks again starts it again."""
        ...


class Revisions(NamedTuple):
    """Identities of what a run acts with: what stages are fingerprinted by."""

    models: Mapping[str, str]
    """By role, such as `base` or `teachers.1`."""
    sandbox: str
    search: str
    """Empty where there is none."""


@dataclass(frozen=True)
class Resources:
    """Everything that is opened once per invocation."""

    store: Store
    tools: Tools
    models: Mapping[str, Metered]
    """By role."""
    backends: Mapping[str, Backend]
    """The same, unmetered."""
    meter: Meter
    """Counts what all models cost."""
    tokens: TokenCounter
    replay: Sandbox
    """Zygotes that no rollout used; they start with the first replay. A service's sessions are fresh ones."""
    slots: asyncio.Semaphore
    """Conversations in flight, over all stages."""
    replays: asyncio.Semaphore
    """Trajectories that are validated at once."""
    questions: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(32))
    """Questions that a gate works on: as many as fill `slots` with their rollouts."""
    formed: Formed = field(default_factory=Formed)
    """How well the gates' models write."""
    work: Work = field(default_factory=Work)
    traffic: Mapping[str, Traffic] = field(default_factory=dict)
    """What the calls of each role are doing, and those of `search` where the web is searched."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """How many calls of a role may be in flight; of a role without a limit, nothing."""

    @property
    def revisions(self) -> Revisions:
        """Return the identities of all that is opened."""
        models = {role: model.revision for role, model in self.models.items()}
        search = self.tools.search
        return Revisions(models, self.tools.python.pool.identity, "" if search is None else search.revision)

    def answer_judge(self, ask: AnswerAsk | None) -> AnswerJudge | None:
        """Return who judges the answers of a stage, None where nobody does."""
        return None if ask is None else AnswerJudge(ask, self.models["judge"], self.store.calls)

    def judge(self, ask: JudgeAsk | None) -> Judge | None:
        """Return the judge of a stage's answers and questions, None where it has none."""
        return None if ask is None else Judge(ask, self.models["judge"], self.store.calls, self.tools.views)

    async def check(self) -> None:
        """Ask every model server whether it is there.

        Raises:
            UsageError, InfrastructureError: as `Backend.check`.
        """
        await asyncio.gather(*(backend.check() for backend in self.backends.values()))

    async def stop_unasked(self, asked: Iterable[str]) -> None:
        """Stop the models of ours that no role in `asked` needs: others may need their GPUs.

        A role of several models, such as `teachers`, stands for all of them.
        """
        wanted = set(asked)
        needed = {b.process for role, b in self.backends.items() if role.partition(".")[0] in wanted}
        for backend in self.backends.values():
            if backend.process is not None and backend.process not in needed:
                await backend.aclose()
