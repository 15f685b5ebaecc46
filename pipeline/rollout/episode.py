"""One episode of a student in training, in which every message is acted upon as the rollouts of curation did.

The same grammar, refusals, sandbox, wording and image budget as `pipeline.rollout.loop`, one message at a time and
without a model or a store: a trainer has its own model, and what its student does is paid for anew. A test feeds
recorded transcripts through both.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from pipeline.dialects.bad_calls import BadCall, bad_call, image_search_refused
from pipeline.dialects.observations import cell_observation, image_search_observation
from pipeline.errors import InfrastructureError
from pipeline.export.kit_facts import KitFacts
from pipeline.identity import parse_json
from pipeline.models.views import seen
from pipeline.records import Finish, TurnStatus
from pipeline.sandbox.backend import Notebook, Sandbox
from pipeline.tools.python import visible
from pipeline.tools.search.record import NO_RECORD, SearchRecord

if TYPE_CHECKING:
    from PIL import Image

    from pipeline.sandbox.result import CellResult


class Step(NamedTuple):
    """What came back after a message."""

    observation: str | None
    """Text of the next user message, framed; each `<image>` in it stands for one of `pictures`. None: it is over."""
    pictures: tuple[bytes, ...] = ()
    """Encoded, at the size at which the tool made them; `views` gives what the student is shown."""
    status: TurnStatus = "ok"
    finish: Finish | None = None
    """Set when the episode is over."""
    reason: str = ""
    """Why a message was refused."""


class Places:
    """The sessions that the episodes of a process hold at once; for many threads.

    A batch has more episodes than a sandbox has sessions, and all wait for their student between two cells. So whoever
    has waited longest gives way, and its cells are run again before its next one.
    """

    def __init__(self, sandbox: Sandbox, most: int) -> None:
        self.sandbox = sandbox
        self._free = most
        self._idle: OrderedDict[int, Episode] = OrderedDict()
        self._changed = threading.Condition()

    def take(self, episode: Episode) -> None:
        """Wait until an episode may have a session; it is not to give way before `give`."""
        with self._changed:
            while self._idle.pop(id(episode), None) is None:
                if self._free:
                    self._free -= 1
                    return
                if self._idle:
                    self._idle.popitem(last=False)[1].rest()
                    return
                self._changed.wait()

    def give(self, episode: Episode) -> None:
        """Take note that no cell of an episode runs any more."""
        with self._changed:
            if episode.has_session:
                self._idle[id(episode)] = episode
            else:
                self._free += 1
            self._changed.notify()

    def leave(self, episode: Episode) -> None:
        """End the session of an episode that no cell of runs, if it has one."""
        with self._changed:
            if self._idle.pop(id(episode), None) is not None:
                episode.rest()
                self._free += 1
                self._changed.notify()


@dataclass(eq=False)
class Episode:
    """One conversation; messages one after the other, from one thread at a time. Use as a context manager."""

    facts: KitFacts
    places: Places
    images: Sequence[bytes]
    """Of the question: the files that the export holds."""
    question_id: str = ""
    record: SearchRecord = NO_RECORD
    turns: int = 0
    """Messages so far."""
    _image_searched: bool = False
    _codes: list[str] = field(default_factory=list)
    """Cells of the live session, so that one that is lost can be brought back."""
    _live: Notebook | None = None
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def has_session(self) -> bool:
        """Whether its cells' state lives in a session now."""
        return self._live is not None

    def close(self) -> None:
        """End the session; a second call does nothing."""
        self.places.leave(self)

    def rest(self) -> None:
        """Give the session up until the next cell, before which the earlier ones are run again."""
        self._live = None
        self._open.close()

    def views(self, pictures: Sequence[bytes]) -> list[Image.Image]:
        """Return pictures at the student's budget, as it is to be shown them.

        Raises:
            RowError: the student's processor refuses one of the question; of `Step.pictures` it refuses none.
        """
        return [seen(picture, self.facts.view_rule) for picture in pictures]

    def step(self, message: str) -> Step:
        """Act upon a message of the student.

        Raises:
            InfrastructureError: the sandbox failed, twice; it says nothing of the message.
        """
        self.turns += 1
        last = self.turns >= self.facts.max_turns
        parsed = self.facts.grammar.parse(message, "tools")
        step = self._refuse(parsed) if isinstance(parsed, BadCall) else self._act(parsed.action, parsed.arguments, last)
        if step.finish is None and last:
            step = step._replace(finish="max_turns")
        if step.observation is None:
            return step
        return step._replace(observation=self.facts.grammar.frame(step.observation))

    def _act(self, action: str, arguments: str, last: bool) -> Step:
        said = parse_json(arguments)
        if action == "answer":
            return Step(None, finish="answer")
        if last:
            return Step(None, finish="max_turns")
        if action == "python":
            return self._run_code(said["code"])
        if not self.facts.search:
            return self._refuse(bad_call("unknown_tool", action))
        return self._search_text(said["query"]) if action == "search" else self._search_image()

    def _refuse(self, bad: BadCall) -> Step:
        return Step(bad.observation, status="bad_call", reason=bad.reason)

    def _run_code(self, code: str) -> Step:
        self.places.take(self)
        try:
            result = self._run(code)
        finally:
            self.places.give(self)
        shown, notes = visible(result, self.facts.view_rule)
        observation = cell_observation(
            status=result.status,
            stdout=result.stdout,
            stderr="\n".join(filter(None, (result.stderr, *notes))),
            value=result.value,
            error=result.error.traceback if result.error else None,
            images=len(shown),
            ended=result.ended,
        )
        return Step(observation, tuple(image.png() for image in shown), result.status)

    def _run(self, code: str) -> CellResult:
        try:
            result = self._cell(code)
        except InfrastructureError:
            self.rest()
            result = self._cell(code)
        self._codes.append(code)
        if result.ended:
            self._codes.clear()
            self.rest()
        return result

    def _cell(self, code: str) -> CellResult:
        """Run a cell; in a fresh session the earlier ones come first."""
        if self._live is None:
            self._live = self._open.enter_context(self.places.sandbox.session(self.images, self.facts.seed))
            for earlier in self._codes:
                self._live.run(earlier)
        return self._live.run(code)

    def _search_text(self, query: str) -> Step:
        found = self.record.text(self.question_id, query)
        if found is None:
            return self._refuse(bad_call("query_not_recorded"))
        return Step(found)

    def _search_image(self) -> Step:
        again, self._image_searched = self._image_searched, True
        if again or not self.images:
            return self._refuse(image_search_refused(images=len(self.images)))
        found = self.record.images(self.question_id)
        if found is None:
            return self._refuse(bad_call("image_not_public"))
        titles, pictures = zip(*found, strict=True) if found else ((), ())
        return Step(image_search_observation(titles), pictures)
