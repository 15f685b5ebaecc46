"""Whether a cell reaches for the inside of its own session, where it could answer in the place of a later cell.

A cell and what reports its outcome share one process (docs/design/002). Code that looks for the other is found here by
what it has to name: the session's channel, frames and objects of the interpreter, memory, code that is put together
as it runs. This protects nobody from anything; it says of which transcripts the observations prove nothing. Nothing of
it helps to look at a picture, so what is rejected in vain is rare and no loss. Nothing is ever run here.
"""

from __future__ import annotations

import ast
import re

from filters.python import UnparsableCodeError, parse

# Anywhere in the code, strings and comments among it: a cell may write a module, or hand text to another interpreter.
_WORDS = re.compile(
    r"\b(?:ctypes|_ctypes|cffi|_socket|_posixsubprocess|marshal"
    r"|get_objects|get_referrers|get_referents|_getframe|_current_frames|currentframe|getouterframes|getinnerframes"
    r"|f_back|f_globals|f_locals|f_builtins|tb_frame|gi_frame|cr_frame|ag_frame"
    r"|settrace|setprofile|setprofile_all_threads|addaudithook|CodeType|FunctionType"
    r"|__subclasses__|__globals__|__builtins__|__closure__|__code__|__self__|__loader__|__getattribute__"
    r"|pass_fds|fromfd|SCM_RIGHTS|fileno\s*=)"
    r"|/proc/(?:self|thread-self|\d+)\b|/dev/fd\b|/coldforge\b|\bpipeline\.sandbox\b|\bsys\s*\.\s*modules\b"
)
# What works on descriptors by their numbers; with two arguments `read` and `write` do, too.
_DESCRIPTORS = frozenset(
    {
        *("readv", "pread", "preadv", "writev", "pwrite", "pwritev", "dup", "dup2", "fdopen", "sendfile", "splice"),
        *("copy_file_range", "set_inheritable", "set_blocking"),
    }
)
_BY_NUMBER = frozenset({"read", "write"})
_OS = frozenset({"os", "posix"})
_CLOSED = frozenset({"pipeline", "socket", "posix", "_thread", "_signal"})
# With anything but a fixed text these run, or name, what nobody can read.
_IMPORT = frozenset({"__import__", "import_module", "run_module", "run_path"})
_RUN = frozenset({"exec", "eval", "compile"})
_LOOK_UP = frozenset({"getattr", "setattr"})
_LOOKED_INTO = frozenset({*_OS, "sys", "builtins", "inspect", "gc"})


def reaches_inside(code: str) -> bool:
    """Return whether a cell touches the channel of its session, the interpreter's inside, or hides what it runs.

    Raises:
        UnparsableCodeError: as `parse`.
    """
    return bool(_WORDS.search(code)) or any(map(_reaches, ast.walk(parse(code))))


def _reaches(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=str(text)):
            return bool(_WORDS.search(text))  # put together of parts that stand side by side
        case ast.Import(names=aliases):
            return any(_is_closed(alias.name) for alias in aliases)
        case ast.ImportFrom(module=str(module), names=aliases):
            names = {alias.name for alias in aliases}
            return _is_closed(module) or (module in _OS and not names.isdisjoint({*_DESCRIPTORS, *_BY_NUMBER, "*"}))
        case ast.Attribute(value=ast.Name(id=name), attr="__dict__"):
            return name in _LOOKED_INTO
        case ast.Attribute(attr=attribute):
            return attribute in _DESCRIPTORS
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _call_reaches(name, arguments)
        case ast.Call(func=ast.Attribute(attr=name), args=arguments):
            # `re.compile(pattern)`, `frame.eval(text)` and `model.eval()` are something else.
            return name not in _RUN and _call_reaches(name, arguments)
        case _:
            return False


def _call_reaches(name: str, arguments: list[ast.expr]) -> bool:
    first, others = (arguments[0] if arguments else None), arguments[1:]
    text = _text(first)
    if name in _RUN:
        return text is None or _text_reaches(text)
    if name in _IMPORT:
        return text is None or text in _OS or _is_closed(text)
    if name in _LOOK_UP and isinstance(first, ast.Name) and first.id in _LOOKED_INTO:
        return not others or _text(others[0]) in {None, *_DESCRIPTORS, *_BY_NUMBER}
    if name == "vars":
        return isinstance(first, ast.Name) and first.id in _LOOKED_INTO
    if name in _BY_NUMBER:
        return len(arguments) == 2 and text is None  # noqa: PLR2004 - a descriptor, and what or how much
    # A descriptor opened by its number.
    return name == "open" and isinstance(first, ast.Constant) and isinstance(first.value, int)


def _text_reaches(text: str) -> bool:
    try:
        return reaches_inside(text)
    except UnparsableCodeError:
        return False  # nor does it run


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _is_closed(module: str) -> bool:
    return module.partition(".")[0] in _CLOSED
