"""The wire format of DeepEyesV2 (arXiv 2511.05271): what an assistant message is and how it is read.

A message is `<think>…</think>` and then exactly one of a fenced Python block in `<code>`, a JSON call in
`<tool_call>` or the final text in `<answer>`. Reading is strict, because what is accepted here is trained
on; fields are kept byte for byte, and white space between tags is all that rendering changes. What is
written by `render_turn` is read alike by the reinforcement-learning environment of the paper's authors,
which takes the last `<code>` block, the last fence in it, and any `<answer>` before either.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from pipeline.dialects.deepeyesv2_observations import (
    WebResult,
    cell_observation,
    error_observation,
    image_search_observation,
    shortened,
    text_search_observation,
)
from pipeline.dialects.defuse import contains_control, defuse
from pipeline.identity import canonical_json, parse_json
from pipeline.records import Action, Mode

__all__ = [
    "NAME",
    "STOP",
    "BadCall",
    "BadReason",
    "Parsed",
    "WebResult",
    "bad_call_observation",
    "cell_observation",
    "image_search_observation",
    "image_search_refused",
    "parse",
    "render_turn",
    "text_search_observation",
    "user_text",
]

NAME = "deepeyesv2"
STOP = ("</code>", "</tool_call>", "</answer>")
"""Strings that end a message and stay in it."""

BadReason = Literal[
    "no_think",
    "no_action",
    "two_actions",
    "prose",
    "unclosed",
    "control_token",
    "not_text",
    "empty",
    "code_block",
    "code_fence",
    "call_json",
    "call_name",
    "call_arguments",
    "no_tools",
    "image_search",
]

_FENCE = "```"
_OPENING = re.compile(r"<(code|tool_call|answer)>")
# JSON can spell one half of a surrogate pair; UTF-8, and so every file we write, cannot.
_HALF_CHARACTER = re.compile(r"[\ud800-\udfff]")
_NOT_TEXT = "it holds a character that is not valid Unicode"
_PROSE = "text stands outside the think block and the one action that follows it"


class Parsed(NamedTuple):
    """A valid message as fields."""

    think: str
    action: Action
    arguments: str
    """Canonical JSON: `{"code": …}`, `{"query": …}`, `{"answer": …}` or `{}`."""


class BadCall(NamedTuple):
    """A message that is not a valid turn."""

    reason: BadReason
    observation: str
    """What the model is shown for it; depends on the message alone, never on a row or a Python version."""


def parse(text: str, mode: Mode) -> Parsed | BadCall:
    """Read one assistant message; in `plain` mode only an answer is a valid action."""
    if _HALF_CHARACTER.search(text):
        return _bad("not_text", _NOT_TEXT)
    parts = _split(text)
    if isinstance(parts, BadCall):
        return parts
    if mode == "plain" and parts.tag != "answer":
        return _bad("no_tools", "no tool can be called here; give the answer")
    match parts.tag:
        case "code":
            fields = _read_code(parts.body)
        case "answer":
            fields = _Fields("answer", {"answer": parts.body})
        case _:
            fields = _read_call(parts.body)
    if isinstance(fields, BadCall):
        return fields
    return _checked(parts.think, fields)


def render_turn(think: str, action: Action, arguments: str) -> str:
    """Write a turn from its fields; `parse` gives back those of a valid turn.

    Raises:
        ValueError: `action` cannot be written, or `arguments` is not what it takes.
    """
    match action, parse_json(arguments):
        case "python", {"code": str(code), **others} if not others:
            act = f"<code>\n{_FENCE}python\n{code}\n{_FENCE}\n</code>"
        case "search", {"query": str(query), **others} if not others:
            act = _render_call(f'{{"name": "search", "arguments": {{"query": {canonical_json(query)}}}}}')
        case "image_search", {**others} if not others:
            act = _render_call('{"name": "image_search"}')
        case "answer", {"answer": str(answer), **others} if not others:
            act = f"<answer>{answer}</answer>"
        case _:
            raise ValueError(f"a turn with action {action} and arguments {arguments[:200]} cannot be written")
    return f"<think>{think}</think>\n{act}"


def user_text(template: str, question_text: str, sizes: Sequence[tuple[int, int]]) -> str:
    """Fill a user prompt: `{images}` with one `<image>` per image and its original size, `{question}` with the text.

    `sizes` are (width, height) in pixels of the originals, which are what Python code works on.
    """
    marks = (f"<image>\nimage_{number}: {width}x{height}\n" for number, (width, height) in enumerate(sizes, 1))
    slots = {"{images}": "".join(marks), "{question}": defuse(question_text)}
    # In one pass: a question may itself spell a slot.
    return re.sub(r"\{images\}|\{question\}", lambda slot: slots[slot.group()], template)


def bad_call_observation(bad: BadCall) -> str:
    """Return what a model is shown for a message that is not a valid turn."""
    return bad.observation


def image_search_refused(images: int) -> BadCall:
    """Return the refusal of an image search where there is no image, or a second one."""
    if images == 0:
        return _bad("image_search", "the question has no image to search for")
    return _bad("image_search", "image search can be used once only, and it was used already")


class _Parts(NamedTuple):
    think: str
    tag: str
    body: str
    """Between the tags, untouched."""


class _Fields(NamedTuple):
    action: Action
    arguments: dict[str, str]


def _bad(reason: BadReason, what: str) -> BadCall:
    return BadCall(reason, error_observation(f"Invalid message: {what}."))


def _split(text: str) -> _Parts | BadCall:
    """Take a message apart at its tags. Plain string search: linear in hostile text."""
    message = text.strip()
    if not message.startswith("<think>"):
        return _bad("no_think", "it does not start with a think block")
    think, closed, rest = message.removeprefix("<think>").partition("</think>")
    if not closed:
        return _bad("unclosed", "the think block is not closed")
    rest = rest.strip()
    opening = _OPENING.match(rest)
    if opening is None:
        found = _OPENING.search(rest)
        return _bad("prose", _PROSE) if found else _bad("no_action", "no code, tool call or answer follows the thought")
    tag = opening.group(1)
    body, closed, after = rest[opening.end() :].partition(f"</{tag}>")
    if not closed:
        return _bad("unclosed", f"the {tag} block is not closed")
    if _OPENING.search(body) or _OPENING.search(after):
        return _bad("two_actions", "it holds more than one action; take one at a time")
    return _bad("prose", _PROSE) if after else _Parts(think, tag, body)


def _read_code(body: str) -> _Fields | BadCall:
    opening, _, rest = body.strip().partition("\n")
    # An empty block has no line of its own before the closing fence, so it fails here as it does in the environment.
    if opening.rstrip() != f"{_FENCE}python" or not rest.endswith(f"\n{_FENCE}"):
        return _bad("code_block", "the code block must hold one fenced block labelled python and nothing else")
    return _Fields("python", {"code": rest.removesuffix(f"\n{_FENCE}")})


def _read_call(body: str) -> _Fields | BadCall:
    raw = body.strip()
    try:
        call = parse_json(raw)
    except (ValueError, RecursionError):
        # The text of Python's own error changes between versions, and with it would every later request.
        return _bad_json(raw, "not valid JSON")
    if not isinstance(call, dict):
        return _bad_json(raw, "not a JSON object")
    match call.get("name"):
        case "image_search" if set(call) == {"name"}:
            return _Fields("image_search", {})
        case "image_search":
            return BadCall(
                "call_arguments",
                error_observation(f"Invalid tool call parameters for image search: {shortened(raw)}."),
            )
        case "search":
            return _read_search(call)
        case _:
            return BadCall("call_name", error_observation(f"Invalid tool call name: {shortened(raw)}."))


def _read_search(call: dict[str, object]) -> _Fields | BadCall:
    match call:
        case {"name": _, "arguments": {"query": str(query), **others}, **rest} if not others and not rest:
            return _Fields("search", {"query": query})
        case _:
            return _bad("call_arguments", "search takes exactly one argument, the string query")


def _bad_json(raw: str, error: str) -> BadCall:
    return BadCall("call_json", error_observation(f"Invalid tool call format: {shortened(raw)}. Error: {error}"))


def _checked(think: str, fields: _Fields) -> Parsed | BadCall:
    (value,) = fields.arguments.values() or (None,)
    bad = _invalid_fields(think, value, is_code=fields.action == "python")
    return bad or Parsed(think, fields.action, canonical_json(fields.arguments))


def _invalid_fields(think: str, value: str | None, *, is_code: bool) -> BadCall | None:
    """Return which law of DESIGN §8 the fields break."""
    for field in (think, value or ""):
        if _HALF_CHARACTER.search(field):
            return _bad("not_text", _NOT_TEXT)
        if contains_control(field):
            return _bad("control_token", "a tag or control token stands inside a block")
    if not think.strip():
        return _bad("no_think", "the think block is empty")
    if value is not None and not value.strip():
        return _bad("empty", "the block after the thought is empty")
    return _invalid_code(value) if is_code and value is not None else None


def _invalid_code(code: str) -> BadCall | None:
    lines = code.split("\n")
    if not lines[0].strip():
        return _bad("code_fence", "the code starts with a blank line")
    if any(line.startswith(_FENCE) for line in lines):
        return _bad("code_fence", "a line of the code starts with three backticks")
    return None


def _render_call(call: str) -> str:
    return f"<tool_call>\n{call}\n</tool_call>"
