"""Reading a turn: its argument, and whether a call showed anything.

A turn stores its observation as the model was shown it, wrapped in the dialect's fixed text. That text
is never empty, so an empty result has to be recognised behind it.
"""

from __future__ import annotations

import re

from pipeline.identity import parse_json
from pipeline.records import Action, Turn

CALLS: frozenset[Action] = frozenset({"python", "image_search", "search"})
ARGUMENT: dict[Action, str | None] = {"python": "code", "search": "query", "answer": "answer", "image_search": None}
"""The one argument of each action; `image_search` takes none."""

# Lines of the DeepEyesV2 observation templates that stand around a result.
_FRAME = re.compile(
    r"Code execution result:|stdout:|stderr:|Images?:|```|</?tool_response>|## Web Results"
    r"|A Google image search for the image found \d+ results:|A Google search for '.*' found \d+ results:"
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
    if turn.images:
        return True
    lines = (line.strip() for line in (turn.observation or "").splitlines())
    return any(line and not _FRAME.fullmatch(line) for line in lines)


def informed(turn: Turn) -> bool:
    """Return whether the turn is a call that ran (`ok`) and showed something."""
    return turn.action in CALLS and turn.status == "ok" and showed_something(turn)
