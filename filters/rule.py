"""What all filters share: a rule that signs its decisions with name and version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pipeline.records import Decision

Reason = TypeVar("Reason", bound=str)
"""The closed `Literal` of a filter's reasons; mypy refuses any other."""


@dataclass(frozen=True)
class Rule(Generic[Reason]):
    """Name and version of one filter. The version rises whenever an equal input may be decided otherwise."""

    name: str
    version: int

    def keep(self, record_id: str, score: float | None = None) -> Decision:
        """Return a decision to keep; its reason is empty."""
        return self._decision(record_id, "keep", "", score)

    def reject(self, record_id: str, reason: Reason, score: float | None = None) -> Decision:
        """Return a decision to reject."""
        return self._decision(record_id, "reject", reason, score)

    def unknown(self, record_id: str, reason: Reason, score: float | None = None) -> Decision:
        """Return that the evidence does not decide; the recipe says what follows."""
        return self._decision(record_id, "unknown", reason, score)

    def _decision(self, record_id: str, outcome: str, reason: str, score: float | None) -> Decision:
        return Decision.model_validate(
            {
                "record_id": record_id,
                "filter": self.name,
                "version": self.version,
                "outcome": outcome,
                "reason": reason,
                "score": score,
            }
        )
