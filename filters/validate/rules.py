"""Whether a trajectory may be trained on: one decision per validator, none needs the code to run again.

`accept` is what synthesis stops at and what `validate` repeats; `replayed` judges the re-execution.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from filters.answers.evasion import copied
from filters.informed import informed
from filters.python import UnparsableCodeError
from filters.rule import Rule
from filters.turns import ARGUMENT, CALLS, SEARCHES, argument, showed_something
from filters.validate.internals import reaches_inside
from filters.validate.repetition import repetition
from filters.validate.syntax import no_ops, skeleton
from pipeline.identity import Identity
from pipeline.records import IMAGE_MARK, Decision, ObservationFacts, Question, ReplayResult, Trajectory, Turn

VERSION = 4


AnswerReason = Literal["no_answer", "answer_wrong", "answer_undecided"]
GrammarReason = Literal[
    "bad_call",
    "no_turns",
    "early_answer",
    "no_final_answer",
    "other_answer",
    "bad_arguments",
    "no_think",
    "control_token",
    "bad_code",
]
LengthReason = Literal["answer_too_long"]
RowReason = Literal["too_long", "unwritable"]
CopiedReason = Literal["copied_from_question"]
ExecutedReason = Literal["execution_error"]
PlaceholderReason = Literal["user_placeholders", "observation_placeholders"]
SearchReason = Literal["repeated_image_search"]
EmptyReason = Literal["empty_search"]
ToolReason = Literal["no_informed_call", "called"]
NoOpReason = Literal["no_op_code", "unparsable_code"]
ImageReason = Literal["blank_image", "unchanged_image", "unmeasured_image"]
PathReason = Literal["host_path", "guest_path"]
InternalsReason = Literal["session_internals"]
RepetitionReason = Literal["loop", "repeated", "one_word"]
ReplayReason = Literal["not_replayed", "replay_failed", "nondeterministic"]

_ANSWER: Rule[AnswerReason] = Rule("answer", VERSION)
_GRAMMAR: Rule[GrammarReason] = Rule("grammar", VERSION)
_LENGTH: Rule[LengthReason] = Rule("answer_length", VERSION)
_ROW: Rule[RowReason] = Rule("row_length", VERSION)
_COPIED: Rule[CopiedReason] = Rule("copied", VERSION)
_EXECUTED: Rule[ExecutedReason] = Rule("executed", VERSION)
_PLACEHOLDERS: Rule[PlaceholderReason] = Rule("placeholders", VERSION)
_SEARCH: Rule[SearchReason] = Rule("one_image_search", VERSION)
_EMPTY: Rule[EmptyReason] = Rule("empty_search", VERSION)
_TOOL: Rule[ToolReason] = Rule("tool_used", VERSION)
_NO_OP: Rule[NoOpReason] = Rule("no_op", VERSION)
_IMAGES: Rule[ImageReason] = Rule("image_change", VERSION)
_PATHS: Rule[PathReason] = Rule("path_leak", VERSION)
_INTERNALS: Rule[InternalsReason] = Rule("session_internals", VERSION)
_REPETITIVE: Rule[RepetitionReason] = Rule("repetitive", VERSION)
_REPLAY: Rule[ReplayReason] = Rule("replay", VERSION)


class AcceptSettings(Identity):
    """What an accepted attempt is, before its code runs again."""

    VERSION: ClassVar[int] = VERSION

    require_tool: bool = True
    """In the lane `tools`, at least one call that could have carried the answer; the other lanes allow no call."""
    max_answer: int = Field(default=299, ge=1)
    """Characters. The reward of DeepEyesV2 gives nothing for an answer of 300 or more."""
    max_repeated: float = Field(default=0.3, ge=0, le=1)
    """Share of a thought that says again, word for word, what stands before it. Sound traces of reasoning models are
    below 0.1; above, a model has begun to go in circles."""


class ValidatorSettings(AcceptSettings):
    """What a valid trajectory is."""

    soft_replay: bool = True
    """Accept a replay that differs only in what carries no meaning, such as an object's address."""

    @property
    def accept(self) -> AcceptSettings:
        """Return what attempts are accepted by."""
        return AcceptSettings(**{name: getattr(self, name) for name in AcceptSettings.model_fields})


def accept(
    trajectory: Trajectory, question: Question, facts: Sequence[ObservationFacts], settings: AcceptSettings
) -> Sequence[Decision]:
    """Return one decision per validator, the most telling first; accepted is what all of them keep.

    Raises:
        ValueError: trajectory, question and facts do not belong together.
    """
    if trajectory.question_id != question.id:
        raise ValueError(f"trajectory {trajectory.id} answers question {trajectory.question_id}, not {question.id}")
    if any(fact.trajectory_id != trajectory.id for fact in facts):
        raise ValueError(f"facts of another trajectory than {trajectory.id}")
    return (
        answer_right(trajectory),
        grammar(trajectory),
        answer_length(trajectory, settings),
        not_copied(trajectory, question),
        executed(trajectory),
        placeholders(trajectory),
        one_image_search(trajectory),
        empty_search(trajectory),
        tool_used(trajectory, settings),
        no_op(trajectory),
        image_change(trajectory, facts),
        path_leak(trajectory),
        session_internals(trajectory),
        not_repetitive(trajectory, settings),
    )


def replayed(trajectory_id: str, replay: ReplayResult | None, settings: ValidatorSettings) -> Decision:
    """Decide on the re-execution; None means that it was not made, which proves nothing.

    Raises:
        ValueError: the result is of another trajectory.
    """
    if replay is None:
        return _REPLAY.unknown(trajectory_id, "not_replayed")
    if replay.trajectory_id != trajectory_id:
        raise ValueError(f"replay of {replay.trajectory_id}, not of {trajectory_id}")
    match replay.verdict:
        case "identical":
            return _REPLAY.keep(trajectory_id)
        case "soft" if settings.soft_replay:
            return _REPLAY.keep(trajectory_id)
        case "soft" | "nondeterministic":
            return _REPLAY.reject(trajectory_id, "nondeterministic")
        case "failed":
            return _REPLAY.reject(trajectory_id, "replay_failed")


def answer_right(trajectory: Trajectory) -> Decision:
    """Keep what was graded right; an undecided grade stays unknown, judged or not."""
    if trajectory.finish != "answer":
        return _ANSWER.reject(trajectory.id, "no_answer")
    match trajectory.verdict:
        case "right":
            return _ANSWER.keep(trajectory.id)
        case "wrong":
            return _ANSWER.reject(trajectory.id, "answer_wrong")
        case "unknown" | "unjudged":
            return _ANSWER.unknown(trajectory.id, "answer_undecided")


def answer_length(trajectory: Trajectory, settings: AcceptSettings) -> Decision:
    """Reject an answer that the reward would not read; the score is its length."""
    length = len(trajectory.answer or "")
    if length > settings.max_answer:
        return _LENGTH.reject(trajectory.id, "answer_too_long", float(length))
    return _LENGTH.keep(trajectory.id, float(length))


def row_length(trajectory_id: str, tokens: int | None, cutoff_len: int) -> Decision:
    """Reject what a trainer would cut, answer and pictures alike; the score is the row's length in tokens.

    Args:
        trajectory_id: whose row.
        tokens: of text and pictures, under the export's prompt; None where no row can be written.
        cutoff_len: how many the student can learn.
    """
    if tokens is None:
        return _ROW.reject(trajectory_id, "unwritable")
    if tokens > cutoff_len:
        return _ROW.reject(trajectory_id, "too_long", float(tokens))
    return _ROW.keep(trajectory_id, float(tokens))


def not_copied(trajectory: Trajectory, question: Question) -> Decision:
    """Reject an answer that restates the question: whoever took it for right was shown only what had been asked."""
    if copied(trajectory.answer or "", question.answers, question.text, question.choices):
        return _COPIED.reject(trajectory.id, "copied_from_question")
    return _COPIED.keep(trajectory.id)


def executed(trajectory: Trajectory) -> Decision:
    """Reject if any call did not end `ok`; the score is how many."""
    failed = sum(turn.action in ARGUMENT and turn.status not in {"ok", "bad_call"} for turn in trajectory.turns)
    return (
        _EXECUTED.reject(trajectory.id, "execution_error", float(failed)) if failed else _EXECUTED.keep(trajectory.id)
    )


def placeholders(trajectory: Trajectory) -> Decision:
    """Require one `<image>` mark per image, in the user turn and in every observation."""
    if trajectory.user.count(IMAGE_MARK) != len(trajectory.images):
        return _PLACEHOLDERS.reject(trajectory.id, "user_placeholders")
    if any((turn.observation or "").count(IMAGE_MARK) != len(turn.images) for turn in trajectory.turns):
        return _PLACEHOLDERS.reject(trajectory.id, "observation_placeholders")
    return _PLACEHOLDERS.keep(trajectory.id)


def one_image_search(trajectory: Trajectory) -> Decision:
    """Reject a second image search: its input is always the same image, so it can only repeat itself."""
    searches = sum(turn.action == "image_search" for turn in trajectory.turns)
    if searches > 1:
        return _SEARCH.reject(trajectory.id, "repeated_image_search", float(searches))
    return _SEARCH.keep(trajectory.id)


def empty_search(trajectory: Trajectory) -> Decision:
    """Reject a search that found nothing: to learn from it is to learn to ask in vain; the score is how many."""
    empty = sum(
        turn.action in SEARCHES and turn.status == "ok" and not showed_something(turn) for turn in trajectory.turns
    )
    return _EMPTY.reject(trajectory.id, "empty_search", float(empty)) if empty else _EMPTY.keep(trajectory.id)


def tool_used(trajectory: Trajectory, settings: AcceptSettings) -> Decision:
    """Require a call in the lane `tools` that could have carried the answer, and none in the others.

    The score is how many did.
    """
    calls = sum(informed(trajectory.turns))
    if trajectory.arm != "tools":
        called = any(turn.action in CALLS for turn in trajectory.turns)
        if called:
            return _TOOL.reject(trajectory.id, "called", float(calls))
        return _TOOL.keep(trajectory.id, 0.0)
    if settings.require_tool and not calls:
        return _TOOL.reject(trajectory.id, "no_informed_call", 0.0)
    return _TOOL.keep(trajectory.id, float(calls))


def no_op(trajectory: Trajectory) -> Decision:
    """Reject code that does nothing: comments, fixed text, names that nobody reads; the score is how many cells."""
    try:
        cells = [(_code(turn), showed_something(turn)) for turn in trajectory.turns if turn.action == "python"]
        idle = sum(no_ops(cells))
        for code, _ in cells:
            skeleton(code)  # selection needs it, and what nests too deeply for it is no code to learn from
    except (UnparsableCodeError, ValueError):
        return _NO_OP.reject(trajectory.id, "unparsable_code")
    return _NO_OP.reject(trajectory.id, "no_op_code", float(idle)) if idle else _NO_OP.keep(trajectory.id)


def image_change(trajectory: Trajectory, facts: Sequence[ObservationFacts]) -> Decision:
    """Reject a cell that shows nothing or gives an input back: looking again at the same pixels is for show."""
    measured = {(fact.turn, fact.image): fact for fact in facts}
    shown = [
        (number, index)
        for number, turn in enumerate(trajectory.turns)
        if turn.action == "python"
        for index in range(len(turn.images))
    ]
    if any(measured[place].blank for place in shown if place in measured):
        return _IMAGES.reject(trajectory.id, "blank_image")
    if any(measured[place].same_as_input for place in shown if place in measured):
        return _IMAGES.reject(trajectory.id, "unchanged_image")
    if any(place not in measured for place in shown):
        return _IMAGES.unknown(trajectory.id, "unmeasured_image")
    return _IMAGES.keep(trajectory.id)


def not_repetitive(trajectory: Trajectory, settings: AcceptSettings) -> Decision:
    """Reject a thought that loops, repeats itself, or is one word over and over; the score is the share repeated."""
    worst = 0.0
    for turn in trajectory.turns:
        found = repetition(turn.think)
        worst = max(worst, found.repeated)
        if found.loop:
            return _REPETITIVE.reject(trajectory.id, "loop", found.repeated)
        if found.one_word:
            return _REPETITIVE.reject(trajectory.id, "one_word", found.repeated)
        if found.repeated > settings.max_repeated:
            return _REPETITIVE.reject(trajectory.id, "repeated", found.repeated)
    return _REPETITIVE.keep(trajectory.id, worst)


# Text of the web may speak of any path, so observations of searches are not looked at.
_HOST_PATH = re.compile(
    # Not inside a URL, a relative path or a word.
    r"(?<![\w./:~-])(?:/(?:home|Users|root|tmp|mnt|media|workspace|work|data|srv|scratch|nfs|var/(?:tmp|folders|lib))"
    r"(?:/[\w.@+-]+)+|/root\b|/tmp\b)"
    r"|(?<![\w/])[A-Za-z]:\\{1,2}(?:[\w .@+-]+\\{1,2})*[\w.@+-]+"
    r"|\bfile://"
)
# What a sandboxed cell may know of its own place. It is the same on every host, so it tells nothing, and a
# warning may quote it; but code that names it runs in no other environment, such as the student's own.
_GUEST_PATH = re.compile(r"(?<![\w./:~-])/(?:box|dev/shm)\b")


def path_leak(trajectory: Trajectory) -> Decision:
    """Reject paths of some host anywhere, and the sandbox's own directory in what the model wrote."""
    written = [text for turn in trajectory.turns for text in (turn.think, *_arguments(turn))]
    printed = [turn.observation or "" for turn in trajectory.turns if turn.action == "python"]
    if any(_HOST_PATH.search(text) for text in (*written, *printed)):
        return _PATHS.reject(trajectory.id, "host_path")
    if any(_GUEST_PATH.search(text) for text in written):
        return _PATHS.reject(trajectory.id, "guest_path")
    return _PATHS.keep(trajectory.id)


def session_internals(trajectory: Trajectory) -> Decision:
    """Reject code that reaches for the inside of its session; the score is how many cells.

    Such a cell can answer in the place of a later one, and does so again when it is executed again: neither what was
    observed nor a replay proves anything.
    """
    found = sum(map(_reaches_inside, (turn for turn in trajectory.turns if turn.action == "python")))
    if found:
        return _INTERNALS.reject(trajectory.id, "session_internals", float(found))
    return _INTERNALS.keep(trajectory.id, 0.0)


def _reaches_inside(turn: Turn) -> bool:
    try:
        return reaches_inside(_code(turn))
    except (UnparsableCodeError, ValueError):
        return False  # the business of `no_op`; what does not parse did not run


# Tags of the DeepEyesV2 grammar, image placeholders of trainers, and `<|…|>` tokens of chat templates. Where
# one of these stands inside a field, the text around it is read by a trainer as something it is not.
_TOKEN = re.compile(
    r"<\s{0,8}/?\s{0,8}(?:think|code|tool_call|tool_response|answer|image|video|audio|im_start|im_end|arg_key|arg_value)"
    r"\s{0,8}>|<\s{0,8}(?:function|parameter)\s{0,8}=[^\n<>]{0,64}>|<\s{0,8}/\s{0,8}(?:function|parameter)\s{0,8}>"
    r"|<[|\uff5c][^\n<>|\uff5c]{1,64}[|\uff5c]>",
    re.IGNORECASE,
)
_CHAT_TOKEN = re.compile(r"<[|\uff5c][^\n<>|\uff5c]{1,64}[|\uff5c]>|</?im_(?:start|end)>", re.IGNORECASE)


def grammar(trajectory: Trajectory) -> Decision:
    """Require valid actions throughout, one answer at the end, and fields that no reader takes for markup."""
    reason = _ungrammatical(trajectory)
    return _GRAMMAR.keep(trajectory.id) if reason is None else _GRAMMAR.reject(trajectory.id, reason)


def _ungrammatical(trajectory: Trajectory) -> GrammarReason | None:
    turns = trajectory.turns
    if not turns:
        return "no_turns"
    if any(turn.action == "none" or turn.status == "bad_call" for turn in turns):
        return "bad_call"
    if any(turn.action == "answer" for turn in turns[:-1]):
        return "early_answer"
    if turns[-1].action != "answer" or trajectory.answer is None:
        return "no_final_answer"
    foreign = (trajectory.system, trajectory.user, *(turn.observation or "" for turn in turns))
    if any(_CHAT_TOKEN.search(text) for text in foreign):
        return "control_token"
    for turn in turns:
        reason = _ungrammatical_turn(turn)
        if reason is not None:
            return reason
    # What was graded has to be what is trained on.
    return None if argument(turns[-1]) == trajectory.answer else "other_answer"


def _ungrammatical_turn(turn: Turn) -> GrammarReason | None:
    try:
        value = argument(turn)
    except ValueError:
        return "bad_arguments"
    if value is not None and not value.strip():
        return "bad_arguments"
    if not turn.think.strip():
        return "no_think"
    if _TOKEN.search(turn.think) or _TOKEN.search(value or ""):
        return "control_token"
    if turn.action == "python" and value is not None and _breaks_fence(value):
        return "bad_code"
    return None


def _breaks_fence(code: str) -> bool:
    """Return whether a fenced block would not hold the code as it is: readers strip blank lines and end at a fence."""
    lines = code.split("\n")
    return not lines[0].strip() or any(line.startswith("```") for line in lines)


def _code(turn: Turn) -> str:
    return argument(turn) or ""


def _arguments(turn: Turn) -> Sequence[str]:
    """Return the argument if it can be read; what cannot is the business of `grammar`."""
    try:
        value = argument(turn)
    except ValueError:
        return (turn.arguments,)
    return () if value is None else (value,)
