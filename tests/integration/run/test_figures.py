"""What is told of a stage at work moves with every record, adds up at its end, and stands in a file meanwhile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from flows.run.beat import read_beat
from flows.run.curate import run_groups
from flows.run.figures import Figures
from flows.run.progress import SilentProgress
from flows.stages.order import GROUPS
from pipeline.engine.counted import count_record
from pipeline.engine.done import Finished
from pipeline.engine.executor import Executor
from pipeline.engine.units import UnitResult
from tests.support.command import invocations
from tests.support.curated import RECIPE, curated, opened, write_corpus
from tests.support.fakes import ScriptedModel

MODEL_STAGES = ("gate1", "gate2", "synthesize", "validate")


class Looking(SilentProgress):
    """Keeps the figures of each stage: whenever a model is asked, when a unit is committed, and at the end."""

    def __init__(self) -> None:
        self.asked = defaultdict[str, list[Figures]](list)
        self.committed = defaultdict[str, list[Figures]](list)
        self.last = dict[str, Figures]()
        self.files = dict[str, Figures | None]()
        self.run: Path
        self._now: Callable[[], Figures] | None = None

    def stage_started(self, name: str, figures: Callable[[], Figures]) -> None:
        del name
        self._now = figures

    def look(self) -> None:
        if self._now is not None:
            now = self._now()
            self.asked[now.stage].append(now)

    def unit_done(self, name: str, result: UnitResult) -> None:
        del result
        assert self._now is not None
        self.committed[name].append(self._now())

    def tick(self) -> None:
        beat = read_beat(self.run)
        assert beat is not None
        self.files[beat.figures.stage] = beat.figures

    def stage_done(self, name: str, result: Finished, seconds: float) -> None:
        del result, seconds
        assert self._now is not None
        self.last[name] = self._now()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("figures"))


@pytest.fixture(scope="module")
def seen(place: Path) -> Looking:
    looking = Looking()
    looking.run = place / "run"
    generate = ScriptedModel.generate

    async def told(self: ScriptedModel, request: Any, samples: Sequence[int]) -> Any:
        looking.look()
        return await generate(self, request, samples)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptedModel, "generate", told)
        curated(place, RECIPE, "run", progress=looking)
    return looking


@pytest.mark.parametrize("stage", MODEL_STAGES[:3])
def test_rows_that_are_done_are_told_before_their_unit_is_committed(seen: Looking, stage: str) -> None:
    moving = [now.done for now in seen.asked[stage]]
    assert moving == sorted(moving)
    assert any(now.done > sum(now.outcomes.values()) for now in seen.asked[stage])
    assert len(set(moving)) > len(seen.committed[stage])


def test_what_is_told_at_the_end_of_a_stage_is_what_it_did(seen: Looking, place: Path) -> None:
    stages = {entry["stage"]: entry for entry in invocations(place / "run")[0]["stages"]}
    for name, last in seen.last.items():
        assert last.done == last.rows == sum(last.outcomes.values())
        assert last.paid == stages[name]["model_calls"]
        assert all(role.calls == 0 for role in last.in_flight)
        assert (last.sessions, last.failed, last.again, last.begun_again, last.reused) == (0, {}, 0, 0, 0)
    assert all(seen.last[stage].rollouts for stage in MODEL_STAGES[:3])
    tokens = [last.tokens for last in seen.last.values()]
    assert tokens == sorted(tokens)
    assert tokens[-1] > 0


def test_calls_in_flight_stand_beside_the_limit_of_their_role(seen: Looking) -> None:
    roles = {role.role for now in seen.asked["synthesize"] for role in now.in_flight}
    assert roles == {"teachers.0", "teachers.1", "judge"}
    (most,) = {role.limit for now in seen.asked["gate1"] for role in now.in_flight}
    assert most == 64
    # Scripted models answer at once: the call that looks is the only one.
    assert {sum(role.calls for role in now.in_flight) for now in seen.asked["gate1"]} == {1}


def test_the_file_tells_of_each_stage_and_is_gone_when_none_works(seen: Looking, place: Path) -> None:
    assert set(seen.files) == {stage for group in GROUPS.values() for stage in group}
    assert read_beat(place / "run") is None


def test_rows_of_an_earlier_run_are_no_pace(place: Path, seen: Looking) -> None:
    del seen  # whose run this one finds
    again = Looking()
    again.run = place / "run"
    curated(place, RECIPE, "run", progress=again)
    for last in again.last.values():
        assert (last.done, last.reused, last.paid) == (last.rows, last.rows, 0)
        assert (last.rows_per_second, last.seconds_left) == (None, None)


def test_a_stage_that_stops_leaves_no_figures(place: Path) -> None:
    class Stopping(SilentProgress):
        def unit_done(self, name: str, result: UnitResult) -> None:
            del result
            assert read_beat(place / "stopped") is not None
            raise RuntimeError(name)

    with opened(place, RECIPE, "stopped", progress=Stopping()) as run, pytest.raises(RuntimeError):
        run_groups(run, tuple(GROUPS))
    assert read_beat(place / "stopped") is None


def test_worker_processes_count_each_record_that_they_are_done_with() -> None:
    with Executor(2) as executor:
        before = executor.counted
        done = [executor.cpu(_counting, 50) for _ in range(4)]
        assert (before, executor.counted, sum(done)) == (0, 200, 200)


def _counting(records: int) -> int:

    for _ in range(records):
        count_record()
    return records


def test_torn_or_foreign_figures_are_none(tmp_path: Path) -> None:
    for content in ("", '{"process": 1', "[]", '{"process": 1, "time": 2.0, "figures": {"stage": "x"}}'):
        (tmp_path / "working.json").write_text(content)
        assert read_beat(tmp_path) is None
