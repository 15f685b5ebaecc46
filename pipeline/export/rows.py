"""What an export is made from, and how a row becomes messages.

Messages are built from the fields of the records through the dialect, never from `raw_text`, under the
prompts that the student will be trained on, not those that a teacher saw. A row that a trainer would
drop, or learn wrongly from, is refused by name: `RowError` here, an entry of the manifest later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict

from pipeline.dialects import Dialect
from pipeline.dialects.messages import question_text, user_text
from pipeline.errors import RowError, UsageError
from pipeline.export.length import require_fits, row_tokens
from pipeline.export.rights import PictureNames, Rights
from pipeline.export.told import ExportPrompt, Told
from pipeline.export.tombstones import TakenDownError
from pipeline.identity import uniform
from pipeline.records import (
    IMAGE_MARK,
    ImageRef,
    Lane,
    Mode,
    PersonalKind,
    Question,
    StockEnv,
    Terms,
    Trajectory,
    Turn,
)
from pipeline.store.blobs import BlobStore
from pipeline.students.family import Student
from pipeline.students.tokens import TokenCounter

MODE: Mapping[Lane, Mode] = {"tools": "tools", "no_call": "tools", "plain_cot": "plain", "long_cot": "plain"}
"""Under which prompt the student learns a lane: not calling is learnt where calling is possible."""


@dataclass(frozen=True)
class SftRow:
    """One accepted trajectory and the question it answers."""

    trajectory: Trajectory
    question: Question
    cluster_id: str
    labels: Labels
    stock: StockEnv
    """Whether DeepEyesV2's own environment would show the same."""
    pictures: str = ""
    """Names the pictures that are tied to its own by being one picture, or of one question; empty without any."""
    personal_data: Mapping[PersonalKind, int] = field(default_factory=dict)
    """How often each kind was found in its texts."""
    names: PictureNames = field(default_factory=PictureNames)

    @property
    def id(self) -> str:
        """Return that of its trajectory."""
        return self.trajectory.id

    @property
    def images(self) -> tuple[ImageRef, ...]:
        """Return its images in order of appearance: those of the question, then those of each observation."""
        return (*self.question.images, *(image for turn in self.trajectory.turns for image in turn.images))

    @property
    def lane(self) -> Lane:
        """Return what the row teaches: the arm of its trajectory.

        Raises:
            AssertionError: the trajectory is no lane's, or has the mode of another.
        """
        for lane, mode in MODE.items():
            if self.trajectory.arm == lane and self.trajectory.mode == mode:
                return lane
        raise AssertionError(f"trajectory {self.trajectory.id} is of {self.trajectory.arm} ({self.trajectory.mode})")


@dataclass(frozen=True)
class RlRow:
    """One question to train on by reinforcement."""

    question: Question
    cluster_id: str
    labels: Labels
    """With its gate counts."""
    saturated: bool
    """Every valid rollout with tools was right: no gradient for a group-relative method."""
    judged: int = 0
    """Of its rollouts with tools, how many a judge model graded: by rule alone their answers decide nothing."""
    pictures: str = ""
    """As in `SftRow`."""
    personal_data: Mapping[PersonalKind, int] = field(default_factory=dict)
    """As in `SftRow`."""
    names: PictureNames = field(default_factory=PictureNames)

    @property
    def id(self) -> str:
        """Return that of its question."""
        return self.question.id

    @property
    def images(self) -> tuple[ImageRef, ...]:
        """Return the images of its question."""
        return self.question.images


class SharedPictures(NamedTuple):
    """How many pictures the two shards have in common, by the bytes of the stored files."""

    shared: int
    rl: int
    """Pictures of questions to train on by reinforcement."""

    def __str__(self) -> str:
        """Return the sentence that card and `verify` say."""
        return f"{self.shared:,} of {self.rl:,} pictures of RL stand in SFT as well"


class RolloutFacts(NamedTuple):
    """How rollouts of the run acted, so that those of training can act alike."""

    seed: int = 0
    """Of sandbox sessions."""
    max_turns: int = 9
    """Assistant messages."""
    max_completion_tokens: int = 16_384


@dataclass(frozen=True)
class ExportContext:
    """What all exports of a run share."""

    name: str
    """Of the data set."""
    blobs: BlobStore
    dialect: Dialect
    told: tuple[Told, ...]
    """Export prompts: each question has one of them, with tools or without as its lane needs."""
    prompts: Mapping[str, str]
    """Role → sha256 of every other prompt text of the run."""
    student: Student
    counter: TokenCounter
    sources: Mapping[str, Terms]
    """Source → from where, under which terms."""
    corpus: str | None = None
    """Source whose pictures searches found; None where there was no search."""
    rights: Rights = field(default_factory=Rights)
    split_by_licence: bool = False
    """Whether data sets of Hugging Face have files and a configuration for each licence."""
    benchmarks: Mapping[str, str] = field(default_factory=dict)
    """Benchmark that no row is of → how that was checked, in a sentence for card and manifest."""
    validation: float = 0.0
    """Share of the clusters whose rows are to validate with."""
    rollout: RolloutFacts = field(default_factory=RolloutFacts)

    def __post_init__(self) -> None:
        if any(IMAGE_MARK in prompt.system for told in self.told for prompt in told):
            # Trainers disagree on whether a mark in the system text takes an image.
            raise UsageError(f"export system prompt holds {IMAGE_MARK}; remove it, images belong to user turns")

    def prompt(self, question_id: str, mode: Mode) -> ExportPrompt:
        """Return what the student is told of a question: drawn by its id, so that all its rows are told the same."""
        return self.told[int(uniform("export prompt", question_id) * len(self.told))].of(mode)

    def split(self, row: SftRow | RlRow) -> Split:
        """Return where a row belongs: rows whose pictures or questions are one stand on one side."""
        return "validation" if uniform("validation", row.pictures or row.cluster_id) < self.validation else "train"

    def require_allowed(self, row: SftRow | RlRow) -> None:
        """Refuse a row that no export may hold.

        Raises:
            RowError: `tombstone` or `image_withheld`.
        """
        turns = row.trajectory.turns if isinstance(row, SftRow) else ()
        self.rights.require_standing(row.question, row.images, row.names, self.blobs)
        self.rights.require_passed_on(row.question, turns, self.sources, self.corpus)


class Message(NamedTuple):
    """One chat message."""

    role: str
    content: str
    loss: bool = False
    """Whether a trainer may learn it: an assistant's, and none that is there for what came back of it."""

    def text(self) -> dict[str, str]:
        """Return it as trainers that have no flag for each message read it."""
        return {"role": self.role, "content": self.content}


R = TypeVar("R", SftRow, RlRow)
Split = Literal["train", "validation"]


@dataclass(frozen=True)
class Sample(Generic[R]):
    """A row rendered under the export prompts, ready for any format."""

    record_id: str
    question: Question
    cluster_id: str
    messages: tuple[Message, ...]
    row: R
    lane: Lane | None = None
    """None for a question to train on by reinforcement."""
    loss_tokens: int = 0
    """Of its assistant messages that may be learnt."""
    tokens: int = 0
    """Of the whole row in the student's template, every image at the trainer's budget."""
    prompt_tokens: int = 0
    """Of what stands before the first assistant message."""
    split: Split = "train"

    @property
    def images(self) -> tuple[ImageRef, ...]:
        """Return those of the row, in order of appearance."""
        return self.row.images


class Refused(BaseModel):
    """A row that an export leaves out, and why; recorded in the manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    record_id: str
    question_id: str
    reason: str
    detail: str
    tombstones: tuple[str, ...] = ()
    """Marks of the entries that took it down (`Tombstone.mark`)."""


def render_sft(row: SftRow, context: ExportContext) -> Sample[SftRow]:
    """Render a trajectory: system, user, then assistant and observation in turn, an answer last.

    Raises:
        RowError: as `ExportContext.require_allowed`; `no_answer`, `no_turn`, `invalid_turn`, `no_observation`,
            `image_marks`, `role_order`, `too_long` or `image_aspect`.
    """
    trajectory, question = row.trajectory, row.question
    context.require_allowed(row)
    if trajectory.dialect != context.dialect.name:
        raise AssertionError(f"observations of {trajectory.id} are written in {trajectory.dialect}")
    prompt = context.prompt(question.id, MODE[row.lane])
    messages, images = conversation(trajectory, question, prompt, context.dialect)
    # `validate` has measured this; another prompt variant, or another tokenizer, may still make a row too long.
    texts, shown, rule = [message.content for message in messages], len(question.images), context.student.view_rule
    asked = row_tokens(texts[:2], images[:shown], rule, context.counter)
    tokens = asked + row_tokens(texts[2:], images[shown:], rule, context.counter)
    require_fits(tokens, context.student, context.counter)
    said = (message.content for message in messages if message.loss)
    return Sample(
        record_id=trajectory.id,
        question=question,
        cluster_id=row.cluster_id,
        messages=messages,
        row=row,
        lane=row.lane,
        loss_tokens=context.counter.total(said),
        tokens=tokens,
        prompt_tokens=asked,
        split=context.split(row),
    )


class Conversation(NamedTuple):
    """A trajectory under an export prompt."""

    messages: tuple[Message, ...]
    images: tuple[ImageRef, ...]
    """In order of appearance."""


def conversation(trajectory: Trajectory, question: Question, prompt: ExportPrompt, dialect: Dialect) -> Conversation:
    """Return what a row of a trajectory says: system, user, then assistant and observation in turn, an answer last.

    Raises:
        RowError: as `render_sft`, length apart.
    """
    if trajectory.question_id != question.id or trajectory.images != question.images:
        raise AssertionError(f"trajectory {trajectory.id} does not belong to question {question.id}")
    if trajectory.finish != "answer" or not trajectory.turns or trajectory.turns[-1].action != "answer":
        raise RowError("no_answer", f"ends with {trajectory.finish}; a row ends with an answer")
    messages = _opening(question, prompt)
    images = list(question.images)
    for number, turn in enumerate(trajectory.turns):
        messages += _exchange(number, turn, dialect, prompt.mode)
        images += turn.images
    _check(messages, images)
    return Conversation(tuple(messages), tuple(images))


def render_rl(row: RlRow, context: ExportContext, mode: Mode) -> Sample[RlRow]:
    """Render a question as a prompt, with tools or without: system, user.

    Raises:
        RowError: as `ExportContext.require_allowed`; `no_gold` or `image_marks`.
    """
    question = row.question
    context.require_allowed(row)
    if not question.answers:
        raise RowError("no_gold", "no answer to score against")
    messages = tuple(_opening(question, context.prompt(question.id, mode)))
    _check(messages, question.images)
    texts = [message.content for message in messages]
    tokens = row_tokens(texts, question.images, context.student.view_rule, context.counter)
    return Sample(
        record_id=question.id,
        question=question,
        cluster_id=row.cluster_id,
        messages=messages,
        row=row,
        tokens=tokens,
        prompt_tokens=tokens,
        split=context.split(row),
    )


def truth(question: Question) -> str:
    """Return the stored answer that a trainer is handed as the one: what most annotators gave, of equals the first.

    Golds that are spellings of one answer stand there once each, so that it is the first of them.
    """
    times = Counter(question.answers)
    return max(question.answers, key=lambda answer: times[answer])


def require_learnable(sample: Sample[R]) -> None:
    """Refuse a row with a turn that must not be learnt, for a format that has no flag for each turn.

    Raises:
        RowError: `unlearnable_turn`.
    """
    for number, message in enumerate(sample.messages):
        if message.role == "assistant" and not message.loss:
            raise RowError("unlearnable_turn", f"message {number} must not be learnt, and this format cannot say so")


def refuse(row: SftRow | RlRow, error: RowError) -> Refused:
    """Return the manifest entry of a row that is left out."""
    marks = tuple(entry.mark for entry in error.entries) if isinstance(error, TakenDownError) else ()
    return Refused(
        record_id=row.id, question_id=row.question.id, reason=error.reason, detail=error.detail, tombstones=marks
    )


def _opening(question: Question, prompt: ExportPrompt) -> list[Message]:
    sizes = [(image.width, image.height) for image in question.images]
    user = user_text(prompt.user, question_text(question), sizes)
    return [Message("system", prompt.system), Message("user", user)]


def _exchange(number: int, turn: Turn, dialect: Dialect, mode: Mode) -> list[Message]:
    """Return an assistant message and what came back."""
    if turn.action == "none":
        raise RowError("no_turn", f"turn {number} is no turn of the dialect")
    text = dialect.render_turn(turn.think, turn.action, turn.arguments)
    # A turn whose fields spell a tag would be cut elsewhere by the environment that the student acts in.
    if dialect.parse(text, mode) != (turn.think, turn.action, turn.arguments):
        raise RowError("invalid_turn", f"turn {number} ({turn.action}) does not read back as it was written")
    said = Message("assistant", text, turn.loss)
    if turn.action == "answer":
        return [said]
    if turn.observation is None:
        raise RowError("no_observation", f"turn {number}: {turn.action} was not executed")
    return [said, Message("user", turn.observation)]


def _check(messages: Sequence[Message], images: Sequence[ImageRef]) -> None:
    """Refuse what trainers stop at or misread: marks and images that differ in number, roles out of turn."""
    marks = sum(message.content.count(IMAGE_MARK) for message in messages)
    if marks != len(images):
        raise RowError("image_marks", f"{marks} {IMAGE_MARK} marks for {len(images)} images")
    expected = ["system", *("user" if i % 2 == 0 else "assistant" for i in range(len(messages) - 1))]
    if [message.role for message in messages] != expected:
        raise RowError("role_order", "roles do not alternate after the system text")


class Labels(BaseModel):
    """Measurements of one question; None where a run did not make one. Valid = right + wrong rollouts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plain_right: int | None = None
    """Of the base model's rollouts without tools (gate 1)."""
    plain_valid: int | None = None
    tools_right: int | None = None
    """With tools, after a call that could have carried the answer (gate 2)."""
    tools_valid: int | None = None
    difficulty: float | None = None
    """Share of the valid rollouts without tools that were wrong; None where asking was stopped early."""
    benefit: float | None = None
    """Share right with tools, called for or not, minus that of fresh rollouts without: those of gate 1 chose the
    question and would flatter the tools."""
    benefit_low: float | None = None
    """Ends of its 95 % interval (Newcombe)."""
    benefit_high: float | None = None
    blind_right: int | None = None
    """Of rollouts that were shown no image."""
    blind_valid: int | None = None
    resolution_artifact: bool | None = None
    """Easy at the student's `deploy_pixels`: hard for nothing but the training's budget."""
    chance: float | None = None
    """Of guessing right without seeing anything."""
    majority_answer: str | None = None
    """The most frequent answer among questions of the same template; None where there is no other."""
    majority_share: float | None = None
    """Of them with that answer."""
    is_majority: bool | None = None
    """Whether this question has it."""
