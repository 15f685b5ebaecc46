"""The wire format of DeepEyesV2 (arXiv 2511.05271): what an assistant message is and how it is read.

A message is `<think>…</think>` and then exactly one of a fenced Python block in `<code>`, a JSON call in
`<tool_call>` or the final text in `<answer>`. What is written by `render_turn` is read alike by the
reinforcement-learning environment of the paper's authors, which takes the last `<code>` block, the last
fence in it, and any `<answer>` before either.
"""

from __future__ import annotations

import re

from pipeline.dialects.bad_calls import BadCall, bad_call
from pipeline.dialects.messages import FENCE, Fields, Parsed, checked, split_message
from pipeline.identity import canonical_json, parse_json
from pipeline.records import Action, Mode

STOP = ("</code>", "</tool_call>", "</answer>")
"""Strings that end a message and stay in it."""

_OPENING = re.compile(r"<(code|tool_call|answer)>")


def parse(text: str, mode: Mode) -> Parsed | BadCall:
    """Read one assistant message; in `plain` mode only an answer is a valid action."""
    parts = split_message(text, _OPENING, "no_code_call_or_answer")
    if isinstance(parts, BadCall):
        return parts
    if mode == "plain" and parts.tag != "answer":
        return bad_call("no_tools")
    match parts.tag:
        case "code":
            fields = _read_code(parts.body)
        case "answer":
            fields = Fields("answer", {"answer": parts.body})
        case _:
            fields = _read_call(parts.body)
    if isinstance(fields, BadCall):
        return fields
    return checked(parts.think, fields)


def render_turn(think: str, action: Action, arguments: str) -> str:
    """Write a turn from its fields; `parse` gives back those of a valid turn.

    Raises:
        ValueError: `action` cannot be written, or `arguments` is not what it takes.
    """
    match action, parse_json(arguments):
        case "python", {"code": str(code), **others} if not others:
            act = f"<code>\n{FENCE}python\n{code}\n{FENCE}\n</code>"
        case "search", {"query": str(query), **others} if not others:
            act = _render_call(f'{{"name": "search", "arguments": {{"query": {canonical_json(query)}}}}}')
        case "image_search", {**others} if not others:
            act = _render_call('{"name": "image_search"}')
        case "answer", {"answer": str(answer), **others} if not others:
            act = f"<answer>{answer}</answer>"
        case _:
            raise ValueError(f"a turn with action {action} and arguments {arguments[:200]} cannot be written")
    return f"<think>{think}</think>\n{act}"


def _read_code(body: str) -> Fields | BadCall:
    opening, _, rest = body.strip().partition("\n")
    # An empty block has no line of its own before the closing fence, so it fails here as it does in the environment.
    if opening.rstrip() != f"{FENCE}python" or not rest.endswith(f"\n{FENCE}"):
        return bad_call("code_block")
    return Fields("python", {"code": rest.removesuffix(f"\n{FENCE}")})


def _read_call(body: str) -> Fields | BadCall:
    raw = body.strip()
    try:
        call = parse_json(raw)
    except (ValueError, RecursionError):
        return bad_call("call_not_json", raw)
    if not isinstance(call, dict):
        return bad_call("call_not_object", raw)
    match call.get("name"):
        case "image_search":
            return Fields("image_search", {}) if set(call) == {"name"} else bad_call("image_search_parameters", raw)
        case "search":
            return _read_search(call)
        case _:
            return bad_call("unknown_tool", raw)


def _read_search(call: dict[str, object]) -> Fields | BadCall:
    match call:
        case {"name": _, "arguments": {"query": str(query), **others}, **rest} if not others and not rest:
            return Fields("search", {"query": query})
        case _:
            return bad_call("search_arguments")


def _render_call(call: str) -> str:
    return f"<tool_call>\n{call}\n</tool_call>"
