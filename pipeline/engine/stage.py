"""A stage: a pure function over hash ranges of its input, and what decides its fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.engine.units import Kind
from pipeline.identity import Json, digest
from pipeline.records import Outcome, Record


@dataclass(frozen=True)
class Stage:
    """What a stage is; everything here decides its fingerprint."""

    name: str
    version: int
    """Raised by hand when the stage's code changes what it writes."""
    kind: Kind
    settings: Json
    """Identity settings only: no path, URL, concurrency or secret."""
    model: str
    """Revisions of models, tools and sandbox that the stage runs; empty for none."""
    tables: Mapping[str, type[Record]]
    """What a unit writes besides its outcomes."""
    upstream: tuple[str, ...]
    """Fingerprints of the stages it reads."""

    @property
    def fingerprint(self) -> str:
        """Return the identity of the stage, data apart."""
        return digest(
            {
                "name": self.name,
                "version": self.version,
                "settings": self.settings,
                "model": self.model,
                "schemas": {"outcomes": Outcome.SCHEMA, **{name: kind.SCHEMA for name, kind in self.tables.items()}},
                "upstream": self.upstream,
            }
        )
