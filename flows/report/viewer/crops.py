"""Where a cell cut a picture: boxes of `.crop((left, upper, right, lower))`, as far as they stand in the code.

The code is parsed and never run. Followed are the pictures of the question under their own names, what was opened of
their files, and names given to them or to crops of them, through the cells of a session in the order of the text. A box
is read where its four ends are numbers, or names or sums of numbers that the code gave before, and where a name was
given to all four; others are left out, and so is all that was cut from a picture of unknown origin. What a loop or a
condition did is not known: its text is read once. What a function was called with is not known either.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

_PICTURE = re.compile(r"image_([1-9]\d{0,3})(?:\.png|\.jpg)?")
_SAME = frozenset({"convert", "copy"})
"""Methods that give a picture with the pixels at the same places."""
_LARGEST = 1e9
"""Pixels; what lies beyond is no box, and products of large numbers are not worked out."""


class Crop(NamedTuple):
    """A box that a cell cut out of a picture of the question."""

    image: int
    """Counted from 0."""
    box: tuple[float, float, float, float]
    """Left, upper, right and lower end in pixels of the original; it may lie outside."""


class _Region(NamedTuple):
    image: int
    left: float
    upper: float


_Box = tuple[float, float, float, float]
_Known = _Region | _Box | float
"""What a name can stand for."""


def crops_of(cells: Sequence[str | None]) -> list[list[Crop]]:
    """Return the crops of each cell of one session, in the order of the text; a cell that is no Python has none.

    Args:
        cells: code, or None for a turn without a cell.
    """
    known: dict[str, _Known] = {}
    return [list(_crops(code, known)) if code is not None else [] for code in cells]


def _crops(code: str, known: dict[str, _Known]) -> Iterator[Crop]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    try:
        for statement in _statements(tree):
            yield from _statement(statement, known)
    except RecursionError:
        return


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Yield all statements under a node, in the order of the text."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        if not isinstance(child, ast.expr):
            yield from _statements(child)


def _statement(statement: ast.stmt, known: dict[str, _Known]) -> Iterator[Crop]:
    """Yield the crops in a statement's own expressions, then note what it names."""
    for expression in (node for node in ast.iter_child_nodes(statement) if isinstance(node, ast.expr)):
        nodes = [*ast.walk(expression)]
        seen = {**known, **dict.fromkeys(_inner_names(nodes), _UNKNOWN)}
        for call in (node for node in nodes if isinstance(node, ast.Call)):
            crop = _crop(call, seen)
            if crop is not None:
                yield crop
    for target, given in _named(statement, known):
        _name(target, given, known)


def _inner_names(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """Yield the names that hold within an expression alone: of its comprehensions and lambdas."""
    for node in nodes:
        match node:
            case ast.comprehension(target=target):
                yield from (one.id for one in ast.walk(target) if isinstance(one, ast.Name))
            case ast.Lambda(args=arguments):
                yield from (one.arg for one in ast.walk(arguments) if isinstance(one, ast.arg))
            case _:
                pass


def _named(statement: ast.stmt, known: Mapping[str, _Known]) -> list[tuple[ast.expr, _Known | None]]:
    """Return what a statement gives names to, each with what it then stands for, as far as that is known."""
    match statement:
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if len(targets) == len(values):
            return [(target, _value(value, known)) for target, value in zip(targets, values, strict=True)]
        case ast.Assign(targets=targets, value=value):
            return [(target, _value(value, known)) for target in targets]
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target) | ast.For(target=target):
            return [(target, None)]
        case ast.FunctionDef(args=arguments) | ast.AsyncFunctionDef(args=arguments):
            own = (node for node in ast.walk(arguments) if isinstance(node, ast.arg))
            return [(ast.Name(id=one.arg), None) for one in own]
        case ast.With(items=items):
            return [(one.optional_vars, _value(one.context_expr, known)) for one in items if one.optional_vars]
        case _:
            return []


def _name(target: ast.expr, given: _Known | None, known: dict[str, _Known]) -> None:
    """Note what a name stands for; a name of a picture that was given to something else stands for it no longer."""
    match target:
        case ast.Name(id=name):
            known[name] = given if given is not None else _UNKNOWN
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            for element in elements:
                _name(element, None, known)
        case _:
            pass


_UNKNOWN = _Region(-1, 0, 0)


def _crop(call: ast.Call, known: Mapping[str, _Known]) -> Crop | None:
    match call:
        case ast.Call(func=ast.Attribute(value=receiver, attr="crop"), args=[box], keywords=[]):
            pass
        case ast.Call(func=ast.Attribute(value=receiver, attr="crop"), args=[], keywords=[ast.keyword("box", box)]):
            pass
        case _:
            return None
    region = _region(receiver, known)
    ends = _box(box, known)
    if region is None or ends is None:
        return None
    x, y = region.left, region.upper
    left, upper, right, lower = ends
    return Crop(region.image, (x + left, y + upper, x + right, y + lower)) if left < right and upper < lower else None


def _box(node: ast.expr, known: Mapping[str, _Known]) -> _Box | None:
    match node:
        case ast.Name(id=name):
            found = known.get(name)
            return found if isinstance(found, tuple) and not isinstance(found, _Region) else None
        case ast.Tuple(elts=[_, _, _, _] as ends) | ast.List(elts=[_, _, _, _] as ends):
            match [_number(end, known) for end in ends]:
                case [float(left), float(upper), float(right), float(lower)]:
                    return left, upper, right, lower
        case ast.Call(func=ast.Name(id="tuple" | "list"), args=[inner], keywords=[]):
            return _box(inner, known)
    return None


def _value(node: ast.expr, known: Mapping[str, _Known]) -> _Known | None:
    number = _number(node, known)
    return number if number is not None else _region(node, known) or _box(node, known)


def _region(node: ast.expr, known: Mapping[str, _Known]) -> _Region | None:
    """Return which part of which picture of the question an expression is, as far as its upper left corner."""
    match node:
        case ast.Name(id=name):
            found = known.get(name)
            if isinstance(found, _Region):
                return found if found.image >= 0 else None
            return _picture(name) if found is None else None
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="Image"), attr="open"), args=[ast.Constant(value=str(path))]
        ):
            return _picture(path)
        case ast.Call(func=ast.Attribute(value=receiver, attr="crop")):
            crop = _crop(node, known)
            return _Region(crop.image, *crop.box[:2]) if crop is not None and receiver is not None else None
        case ast.Call(func=ast.Attribute(value=receiver, attr=method)) if method in _SAME:
            return _region(receiver, known)
        case _:
            return None


def _picture(name: str) -> _Region | None:
    found = _PICTURE.fullmatch(name)
    return _Region(int(found[1]) - 1, 0, 0) if found else None


def _number(node: ast.expr, known: Mapping[str, _Known]) -> float | None:
    number = _worked_out(node, known)
    return number if number is not None and abs(number) <= _LARGEST else None


def _worked_out(node: ast.expr, known: Mapping[str, _Known]) -> float | None:
    match node:
        case ast.Constant(value=int(value) | float(value)) if abs(value) <= _LARGEST:
            return float(value)
        case ast.Name(id=name):
            found = known.get(name)
            return found if isinstance(found, float) else None
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            number = _number(operand, known)
            return None if number is None else -number
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as operation, right=right):
            a, b = _number(left, known), _number(right, known)
            if a is None or b is None:
                return None
            return a + b if isinstance(operation, ast.Add) else a - b
        case _:
            return None
