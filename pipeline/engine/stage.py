"""A stage: what it reads, what it does, and the settings that are all it sees of a recipe."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from pipeline.engine.done import Done
from pipeline.engine.units import Part, Reader, UnitInput, UnitOutput
from pipeline.identity import Identity, digest
from pipeline.records import Outcome, Record
from pipeline.store import Store

Kind = Literal["map", "global"]
"""A unit of a map stage is a range of the hash of root ids; a global stage has one unit."""
Resource = Literal["cpu", "model"]
"""cpu: in a worker process, with the store; model: on the event loop of the process that drives the run."""


class StageSettings(Identity):
    """Everything that a stage may see of a recipe, and what its fingerprint covers."""

    @property
    def model(self) -> str:
        """Return the revisions of the models, or of the sandbox, that the stage runs; empty for none."""
        return ""


S = TypeVar("S", bound=StageSettings)
R = TypeVar("R")


def _always(directory: Path, part: Part, settings: Any) -> bool:  # noqa: ARG001 - as every `stands` is called
    return True


async def _nothing(done: Done, settings: Any, store: Store, tell: Callable[[str], None]) -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Stage(Generic[S, R]):
    """What a stage is. Its functions are those of modules, so that any process finds them by the stage's name."""

    name: str
    version: int
    """Raised by hand when the stage's own code writes something else; what it calls carries versions of its own."""
    kind: Kind
    resource: Resource
    settings: type[S]
    read: Callable[[Done, S], Reader]
    run: Callable[[UnitInput, S, R], UnitOutput | Awaitable[UnitOutput]]
    """`R` is the store for cpu, and what the run acts with for model."""
    tables: Mapping[str, type[Record]]
    """What a unit writes besides its outcomes."""
    asks: frozenset[str] = frozenset()
    """Roles of the recipe's models; servers of ours that nobody asks now are stopped."""
    outside: bool = False
    """Whether it reads files outside the run directory: only reading them tells whether they are still the same."""
    stands: Callable[[Path, Part, S], bool] = _always
    """Whether what a committed unit wrote beside its parts is still there: directory, part, settings."""
    again: frozenset[str] = frozenset()
    """Reasons of outcomes that say nothing of their record: until the stage has finished, a unit with one is no unit
    that is done."""
    prepare: Callable[[Done, S, Store, Callable[[str], None]], Coroutine[Any, Any, None]] = _nothing
    """What is done once, before any unit is read, on the loop of the process that drives the run: with the opened
    store, and whom to tell how far it is."""


@dataclass(frozen=True)
class Declared(Generic[S, R]):
    """A stage of one run."""

    stage: Stage[S, R]
    settings: S
    upstream: tuple[str, ...]
    """Fingerprints of the stages that it reads."""
    run: Path

    @property
    def name(self) -> str:
        """Return the stage's name."""
        return self.stage.name

    @cached_property
    def fingerprint(self) -> str:
        """Return the identity of the stage, data apart."""
        tables: dict[str, type[Record]] = {"outcomes": Outcome, **self.stage.tables}
        return digest(
            {
                "name": self.stage.name,
                "version": self.stage.version,
                "settings": self.settings.identity(),
                "schemas": {name: kind.SCHEMA for name, kind in tables.items()},
                "upstream": self.upstream,
            }
        )

    @property
    def directory(self) -> Path:
        """Return where the stage's parts are; another fingerprint has another directory."""
        return self.run / "stages" / self.stage.name / self.fingerprint[:16]
