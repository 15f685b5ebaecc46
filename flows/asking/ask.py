"""How models are asked in the arms of the gates and the lanes of synthesis, and what comes back: graded rollouts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

from flows.asking.grading import Judged, judged
from flows.asking.judge import AnswerJudge
from flows.asking.resources import Resources, Revisions
from flows.asking.work import Work
from flows.recipe.recipe import Recipe
from flows.recipe.roles import calls_by_api, tool_images
from pipeline.dialects import DialectName, observations
from pipeline.errors import GivenUpError, InfrastructureError
from pipeline.identity import Identity, Revision, canonical_json
from pipeline.prompts.sets import Prompts
from pipeline.prompts.sets import Role as Speaker
from pipeline.records import Arm, Mode, Purpose, Question
from pipeline.rollout.loop import Ask, rollout
from pipeline.students.family import ViewRule

T = TypeVar("T")

TRIES = 3
"""Of one rollout when a sandbox or a search fails; what it already paid for is cached, so a try is cheap."""

TaughtLane = Literal["tools", "no_call", "plain_cot"]
"""Lanes in which teachers are asked; the texts of `long_cot` bring their solution along."""

TAUGHT: Mapping[TaughtLane, tuple[Speaker, Mode]] = {
    "tools": ("teacher", "tools"),
    "no_call": ("no_call", "tools"),
    "plain_cot": ("teacher", "plain"),
}
"""Under which prompts teachers are asked."""


async def persistent(make: Callable[[], Awaitable[T]], work: Work) -> T:
    """Await `make()`, trying again when infrastructure fails, which is counted in `work`.

    Raises:
        InfrastructureError: it failed `TRIES` times in a row, or for good.
    """
    for _ in range(TRIES - 1):
        try:
            return await make()
        except GivenUpError:
            raise
        except InfrastructureError:
            work.begun_again += 1
    return await make()


@dataclass(frozen=True)
class Asker:
    """One way to ask, with what it takes to do so."""

    ask: Ask
    resources: Resources
    judge: AnswerJudge | None

    async def graded(self, question: Question, sample: int) -> Judged:
        """Return a rollout with its verdict, what it was not shown, and the votes on it where a judge was asked.

        A lost sandbox is no reason to stop a run: a rollout that fails as infrastructure is tried again.

        Raises:
            RowError: the model or the student's processor refuses the question.
            RejectionsError: a server refuses more than a few.
            InfrastructureError: it failed `TRIES` times in a row, or the judge did.
        """
        model = self.resources.models[self.ask.role]
        work = self.resources.work
        done = await persistent(lambda: rollout(question, sample, self.ask, model, self.resources.tools), work)
        graded = await judged(done.trajectory, question, self.judge)
        work.rollouts += 1
        return graded._replace(dropped=done.dropped)


def gate_ask(
    recipe: Recipe, prompts: Prompts, revisions: Revisions, arm: Arm, mode: Mode, *, pixels: int | None = None
) -> Ask:
    """Return how the base model is asked in an arm of a gate (in `stronger`, that model), at a budget of pixels."""
    role = "stronger" if arm == "stronger" else "base"
    view = recipe.student.view_at(recipe.student.max_pixels if pixels is None else pixels)
    return _ask(recipe, prompts, revisions, _Whom(role, "base", "gate", arm, mode, view))


def teacher_asks(recipe: Recipe, prompts: Prompts, revisions: Revisions, lane: TaughtLane) -> tuple[Ask, ...]:
    """Return how each teacher is asked in a lane, in the recipe's order."""
    speaker, mode = TAUGHT[lane]
    roles = [f"teachers.{number}" for number in range(len(recipe.models.teachers))]
    view = recipe.student.view_rule
    return tuple(
        _ask(recipe, prompts, revisions, _Whom(role, speaker, "synthesis", lane, mode, view)) for role in roles
    )


class PlainPrompt(Identity):
    """Under which prompts a student is trained on a text that has its solution."""

    system: str
    user_template: str
    prompts: str
    """Canonical JSON: role → sha256."""
    dialect: DialectName
    view: ViewRule
    """As of any rollout."""
    seed: int
    tokens: Revision[str]
    """What counts the tokens of a text."""

    @classmethod
    def of(cls, recipe: Recipe, prompts: Prompts, tokens: str) -> PlainPrompt:
        """Return what a student without tools is told."""
        return cls(
            system=prompts.system("export", "plain"),
            user_template=prompts.user("export", "plain"),
            prompts=canonical_json({"export/plain": prompts.hash("export", "plain")}),
            dialect=recipe.dialect,
            view=recipe.student.view_rule,
            seed=recipe.seed,
            tokens=tokens,
        )


class _Whom(NamedTuple):
    """Which model is asked, as whom, for what and at which size."""

    role: str
    speaker: Speaker
    purpose: Purpose
    arm: Arm
    mode: Mode
    view: ViewRule


def _ask(recipe: Recipe, prompts: Prompts, revisions: Revisions, whom: _Whom) -> Ask:
    role, dialect = recipe.models.roles()[whom.role], recipe.wire
    native, tools = calls_by_api(role), whom.mode == "tools"
    text_hash = prompts.hash(whom.speaker, whom.mode, native=native)
    return Ask(
        purpose=whom.purpose,
        arm=whom.arm,
        mode=whom.mode,
        role=whom.role,
        model=revisions.models[whom.role],
        asked=role.identity(),
        sampling=role.sampling,
        seed=recipe.seed,
        dialect=recipe.dialect,
        tools=dialect.tools if native and tools else "",
        tool_images=tool_images(role),
        context_length=role.context_length,
        system=prompts.system(whom.speaker, whom.mode, native=native),
        user_template=prompts.user(whom.speaker, whom.mode),
        prompts=canonical_json({f"{whom.speaker}/{whom.mode}": text_hash}),
        limits=recipe.rollout if tools else None,
        view=whom.view,
        sandbox=revisions.sandbox if tools else "",
        search=revisions.search if tools else "",
        observations=observations.VERSION if tools else 0,
    )


def models_of(asks: Sequence[Ask]) -> str:
    """Return the revisions of the models that are asked, each once, in order."""
    return " ".join(dict.fromkeys(ask.model for ask in asks))
