"""What a recipe would make a finished run do again, why, and what that would cost.

A stage runs again when anything that decides its fingerprint differs. That costs nothing as long as its
requests are the same, for they are answered from the store. It pays where prompt, model, sampling, view or seed
changed, and for questions and attempts that were not asked before: those are counted from the run's own answers
wherever these tell, such as which questions another threshold lets through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from filters.gates.lanes import LaneSettings, easy_route
from filters.gates.rules import GateSettings, gate1, gate2
from flows.cost.asks import asks_of, expected_attempts
from flows.cost.estimate import Expected, estimate, rows_of
from flows.cost.measure import ASKING, Measures, Share, measure
from flows.ledger.query import query
from flows.plan.changes import changed_settings, made_stages, may_ask_more, request_part, screens_alike, teachers_of
from flows.recipe.inputs import Inputs, Job, find_inputs
from flows.recipe.recipe import Recipe, SynthesisUse
from flows.run.opening import open_resources
from flows.stages.order import STAGES, declare
from pipeline.engine.done import Finished
from pipeline.engine.executor import Executor
from pipeline.engine.stage import Declared
from pipeline.records import ArmCount, GateCount
from pipeline.store import Store


class Again(NamedTuple):
    """What one stage would do, and ask one model."""

    stage: str
    model: str
    """Its place in the recipe's `models`; empty for stages that ask none."""
    again: bool
    why: str
    calls: int
    """Expected to be paid for."""
    calls_up_to: int
    """If every question that may newly come here does, and every changed conversation takes another course."""
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    """Of the expected calls."""


def diff(job: Job, run: Path) -> tuple[Again, ...]:
    """Return every stage of the job's recipe beside what `run` made.

    Raises:
        UsageError: the recipe names something that is missing, or `run` has no ledger.
    """
    inputs = find_inputs(job)
    with Store(job.store) as store, Executor(1) as executor:
        stages = declare(job, inputs, open_resources(job.recipe, inputs, store, executor).revisions)
    made = made_stages(run)
    rows = set(inputs.rows.ids())
    corrected = {edit.id for edit in inputs.edits if edit.unit == "question" and edit.root in rows}
    new_rows = len((rows | corrected) - _row_ids(run))
    return _Diff(job.recipe, inputs, stages, made, measure(run), run, new_rows).stages_again()


def _row_ids(run: Path) -> set[str]:
    return set(query(run, "SELECT record_id FROM outcomes WHERE stage = 'ingest'").column("record_id").to_pylist())


class _Records(NamedTuple):
    """How many questions a stage would pay for, in questions asked in full."""

    expected: float
    up_to: float


@dataclass(frozen=True)
class _Diff:
    recipe: Recipe
    inputs: Inputs
    stages: Mapping[str, Declared[Any, Any]]
    made: Mapping[str, Finished]
    measures: Measures
    run: Path
    new_rows: int

    def stages_again(self) -> tuple[Again, ...]:
        found: list[Again] = []
        upstream = ""
        for name in STAGES:
            why = self._why(name, upstream)
            if why and not upstream:
                upstream = name
            found += self._asking(name, why, upstream) if name in ASKING else [_free(name, why)]
        return tuple(found)

    def _why(self, name: str, upstream: str) -> str:
        stage, made = self.stages[name], self.made.get(name)
        if made is None:
            return "has not finished in this run"
        if stage.fingerprint == made.fingerprint:
            return f"{self.new_rows:,} new rows" if self.new_rows else ""
        if changes := changed_settings(stage, made):
            return "; ".join(changes)
        return f"{upstream} runs again" if upstream else "its records have another schema"

    def _asking(self, name: str, why: str, upstream: str) -> Iterator[Again]:
        measures = self._measures_by_identity()
        rows = rows_of(self.inputs)
        for line in estimate(self.recipe, self.inputs.prompts, rows, measures):
            if line.stage == name:
                records = self._records(line, upstream)
                yield _paid(line, why, records, round(rows.total * measures.reach[name], 6))

    def _records(self, line: Expected, upstream: str) -> _Records:
        """Return for how many records a stage pays, in the currency of the estimate's records."""
        rows = len(self.inputs.rows)
        everyone = rows * self.measures.reach[line.stage]
        made = self.made.get(line.stage)
        new = min(everyone, self.new_rows * self.measures.reach[line.stage])
        if made is None or self._asks_anew(line, made):
            return _Records(everyone, everyone)
        stage = self.stages[line.stage]
        more = self._more(line, made)
        most = new + more
        if upstream not in {"", line.stage} and not self._told_by_counts(upstream):
            # What comes here may be another selection of the questions that reached gate 1, or of all rows.
            before = 1.0 if line.stage == "gate1" else self.measures.reach["gate1"]
            most = max(most, rows * before - (everyone - new) + more)
        if may_ask_more(line.stage, made.settings, stage.settings.identity()):
            most = max(most, everyone)
        return _Records(new + more, most)

    def _told_by_counts(self, upstream: str) -> bool:
        """Return whether the run's gate counts tell what a changed gate sends on."""
        if upstream not in {"gate1", "gate2"}:
            return False
        before: Any = self.made[upstream].settings
        after: Any = self.stages[upstream].settings.identity()
        same_samples = before["gate"]["k"] == after["gate"]["k"] and not self._left_open()
        same_questions = upstream == "gate2" or screens_alike(before, after)
        return same_samples and same_questions and request_part(upstream, before) == request_part(upstream, after)

    def _asks_anew(self, line: Expected, made: Finished) -> bool:
        before: Any = made.settings
        after: Any = self.stages[line.stage].settings.identity()
        if request_part(line.stage, before) != request_part(line.stage, after):
            return True
        if line.model in {"judge", "stronger"}:
            return bool(before.get(line.model) != after.get(line.model))
        return line.stage == "synthesize" and self._known_teacher(int(line.model.removeprefix("teachers."))) is None

    def _known_teacher(self, number: int) -> int | None:
        """Return where a teacher stood in the run's recipe, None if it is new or another model or sampling."""
        if "synthesize" not in self.made:
            return None
        mine = teachers_of(self.stages["synthesize"].settings.identity())[number]
        theirs = teachers_of(self.made["synthesize"].settings)
        return theirs.index(mine) if mine in theirs else None

    def _measures_by_identity(self) -> Measures:
        """Return the run's measures with its teachers at their places in this recipe."""
        places = {number: self._known_teacher(number) for number in range(len(self.recipe.models.teachers))}
        asked = [seen for seen in self.measures.asked if seen.stage != "synthesize"]
        accepted: dict[str, Share] = {}
        for number, old in places.items():
            # A teacher that took another's place is expected to need as much.
            was = number if old is None else old
            seen = self.measures.of("synthesize", f"teachers.{was}")
            if seen is not None:
                asked.append(replace(seen, model=f"teachers.{number}"))
            if f"teachers.{was}" in self.measures.accepted:
                accepted[f"teachers.{number}"] = self.measures.accepted[f"teachers.{was}"]
        return replace(self.measures, asked=tuple(asked), accepted=accepted)

    def _more(self, line: Expected, made: Finished) -> float:
        """Return the questions, asked in full, that answers of the run tell will be asked besides."""
        before: Any = made.settings
        if line.stage == "synthesize":
            new = self._newly_unsolved() + self._newly_taught()
            return new + (0.0 if line.model == "judge" else self._more_attempts(line, before))
        longer = self._more_arms(line.stage, before) * self.measures.reached.get(line.stage, 0)
        if line.stage == "gate2":
            return longer + self._newly_hard()
        return longer + self._censored() + self._newly_shown()

    def _more_arms(self, stage: str, before: Any) -> float:
        """Return how many rollouts a question gets besides, as a share of those that it got."""
        settings, student = self.recipe.gate, self.recipe.student.model_copy(update={"deploy_pixels": None})
        old = {name: value for name, value in before["gate"].items() if name in GateSettings.model_fields}
        if stage == "gate1":
            budgets = tuple(ask["view"]["max_pixels"] for ask in before["pixels"])
            old |= {"blind": before["blind"] is not None, "sweep": budgets}
        # What early stopping leaves out is counted from the run's own answers.
        whole = {"early_stop": False}
        before_gate, now_gate = settings.model_copy(update={**old, **whole}), settings.model_copy(update=whole)
        then = self.recipe.model_copy(update={"gate": before_gate, "student": student})
        now = self.recipe.model_copy(update={"gate": now_gate})
        asked, wanted = (
            sum(ask.rollouts for ask in asks_of(stage, recipe, self.measures.hard, 1)) for recipe in (then, now)
        )
        return max(0.0, wanted / asked - 1)

    def _newly_shown(self) -> float:
        """Return the arms at other pixel budgets that newly hard questions get, in questions asked in full."""
        seen, budgets = self.measures.of("gate1", "base"), len(self.recipe.other_budgets)
        if seen is None or not budgets:
            return 0.0
        return self._newly_hard() * budgets * self.recipe.gate.k / (seen.calls / seen.records)

    def _newly_taught(self) -> float:
        """Return the questions without need of tools that other shares send to the teachers."""
        if "gate1" not in self.made:
            return 0.0
        before: Any = self.made["gate1"].settings
        old = LaneSettings.restored(before["lanes"])
        easy = [count for count in self._counts("gate1") if gate1(count, self.recipe.gate).reason == "too_easy"]
        return sum(easy_route(count, self.recipe.lanes) not in {None, easy_route(count, old)} for count in easy)

    def _censored(self) -> float:
        """Return the plain rollouts that early stopping left out, as far as wanted now, in questions asked in full."""
        seen = self.measures.of("gate1", "base")
        return self._left_open() / (seen.calls / seen.records) if seen is not None else 0.0

    def _left_open(self) -> int:
        settings = self.recipe.gate
        if not self._runs_again("gate1"):
            return 0
        return sum(
            count.censored
            for count in self._counts("gate1")
            if not settings.early_stop or count.plain_right <= settings.max_plain_right
        )

    def _newly_hard(self) -> float:
        if not (self._runs_again("gate1") and self._told_by_counts("gate1")):
            return 0.0
        known = {count.question_id for count in self._counts("gate2")}
        hard = {
            count.question_id for count in self._counts("gate1") if gate1(count, self.recipe.gate).outcome == "keep"
        }
        return len(hard - known)

    def _newly_unsolved(self) -> float:
        """Return the questions that other thresholds send to the teachers, as far as gate 2 has asked about them."""
        if not (self._runs_again("gate1") and self._told_by_counts("gate1")):
            return 0.0
        sent = sum(self._route(count) == "sft" for count in self._counts("gate2"))
        solved = self.measures.passed("gate2", "base").value
        return max(0, sent - self.measures.reached.get("synthesize", 0)) + self._newly_hard() * solved

    def _route(self, count: GateCount) -> str | None:
        """Return where gate 2 would send a question; under intervals what has no fresh arm is expected unsolved."""
        fresh = self._fresh().get(count.question_id)
        if self.recipe.gate.rule == "interval" and fresh is None:
            return "sft"
        return gate2(count, self.recipe.gate, fresh).route

    def _fresh(self) -> Mapping[str, ArmCount]:
        arms = self.made["gate2"].records("arms", ArmCount)
        return {arm.question_id: arm for arm in arms if arm.arm == "fresh"}

    def _more_attempts(self, line: Expected, before: Any) -> float:
        """Return the questions' worth of attempts that other teachers, or another number to accept, add."""
        after: Any = self.stages["synthesize"].settings.identity()
        if all(before[name] == after[name] for name in ("synthesize", "teachers")):
            return 0.0
        number = int(line.model.removeprefix("teachers."))
        old = self._known_teacher(number)
        if old is None:
            return 0.0
        named = self.measures.accepted
        then = [named.get(f"teachers.{place}", Share(0, 0)).value for place in range(len(teachers_of(before)))]
        mine = self._measures_by_identity().accepted
        now = [mine.get(f"teachers.{place}", Share(0, 0)).value for place in range(len(teachers_of(after)))]
        asked = expected_attempts(SynthesisUse.restored(before["synthesize"]), then)[old]
        wanted = expected_attempts(self.recipe.synthesize, now)[number]
        return max(0.0, wanted / asked - 1) * self.measures.reached.get("synthesize", 0) if asked else 0.0

    def _runs_again(self, stage: str) -> bool:
        return stage in self.made and self.stages[stage].fingerprint != self.made[stage].fingerprint

    def _counts(self, stage: str) -> Sequence[GateCount]:
        if stage not in self.made:
            return ()
        return tuple(self.made[stage].records("counts", GateCount))


def _free(name: str, why: str) -> Again:
    return Again(name, "", bool(why), why or "as it was made", 0, 0, 0, 0, None)


def _paid(line: Expected, why: str, records: _Records, everyone: float) -> Again:
    share = records.expected / everyone if everyone else 0.0
    up_to = records.up_to / everyone if everyone else 0.0
    return Again(
        stage=line.stage,
        model=line.model,
        again=bool(why),
        why=why or "as it was made",
        calls=round(line.calls * share),
        calls_up_to=round(line.calls * max(share, up_to)),
        prompt_tokens=round(line.prompt_tokens * share),
        completion_tokens=round(line.completion_tokens * share),
        cost=None if line.cost is None else round(line.cost * share, 4),
    )
