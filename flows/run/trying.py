"""One live rollout of a recipe, outside of any run: what a model does with one question under one prompt.

Nothing is committed: the run directory is only read, to find the question as the screen has left it. Calls go to a
cache of their own that is thrown away, so that the models and tools are really asked, and what they say is no sample of
a later run. Pictures that are made go into the store, as content-addressed files that nothing refers to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from filters.screen.open_ended import to_open_ended
from filters.validate.rules import accept
from flows.asking.ask import TaughtLane, gate_ask, teacher_asks
from flows.asking.grading import grade_of, judged
from flows.asking.judge import AnswerAsk
from flows.asking.observed_images import observation_facts
from flows.asking.resources import Resources
from flows.asking.row_length import RowRule
from flows.recipe.inputs import Inputs, Job, find_inputs
from flows.report.lookup import SHORTEST_PREFIX, find_question, read_life
from flows.run.opening import open_resources
from pipeline.engine.executor import Executor
from pipeline.errors import RowError, UsageError
from pipeline.processes import cores
from pipeline.prompts.sets import Prompts, read_prompt
from pipeline.records import Decision, GradeResult, Question, SourceRow, Trajectory
from pipeline.rollout.loop import Ask, Watch, rollout
from pipeline.sources.questions import to_question
from pipeline.store import Store
from pipeline.store.calls import CallCache


class Trial(NamedTuple):
    """What is asked, and of whom."""

    question: str
    """An id of the run's, or how it begins; or the key of a row of a source."""
    role: str
    """`base`, `teacher` (the first), or one of several, such as `teachers.1`."""
    plain: bool = False
    """Without tools: as gate 1 asks, or in the lane `plain_cot`."""
    prompt: Path | None = None
    """In place of a teacher's guidance; of the base model, of the first part of its system prompt."""
    sample: int = 0


class Tried(NamedTuple):
    """What came of it."""

    trajectory: Trajectory
    grade: GradeResult | None
    """By rule; None where there is no answer."""
    votes: Sequence[str]
    """Of the judge, where no rule decides and the recipe names one."""
    decisions: Sequence[Decision]
    """Of the validators that synthesis accepts by, on a teacher's attempt; replay is not among them."""


class Opening(NamedTuple):
    """What is about to be asked."""

    question: Question
    ask: Ask
    lane: TaughtLane | None
    """Of a teacher."""


def try_once(job: Job, trial: Trial, begun: Callable[[Opening], None], watch: Watch) -> Tried:
    """Ask once, and tell `begun` what is asked and `watch` of every turn.

    Raises:
        UsageError: there is no such role or question, or the recipe is wrong.
        InfrastructureError: a model or a tool failed.
        RowError: the model or the student's processor refuses the question.
    """
    _require_role(job, trial.role)
    inputs = find_inputs(job)
    inputs = replace(inputs, prompts=_prompts(inputs.prompts, job, trial))
    with TemporaryDirectory(prefix="coldforge-try-") as scratch:
        store = Store(job.store)
        store.calls = CallCache(Path(scratch) / "calls.sqlite")
        with store, Executor(job.recipe.runtime.workers or cores()) as executor:
            question = question_named(job, inputs, store, trial.question)
            resources = open_resources(job.recipe, inputs, store, executor)
            ask, lane = _asked(job, inputs, resources, trial)
            executor.wait(resources.backends[ask.role].check())
            begun(Opening(question, ask, lane))
            return executor.wait(
                _Trying(job, inputs, resources, watch).tried(Opening(question, ask, lane), trial.sample)
            )


def question_named(job: Job, inputs: Inputs, store: Store, name: str) -> Question:
    """Return a question by an id of the job's run, else by its row: as it is asked after the screen.

    Raises:
        UsageError: there is none, several begin so, or the row is none that can be asked.
    """
    if (job.out / "ledger.duckdb").exists():
        try:
            life = read_life(job.out, find_question(job.out, name))
        except UsageError:
            life = None  # it may be the key of a row all the same
        question = life and (life.screened or life.ingested)
        if question is not None:
            return question
    row = _row(inputs, name)
    if row is None:
        raise UsageError(
            f"--question {name}: no question of {job.out} has this id, and no row of the recipe's sources this key; "
            "give an id that `coldforge stats` or `why` prints, or a row's key"
        )
    source = next(source for source, _ in inputs.rows.indexes if source.key == row.source)
    try:
        question = to_question(row, source.directory, store.blobs, source.others)
    except RowError as error:
        raise UsageError(f"--question {name}: row {row.source_row} of {row.source} is no question: {error}") from error
    asked, _ = to_open_ended(question, job.recipe.questions)
    return question if asked is None else asked


def _row(inputs: Inputs, name: str) -> SourceRow | None:
    for row in inputs.rows.read():
        if row.source_row == name or (len(name) >= SHORTEST_PREFIX and row.id.startswith(name.lower())):
            return row
    return None


def _require_role(job: Job, role: str) -> None:
    teachers = [f"teachers.{number}" for number in range(len(job.recipe.models.teachers))]
    if role not in {"base", "teacher", *teachers}:
        raise UsageError(
            f"--role {role}: roles of this recipe that can be tried are base, teacher, {', '.join(teachers)}"
        )


def _prompts(prompts: Prompts, job: Job, trial: Trial) -> Prompts:
    if trial.prompt is None:
        return prompts
    text = read_prompt(trial.prompt, job.recipe.wire)
    if trial.role == "base":
        return replace(prompts, plain_system=text)
    return replace(prompts, plain_guidance=text) if trial.plain else replace(prompts, guidance=text)


def _asked(job: Job, inputs: Inputs, resources: Resources, trial: Trial) -> tuple[Ask, TaughtLane | None]:
    """Return how it is asked, and of a teacher in which lane."""
    recipe, prompts, revisions = job.recipe, inputs.prompts, resources.revisions
    if trial.role == "base":
        return gate_ask(recipe, prompts, revisions, "main", "plain" if trial.plain else "tools"), None
    number = int(trial.role.partition(".")[2] or 0)
    lane: TaughtLane = "plain_cot" if trial.plain else "tools"
    return teacher_asks(recipe, prompts, revisions, lane)[number], lane


@dataclass(frozen=True)
class _Trying:
    job: Job
    inputs: Inputs
    resources: Resources
    watch: Watch

    async def tried(self, opening: Opening, sample: int) -> Tried:
        question, ask, lane = opening
        recipe, resources = self.job.recipe, self.resources
        done = await rollout(question, sample, ask, resources.models[ask.role], resources.tools, watch=self.watch)
        answer = done.trajectory.answer
        by_rule = None if answer is None else await grade_of(answer, question)
        judge = resources.answer_judge(AnswerAsk.of(recipe, resources.revisions.models.get("judge", "")))
        trajectory, votes, _ = await judged(done.trajectory, question, judge)
        decisions: Sequence[Decision] = ()
        if lane is not None:
            facts = observation_facts(trajectory, resources.store.blobs)
            row = RowRule.of(recipe, self.inputs.prompts, self.inputs.tokens.name)
            decisions = (
                *accept(trajectory, question, facts, recipe.validate_.accept),
                row.decision(trajectory, question, lane, resources.tokens),
            )
        return Tried(trajectory, by_rule, () if votes is None else votes.votes, decisions)
