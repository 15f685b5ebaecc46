"""The stage `synthesize` on its own: teachers, and questions that came from the gates."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from filters.gates.gold import GoldSettings
from filters.validate.rules import ValidatorSettings
from flows.asking.ask import PlainPrompt
from flows.asking.gold import GoldCheck
from flows.recipe.recipe import SynthesisUse
from flows.stages.common import kept
from flows.stages.synthesize import Synthesis
from pipeline.dialects import DEEPEYESV2
from pipeline.engine.units import UnitInput
from pipeline.records import Lane, Question
from pipeline.rollout.loop import Setting, World
from pipeline.students.tokens import TokenCounter

PROMPT = PlainPrompt(
    system="You see images.",
    user_template="{images}\n{question}",
    prompts="{}",
    dialect=DEEPEYESV2,
    view="{}",
    seed=0,
    count=TokenCounter.open(None).count,
)


def synthesis(
    teachers: Sequence[Setting] | Mapping[Lane, Sequence[Setting]],
    world: World,
    use: SynthesisUse,
    *,
    at_once: int = 4,
    gold: GoldSettings | None = None,
) -> Synthesis:
    """Return the stage; a plain sequence of teachers is that of the lane `tools`. Each model is its own family."""
    lanes: Mapping[Lane, Sequence[Setting]] = teachers if isinstance(teachers, Mapping) else {"tools": teachers}
    families = {setting.model.revision: setting.model.revision for lane in lanes.values() for setting in lane}
    return Synthesis(
        teachers=lanes,
        plain=PROMPT,
        world=world,
        use=use,
        settings=ValidatorSettings(),
        gold=GoldCheck(gold or GoldSettings(), families),
        judge=None,
        slots=asyncio.Semaphore(at_once),
    )


def unsolved(*questions: Question) -> UnitInput:
    """Return the input of the stage when gate 2 sent these questions to the teachers."""
    return UnitInput(questions, tuple(kept("gate2", question, route="sft") for question in questions))
