"""One exchange of a rollout: what the model said, what came back, and what is recorded and told of both."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.dialects import Dialect
from pipeline.dialects.defuse import defuse
from pipeline.records import Action, Finish, ImageRef, Turn, TurnStatus


class Said(NamedTuple):
    """An assistant message as fields."""

    think: str
    action: Action
    arguments: str
    """Canonical JSON, as in `Turn`."""


UNPARSED = Said("", "none", "{}")
"""A message that is no valid turn."""


class Shown(NamedTuple):
    """What came back after an assistant message."""

    observation: str | None
    images: tuple[ImageRef, ...] = ()
    status: TurnStatus = "ok"
    finish: Finish | None = None
    """Set when it ends the rollout."""
    labels: tuple[str, ...] = ()


def to_turn(said: Said, raw_text: str, shown: Shown) -> Turn:
    """Return the exchange as a record."""
    return Turn(
        think=said.think,
        action=said.action,
        arguments=said.arguments,
        raw_text=raw_text,
        observation=shown.observation,
        images=shown.images,
        status=shown.status,
        # A trainer should not learn to write what failed.
        loss=shown.status == "ok",
        labels=shown.labels,
    )


def as_history(said: Said, raw_text: str, dialect: Dialect) -> str:
    """Return how a past message is shown to the model: from its fields, or defused where it had none."""
    if said.action == "none":
        return defuse(raw_text)
    return dialect.render_turn(said.think, said.action, said.arguments)
