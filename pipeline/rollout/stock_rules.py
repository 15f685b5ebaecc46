"""What DeepEyesV2's own environment would make of a transcript otherwise than we did, by its published rules alone.

Rules: Visual-Agent/DeepEyesV2 at 0373e6e, `envs/deepeyesv2/deepeyesv2.py` and `search_utils.py` under
`reinforcement_learning/verl`. Nothing is executed here; `stock_env` executes what these rules leave open.
`docs/deepeyesv2.md` says what each reason means.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from typing import get_args

from pipeline.dialects.defuse import ZERO_WIDTH_SPACE
from pipeline.identity import parse_json
from pipeline.records import ImageRef, StockEnv, StockRule, Trajectory, Turn

_CERTAIN: frozenset[StockRule] = frozenset(
    {"dialect", "text_only", "bad_call", "image_search", "text_search", "session_ended", "output_cut"}
)
"""Rules that need no execution: it knows no such call, searches nothing, or has other limits than we."""
_SMALLEST_SIDE, _MOST_ASPECT = 32, 200
"""Of a picture that code shows: `maybe_resize_image` makes another one of what is beyond."""
_OMITTED = re.compile(r"\n\.\.\. \[\d+ (?:characters|bytes) omitted\] \.\.\.\n")
_STDOUT = re.compile(r"stdout:\n```\n(.*?)\n```\n\nstderr:", re.DOTALL)
_IMAGE_NAME = re.compile(r"image_(\d+)")
_IMAGE_FILE = re.compile(r"(?:\./)?image_\d+(?:\.png|\.jpg)?")
_RETURNS_NOTHING = frozenset(
    {"print", "display", "show", "imshow", "append", "extend", "sort", "update", "close", "seed"}
)
"""Names of calls whose value is None, so that none is shown."""
_NO_PROGRAM = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What Python raises of code that it cannot read."""


def by_rule(trajectory: Trajectory) -> StockEnv:
    """Return whether every observation of a transcript would come back as it is recorded, as far as rules say."""
    found = set(_rules(trajectory))
    reasons = tuple(rule for rule in get_args(StockRule) if rule in found)
    label = "differs" if reasons else "same"
    return StockEnv(trajectory_id=trajectory.id, label=label, by="rule", reasons=reasons, cell=None)


def left_open(trajectory: Trajectory, ruled: StockEnv) -> bool:
    """Return whether only the execution of its cells tells what the stock environment would show."""
    return any(turn.action == "python" for turn in trajectory.turns) and _CERTAIN.isdisjoint(ruled.reasons)


def _rules(trajectory: Trajectory) -> Iterator[StockRule]:
    if trajectory.dialect != "deepeyesv2" and any(turn.action != "answer" for turn in trajectory.turns):
        yield "dialect"
    if not trajectory.images:
        # `reset` asserts one.
        yield "text_only"
    for turn in trajectory.turns:
        yield from _turn_rules(turn)


def _turn_rules(turn: Turn) -> Iterator[StockRule]:
    match turn.action:
        case "none":
            yield "bad_call"
        case "image_search":
            # Only for an index with `fvqa` in it that its cache holds; ours are hashes.
            yield "image_search"
        case "search":
            # Five placeholders, whatever is asked.
            yield "text_search"
        case "python":
            yield from _cell_rules(turn)
    if _OMITTED.search(turn.observation or ""):
        yield "output_cut"
    if ZERO_WIDTH_SPACE in (turn.observation or ""):
        yield "defused"


def _cell_rules(turn: Turn) -> Iterator[StockRule]:
    code: str = parse_json(turn.arguments)["code"]
    if turn.status not in {"ok", "exception"}:
        yield "session_ended"
    again = reindented(code)
    try:
        tree = ast.parse(code)
    except _NO_PROGRAM:
        # What is said of the mistake quotes the code, which is no longer the same.
        if again != code:
            yield "code_rewritten"
        return
    if again != code and not _is_same_program(again, tree):
        yield "code_rewritten"
    nodes = list(ast.walk(tree))
    if any(map(_is_restyled, nodes)):
        yield "code_restyled"
    shown = _STDOUT.search(turn.observation or "")
    if shown is not None and shown.group(1).strip() and _has_value(tree):
        yield "value_shown"
    for node in nodes:
        yield from _image_uses(node)
    if any(is_resized(image) for image in turn.images):
        yield "picture_resized"


def _is_same_program(code: str, tree: ast.Module) -> bool:
    try:
        return ast.dump(ast.parse(code)) == ast.dump(tree)
    except _NO_PROGRAM:
        return False


def reindented(code: str) -> str:
    """Return code as `fix_python_indentation` guesses its indentation, before its style is changed.

    Every line is stripped, empty ones go; a line after one that ends in a colon stands deeper, and only `except`,
    `elif`, `else` and `finally` stand less deep: no block ever ends.
    """
    lines, depth = list[str](), 0
    for line in filter(None, (line.strip() for line in code.split("\n"))):
        if line.startswith(("except", "elif", "else", "finally")):
            depth = max(0, depth - 1)
        lines.append("    " * depth + line)
        depth += line.endswith(":")
    return textwrap.dedent("\n".join(lines)).strip()


def _is_restyled(node: ast.AST) -> bool:
    """Return whether autopep8 at aggressiveness 2, which comes after, makes another program of a node.

    It writes `is` for `==` with None, True and False (E711, E712), `isinstance` for compared types (E721), and a
    function for a lambda with a name (E731).
    """
    match node:
        case ast.Compare(ops=ops, comparators=others, left=left):
            equal = any(isinstance(op, ast.Eq | ast.NotEq) for op in ops)
            singles = any(isinstance(one, ast.Constant) and one.value in (None, True, False) for one in others)
            return equal and (singles or any(_is_type_call(one) for one in (left, *others)))
        case ast.Assign(value=ast.Lambda()):
            return True
        case _:
            return False


def _is_type_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "type"


def _has_value(tree: ast.Module) -> bool:
    """Return whether a cell may end in a value, which we show and the stock environment does not."""
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        return False
    match last.value:
        case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
            return name not in _RETURNS_NOTHING
        case ast.Constant(value=None):
            return False
        case _:
            return True


def _image_uses(node: ast.AST) -> Iterator[StockRule]:
    """Tell of a picture that is not there: it opens the first alone, as a variable."""
    match node:
        case ast.Name(id=name) if (number := _IMAGE_NAME.fullmatch(name)) and number.group(1) != "1":
            if isinstance(node.ctx, ast.Load):
                yield "other_image"
        case ast.Constant(value=str(text)) if _IMAGE_FILE.fullmatch(text):
            yield "image_file"


def is_resized(image: ImageRef) -> bool:
    """Return whether `maybe_resize_image` makes another picture, of another size, of what a cell shows."""
    sides = (image.width, image.height)
    return min(sides) < _SMALLEST_SIDE or max(sides) > _MOST_ASPECT * min(sides)
