"""Reading a turn: its argument, and what a call gave back.

A turn stores its observation as the model was shown it, wrapped in the dialect's fixed text. That text
is never empty, so an empty result has to be recognised behind it.
"""

from __future__ import annotations

import re

from pipeline.identity import parse_json
from pipeline.records import Action, Turn

SEARCHES: frozenset[Action] = frozenset({"image_search", "search"})
CALLS: frozenset[Action] = SEARCHES | {"python"}
ARGUMENT: dict[Action, str | None] = {"python": "code", "search": "query", "answer": "answer", "image_search": None}
"""The one argument of each action; `image_search` takes none."""

# Lines of the DeepEyesV2 observation templates that stand around a result.
_FRAME = re.compile(
    r"Code execution result:|stdout:|stderr:|Images?:|```|</?tool_response>|## Web Results"
    r"|A Google image search for the image found \d+ results:|A Google search for '.*' found \d+ results:|(?:<image>)+"
)


def argument(turn: Turn) -> str | None:
    """Return the code, query or answer of a turn; None if its action has no argument.

    Raises:
        ValueError: `arguments` is not exactly what the action takes.
    """
    arguments = parse_json(turn.arguments)
    name = ARGUMENT.get(turn.action)
    expected = set() if name is None else {name}
    if not isinstance(arguments, dict) or set(arguments) != expected:
        raise ValueError(f"{turn.action} takes {sorted(expected)}")
    if name is None:
        return None
    value = arguments[name]
    if not isinstance(value, str):
        raise ValueError(f"{turn.action}: {name} is not a string")  # noqa: TRY004 - bad data, not a bad call
    return value


def showed_something(turn: Turn) -> bool:
    """Return whether the observation holds an image or any text besides the dialect's frame."""
    return bool(turn.images) or bool(output(turn))


def output(turn: Turn) -> list[str]:
    """Return the lines of an observation that are not the dialect's own, stripped; marks of images are."""
    lines = (line.strip() for line in (turn.observation or "").splitlines())
    return [line for line in lines if line and not _FRAME.fullmatch(line)]
