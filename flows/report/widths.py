"""How wide the columns of a table are on a terminal: texts may be wrapped, an id is never broken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len

GAP = 2
"""Characters between columns; with three the funnel would not fit a terminal of 80."""
WHOLE_TEXT = 24
"""Characters up to which a text is not wrapped: two or three words, as in `gate2, with tools`."""
WHOLE_WORD = 64
"""Characters up to which a word is not broken: those of an id, which has to be copied."""


def column_widths(headers: Sequence[str], columns: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return the characters of each column: all it has use for, the widest cut back until `width` suffices.

    Texts and headers are wrapped between words; no column becomes narrower than what may not be broken, so a
    table may be wider than `width`.
    """
    room = width - GAP * (len(headers) - 1)
    given = list(zip(headers, columns, strict=True))
    least = [max(_longest(header.split()), _unbroken(cells)) for header, cells in given]
    whole = [_longest(line for text in (header, *cells) for line in text.split("\n")) for header, cells in given]
    widths = [max(lowest, min(room, wanted)) for lowest, wanted in zip(least, whole, strict=True)]
    while sum(widths) > room and widths != least:
        widest = max((n for n in range(len(widths)) if widths[n] > least[n]), key=widths.__getitem__)
        widths[widest] -= 1
    return widths


def _unbroken(cells: Iterable[str]) -> int:
    """Return the least width of a column that wraps nothing but its texts, and those between words."""
    # A word that is longer than an id, such as an address or nested JSON, is not worth a line of its length.
    return _longest(piece[:WHOLE_WORD] for cell in cells for piece in (cell.split() if _is_text(cell) else (cell,)))


def _is_text(cell: str) -> bool:
    return len(cell) > WHOLE_TEXT and len(cell.split()) > 1


def _longest(texts: Iterable[str]) -> int:
    return max(map(cell_len, texts), default=0)
