"""Where what a cell shows can come from: from the picture, from computing, or from nothing but the cell's own text.

A value is followed through the cells of a session as far as syntax tells, by what at most it can know. In doubt it
knows something: an unknown name, an unknown function. So a cell that helped is not called useless for its style; one
that hides its own words well enough passes.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

from filters.python import parse


class Knows(IntEnum):
    """What a value can know at most; of several the most counts."""

    OWN = 0
    """Nothing that the model did not write itself: literals, names bound to them, text put together of them."""
    ABOUT = 1
    """What surrounds the picture: sizes, types, versions, help, the machine's names, the time, chance."""
    GIVEN = 2
    """A picture as it was given: the model has seen it already."""
    PICTURE = 3
    """A picture made of one: a crop, a contrast, a mark. Its size is the cell's own."""
    FINDING = 4
    """Measured, computed, read."""


class Value(NamedTuple):
    """What is known of an expression."""

    knows: Knows
    kind: str = ""
    """`text` or `list`, of which `+` makes no number; the root module of what comes from one; or nothing."""


class Shown(NamedTuple):
    """The most that a cell can have shown."""

    text: Knows
    pictures: Knows


class _Function(NamedTuple):
    returns: Knows
    prints: Knows | None
    """None: it prints nothing."""
    draws: Knows


_OWN, _ABOUT, _FINDING = Value(Knows.OWN), Value(Knows.ABOUT), Value(Knows.FINDING)
_TEXT = Value(Knows.OWN, "text")
_GIVEN_NAME = re.compile(r"image_\d+")
_GIVEN_FILE = re.compile(r"(?:\./)?image_\d+(?:\.png|\.jpg)?")
# fmt: off
_METADATA = frozenset({
    "size", "width", "height", "shape", "ndim", "dtype", "mode", "format", "info", "filename", "itemsize", "nbytes",
})
_TELLS = frozenset({
    "help", "dir", "type", "id", "vars", "globals", "locals", "isinstance", "issubclass", "hasattr", "callable", "hash",
})
_SHOWS = frozenset({"print", "display", "pprint", "write", "show", "imshow", "cv2_imshow", "print_exc"})
# What gives back its arguments in another form, and no more.
_TEXTS = frozenset({"str", "repr", "format", "ascii", "chr"})
_COPIES = frozenset({
    "ord", "int", "float", "bool", "complex", "bytes", "list", "tuple", "set",
    "frozenset", "dict", "range", "enumerate", "zip", "reversed", "iter", "next", "round", "abs", "map", "filter",
    "getattr", "slice", "array", "asarray", "zeros", "ones", "full", "DataFrame", "Series",
})
_COPY_METHODS = frozenset({
    "format", "join", "upper", "lower", "title", "capitalize", "strip", "lstrip", "rstrip", "replace", "split",
    "splitlines", "center", "ljust", "rjust", "zfill", "encode", "decode", "append", "extend", "add", "insert",
    "update", "setdefault", "items", "keys", "values", "get", "pop", "copy", "flush", "close",
})
_SAME = frozenset({"array", "asarray", "fromarray"})
_GROWS = frozenset({"append", "extend", "add", "insert", "update", "setdefault"})
_OPENS = frozenset({"open", "imread", "imread_collection", "Image"})
_PICTURES = frozenset({
    "crop", "resize", "rotate", "transpose", "convert", "filter", "enhance", "point", "reduce", "transform", "quantize",
    "thumbnail", "fromarray", "array", "asarray", "cvtColor", "GaussianBlur", "medianBlur", "bilateralFilter", "flip",
    "expand", "autocontrast", "equalize", "invert", "grayscale", "posterize", "solarize", "merge", "paste", "split",
    "Contrast", "Brightness", "Sharpness", "Color", "fit", "pad", "contain", "astype", "Draw", "rectangle", "line",
})
_UNCHANGED = frozenset({"copy", "load", "show", "imshow", "save", "close", "verify", "seek"})
# Of the machine, of the moment and of chance.
_SURROUNDINGS = frozenset({
    "sys", "os", "platform", "time", "random", "secrets", "uuid", "warnings", "importlib", "pkg_resources", "inspect",
    "gc", "locale", "getpass", "socket", "site", "sysconfig", "shutil", "glob", "tempfile", "psutil", "traceback",
    "logging", "pip",
})
_DRAWS = frozenset({"matplotlib", "seaborn", "plotly", "pylab", "IPython", "google", "pprint"})
# fmt: on
_SHOWS_PICTURES = frozenset({"show", "imshow", "cv2_imshow"})
_BUILT_IN = frozenset({*_SHOWS, *_TELLS, *_TEXTS, *_COPIES, "len"})
_TOGETHER = frozenset({"text", "list"})
_PICTURED = frozenset({Knows.GIVEN, Knows.PICTURE})


def cells_show(cells: Sequence[str]) -> Sequence[Shown]:
    """Return of each cell of a session the most that it can have shown.

    Raises:
        UnparsableCodeError: a cell does not parse.
        RecursionError: one nests too deeply.
    """
    session = _Session({}, {})
    return tuple(session.cell(parse(code)) for code in cells)


class _Session(ast.NodeVisitor):
    """Names with what their values know, while statements are read in order; of an expression `visit` tells."""

    def __init__(self, names: dict[str, Value], functions: dict[str, _Function]) -> None:
        self.names = names
        self.functions = functions
        self.returned = Knows.OWN
        self.printed: Knows | None = None
        self.seen = Knows.OWN
        """The most of any expression: what a figure may show."""
        self.under = Knows.OWN
        """What decides whether a statement runs at all: which of two fixed words is printed tells, too."""

    def cell(self, tree: ast.Module) -> Shown:
        """Read a cell."""
        self.printed, self.seen = None, Knows.OWN
        self.run(tree.body)
        last = tree.body[-1] if tree.body else None
        if isinstance(last, ast.Expr):
            self.show([self.value(last.value)])
        return Shown(self.printed or Knows.OWN, self.seen)

    def run(self, statements: Sequence[ast.stmt], decided_by: Value = _OWN) -> None:
        """Read statements that run or do not, as a value has it."""
        before, self.under = self.under, max(self.under, _beyond(decided_by.knows))
        for statement in statements:
            self.visit(statement)
        self.under = before

    def show(self, values: Iterable[Value]) -> None:
        """Note that values are printed; a picture given prints as its size and type."""
        for value in values:
            level = Knows.ABOUT if value.knows is Knows.GIVEN else value.knows
            self.printed = max(self.printed or Knows.OWN, level, self.under)

    def value(self, node: ast.expr) -> Value:
        """Return what an expression knows."""
        value: Value = self.visit(node)
        self.seen = max(self.seen, value.knows)
        return value

    def generic_visit(self, node: ast.AST) -> Value:
        """Return the most that the parts of anything else know."""
        found = [_OWN]
        for child in ast.iter_child_nodes(node):
            part = self.value(child) if isinstance(child, ast.expr) else self.visit(child)
            found += [part] if isinstance(part, Value) else []
        return Value(max(value.knows for value in found))

    # Statements.

    def visit_Expr(self, node: ast.Expr) -> None:
        value = self.value(node.value)
        if isinstance(node.value, ast.Call) and value.kind not in _DRAWS:
            self.show([value])  # an unknown function may print

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self.bind(target, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.bind(node.target, node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        left = ast.Name(node.target.id, ast.Load()) if isinstance(node.target, ast.Name) else node.target
        self.bind(node.target, ast.BinOp(left, node.op, node.value))

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        source = self.value(node.iter)
        self.store(node.target, _part(source))
        self.run([*node.body, *node.orelse], source)

    visit_AsyncFor = visit_For  # noqa: N815

    def visit_If(self, node: ast.If | ast.While) -> None:
        self.run([*node.body, *node.orelse], self.value(node.test))

    visit_While = visit_If  # noqa: N815

    def visit_withitem(self, node: ast.withitem) -> None:
        opened = self.value(node.context_expr)
        if node.optional_vars is not None:
            self.store(node.optional_vars, opened)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.names[node.name] = _ABOUT
        self.run(node.body)

    def visit_Match(self, node: ast.Match) -> None:
        subject = self.value(node.subject)
        for case in node.cases:
            self.run(case.body, subject)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            root = alias.name.partition(".")[0]
            self.names[alias.asname or root] = Value(Knows.OWN, root)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        root = (node.module or "").partition(".")[0]
        self.names |= {alias.asname or alias.name: Value(Knows.OWN, root) for alias in node.names}

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Read a function as if its arguments knew nothing; what they know is added where it is called."""
        inside = self.inside(node.args)
        inside.run(node.body)
        self.names.pop(node.name, None)
        self.functions[node.name] = _Function(inside.returned, inside.printed, inside.seen)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.names[node.name] = _FINDING

    def visit_Return(self, node: ast.Return | ast.Yield) -> Value:
        given = _OWN if node.value is None else self.value(node.value)
        self.returned = max(self.returned, given.knows, self.under)
        return given

    visit_Yield = visit_Return  # noqa: N815

    def inside(self, arguments: ast.arguments) -> _Session:
        """Return what reads the body of a function."""
        inside = _Session(dict(self.names), self.functions)
        for node in ast.walk(arguments):
            if isinstance(node, ast.arg):
                inside.names[node.arg] = _OWN
        return inside

    def bind(self, target: ast.expr, assigned: ast.expr) -> None:
        """Bind a target to an expression; of two tuples, part by part."""
        pairs = _pairs(target, assigned)
        if not pairs:
            self.store(target, self.value(assigned))
        for one, part in pairs:
            self.bind(one, part)

    def store(self, target: ast.expr, value: Value) -> None:
        """Bind a target to what is known of a value."""
        value = Value(max(value.knows, self.under), value.kind)
        match target:
            case ast.Name(id=name):
                self.names[name] = value
                self.functions.pop(name, None)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                for one in targets:
                    self.store(one, _part(value))
            case ast.Starred(value=inner):
                self.store(inner, value)
            case ast.Subscript(value=ast.Name(id=name)) | ast.Attribute(value=ast.Name(id=name)):
                self.grow(name, value)
            case _:
                self.value(target)

    def grow(self, name: str, value: Value) -> None:
        """Note that something is put into what a name is bound to."""
        before = self.named(name)
        # A picture that a cell writes into is another one than was given.
        changed = Knows.PICTURE if before.knows is Knows.GIVEN else before.knows
        self.names[name] = Value(max(changed, value.knows), before.kind)

    # Expressions.

    def visit_Constant(self, node: ast.Constant) -> Value:
        return _TEXT if isinstance(node.value, str | bytes) else _OWN

    def visit_JoinedStr(self, node: ast.JoinedStr) -> Value:
        inner = self.generic_visit(node).knows
        return Value(Knows.ABOUT if inner is Knows.GIVEN else inner, "text")

    def visit_Name(self, node: ast.Name) -> Value:
        return self.named(node.id)

    def named(self, name: str) -> Value:
        """Return what is known of a name."""
        if name in self.names:
            return self.names[name]
        if name in self.functions:
            return Value(self.functions[name].returns, "function")
        if name in _BUILT_IN:
            return _OWN
        return Value(Knows.GIVEN) if _GIVEN_NAME.fullmatch(name) else _FINDING

    def visit_Attribute(self, node: ast.Attribute) -> Value:
        base, name = self.value(node.value), node.attr
        if name.startswith("__") or (name == "version" and base.knows is Knows.OWN):
            return _ABOUT
        if name == "random" and base.kind:
            return Value(Knows.OWN, "random")
        if name in _METADATA and base.knows is not Knows.FINDING and not base.kind:
            return _ABOUT
        return base

    def visit_Subscript(self, node: ast.Subscript) -> Value:
        whole, chosen = self.value(node.value), self.value(node.slice)
        knows = Knows.PICTURE if whole.knows is Knows.GIVEN else whole.knows
        return Value(max(knows, chosen.knows), _part(whole).kind)

    def visit_BinOp(self, node: ast.BinOp) -> Value:
        left, right = self.value(node.left), self.value(node.right)
        knows = max(left.knows, right.knows)
        if knows in _PICTURED:
            return Value(Knows.PICTURE)
        # Numbers are computed; text and lists are put together.
        together = next((value.kind for value in (left, right) if value.kind in _TOGETHER), None)
        return Value(knows, together) if together else Value(_computed(knows))

    def visit_Compare(self, node: ast.Compare | ast.BoolOp) -> Value:
        return Value(_beyond(self.generic_visit(node).knows))

    visit_BoolOp = visit_Compare  # noqa: N815

    def visit_List(self, node: ast.expr) -> Value:
        return Value(self.generic_visit(node).knows, "list")

    visit_Tuple = visit_Set = visit_Dict = visit_List  # noqa: N815

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Value:
        inside = _Session(dict(self.names), self.functions)
        found = [_OWN]
        for part in node.generators:
            source = inside.value(part.iter)
            inside.store(part.target, _part(source))
            found += [Value(_beyond(source.knows)), *map(inside.value, part.ifs)]
        found += map(inside.value, [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])
        made = Value(max(value.knows for value in found), "list")
        self.seen = max(self.seen, inside.seen)
        if inside.printed is not None:
            self.show([made])
        return made

    visit_SetComp = visit_GeneratorExp = visit_DictComp = visit_ListComp  # noqa: N815

    def visit_NamedExpr(self, node: ast.NamedExpr) -> Value:
        self.bind(node.target, node.value)
        return self.named(node.target.id)

    def visit_Lambda(self, node: ast.Lambda) -> Value:
        return Value(self.inside(node.args).value(node.body).knows, "function")

    def visit_Call(self, node: ast.Call) -> Value:
        given = [self.value(part) for part in (*node.args, *(keyword.value for keyword in node.keywords))]
        most = max((value.knows for value in given), default=Knows.OWN)
        match node.func:
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in _OPENS and name not in self.functions:
                return _opened(node.args, most)
            case ast.Name(id=name) if name in self.functions:
                return self.own_function(self.functions[name], most)
            case ast.Name(id=name) if name in self.names and not (name in _SHOWS and self.names[name].kind in _DRAWS):
                return _from_module(self.names[name], name, most, bare=not given)
            case ast.Name(id=name):
                return self.built_in(name, given, most)
            case ast.Attribute(value=base, attr=name):
                return self.method(base, node, given, most)
            case other:
                return Value(max(self.value(other).knows, _beyond(most)))

    def own_function(self, function: _Function, most: Knows) -> Value:
        """Return what a function gives back that a cell defined; a picture given to it is looked at."""
        if function.prints is not None:
            self.show([Value(max(function.prints, _beyond(most)))])
        self.seen = max(self.seen, function.draws)
        return Value(max(function.returns, _beyond(most)))

    def built_in(self, name: str, given: Sequence[Value], most: Knows) -> Value:
        """Return what a function gives back that every cell has, or one that nobody knows."""
        if name in _SHOWS:
            self.show(given)
            return Value(Knows.OWN, "pprint")
        if name in _TELLS or (name == "len" and Knows.ABOUT <= most <= Knows.PICTURE):
            return _ABOUT
        if name in _TEXTS:
            return Value(Knows.ABOUT if most is Knows.GIVEN else most, "text")
        if name in _COPIES:
            return Value(most, given[0].kind if given else "")
        return Value(_computed(most) if given else Knows.FINDING)

    def method(self, base: ast.expr, node: ast.Call, given: Sequence[Value], most: Knows) -> Value:
        """Return what a method gives back, or a function of a module."""
        owner, name = self.value(base), node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if name in _SHOWS:
            self.show(given)
            return Value(max(owner.knows, most) if name in _SHOWS_PICTURES else Knows.OWN, "matplotlib")
        if name in _GROWS and isinstance(base, ast.Name):
            self.grow(base.id, Value(max(most, self.under)))
        if name in _COPY_METHODS and (owner.kind in _TOGETHER or not owner.kind):
            return Value(max(owner.knows, most), owner.kind)
        if owner.kind and owner.kind not in _TOGETHER:
            return _from_module(owner, name, most, bare=not given)
        if owner.knows in _PICTURED:
            if name in _UNCHANGED or (name == "convert" and [*map(ast.unparse, node.args)] == ["'RGB'"]):
                return Value(owner.knows)
            return Value(max(most, Knows.PICTURE if name in _PICTURES else Knows.FINDING))
        return Value(max(owner.knows, _computed(most) if owner.knows is Knows.OWN else _beyond(most)))


def _pairs(target: ast.expr, assigned: ast.expr) -> Sequence[tuple[ast.expr, ast.expr]]:
    if not (isinstance(target, ast.Tuple | ast.List) and isinstance(assigned, ast.Tuple | ast.List)):
        return ()
    starred = any(isinstance(part, ast.Starred) for part in (*target.elts, *assigned.elts))
    if starred or len(target.elts) != len(assigned.elts):
        return ()
    return tuple(zip(target.elts, assigned.elts, strict=True))


def _opened(arguments: Sequence[ast.expr], most: Knows) -> Value:
    """Return what a file holds: a picture given, or something that an earlier cell made of it."""
    match arguments:
        case [ast.Constant(value=str(path)), *_]:
            return Value(Knows.GIVEN if _GIVEN_FILE.fullmatch(path) else Knows.FINDING)
        case _:
            return Value(most if most in _PICTURED else Knows.FINDING)


def _from_module(module: Value, name: str, most: Knows, *, bare: bool) -> Value:
    """Return what a function of a module gives back, or a method of what such a function gave."""
    known = max(module.knows, most)
    if module.kind in _SURROUNDINGS:
        return Value(max(Knows.ABOUT, _beyond(known)), module.kind)
    if module.kind in _DRAWS:
        return Value(known, module.kind)
    if known is Knows.GIVEN and name in _SAME:
        return Value(known)
    if known in _PICTURED:
        return Value(Knows.PICTURE if name in _PICTURES or module.kind == "PIL" else Knows.FINDING)
    if name in _COPIES:
        return Value(known)
    if module.kind == "PIL":
        return Value(known, "PIL" if known is Knows.OWN else "")
    return Value(max(known, Knows.ABOUT) if bare else _computed(known))


def _part(whole: Value) -> Value:
    """Return what is known of a member of something: of a list, not whether it is one."""
    return Value(whole.knows, "" if whole.kind == "list" else whole.kind)


def _beyond(knows: Knows) -> Knows:
    """Return what follows from something: of a picture, a finding."""
    return Knows.FINDING if knows >= Knows.GIVEN else knows


def _computed(knows: Knows) -> Knows:
    """Return what computing gives: of own numbers a result; of sizes, sizes."""
    return Knows.FINDING if knows is Knows.OWN else _beyond(knows)
