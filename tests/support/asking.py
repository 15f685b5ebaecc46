"""How tests ask models, and what they act with: each with whatever is usual for the fields that a test leaves out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from filters.answers.votes import JudgeSettings
from flows.asking.judge import JudgeAsk
from flows.asking.resources import Resources
from pipeline.models.chat import ChatModel, Sampling
from pipeline.models.samples import Meter, Metered, Price
from pipeline.models.views import Views
from pipeline.prompts.judge_prompts import load_judge_prompts
from pipeline.rollout.loop import Ask, Limits, Tools
from pipeline.sandbox import Sandbox
from pipeline.store import Store
from pipeline.students.family import ViewRule
from pipeline.students.tokens import ESTIMATE
from pipeline.tools.python import PythonTool
from pipeline.tools.search.asked import Search
from pipeline.tools.search.hits import Answer, ImageHit, Picture, TextHit

RULE = ViewRule("qwen2_5_vl", 262_144)


class NoSearch:
    """A search that finds nothing."""

    revision = "none/1"
    needs_url = False

    async def text(self, query: str, results: int) -> Answer[TextHit]:  # noqa: ARG002 - as every provider is called
        """Return no page."""
        return Answer((), 0.0)

    async def image(self, picture: Picture, results: int) -> Answer[ImageHit]:  # noqa: ARG002 - as above
        """Return no picture."""
        return Answer((), 0.0)


def ask(**changes: Any) -> Ask:
    """How a scripted base model is asked at a gate."""
    usual: dict[str, Any] = {
        "purpose": "gate",
        "arm": "main",
        "mode": "plain",
        "role": "base",
        "model": "scripted/1",
        "asked": {},
        "sampling": Sampling(),
        "seed": 0,
        "dialect": "deepeyesv2",
        "tools": "",
        "system": "You see images.",
        "user_template": "{images}\n{question}",
        "prompts": "{}",
        "limits": Limits(),
        "view": RULE,
    }
    return Ask(**{**usual, **changes})


def teacher_ask(**changes: Any) -> Ask:
    """How a scripted teacher is asked in the lane with tools."""
    usual: dict[str, Any] = {
        "purpose": "synthesis",
        "arm": "tools",
        "mode": "tools",
        "role": "teachers.0",
        "system": "You have tools.",
    }
    return ask(**{**usual, **changes})


def judge_ask(**changes: Any) -> JudgeAsk:
    """How a judge is asked under the prompts of a run."""
    usual: dict[str, Any] = {
        "model": "openai/judge@1",
        "asked": {},
        "sampling": Sampling(temperature=0.7),
        "seed": 0,
        "prompts": load_judge_prompts(),
        "view": RULE,
        "settings": JudgeSettings(),
    }
    return JudgeAsk(**{**usual, **changes})


def tools(
    store: Store,
    pool: Sandbox,
    *,
    rule: ViewRule = RULE,
    search: Search | None = None,
    seed: int = 0,
    idle_seconds: float = 60.0,
) -> Tools:
    """What a rollout acts with; calls need the store as a context manager."""
    python = PythonTool(pool, store.calls, store.blobs, rule, seed, idle_seconds)
    return Tools(store.calls, store.blobs, Views(store.blobs), python, search or Search(NoSearch(), NoSearch()))


def resources(
    acting: Tools, store: Store, models: Mapping[str, ChatModel], *, at_once: int = 16, questions: int = 16
) -> Resources:
    """What a model stage acts with; the sandbox of rollouts is also that of replays."""
    return Resources(
        store=store,
        tools=acting,
        models={role: Metered(model, Meter(), Price()) for role, model in models.items()},
        backends={},
        meter=Meter(),
        tokens=ESTIMATE,
        replay=acting.python.pool,
        slots=asyncio.Semaphore(at_once),
        replays=asyncio.Semaphore(2),
        questions=asyncio.Semaphore(questions),
    )
