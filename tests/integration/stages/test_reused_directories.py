"""A run directory that holds another recipe's results ends as a fresh one does, byte by byte.

Once per stage, under a recipe that is changed in every field whose row of `fingerprint_table` names that stage.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from flows.stages.order import STAGES
from pipeline.engine.done import Finished
from tests.support.changed_recipes import base_of, changed
from tests.support.command import tree
from tests.support.curated import curated, write_corpus

ORDER = tuple(STAGES)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = write_corpus(tmp_path_factory.mktemp("cellars") / "place")
    with pytest.MonkeyPatch.context() as patch:
        # Each unit costs what its files cost, and two of them are several.
        patch.setattr("pipeline.engine.units.MIN_UNITS", 2)
        curated(place, base_of("ingest"), "base")
        yield place


def made(run: Path, finished: Mapping[str, Finished]) -> dict[str, bytes]:
    """What a run says that it made: every part that a manifest lists, the manifests, and the exports."""
    files = tree(run, "export/**/*")
    for stage in finished.values():
        files |= {f"{stage.name}.json": (stage.directory / "stage.json").read_bytes()}
        for part in stage.parts:
            files |= tree(run, f"stages/{stage.name}/{stage.directory.name}/part-{part.range}-{part.key[:16]}.*")
    return files


@pytest.mark.parametrize("stage", ORDER)
def test_a_directory_with_other_results_ends_as_a_fresh_one(stage: str, place: Path) -> None:
    before, other, fresh = base_of(stage), f"{stage}-reused", f"{stage}-fresh"
    shutil.copytree(place / "base", place / other)
    if before != base_of(ORDER[0]):
        curated(place, before, other)
    after = changed(stage, before)
    again, anew = curated(place, after, other), curated(place, after, fresh)
    assert made(place / other, again) == made(place / fresh, anew)
    assert anew["publish"].counts["kept"] > 0
    # The directory was used: what stands before the stage was not run again.
    for name in ORDER[: ORDER.index(stage)]:
        assert again[name].reused == len(again[name].parts)
    assert again[stage].reused == 0
