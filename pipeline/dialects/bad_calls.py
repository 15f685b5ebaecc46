"""What a model is shown for a message that is not a valid turn: every text in one table.

The texts are part of later requests and so of what is paid for: a changed word is a new conversation. They
depend on the message alone, never on a row or on the wording of a Python version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from pipeline.dialects.observations import error_observation, shortened

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
    "not_recorded",
]
"""What is recorded of a bad call, as a label of its turn."""

Fault = Literal[
    "not_text",
    "think_missing",
    "think_empty",
    "unclosed",
    "no_code_call_or_answer",
    "no_call_or_answer",
    "prose",
    "two_actions",
    "no_tools",
    "control_token",
    "empty",
    "code_block",
    "code_blank_line",
    "code_fence",
    "call_not_json",
    "call_not_object",
    "call_keys",
    "unknown_tool",
    "image_search_parameters",
    "image_search_arguments",
    "search_arguments",
    "python_arguments",
    "no_image",
    "second_image_search",
    "image_not_public",
    "query_not_recorded",
]
"""Each thing that can be wrong; several may count as one reason."""


class BadCall(NamedTuple):
    """A message that is not a valid turn."""

    reason: BadReason
    observation: str
    """What the model is shown for it."""


TABLE: Mapping[Fault, tuple[BadReason, str]] = {
    "not_text": ("not_text", "Invalid message: it holds a character that is not valid Unicode."),
    "think_missing": ("no_think", "Invalid message: it does not start with a think block."),
    "think_empty": ("no_think", "Invalid message: the think block is empty."),
    "unclosed": ("unclosed", "Invalid message: the {quoted} block is not closed."),
    "no_code_call_or_answer": (
        "no_action",
        "Invalid message: no code, tool call or answer follows the thought.",
    ),
    "no_call_or_answer": ("no_action", "Invalid message: no tool call or answer follows the thought."),
    "prose": (
        "prose",
        "Invalid message: text stands outside the think block and the one action that follows it.",
    ),
    "two_actions": ("two_actions", "Invalid message: it holds more than one action; take one at a time."),
    "no_tools": ("no_tools", "Invalid message: no tool can be called here; give the answer."),
    "control_token": ("control_token", "Invalid message: a tag or control token stands inside a block."),
    "empty": ("empty", "Invalid message: the block after the thought is empty."),
    "code_block": (
        "code_block",
        "Invalid message: the code block must hold one fenced block labelled python and nothing else.",
    ),
    "code_blank_line": ("code_fence", "Invalid message: the code starts with a blank line."),
    "code_fence": ("code_fence", "Invalid message: a line of the code starts with three backticks."),
    # The next four are worded as in the DeepEyesV2 environment (`envs/deepeyesv2/deepeyesv2.py` at 0373e6e).
    "call_not_json": ("call_json", "Invalid tool call format: {quoted}. Error: not valid JSON"),
    "call_not_object": ("call_json", "Invalid tool call format: {quoted}. Error: not a JSON object"),
    "unknown_tool": ("call_name", "Invalid tool call name: {quoted}."),
    "image_search_parameters": (
        "call_arguments",
        "Invalid tool call parameters for image search: {quoted}.",
    ),
    "call_keys": (
        "call_arguments",
        "Invalid message: a call has exactly two keys, the string name and the object arguments.",
    ),
    "image_search_arguments": (
        "call_arguments",
        "Invalid message: image_search takes no argument; its arguments are an empty object.",
    ),
    "search_arguments": (
        "call_arguments",
        "Invalid message: search takes exactly one argument, the string query.",
    ),
    "python_arguments": (
        "call_arguments",
        "Invalid message: python takes exactly one argument, the string code.",
    ),
    "no_image": ("image_search", "Invalid message: the question has no image to search for."),
    "second_image_search": (
        "image_search",
        "Invalid message: image search can be used once only, and it was used already.",
    ),
    "image_not_public": ("image_search", "Image search is not available for this image."),
    # In training alone: curation asks, or stops.
    "query_not_recorded": ("not_recorded", "Search is not available for this query; try another, or do without."),
}


def bad_call(fault: Fault, quoted: str = "") -> BadCall:
    """Return the refusal of a message; `quoted` is the tag or call that the text names, shortened and defused."""
    reason, text = TABLE[fault]
    return BadCall(reason, error_observation(text.replace("{quoted}", shortened(quoted))))


def image_search_refused(images: int) -> BadCall:
    """Return the refusal of an image search where there is no image, or a second one."""
    return bad_call("no_image" if images == 0 else "second_image_search")
