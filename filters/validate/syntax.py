"""The shape of model-written cells, and which of them do nothing. Nothing is ever run here."""

from __future__ import annotations

import ast

from filters.python import UnparsableCodeError, parse

# Calls that leave no trace unless their value is shown or stored.
# fmt: off
_PURE = frozenset({
    "abs", "all", "any", "bool", "dict", "divmod", "enumerate", "float", "frozenset", "int", "isinstance", "len",
    "list", "max", "min", "range", "repr", "reversed", "round", "set", "sleep", "sorted", "str", "sum", "tuple",
    "type", "zip",
})
# fmt: on
_SHOW = frozenset({"print", "display"})


def skeleton(code: str) -> str:
    """Return the shape of the code: names it binds itself and all literals are blanked out.

    Names of attributes, builtins and preloaded variables stay: they say what is done, and to what.

    Raises:
        UnparsableCodeError: as `parse`.
    """
    tree = _without_docstrings(parse(code))
    bound = _bound(tree) | {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant():
                node.value, node.kind = None, None
            case ast.Name(id=name) if name in bound:
                node.id = "_"
            case ast.arg():
                node.arg = "_"
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                node.name = "_"
            case ast.alias(asname=str()):
                node.asname = "_"
            case _:
                continue
    return _dump(tree)


def no_ops(cells: list[tuple[str, bool]]) -> list[bool]:
    """Return for each cell of a session whether it did nothing; a cell is its code and whether it showed output.

    A cell does nothing if it makes no call with an effect, shows no value but literals, and binds no
    name that a later cell reads. Comments, `pass`, and printing a fixed text do nothing. What `import *`
    binds is not known, so it counts as read.

    Raises:
        UnparsableCodeError: a cell does not parse.
    """
    trees = [parse(code) for code, _ in cells]
    read_later: set[str] = set()
    verdicts = []
    for tree, (_, showed) in reversed(list(zip(trees, cells, strict=True))):
        bound = _bound(tree)
        binds = "*" in bound or not bound.isdisjoint(read_later)
        acts = binds or _has_effect(tree) or (showed and _shows_value(tree))
        verdicts.append(not acts)
        read_later |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return verdicts[::-1]


def _dump(tree: ast.Module) -> str:
    try:
        return ast.dump(tree)
    except RecursionError as error:
        raise UnparsableCodeError("nested too deeply") from error


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """Drop statements that are a bare string, wherever they stand; they do nothing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.body = [
                statement
                for statement in node.body
                if not (
                    isinstance(statement, ast.Expr)
                    and isinstance(statement.value, ast.Constant)
                    and isinstance(statement.value.value, str)
                )
            ]
    return tree


def _bound(tree: ast.Module) -> set[str]:
    """Return the names whose value the code changes: assigned, defined, imported, or stored into."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.alias(name=name, asname=asname):
                names.add(asname or name.partition(".")[0])
            case ast.Subscript(value=ast.Name(id=name)) | ast.Attribute(value=ast.Name(id=name)) if isinstance(
                node.ctx, ast.Store | ast.Del
            ):
                names.add(name)
            case _:
                continue
    return names


def _has_effect(tree: ast.Module) -> bool:
    """Return whether a call outside function bodies may change or show something.

    A function's body runs only when it is called, and that call is seen where it stands.
    """
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Call) and _is_effect(node):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            pending.extend(ast.iter_child_nodes(node))
    return False


def _is_effect(call: ast.Call) -> bool:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            if name in _SHOW:
                return not all(map(_is_literal, call.args))
            return name not in _PURE
        case _:
            return True


def _shows_value(tree: ast.Module) -> bool:
    """Return whether the last statement is an expression that a notebook displays and that is computed."""
    if not tree.body or not isinstance(tree.body[-1], ast.Expr):
        return False
    value = tree.body[-1].value
    if isinstance(value, ast.Call):
        # `print("…")` shows output too, but its value is None.
        return not (isinstance(value.func, ast.Name) and value.func.id in _SHOW)
    return not _is_literal(value)


def _is_literal(node: ast.expr) -> bool:
    return all(
        isinstance(part, ast.Constant | ast.JoinedStr | ast.FormattedValue | ast.Tuple | ast.List | ast.Load)
        for part in ast.walk(node)
    )
