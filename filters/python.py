"""Parsing model-written cells. Nothing is ever run here.

The code is hostile: parsing is bounded in length, and depth that exhausts the parser is reported as
unparsable like any other syntax error.
"""

from __future__ import annotations

import ast

MAX_CODE = 100_000
"""Characters. No cell of a trajectory worth training on comes near it; the parser's cost is bounded by it."""


class UnparsableCodeError(ValueError):
    """The code is not Python of this interpreter, or exceeds the bounds of parsing."""


def parse(code: str) -> ast.Module:
    """Return the syntax tree.

    Raises:
        UnparsableCodeError: see there.
    """
    if len(code) > MAX_CODE:
        raise UnparsableCodeError(f"{len(code)} characters, at most {MAX_CODE}")
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UnparsableCodeError(str(error)) from error
