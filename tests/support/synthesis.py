"""The stage `synthesize` on its own: teachers, and questions that came from the gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from filters.gates.gold import GoldSettings
from filters.validate.rules import AcceptSettings
from flows.asking.ask import PlainPrompt
from flows.asking.row_length import RowRule
from flows.recipe.recipe import SynthesisUse
from flows.stages.outcomes import kept
from flows.stages.synthesize import SynthesizeSettings
from pipeline.engine.units import UnitInput
from pipeline.records import Lane, Question
from pipeline.rollout.loop import Ask
from pipeline.students.tokens import ESTIMATE
from tests.support.asking import RULE
from tests.support.export_rows import TOLD

PROMPT = PlainPrompt(
    system="You see images.",
    user_template="{images}\n{question}",
    prompts="{}",
    dialect="deepeyesv2",
    view=RULE,
    seed=0,
    tokens=ESTIMATE.name,
)


def synthesis(
    teachers: Sequence[Ask] | Mapping[Lane, Sequence[Ask]], use: SynthesisUse, *, gold: GoldSettings | None = None
) -> SynthesizeSettings:
    """The settings of the stage; a plain sequence of teachers is the lane `tools`. Each model is its own family."""
    lanes: Mapping[Lane, Sequence[Ask]] = teachers if isinstance(teachers, Mapping) else {"tools": teachers}
    return SynthesizeSettings(
        synthesize=use,
        teachers={lane: tuple(asks) for lane, asks in lanes.items()},
        solutions=PROMPT,
        validate_=AcceptSettings(),
        row=RowRule(told=TOLD, cutoff_len=20_480, view=RULE, tokens=ESTIMATE.name),
        gold=gold or GoldSettings(),
        families={ask.model: ask.model for asks in lanes.values() for ask in asks},
        judge=None,
    )


def unsolved(*questions: Question) -> UnitInput:
    """The input of the stage when gate 2 sent these questions to the teachers."""
    return UnitInput(questions, tuple(kept("gate2", question, route="sft") for question in questions))
