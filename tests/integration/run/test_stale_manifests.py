"""A finished run is given more rows, and stops in each stage in turn: no manifest of fewer rows stands for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from flows.run.curate import Run, run_groups
from flows.run.figures import Figures
from flows.run.progress import SilentProgress
from flows.stages.order import GROUPS, STAGES
from pipeline.engine.commits import find_finished
from pipeline.engine.units import UnitResult
from pipeline.errors import InfrastructureError, UsageError
from tests.support.curated import RECIPE, curated, opened, write_corpus

ORDER = tuple(STAGES)


class Stopping(SilentProgress):
    """Looks at what a stage finds when it begins, and fails when its first unit is committed."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.run: Run
        self.manifest = self.stood = False
        """Whether the stage had a manifest, and whether it stood for what was done before it by then."""

    def stage_started(self, name: str, figures: Callable[[], Figures]) -> None:
        del figures
        if name == self.stage:
            declared = self.run.declared[name]
            self.manifest = (declared.directory / "stage.json").exists()
            self.stood = find_finished(declared, self.run.done) is not None

    def unit_done(self, name: str, result: UnitResult) -> None:
        del result
        if name == self.stage:
            raise InfrastructureError("the disk is gone")


class Stop(NamedTuple):
    """What was found when a stage began, and after it stopped."""

    manifest: bool
    stood: bool
    standing: tuple[str, ...]
    """Stages that stand for all rows."""
    refusal: str
    """What the next group says; empty for the last one."""


def stopped(place: Path, stage: str) -> Stop:
    progress = Stopping(stage)
    with opened(place, RECIPE, "run", progress=progress) as run:
        progress.run = run
        with pytest.raises(InfrastructureError, match="the disk is gone"):
            run_groups(run, tuple(GROUPS))
        return Stop(progress.manifest, progress.stood, standing(run), refused(run, stage))


def standing(run: Run) -> tuple[str, ...]:
    """Find what is finished, in order, as far as it goes: as whoever opens the run next would."""
    run.finished.clear()
    for name, declared in run.declared.items():
        finished = find_finished(declared, run.done)
        if finished is None:
            break
        run.finished[name] = finished
    return tuple(run.finished)


def refused(run: Run, stage: str) -> str:
    groups = list(GROUPS)
    here = next(number for number, group in enumerate(groups) if stage in GROUPS[group])
    if here == len(groups) - 1:
        return ""
    run.finished.clear()
    with pytest.raises(UsageError) as caught:
        run_groups(run, groups[here + 1 :])
    return str(caught.value)


@pytest.fixture(scope="module")
def stops(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Stop]:
    place = write_corpus(tmp_path_factory.mktemp("cellars") / "place")
    curated(place, RECIPE, "run", limit=20)
    return {stage: stopped(place, stage) for stage in ORDER}


@pytest.mark.parametrize("stage", ORDER)
def test_a_manifest_of_fewer_rows_never_stands_for_more(stage: str, stops: Mapping[str, Stop]) -> None:
    stop = stops[stage]
    assert stop.manifest
    assert not stop.stood
    assert stop.standing == ORDER[: ORDER.index(stage)]


@pytest.mark.parametrize("stage", [stage for group in tuple(GROUPS)[:-1] for stage in GROUPS[group]])
def test_the_next_group_names_the_stage_that_stopped_and_what_to_run(stage: str, stops: Mapping[str, Stop]) -> None:
    group = next(group for group in GROUPS if stage in GROUPS[group])
    assert f"stage {stage} has not finished for this recipe and these rows" in stops[stage].refusal
    assert f"run `{group}` first" in stops[stage].refusal
