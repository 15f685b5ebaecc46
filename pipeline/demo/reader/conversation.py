"""A request as the reader understands it: the question, what it sees, what it did and what came back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.demo.reader.grammar import Ask, understand
from pipeline.demo.reader.perception import Box
from pipeline.dialects import DEEPEYESV2, TOOL_CALL, Dialect
from pipeline.dialects.bad_calls import BadCall
from pipeline.identity import parse_json
from pipeline.models.chat import ChatRequest, Image, Message, Text, View
from pipeline.records import Action


class Hit(NamedTuple):
    """One result of a search; a thumbnail has no snippet."""

    title: str
    snippet: str


@dataclass(frozen=True)
class Past:
    """One own message and what it was answered with."""

    action: Action
    argument: str
    """Code or query; empty where the action takes none, or was not understood."""
    observation: str
    views: tuple[View, ...]

    @property
    def stdout(self) -> str:
        """What the cell printed; empty for other actions."""
        found = re.search(r"stdout:\n```\n(.*?)\n```\n\nstderr:", self.observation, re.DOTALL)
        return found.group(1).strip() if found else ""

    @property
    def hits(self) -> tuple[Hit, ...]:
        """The results of a search, best first."""
        if self.action == "image_search":
            return tuple(Hit(title, "") for title in re.findall(r"^\[(.*)\] $", self.observation, re.MULTILINE))
        return tuple(
            Hit(title, snippet.removesuffix("</tool_response>").strip())
            for title, snippet in re.findall(
                r"^\d+\. \[(.*?)\]\(.*?\)\n(.*?)(?=^\d+\. \[|\Z)", self.observation, re.MULTILINE | re.DOTALL
            )
        )


class Look(NamedTuple):
    """A view and the part of the original image it shows."""

    view: View
    part: Box

    @property
    def scale(self) -> float:
        """Original pixels per view pixel, horizontally."""
        return self.part.width / self.view.width

    def to_original(self, box: Box) -> Box:
        """Map a rectangle of the view to the original."""
        across, down = self.part.width / self.view.width, self.part.height / self.view.height
        left, top = self.part.x0, self.part.y0
        return Box(left + box.x0 * across, top + box.y0 * down, left + box.x1 * across, top + box.y1 * down)


@dataclass(frozen=True)
class Transcript:
    """A conversation up to the message that is wanted next."""

    ask: Ask
    tools: bool
    search: bool
    """Whether one of the tools searches."""
    images: tuple[View, ...]
    """Of the question."""
    past: tuple[Past, ...]

    @property
    def looks(self) -> tuple[Look, ...]:
        """The first image as it was given, then every crop of it that a cell of ours displayed."""
        if not self.images:
            return ()
        whole = self.images[0]
        first = Look(whole, Box(0, 0, whole.source_width, whole.source_height))
        crops = (crop for past in self.past if past.action == "python" for crop in _crops(past))
        return first, *crops


_BOX = re.compile(r"(\d+), (\d+), (\d+), (\d+)")


def _crops(past: Past) -> list[Look]:
    """Return what a cell displayed: the reader's own cells name one box of four numbers per displayed crop."""
    boxes = [Box(*map(float, found)) for found in _BOX.findall(past.argument)]
    return [Look(view, box) for view, box in zip(past.views, boxes, strict=False)]


def dialect_of(request: ChatRequest) -> Dialect:
    """Return how a request wants its answer written: the strings that end a message tell."""
    return TOOL_CALL if request.stop == TOOL_CALL.stop else DEEPEYESV2


def read_request(request: ChatRequest) -> Transcript:
    """Return what a request says."""
    dialect = dialect_of(request)
    system = "".join(_text(message) for message in request.messages if message.role == "system")
    turns = [message for message in request.messages if message.role != "system"]
    question = turns[0] if turns else Message(role="user", parts=())
    tools = "# Tools" in system
    past = tuple(
        _past(said, shown, dialect, tools=tools)
        for said, shown in zip(turns[1::2], turns[2::2], strict=False)  # an answer to come is no pair
    )
    return Transcript(understand(_text(question)), tools, "image_search" in system, _views(question), past)


def _past(said: Message, shown: Message, dialect: Dialect, *, tools: bool) -> Past:
    parsed = dialect.parse(_text(said), "tools" if tools else "plain")
    if isinstance(parsed, BadCall):
        return Past("none", "", _text(shown), _views(shown))
    arguments = parse_json(parsed.arguments)
    return Past(parsed.action, "".join(arguments.values()), _text(shown), _views(shown))


def _text(message: Message) -> str:
    return "".join(part.text for part in message.parts if isinstance(part, Text))


def _views(message: Message) -> tuple[View, ...]:
    return tuple(part.view for part in message.parts if isinstance(part, Image))
