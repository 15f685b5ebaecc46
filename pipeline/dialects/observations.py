"""What a model is shown after a call, in every dialect: byte for byte as DeepEyesV2's environment words it.

Templates: Visual-Agent/DeepEyesV2 at 0373e6e, `envs/deepeyesv2/prompt.py` and `deepeyesv2.py`. All foreign
text is defused before it is put into a template; the only `<image>` marks are the template's own, one per image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.dialects.defuse import defuse
from pipeline.records import IMAGE_MARK, CellStatus

VERSION = 1
"""Raised when an equal result is worded otherwise; `filters.turns` knows the lines that stand around it."""
MAX_STDOUT = 8_000
"""Characters of standard output and value together, after the Relax port of the environment."""
MAX_STDERR = 4_000
"""Characters of standard error, traceback and notes together; as above."""
MAX_QUOTE = 1_000
"""Characters of its own call that a model is shown again: enough to find the mistake, too few to fill a context."""
# The marker below with a count of up to 17 digits.
_MARKER_ROOM = 50

# Shown where the sandbox gives no reason of its own, so that a failed cell never looks like one that ran. For a
# stopped cell it always gives one (`pipeline.sandbox.session`); a guest's traceback can be empty.
_FAILED: dict[CellStatus, str] = {
    "exception": "RuntimeError: the cell raised an exception.",
    "timeout": "TimeoutError: the cell ran longer than allowed and was stopped.",
    "killed_memory": "MemoryError: the cell used more memory than allowed and was stopped.",
    "killed_output": "OutputError: the cell printed more than allowed and was stopped.",
    "died": "ProcessError: the Python process ended while the cell ran.",
    "protocol_error": "ProcessError: the Python process sent something unreadable and was stopped.",
}
_ENDED = "The notebook was restarted: all variables are lost, the images are open again."

# What search engines return in place of a snippet for videos; the environment deletes it.
_NOISE = "Your browser can't play this video."


class WebResult(NamedTuple):
    """One hit of a text search, as it is shown."""

    title: str
    url: str
    date: str | None
    snippet: str | None


def cell_observation(
    *,
    status: CellStatus,
    stdout: str,
    stderr: str,
    value: str | None,
    error: str | None,
    images: int,
    ended: bool,
) -> str:
    """Return what a model is shown of a cell; `images` of its images follow as `<image>` marks.

    The value of the last expression follows standard output, as a notebook shows it. The traceback, or
    what stopped the cell, follows standard error; `ended` says that the session's state is lost.
    """
    notes = [error or _FAILED.get(status), _ENDED if ended else None]
    out = shortened(stacked(stdout, value), MAX_STDOUT)
    err = shortened(stacked(stderr, *notes), MAX_STDERR)
    return result_text(out, err, images)


def result_text(out: str, err: str, images: int) -> str:
    """Return standard output and errors in the template, as they are; `images` of the cell's images follow as marks."""
    shown = "Images:\n" + IMAGE_MARK * images if images else ""
    return f"Code execution result:\nstdout:\n```\n{out}\n```\n\nstderr:\n```\n{err}\n```\n\n{shown}".strip()


def stacked(first: str, *others: str | None) -> str:
    """Return the texts below each other, none joined to the last line of the one before."""
    text = first
    for other in others:
        if other:
            text += "\n" + other if text and not text.endswith("\n") else other
    return text


def text_search_observation(query: str, results: Sequence[WebResult]) -> str:
    """Return what a model is shown of a text search."""
    items = "\n\n".join(_text_item(number, result) for number, result in enumerate(results, 1))
    return _response(f"A Google search for '{defuse(_line(query))}' found {len(results)} results:", items)


def image_search_observation(titles: Sequence[str]) -> str:
    """Return what a model is shown of an image search: one `<image>` mark per hit, each above its title."""
    items = "\n\n".join(f"{number}. <image>\n{_bracketed(title)} \n" for number, title in enumerate(titles, 1))
    return _response(f"A Google image search for the image found {len(titles)} results:", items)


def error_observation(message: str) -> str:
    """Return what a model is shown for a call that was not carried out."""
    return defuse(f"Error: {message}")


def shortened(text: str, limit: int = MAX_QUOTE) -> str:
    """Return `text` defused and, beyond `limit` characters, as its beginning and end around a visible marker."""
    # Defused first: a cut never makes a token, and the result never exceeds the limit.
    safe = defuse(text)
    if len(safe) <= limit:
        return safe
    kept = limit - _MARKER_ROOM
    head = (kept + 1) // 2
    marker = f"\n... [{len(safe) - kept} characters omitted] ...\n"
    return safe[:head] + marker + safe[len(safe) - (kept - head) :]


def _text_item(number: int, result: WebResult) -> str:
    date = f"\nDate published: {_foreign(_line(result.date))}" if result.date else ""
    snippet = f"\n{_foreign(result.snippet)}" if result.snippet else ""
    return f"{number}. {_bracketed(result.title)}({_foreign(_line(result.url))}){date}\n{snippet}"


def _response(head: str, items: str) -> str:
    return f"<tool_response>\n{head}\n\n## Web Results\n{items}\n</tool_response>"


def _bracketed(title: str) -> str:
    """Return a title in the template's brackets, which may make a token of it: a page may be called INST."""
    return _foreign(f"[{_line(title)}]")


def _foreign(text: str) -> str:
    return defuse(text.replace(_NOISE, ""))


def _line(text: str) -> str:
    """Return `text` on one line: the templates tell their parts apart by line."""
    return " ".join(text.splitlines())
