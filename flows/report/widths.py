"""How wide the columns of a table are on a terminal, and where their cells are broken so that the table fits.

A table is broken no more than it takes: first texts between words; if that does not suffice, every cell between words;
then names after their signs, as in `reader/` `careful/3`. No id, number or word is ever broken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len

GAP = 2
"""Characters between columns; with three the funnel would not fit a terminal of 80."""
WHOLE_TEXT = 24
"""Characters up to which a text is not wrapped at first: two or three words, as in `gate2, with tools`."""
WHOLE_WORD = 64
"""Characters up to which a word is not broken: those of an id, which has to be copied."""
_SIGN = re.compile(r"(?<=[/+_:=@])|(?<=\w-)(?=[A-Za-z])")
"""After it a name may be broken; no number has one."""


class Fitted(NamedTuple):
    """A table that fits, or is as narrow as it gets."""

    headers: list[str]
    columns: list[list[str]]
    """Cells; as headers, with line ends where names are broken."""
    widths: list[int]
    """Characters of each column."""


def fitted(headers: Sequence[str], columns: Sequence[Sequence[str]], width: int, *, whole: bool = False) -> Fitted:
    """Return cells and widths of a table that takes `width` characters, if that can be.

    With `whole` nothing but texts is broken, as for one who asked for these columns to copy them.
    """
    room = width - GAP * (len(headers) - 1)
    for breaks in (_of_text,) if whole else (_of_text, str.split, _after_signs):
        widths = column_widths(headers, columns, width, breaks)
        if sum(widths) <= room:
            break
    if breaks is not _after_signs:
        return Fitted(list(headers), [list(cells) for cells in columns], widths)
    return Fitted(
        [_broken(header, most) for header, most in zip(headers, widths, strict=True)],
        [[_broken(cell, most) for cell in cells] for cells, most in zip(columns, widths, strict=True)],
        widths,
    )


def column_widths(
    headers: Sequence[str],
    columns: Sequence[Sequence[str]],
    width: int,
    breaks: Callable[[str], Sequence[str]] | None = None,
) -> list[int]:
    """Return the characters of each column: all it has use for, the widest cut back until `width` suffices.

    No column becomes narrower than what `breaks` (by default: texts, between words) leaves whole of its cells, and of
    its header, which is wrapped between words at least; so a table may be wider than `width`.
    """
    of_header = _after_signs if breaks is _after_signs else str.split
    room = width - GAP * (len(headers) - 1)
    given = list(zip(headers, columns, strict=True))
    least = [max(_longest(of_header(header)), _unbroken(cells, breaks or _of_text)) for header, cells in given]
    whole = [_longest(line for text in (header, *cells) for line in text.split("\n")) for header, cells in given]
    widths = [max(lowest, min(room, wanted)) for lowest, wanted in zip(least, whole, strict=True)]
    while sum(widths) > room and widths != least:
        widest = max((n for n in range(len(widths)) if widths[n] > least[n]), key=widths.__getitem__)
        widths[widest] -= 1
    return widths


def _unbroken(cells: Iterable[str], breaks: Callable[[str], Sequence[str]]) -> int:
    # A word that is longer than an id, such as an address or nested JSON, is not worth a line of its length.
    return _longest(piece[:WHOLE_WORD] for cell in cells for piece in breaks(cell))


def _of_text(cell: str) -> Sequence[str]:
    """Return the words of a text, and anything else whole."""
    words = cell.split()
    return words if len(cell) > WHOLE_TEXT and len(words) > 1 else (cell,)


def _after_signs(cell: str) -> Sequence[str]:
    return [piece for word in cell.split() for piece in _SIGN.split(word)]


def _broken(cell: str, most: int) -> str:
    """Return a cell with line ends within words that are longer than a line; between words it is wrapped anyhow."""
    return " ".join(word if cell_len(word) <= most else _filled(_SIGN.split(word), most) for word in cell.split(" "))


def _filled(pieces: Sequence[str], most: int) -> str:
    lines = [""]
    for piece in pieces:
        if lines[-1] and cell_len(lines[-1] + piece) > most:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def _longest(texts: Iterable[str]) -> int:
    return max(map(cell_len, texts), default=0)
