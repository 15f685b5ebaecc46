"""Markdown in which foreign text stays text: tables, folds and fences that nothing inside them ends."""

from __future__ import annotations

import re
from collections.abc import Sequence

_RUN = re.compile(r"`{3,}")
_URL = re.compile(r"https?://[^\s<>|]*[^\s<>|.,;:)\]]")
_ACTIVE = re.compile(r"[\\`*_\[\]|]")


def table(header: Sequence[str], rows: Sequence[Sequence[str | int]]) -> str:
    """Return a table whose columns line up in the source as well; columns of numbers are set to the right.

    Cells are Markdown of ours; put foreign text through `text` first.
    """
    cells = [[_number(cell) if isinstance(cell, int) else " ".join(cell.split()) for cell in row] for row in rows]
    right = [bool(rows) and all(_is_number(row[column]) for row in rows) for column in range(len(header))]
    widths = [max(3, *(len(row[column]) for row in [list(header), *cells])) for column in range(len(header))]
    rule = ["-" * (width - 1) + ":" if to_right else "-" * width for width, to_right in zip(widths, right, strict=True)]

    def line(row: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        return f"| {' | '.join(padded)} |"

    return "\n".join([line(header), line(rule), *map(line, cells)])


def text(foreign: str) -> str:
    """Return foreign text for a cell or a line: nothing in it is Markdown or HTML, and addresses are links."""
    parts, end = [], 0
    for found in _URL.finditer(foreign):
        parts += [_plain(foreign[end : found.start()]), f"<{found.group()}>"]
        end = found.end()
    return " ".join("".join([*parts, _plain(foreign[end:])]).split())


def code(foreign: str) -> str:
    """Return a short foreign text as code."""
    return f"`{' '.join(foreign.replace('`', chr(39)).split()).replace('|', chr(0xFF5C))}`"


def fence(foreign: str, language: str = "") -> str:
    """Return foreign text as a block of code that no line of it ends."""
    ticks = "`" * max(3, 1 + max((len(run) for run in _RUN.findall(foreign)), default=0))
    return f"{ticks}{language}\n{foreign.rstrip()}\n{ticks}"


def fold(summary: str, content: str) -> str:
    """Return content that a reader unfolds."""
    return f"<details>\n<summary>{summary}</summary>\n\n{content}\n\n</details>"


def _plain(foreign: str) -> str:
    escaped = _ACTIVE.sub(lambda found: "\\" + found.group(), foreign)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _number(value: int) -> str:
    return f"{value:,}"


def _is_number(cell: str | int) -> bool:
    return isinstance(cell, int) or bool(re.fullmatch(r"-?[\d,.]+ ?%?", cell)) or cell == ""
