"""What DeepEyesV2's own environment and reward would make of a row otherwise than we did, by their published rules.

Rules: Visual-Agent/DeepEyesV2 at 0373e6e, `envs/deepeyesv2/deepeyesv2.py`, `search_utils.py` and
`utils/reward_score/deepeyesv2.py` under `reinforcement_learning/verl`. Nothing is executed here: of transcripts that
these rules leave open, the label is what `pipeline.rollout.stock_replay` measured, and the cautious one where it could
not. `docs/deepeyesv2.md` says what each reason means.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple, get_args

from pipeline.dialects.defuse import ZERO_WIDTH_SPACE
from pipeline.identity import parse_json
from pipeline.records import AnswerType, ImageRef, Question, StockDifference, StockReplay, Trajectory, Turn

RuleReason = Literal[
    "dialect",
    "text_only",
    "bad_call",
    "code_rewritten",
    "code_restyled",
    "value_shown",
    "other_image",
    "image_file",
    "image_search",
    "text_search",
    "session_ended",
    "output_cut",
    "defused",
    "picture_resized",
]
EnvReason = StockDifference | RuleReason
RewardReason = Literal[
    "text_only", "tolerance", "several_golds", "metric", "option_letter", "words", "formula", "items"
]


class StockEnv(NamedTuple):
    """Whether the stock environment gives back what a transcript says."""

    label: Literal["same", "differs"]
    reasons: tuple[EnvReason, ...]
    """What was measured, then the rules that act on it; empty of `same`."""
    by: Literal["rule", "execution"] = "rule"
    """How the label was found."""


class StockReward(NamedTuple):
    """Whether the stock reward says of answers what our grader says."""

    label: Literal["same", "differs", "unknown"]
    """`unknown`: its judge model decides."""
    reasons: tuple[RewardReason, ...]


SAME = StockEnv("same", ())
_ORDER: tuple[RuleReason, ...] = get_args(RuleReason)
_CERTAIN: frozenset[RuleReason] = frozenset(
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


_JUDGED: Mapping[AnswerType, RewardReason] = {
    "choice": "option_letter",
    "text": "words",
    "expression": "formula",
    "list": "items",
}
"""Types of answers of which a judge may say otherwise than a rule."""


def stock_env(trajectory: Trajectory, measured: StockReplay | None = None) -> StockEnv:
    """Return whether every observation of a transcript would come back as it is recorded.

    `measured` is what the execution of its cells gave; without it the rules say.
    """
    ruled = _by_rule(trajectory)
    if measured is None:
        return StockEnv("differs" if ruled else "same", ruled)
    if measured.differs is None:
        return StockEnv("same", (), "execution")
    return StockEnv("differs", (measured.differs, *ruled), "execution")


def left_open(trajectory: Trajectory) -> bool:
    """Return whether only the execution of its cells tells what the stock environment would show."""
    has_cells = any(turn.action == "python" for turn in trajectory.turns)
    return has_cells and _CERTAIN.isdisjoint(_by_rule(trajectory))


def _by_rule(trajectory: Trajectory) -> tuple[RuleReason, ...]:
    if not any(turn.action != "answer" for turn in trajectory.turns):
        return () if trajectory.images else ("text_only",)
    found = set(_env_reasons(trajectory))
    return tuple(reason for reason in _ORDER if reason in found)


def _env_reasons(trajectory: Trajectory) -> Iterator[RuleReason]:
    if trajectory.dialect != "deepeyesv2":
        yield "dialect"
    if not trajectory.images:
        # `reset` asserts one.
        yield "text_only"
    for turn in trajectory.turns:
        yield from _turn_reasons(turn)


def _turn_reasons(turn: Turn) -> Iterator[RuleReason]:
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
            yield from _cell_reasons(turn)
    if _OMITTED.search(turn.observation or ""):
        yield "output_cut"
    if ZERO_WIDTH_SPACE in (turn.observation or ""):
        yield "defused"


def _cell_reasons(turn: Turn) -> Iterator[RuleReason]:
    code: str = parse_json(turn.arguments)["code"]
    if turn.status not in {"ok", "exception"}:
        yield "session_ended"
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # What is said of the mistake quotes the code, which is no longer the same.
        if reindented(code) != code:
            yield "code_rewritten"
        return
    nodes = _telling(tree)
    if not _stands(code):
        yield from _rewriting(code, tree)
    if any(map(_is_restyled, nodes)):
        yield "code_restyled"
    shown = _STDOUT.search(turn.observation or "")
    if shown is not None and shown.group(1).strip() and _has_value(tree):
        yield "value_shown"
    yield from _image_uses(nodes)
    if any(is_resized(image) for image in turn.images):
        yield "picture_resized"


def _telling(tree: ast.AST) -> list[ast.AST]:
    """Return the nodes of a tree of the kinds that reasons follow from, for a fifth of what `ast.walk` takes."""
    found, within = list[ast.AST](), [tree]
    for node in within:  # grows meanwhile
        kind = type(node)
        if kind in _TELLING:
            found.append(node)
        if kind in _LEAVES:
            continue
        for name in node._fields:
            part = getattr(node, name, None)
            if type(part) is list:
                within += [one for one in part if isinstance(one, ast.AST)]
            elif isinstance(part, ast.AST):
                within.append(part)
    return found


_LEAVES = frozenset({ast.Name, ast.Constant, ast.Load, ast.Store})
_TELLING = frozenset({ast.Name, ast.Constant, ast.Compare, ast.Assign})
"""Kinds that `_is_restyled` and `_image_uses` know."""


def _rewriting(code: str, tree: ast.Module) -> Iterator[RuleReason]:
    try:
        if ast.dump(ast.parse(reindented(code))) != ast.dump(tree):
            yield "code_rewritten"
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        yield "code_rewritten"


def _stands(code: str) -> bool:
    """Return whether lines keep their indentation, which decides without a second tree; false where that is unsure."""
    if any(mark in code for mark in ('"""', "'''", "\\\n")):
        return False  # an empty line may be part of a text
    return reindented(code) == "\n".join(line.rstrip() for line in code.split("\n") if line.strip())


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


def _image_uses(nodes: Iterable[ast.AST]) -> Iterator[RuleReason]:
    """Tell of pictures that are not there: it opens the first alone, as a variable."""
    for node in nodes:
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


def stock_reward(question: Question) -> StockReward:
    """Return whether the stock reward, a judge that is shown one gold, says of every answer what our grader says.

    Where the stored answer is one exact number, date, or yes or no, equality is all that either asks for.
    """
    differs, left = list[RewardReason](), list[RewardReason]()
    if not question.images:
        differs.append("text_only")
    if question.tolerance is not None:
        differs.append("tolerance")
    if len({_plain(answer) for answer in question.answers}) > 1:
        differs.append("several_golds")
    meta = parse_json(question.meta)
    if isinstance(meta, dict) and meta.get("metric"):
        differs.append("metric")
    if question.answer_type in _JUDGED:
        left.append(_JUDGED[question.answer_type])
    if differs:
        return StockReward("differs", (*differs, *left))
    return StockReward("unknown", tuple(left)) if left else StockReward("same", ())


def _plain(answer: str) -> str:
    return " ".join(answer.casefold().split()).rstrip(".")
