"""The tables that a command drew on a terminal, as lines; and what of a table must be there however narrow it is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from typer.testing import CliRunner

from flows.cli.main import make_app

_SIGNS = re.compile(r"[/+_:=@-]")
"""After which a name may be broken."""


def drawn(columns: int, *arguments: object) -> str:
    """What a command prints on a terminal of so many columns; it has to succeed."""
    result = CliRunner(env={"COLUMNS": str(columns)}).invoke(make_app(), [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def tables(text: str) -> list[list[str]]:
    """The lines of each table with its title: what stands between empty lines around a rule."""
    blocks = [block.splitlines() for block in re.split(r"\n\s*\n", text)]
    return [block for block in blocks if any(set(line.strip()) == {"─"} for line in block)]


def require_fit(text: str, wide: str, columns: int) -> int:
    """Require tables of `text` to fit and to hold all that `wide` holds of them; return how many there are.

    Only names with signs may be broken: any other word, number or id stands there whole.
    """
    narrow, full = tables(text), tables(wide)
    assert len(narrow) == len(full)
    for here, there in zip(narrow, full, strict=True):
        assert max(map(len, here)) <= columns, "\n".join(here)
        assert _characters(here) == _characters(there)
        lost = _words(there) - _words(here)
        assert all(_SIGNS.search(word) for word in lost), lost
    return len(narrow)


def _characters(lines: Sequence[str]) -> Counter[str]:
    return Counter("".join("".join(lines).split()).replace("─", ""))


def _words(lines: Sequence[str]) -> Counter[str]:
    return Counter(" ".join(lines).replace("─", "").split())
