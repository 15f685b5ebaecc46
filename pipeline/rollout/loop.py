"""The multi-turn loop: ask, act, show, until the model answers or a limit ends it.

The loop executes and records; it never grades. Failures of infrastructure leave it as exceptions and
are never shown to a model. Time is counted as each call and cell took when it was paid for, so that
a rollout that is resumed ends where it ended before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import Field

from pipeline.dialects import DialectName, by_name
from pipeline.dialects.bad_calls import BadCall, bad_call, image_search_refused
from pipeline.dialects.messages import question_text, user_text
from pipeline.dialects.observations import (
    WebResult,
    cell_observation,
    image_search_observation,
    text_search_observation,
)
from pipeline.identity import Identity, Place, Revision, canonical_json, parse_json
from pipeline.models.chat import ChatModel, ChatRequest, ChatResponse, Image, Message, Sampling, Text, ToolImages
from pipeline.models.refusals import TooLongError
from pipeline.models.samples import sample_once
from pipeline.models.views import Views
from pipeline.records import (
    IMAGE_MARK,
    WITHHELD,
    Arm,
    DroppedHit,
    Finish,
    ImageRef,
    Mode,
    Purpose,
    Question,
    Tokens,
    Trajectory,
    Turn,
)
from pipeline.rollout.exchange import UNPARSED, Said, Shown, as_history, to_turn
from pipeline.store.blobs import BlobStore
from pipeline.store.calls import CallCache
from pipeline.students.family import ViewRule
from pipeline.tools.python import Cell, PythonSession, PythonTool
from pipeline.tools.search.asked import Dropped, Search, image_search, text_search
from pipeline.tools.search.hits import ImageHit, TextHit


class Limits(Identity):
    """When a rollout ends without an answer."""

    max_turns: int = Field(default=9, ge=1)
    """Assistant turns; a call in the last of them is not carried out (DeepEyesV2 environment, `max_turns=9`)."""
    max_completion_tokens: int = Field(default=16_384, ge=1)
    """Over the whole rollout, as the backend counts (DeepEyesV2 `max_response_length`)."""
    max_seconds: float = Field(default=1_800.0, gt=0)
    """Of model calls, cells and searches together, each as it took when it was paid for. What depends on
    how much runs at once does not count: queues, pauses and failed tries, sessions brought up to date."""


class Ask(Identity):
    """How a model is asked: everything that is equal for all rollouts of one arm or lane, and no live object."""

    purpose: Purpose
    arm: Arm
    mode: Mode
    role: Place[str] = ""
    """Of the recipe's models, such as `base` or `teachers.1`: who is asked."""
    model: str
    """Revision of that model."""
    asked: Revision[Mapping[str, Any]]
    """Identity of the role: what else of it decides an answer, such as what a provider's model takes."""
    sampling: Sampling
    seed: int
    dialect: DialectName
    tools: str
    """Schemas for a backend that takes calls as structure; empty where they are text, and in plain mode."""
    tool_images: ToolImages = "user_after"
    """Where the pictures of a result stand, if calls are structure."""
    context_length: int | None = None
    """In tokens, of the model's server; None: not stated."""
    system: str
    user_template: str
    prompts: str
    """Canonical JSON: role → sha256."""
    limits: Limits | None
    """None in plain mode: whatever is said first ends the rollout."""
    view: ViewRule
    """How every image is resized before the model sees it."""
    sandbox: Revision[str] = ""
    """Of the sandbox that cells run in; empty in plain mode, as is `search`."""
    search: Revision[str] = ""
    """Of what is searched."""
    observations: Revision[int] = 0
    """How results of calls are worded; 0 in plain mode, where there are none."""


class Tools(NamedTuple):
    """What a rollout acts with beside its model."""

    calls: CallCache
    blobs: BlobStore
    views: Views
    python: PythonTool
    search: Search | None
    """None: there is nothing to search, and a call that would is one of a tool that is not there."""


Watch = Callable[[Turn, Sequence[tuple[int, int]]], None]
"""Told of each turn when it is over, with the sizes at which its pictures are shown."""


def unwatched(turn: Turn, seen: Sequence[tuple[int, int]]) -> None:
    """Look at no turn."""


class Rollout(NamedTuple):
    """A rollout that ended, and what its searches found that it was not shown."""

    trajectory: Trajectory
    """Ungraded."""
    dropped: tuple[DroppedHit, ...]


async def rollout(
    question: Question, sample: int, ask: Ask, model: ChatModel, tools: Tools, *, watch: Watch = unwatched
) -> Rollout:
    """Run one rollout to its end, under the eyes of `watch`. Its verdict is `unknown`: grading is the caller's.

    Raises:
        InfrastructureError: a model, the sandbox or a search failed; the rollout may be run again.
        RowError: the backend or the student's processor refuses the question itself; a conversation that outgrew the
            model's context only ends the rollout, as `length`.
    """
    sizes = [(image.width, image.height) for image in question.images]
    user = user_text(ask.user_template, question_text(question), sizes)
    async with tools.python.session(question.images) as session:
        conversation = _Conversation(question, sample, ask, model, tools, session, watch)
        conversation.messages.append(Message(role="system", parts=(Text(text=ask.system),)))
        await conversation.show(user, question.images)
        finish = await conversation.run()
    trajectory = conversation.trajectory(user, finish)
    hidden = (_evidence(trajectory, turn, hit) for turn, hits in conversation.dropped.items() for hit in hits)
    return Rollout(trajectory, tuple(hidden))


def _evidence(trajectory: Trajectory, turn: int, dropped: Dropped[TextHit] | Dropped[ImageHit]) -> DroppedHit:
    hit, decision = dropped.hit, dropped.decision
    return DroppedHit(
        trajectory_id=trajectory.id,
        question_id=trajectory.question_id,
        turn=turn,
        rank=dropped.rank,
        tool=trajectory.turns[turn].action,
        url=hit.url,
        title=hit.title,
        snippet=hit.snippet if isinstance(hit, TextHit) else "",
        published=hit.published if isinstance(hit, TextHit) else None,
        reason=decision.reason,
        score=decision.score,
    )


def cell_text(cell: Cell) -> str:
    """Return what a model is shown of a cell, for the dialect to frame."""
    return cell_observation(
        status=cell.status,
        stdout=cell.stdout,
        stderr="\n".join(filter(None, (cell.stderr, *cell.notes))),
        value=cell.value,
        error=cell.error,
        images=len(cell.images),
        ended=cell.ended,
    )


@dataclass
class _Conversation:
    """A rollout in the making."""

    question: Question
    sample: int
    ask: Ask
    model: ChatModel
    tools: Tools
    session: PythonSession
    watch: Watch
    messages: list[Message] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    seen: list[tuple[int, int]] = field(default_factory=list)
    """Sizes of the views in order of appearance."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    detail: str = ""
    """What the server said when it ended the rollout."""
    dropped: dict[int, tuple[Dropped[TextHit], ...] | tuple[Dropped[ImageHit], ...]] = field(default_factory=dict)
    """Hits that were not shown, by turn."""

    def __post_init__(self) -> None:
        self.dialect = by_name(self.ask.dialect)

    async def run(self) -> Finish:
        limits = self.ask.limits or Limits(max_turns=1)
        for number in range(limits.max_turns):
            before = len(self.turns), len(self.seen)
            finish = await self._take_turn(last=number == limits.max_turns - 1)
            if len(self.turns) > before[0]:
                self.watch(self.turns[-1], self.seen[before[1] :])
            if finish is not None:
                return finish
            if self.completion_tokens >= limits.max_completion_tokens:
                return "max_tokens"
            if self.seconds >= limits.max_seconds:
                return "max_time"
        return "max_turns"

    async def _take_turn(self, *, last: bool) -> Finish | None:
        """Ask for one message, act on it and record both; return why the rollout ends, None to go on."""
        try:
            response = await self._ask()
        except TooLongError as error:
            if not self.turns:
                raise
            self.detail = error.detail
            # The model takes the question but not the conversation that grew from it: a limit of this attempt.
            return "length"
        if response.finish == "refused":
            self.detail = response.text
        if response.finish != "stop":
            self.turns.append(to_turn(UNPARSED, response.text, Shown(None, status="bad_call", finish=response.finish)))
            return response.finish
        dialect = self.dialect
        parsed = dialect.parse(response.text, self.ask.mode)
        if isinstance(parsed, BadCall):
            said, shown = UNPARSED, self._refuse(parsed)
        else:
            said = Said(parsed.think, parsed.action, parsed.arguments)
            shown = await self._act(said, last=last)
        if shown.observation is not None:
            shown = shown._replace(observation=dialect.frame(shown.observation))
        self.turns.append(to_turn(said, response.text, shown))
        if shown.finish is None and shown.observation is not None:
            text = as_history(said, response.text, dialect)
            self.messages.append(Message(role="assistant", parts=(Text(text=text),), signed=response.signed))
            await self.show(shown.observation, shown.images)
        return shown.finish

    async def _ask(self) -> ChatResponse:
        request = ChatRequest(
            model=self.ask.model,
            messages=tuple(self.messages),
            sampling=self.ask.sampling,
            stop=self.dialect.stop,
            tools=self.ask.tools,
            tool_images="inside" if self.ask.tool_images == "inside" else "",
            context_length=self.ask.context_length,
            seed=self.ask.seed,
        )
        asking = sample_once(self.tools.calls, self.model, request, self.sample)
        response, seconds = await self.session.idle_during(asking)
        self.seconds += seconds
        self.prompt_tokens += response.prompt_tokens
        self.completion_tokens += response.completion_tokens
        return response

    def _refuse(self, bad: BadCall) -> Shown:
        # Without tools there is nothing to try again, so a malformed message ends the rollout.
        finish: Finish | None = "bad_call" if self.ask.mode == "plain" else None
        return Shown(bad.observation, status="bad_call", finish=finish, labels=(bad.reason,))

    async def _act(self, said: Said, *, last: bool) -> Shown:
        arguments = parse_json(said.arguments)
        if said.action == "answer":
            return Shown(None, finish="answer")
        if last:
            return Shown(None, finish="max_turns", labels=("not_executed",))
        if said.action == "python":
            return await self._run_code(arguments["code"])
        if self.tools.search is None:
            return self._refuse(bad_call("unknown_tool", said.action))
        if said.action == "search":
            return await self._search_text(self.tools.search, arguments["query"])
        return await self._search_image(self.tools.search)

    async def _run_code(self, code: str) -> Shown:
        cell, seconds = await self.session.run(code)
        self.seconds += seconds
        if cell.nondeterministic:
            return Shown(None, status=cell.status, finish="nondeterministic")
        return Shown(cell_text(cell), cell.images, cell.status)

    async def _search_text(self, search: Search, query: str) -> Shown:
        found = await text_search(self.tools.calls, search, self.question, query)
        self.seconds += found.seconds
        self.dropped[len(self.turns)] = found.dropped
        results = [WebResult(hit.title, hit.url, hit.date, hit.snippet) for hit in found.hits]
        return Shown(text_search_observation(query, results), labels=_withheld(found.hits))

    async def _search_image(self, search: Search) -> Shown:
        if not self.question.images or any(turn.action == "image_search" for turn in self.turns):
            return self._refuse(image_search_refused(images=len(self.question.images)))
        found = await image_search(self.tools.calls, search, self.tools.blobs, self.question)
        if found is None:
            return self._refuse(bad_call("image_not_public"))
        self.seconds += found.seconds
        self.dropped[len(self.turns)] = found.dropped
        # A picture that the student could not be shown is left out with its title, as one that did not load is.
        hits = [hit for hit in found.hits if hit.thumbnail is not None and self.ask.view.takes(hit.thumbnail)]
        observation = image_search_observation([hit.title for hit in hits])
        images = tuple(hit.thumbnail for hit in hits if hit.thumbnail is not None)
        return Shown(observation, images, labels=_withheld(hits))

    async def show(self, text: str, images: tuple[ImageRef, ...]) -> None:
        """Append a user message whose `<image>` marks become the views of `images`.

        Raises:
            RowError: the student's processor refuses an image.
        """
        views = [await self.tools.views.of(image, self.ask.view) for image in images]
        pieces = text.split(IMAGE_MARK)
        if len(pieces) != len(views) + 1:
            raise AssertionError(f"{len(pieces) - 1} image marks for {len(views)} images")
        parts: list[Text | Image] = [Text(text=pieces[0])]
        for view, piece in zip(views, pieces[1:], strict=True):
            parts += [Image(view=view), Text(text=piece)]
        self.seen += [(view.width, view.height) for view in views]
        kept = tuple(part for part in parts if isinstance(part, Image) or part.text)
        self.messages.append(Message(role="user", parts=kept))

    def trajectory(self, user: str, finish: Finish) -> Trajectory:
        """Return the finished rollout as a record, ungraded."""
        ask, rule = self.ask, self.ask.view
        view = {"family": rule.family, "max_pixels": rule.max_pixels, "policy": rule.policy}
        identity = Trajectory.make_id(
            question_id=self.question.id,
            purpose=ask.purpose,
            arm=ask.arm,
            mode=ask.mode,
            sample=self.sample,
            model=ask.model,
            sampling=canonical_json(ask.sampling),
            prompts=ask.prompts,
            view=canonical_json(view),
            seed=ask.seed,
        )
        answer = parse_json(self.turns[-1].arguments)["answer"] if finish == "answer" else None
        return Trajectory(
            id=identity,
            question_id=self.question.id,
            purpose=ask.purpose,
            arm=ask.arm,
            mode=ask.mode,
            sample=self.sample,
            model=ask.model,
            dialect=ask.dialect,
            prompts=ask.prompts,
            view=canonical_json({**view, "seen": self.seen}),
            seed=ask.seed,
            system=ask.system,
            user=user,
            images=self.question.images,
            turns=tuple(self.turns),
            answer=answer,
            verdict="unknown",
            finish=finish,
            tokens=Tokens(prompt=self.prompt_tokens, completion=self.completion_tokens),
            sandbox=self.tools.python.pool.identity if ask.mode == "tools" else "",
            detail=self.detail,
        )


def _withheld(hits: Sequence[TextHit | ImageHit]) -> tuple[str, ...]:
    """Return the labels of a turn that shows these results of a search."""
    return () if all(hit.redistributable for hit in hits) else (WITHHELD,)
