"""How a conversation is written: what a model must say to act, and how it is shown what came back.

A dialect is a value of functions. The records hold fields and not text, so they are the same in every dialect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

from pipeline.dialects import deepeyesv2, tool_call
from pipeline.dialects.bad_calls import BadCall
from pipeline.dialects.messages import Parsed
from pipeline.errors import UsageError
from pipeline.records import Action, Mode

DialectName = Literal["deepeyesv2", "tool_call"]


class Dialect(NamedTuple):
    """One way to write a conversation."""

    name: DialectName
    stop: tuple[str, ...]
    """Strings that end a message and stay in it."""
    parse: Callable[[str, Mode], Parsed | BadCall]
    """Reads an assistant message."""
    render_turn: Callable[[str, Action, str], str]
    """Writes an assistant message from think, action and arguments (canonical JSON)."""
    frame: Callable[[str], str]
    """Makes a user message of what a tool returned."""
    tools: str
    """Canonical JSON of the tool schemas, for an API that takes calls as structure; empty where none could."""
    tools_text: str
    """The same schemas for a system text."""
    search: bool = True
    """Whether there is a search, in words and by picture, and models are told of it."""


DEEPEYESV2 = Dialect(
    name="deepeyesv2",
    stop=deepeyesv2.STOP,
    parse=deepeyesv2.parse,
    render_turn=deepeyesv2.render_turn,
    frame=str,
    tools="",
    tools_text="",
)
TOOL_CALL = Dialect(
    name="tool_call",
    stop=tool_call.STOP,
    parse=tool_call.parse,
    render_turn=tool_call.render_turn,
    frame=tool_call.frame,
    tools=tool_call.TOOLS,
    tools_text=tool_call.TOOLS_TEXT,
)


def by_name(name: str, *, search: bool = True) -> Dialect:
    """Return a dialect; without `search`, one in which no tool searches.

    Raises:
        UsageError: there is none of that name.
    """
    for dialect in (DEEPEYESV2, TOOL_CALL):
        if dialect.name == name:
            return dialect if search else _without_search(dialect)
    raise UsageError(f"dialect {name!r} is unknown; known are {', '.join(get_args(DialectName))}")


def _without_search(dialect: Dialect) -> Dialect:
    if not dialect.tools:
        return dialect._replace(search=False)
    tools, text = tool_call.schemas(search=False)
    return dialect._replace(search=False, tools=tools, tools_text=text)
