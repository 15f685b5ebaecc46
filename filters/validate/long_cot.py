"""Long chains of thought that a source brings along: reading them, and whether one is worth learning.

A solution is taken apart into what the student learns as its thought and the answer that is graded. Nothing
in a thought is ever edited: what does not fit the grammar is refused by name. Every function takes any text,
and its time is linear in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field

from filters.rule import Rule
from filters.validate.repetition import repeated_lines, repeated_words
from pipeline.identity import Identity, is_unicode, parse_json
from pipeline.records import Decision, Question

VERSION = 1

UnreadableReason = Literal[
    "no_reasoning", "no_answer", "several_answers", "text_after_answer", "unclosed", "control_token", "not_text"
]
LengthReason = Literal["too_short", "too_long"]
RepetitionReason = Literal["repeated_lines", "repeated_words"]

_LENGTH: Rule[LengthReason] = Rule("long_cot_length", VERSION)
_REPETITION: Rule[RepetitionReason] = Rule("long_cot_repetition", VERSION)


class Retagged(NamedTuple):
    """A solution as one turn of ours."""

    think: str
    """What is learnt as reasoning; outer white space is gone."""
    answer: str
    """The final answer alone."""


class Unreadable(NamedTuple):
    """Why a solution cannot be learnt from."""

    reason: UnreadableReason
    detail: str
    """For people: what is wrong, and where."""


class LongCotSettings(Identity):
    """Which reasoning is worth learning."""

    VERSION: ClassVar[int] = VERSION

    min_characters: int = Field(default=200, ge=1)
    """Of the thought: two or three sentences. Below, a solution states its result."""
    max_tokens: int = Field(default=16_384, ge=1)
    """Of the assistant message, and never more than the student's cutoff leaves. The limit of a whole rollout of
    DeepEyesV2 (`max_response_length`): what is longer the student could not write itself."""
    max_repeated_lines: float = Field(default=0.2, ge=0, le=1)
    """Share of characters in lines that stood there before (Rae et al. 2021, table A1)."""
    max_repeated_words: float = Field(default=0.2, ge=0, le=1)
    """Share of characters in runs of ten words that stood there before. Gopher's 0.1 is for pages of the web;
    reasoning writes its problem and its result down again to check them, and a loop has several times this."""


SOLUTION_FIELD = '"solution":'
"""How canonical JSON writes the field of `Question.meta`; where this is not, there is no solution."""


def solution_of(meta: str) -> str | None:
    """Return the solution that a source brought along, from `Question.meta`."""
    # Few questions have one, and the text of all others need not be parsed.
    if SOLUTION_FIELD not in meta:
        return None
    told = parse_json(meta)
    solution = told.get("solution") if isinstance(told, dict) else None
    return solution if isinstance(solution, str) else None


def has_solution(question: Question) -> bool:
    """Return whether a question is of the lane `long_cot`: its source brought the reasoning along."""
    return solution_of(question.meta) is not None


# Thought and written-up solution: models of DeepSeek and Qwen; then those that Sky-T1 and OpenThoughts are written by.
_THOUGHT = ("<think>", "</think>")
_NAMED_THOUGHT = ("<|begin_of_thought|>", "<|end_of_thought|>")
_NAMED_SOLUTION = ("<|begin_of_solution|>", "<|end_of_solution|>")
_ANSWER = ("<answer>", "</answer>")
# Tags of the DeepEyesV2 grammar and `<|…|>` tokens of chat templates; the dialect knows all others when it writes.
_CONTROL = re.compile(
    r"</?(?:think|code|tool_call|tool_response|answer|image|video|audio)>|<[|\uff5c][^\n<>|\uff5c]{1,64}[|\uff5c]>",
    re.IGNORECASE,
)
_SHORT = 80
"""Characters of a line that is an answer by itself: those of the longest answer that the screen takes for one."""


def retag(solution: str) -> Retagged | Unreadable:
    r"""Take a solution apart.

    With thought tags, the thought is what is learnt, and the answer is in what follows: between `<answer>` tags, or
    in a written-up solution, which only repeats the thought and is left out. Without, the prose is what is learnt: as
    it is if the answer is in `\boxed{…}`, which stands inside sentences and formulas; else up to its last line or
    sentence, which states the answer and nothing more.
    """
    if not is_unicode(solution):
        return Unreadable("not_text", "half of a character; decode the text with errors='replace'")
    text = solution.strip()
    if _NAMED_THOUGHT[0] in text:
        found = _named(text)
    elif any(tag in text for tag in _THOUGHT):
        found = _thought(text)
    else:
        found = _prose(text)
    return found if isinstance(found, Unreadable) else _checked(found)


def _checked(found: Retagged) -> Retagged | Unreadable:
    think, answer = found.think.strip(), found.answer.strip()
    for name, text in (("thought", think), ("answer", answer)):
        token = _CONTROL.search(text)
        if token:
            return Unreadable("control_token", f"{token.group()} at character {token.start()} of the {name}")
    if not answer:
        return Unreadable("no_answer", "the answer is empty")
    return Retagged(think, answer) if think else Unreadable("no_reasoning", "there is nothing before the answer")


def _thought(text: str) -> Retagged | Unreadable:
    # Many data sets lack the opening tag: the chat template wrote it.
    think, closed, rest = text.removeprefix(_THOUGHT[0]).partition(_THOUGHT[1])
    if not closed:
        return Unreadable("unclosed", f"{_THOUGHT[1]} is missing: the thought was cut off")
    rest = rest.strip()
    answer = _tagged(rest) if rest.startswith(_ANSWER[0]) else _written_up(rest)
    return answer if isinstance(answer, Unreadable) else Retagged(think, answer)


def _tagged(rest: str) -> str | Unreadable:
    answer, closed, after = rest.removeprefix(_ANSWER[0]).partition(_ANSWER[1])
    if not closed:
        return Unreadable("unclosed", f"{_ANSWER[1]} is missing")
    if _ANSWER[0] in after:
        return Unreadable("several_answers", f"{_ANSWER[0]} stands there twice")
    if after:
        return Unreadable("text_after_answer", f"{len(after)} characters follow {_ANSWER[1]}")
    return answer


def _named(text: str) -> Retagged | Unreadable:
    before, _, rest = text.partition(_NAMED_THOUGHT[0])
    think, closed, rest = rest.partition(_NAMED_THOUGHT[1])
    if before.strip() or not closed:
        return Unreadable("unclosed", f"{' … '.join(_NAMED_THOUGHT)} does not open the text and end in it")
    rest = rest.strip()
    if not rest.startswith(_NAMED_SOLUTION[0]):
        return Unreadable("no_answer", f"{_NAMED_SOLUTION[0]} does not follow the thought")
    if not rest.endswith(_NAMED_SOLUTION[1]):
        return Unreadable("unclosed", f"{_NAMED_SOLUTION[1]} does not end the text")
    answer = _written_up(rest.removeprefix(_NAMED_SOLUTION[0]).removesuffix(_NAMED_SOLUTION[1]).strip())
    return answer if isinstance(answer, Unreadable) else Retagged(think, answer)


def _written_up(text: str) -> str | Unreadable:
    """Return the answer in what follows a thought: in one of the forms of prose, or a short line by itself."""
    token = _CONTROL.search(text)
    if token:
        return Unreadable("control_token", f"{token.group()} at character {token.start()} after the thought")
    found = _prose(text)
    if isinstance(found, Retagged):
        return found.answer
    if found.reason == "no_answer" and len(text) <= _SHORT and "\n" not in text:
        return text
    return found


# The line that ends an answer of GSM8K.
_HASHES = re.compile(r"#{4}[ \t]*(\S.*)")
# The sentence that ends one of MetaMath and others; in bold or not, after a sentence or alone on its line.
_SAYS = re.compile(
    r"(?:^|(?<=[.!?] ))[*_]{0,2}(?:(?:so|thus|therefore|hence),? )?(?:the )?(?:(?:final|correct) )?"
    r"answer[*_]{0,2}(?: is| =|(?= ?:)) ?:?[*_]{0,2} ?",
    re.IGNORECASE,
)


def _prose(text: str) -> Retagged | Unreadable:
    before, _, last = text.rpartition("\n")
    hashes = _HASHES.fullmatch(last.strip())
    boxed = _boxed(text)
    if isinstance(boxed, Unreadable):
        return boxed
    if hashes:
        if boxed is not None and _bare(boxed) != _bare(hashes[1]):
            return Unreadable("several_answers", f"{boxed!r} in a box, then {hashes[1]!r}")
        return Retagged(before, hashes[1])
    if boxed is not None:
        return Retagged(text, boxed)
    says = list(_SAYS.finditer(last))
    if not says:
        return Unreadable("no_answer", 'no \\boxed{…}, and the last line is neither "#### …" nor "The answer is …"')
    return Retagged(f"{before}\n{last[: says[-1].start()]}", _bare(last[says[-1].end() :]))


# A box opens; or a brace, that a backslash may make a character of the text.
_BRACES = re.compile(r"\\boxed[ \t]*\{|\\[\\{}]|[{}]")
_PARAGRAPH = re.compile(r"\n[ \t]*\n")


def _boxed(text: str) -> str | Unreadable | None:
    r"""Return what the last paragraph with a `\boxed{…}` holds in it; None if there is no box at all.

    Boxes of earlier paragraphs are intermediate results. Two in one paragraph that differ are two answers.
    """
    if "\\boxed" not in text:
        return None
    paragraph = next(part for part in reversed(_PARAGRAPH.split(text)) if "\\boxed" in part)
    contents = _outermost_boxes(paragraph)
    if not contents:
        return Unreadable("unclosed", "the last \\boxed is not closed, or has no braces")
    if len({_bare(content) for content in contents}) > 1:
        return Unreadable("several_answers", " and ".join(f"\\boxed{{{content}}}" for content in contents[:3]))
    return contents[-1].strip()


def _outermost_boxes(text: str) -> list[str]:
    found: list[str] = []
    open_braces: list[int | None] = []
    """Where a box's content starts, or None for another brace."""
    boxes = 0
    for brace in _BRACES.finditer(text):
        mark = brace.group()
        if mark.startswith("\\boxed"):
            open_braces.append(brace.end())
            boxes += 1
        elif mark == "{":
            open_braces.append(None)
        elif mark == "}" and open_braces:
            start = open_braces.pop()
            if start is not None:
                boxes -= 1
                if not boxes:
                    found.append(text[start : brace.start()])
    return found


def _bare(answer: str) -> str:
    """Return an answer without the marks of a sentence around it."""
    return answer.strip().rstrip(".").strip("*_").strip().removeprefix("$").removesuffix("$").strip()


def long_cot(record_id: str, found: Retagged, tokens: int, room: int, settings: LongCotSettings) -> Sequence[Decision]:
    """Return one decision on length and one on repetition.

    `tokens` are those of the assistant message, `room` what the student's cutoff leaves for it after the prompt.
    """
    return length(record_id, found.think, tokens, room, settings), repetition(record_id, found.think, settings)


def length(record_id: str, think: str, tokens: int, room: int, settings: LongCotSettings) -> Decision:
    """Reject a thought that is too short to teach reasoning, and a message that a trainer would cut off."""
    if len(think) < settings.min_characters:
        return _LENGTH.reject(record_id, "too_short", float(len(think)))
    if tokens > min(settings.max_tokens, room):
        return _LENGTH.reject(record_id, "too_long", float(tokens))
    return _LENGTH.keep(record_id, float(tokens))


def repetition(record_id: str, think: str, settings: LongCotSettings) -> Decision:
    """Reject a thought that goes round in circles; the score is the share that is repeated."""
    lines, words = repeated_lines(think), repeated_words(think)
    if lines > settings.max_repeated_lines:
        return _REPETITION.reject(record_id, "repeated_lines", lines)
    if words > settings.max_repeated_words:
        return _REPETITION.reject(record_id, "repeated_words", words)
    return _REPETITION.keep(record_id, max(lines, words))
