"""What the dialects share: a message as fields, the laws that fields keep, and taking a message apart.

A message is `<think>…</think>` and then exactly one action between tags. Reading is strict, because what is
accepted here is trained on; fields are kept byte for byte, and white space between tags is all that
rendering changes. The laws are the same in every dialect, so a valid turn of one can be written in another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import NamedTuple

from pipeline.dialects.bad_calls import BadCall, Fault, bad_call
from pipeline.dialects.defuse import contains_control, defuse
from pipeline.identity import canonical_json, is_unicode
from pipeline.records import Action, Question

FENCE = "```"


class Parsed(NamedTuple):
    """A valid message as fields."""

    think: str
    action: Action
    arguments: str
    """Canonical JSON: `{"code": …}`, `{"query": …}`, `{"answer": …}` or `{}`."""


class Parts(NamedTuple):
    """A message taken apart at its tags."""

    think: str
    tag: str
    body: str
    """Between the tags, untouched."""


class Fields(NamedTuple):
    """An action that was read, before the laws are checked."""

    action: Action
    arguments: Mapping[str, str]


def split_message(text: str, opening: re.Pattern[str], no_action: Fault) -> Parts | BadCall:
    """Take a message apart; group 1 of `opening` is the tag of an action. Linear in hostile text."""
    if not is_unicode(text):
        return bad_call("not_text")
    message = text.strip()
    if not message.startswith("<think>"):
        return bad_call("think_missing")
    think, closed, rest = message.removeprefix("<think>").partition("</think>")
    if not closed:
        return bad_call("unclosed", "think")
    rest = rest.strip()
    first = opening.match(rest)
    if first is None:
        return bad_call("prose" if opening.search(rest) else no_action)
    tag = first.group(1)
    body, closed, after = rest[first.end() :].partition(f"</{tag}>")
    if not closed:
        return bad_call("unclosed", tag)
    if opening.search(body) or opening.search(after):
        return bad_call("two_actions")
    return bad_call("prose") if after else Parts(think, tag, body)


def checked(think: str, fields: Fields) -> Parsed | BadCall:
    """Return the turn, or which law of a well-formed message its fields break."""
    (value,) = fields.arguments.values() or (None,)
    fault = _broken_law(think, value, is_code=fields.action == "python")
    return bad_call(fault) if fault else Parsed(think, fields.action, canonical_json(fields.arguments))


def question_text(question: Question) -> str:
    """Return a question as it is asked: its text and, where it has options, a line such as `A. red` for each.

    Raises:
        ValueError: there are more options than letters, which the screen keeps out.
    """
    return question.text + _options(question.choices)


def without_options(asked: str, choices: Sequence[str]) -> str:
    """Return the text of a question that was written as `question_text` does."""
    return asked.removesuffix(_options(choices))


def _options(choices: Sequence[str]) -> str:
    letters = ascii_uppercase[: len(choices)]
    options = (f"{letter}. {option}" for letter, option in zip(letters, choices, strict=True))
    return "\n".join(("\n", *options)) if choices else ""


def user_text(template: str, question_text: str, sizes: Sequence[tuple[int, int]]) -> str:
    """Fill a user prompt: `{images}` with one `<image>` per image and its original size, `{question}` with the text.

    `sizes` are (width, height) in pixels of the originals, which are what Python code works on.
    """
    marks = (f"<image>\nimage_{number}: {width}x{height}\n" for number, (width, height) in enumerate(sizes, 1))
    slots = {"{images}": "".join(marks), "{question}": defuse(question_text)}
    # In one pass: a question may itself spell a slot.
    return re.sub(r"\{images\}|\{question\}", lambda slot: slots[slot.group()], template)


def _broken_law(think: str, value: str | None, *, is_code: bool) -> Fault | None:
    for field in (think, value or ""):
        if not is_unicode(field):
            return "not_text"
        if contains_control(field):
            return "control_token"
    if not think.strip():
        return "think_empty"
    if value is not None and not value.strip():
        return "empty"
    return _broken_code(value) if is_code and value is not None else None


def _broken_code(code: str) -> Fault | None:
    lines = code.split("\n")
    if not lines[0].strip():
        return "code_blank_line"
    if any(line.startswith(FENCE) for line in lines):
        return "code_fence"
    return None
