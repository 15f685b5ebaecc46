"""A field of a stage's settings that the stage never reads is none of its settings: it would only run the stage again.

All stages run over a recipe that turns everything on, each with a copy of its settings that nobody else holds, and
every access to a field of the copy is noted.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from flows.stages.order import STAGES
from pipeline.engine.done import Done
from pipeline.engine.stage import Stage
from pipeline.engine.units import Reader, UnitInput, UnitOutput
from pipeline.identity import Identity, is_revision
from pipeline.students.family import Student
from tests.support.curated import RECIPE, curated, write_corpus

EVERYTHING: Mapping[str, Any] = {
    **RECIPE,
    "gate": {**RECIPE["gate"], "early_stop": True, "fresh_share": 0.5},
    "synthesize": {"policy": "weighted", "weights": [1.0, 2.0]},
    "select": {
        "saturated": "keep",
        "disjoint": "image",
        "max_resolution_artifact": 0.5,
        "mix": {"perception": 0.2, "reasoning": 0.2, "search": 0.2, "no_call": 0.1, "plain_cot": 0.2, "long_cot": 0.1},
    },
}


class Watched:
    """The stages, and which fields of their settings they have read."""

    def __init__(self) -> None:
        self.stages = {name: self._watched(stage) for name, stage in STAGES.items()}
        self.fields: dict[str, set[str]] = {name: set() for name in STAGES}
        """By stage. Of several alike, such as teachers, one may not be needed: they are `*`."""
        self._paths: dict[tuple[int, str], tuple[str, str]] = {}
        self._read: set[tuple[int, str]] = set()
        self._copies: list[Identity] = []
        """Kept, so that no other object gets the number of one of them."""
        self._quoting = threading.local()

    def unread(self, stage: str) -> list[str]:
        found = {self._paths[place] for place in self._read if place in self._paths}
        return sorted(self.fields[stage] - {path for name, path in found if name == stage})

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        """Note every access to a field, but those of fingerprints."""
        whole = Identity.identity

        def access(part: Identity, name: str) -> Any:
            if not getattr(self._quoting, "on", False):
                self._read.add((id(part), name))
            return object.__getattribute__(part, name)

        def identity(part: Identity) -> Any:
            # Exports quote the student as it is, field by field; of all else an identity is taken to compare it.
            before = getattr(self._quoting, "on", False)
            self._quoting.on = before or not isinstance(part, Student)
            try:
                return whole(part)
            finally:
                self._quoting.on = before

        patch.setattr(Identity, "__getattribute__", access, raising=False)
        patch.setattr(Identity, "identity", identity)
        patch.setattr("flows.stages.order.STAGES", self.stages)

    def _watched(self, stage: Stage[Any, Any]) -> Stage[Any, Any]:
        def read(done: Done, settings: Any) -> Reader:
            return stage.read(done, self._own(stage.name, settings))

        def run(unit: UnitInput, settings: Any, resources: Any) -> UnitOutput | Awaitable[UnitOutput]:
            return stage.run(unit, self._own(stage.name, settings), resources)

        return replace(stage, read=read, run=run)

    def _own(self, stage: str, settings: Identity) -> Identity:
        """Return a copy, all of whose fields are known by place."""
        copy = type(settings).model_validate(settings.model_dump(mode="json"))
        self._copies.append(copy)
        for part, field, path in _fields(copy):
            self._paths[id(part), field] = (stage, path)
            self.fields[stage].add(path)
        return copy


def _fields(part: Identity, path: str = "") -> Iterator[tuple[Identity, str, str]]:
    """Yield every field that holds no further fields: whose it is, its name, and its path.

    A revision of code only identifies: nobody reads it, and its mark says so.
    """
    for name, value in vars(part).items():
        if is_revision(type(part), name):
            continue
        inner = list(_parts(value))
        for where, one in inner:
            yield from _fields(one, f"{path}{name}.{where}")
        if not inner:
            yield part, name, f"{path}{name}"


def _parts(value: Any) -> Iterator[tuple[str, Identity]]:
    match value:
        case Identity():
            yield "", value
        case Mapping():
            yield from ((f"{key}.{where}", part) for key, one in value.items() for where, part in _parts(one))
        case tuple():
            yield from ((f"*.{where}", part) for one in value for where, part in _parts(one))


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    place = write_corpus(tmp_path_factory.mktemp("cellars") / "place")
    watched = Watched()
    with pytest.MonkeyPatch.context() as patch:
        watched.watch(patch)
        curated(place, EVERYTHING, "run")
    return watched


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_every_field_of_its_settings(stage: str, watched: Watched) -> None:
    assert watched.fields[stage]
    assert watched.unread(stage) == []
