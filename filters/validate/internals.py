"""Whether a cell reaches for the inside of its own session, where it could answer in the place of a later cell.

A cell and what reports its outcome share one process (docs/design/002). Code that looks for the other is found here by
what it has to name: the session's channel, frames and objects of the interpreter, memory, code that is put together
as it runs. This protects nobody from anything; it says of which transcripts the observations prove nothing. Nothing of
it helps to look at a picture, so what is rejected in vain is rare and no loss. Nothing is ever run here.
"""

from __future__ import annotations

import ast
import re

from filters.validate.syntax import parse

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
# Of these modules: what works on descriptors by number, the channel's among them.
_DESCRIPTORS = frozenset(
    {
        *("read", "readv", "pread", "preadv", "write", "writev", "pwrite", "pwritev", "dup", "dup2", "fdopen"),
        *("sendfile", "splice", "copy_file_range", "set_inheritable", "set_blocking"),
    }
)
_OS = frozenset({"os", "posix"})
_CLOSED = frozenset({"pipeline", "socket", "posix", "_thread", "_signal"})
# With anything but a fixed text as their first argument these run, or name, what nobody can read.
_RUN = frozenset({"exec", "eval", "compile", "__import__", "import_module", "run_module", "run_path"})
_NAMING = frozenset({"getattr", "setattr", "attrgetter", "methodcaller"})


def reaches_inside(code: str) -> bool:
    """Return whether a cell touches the channel of its session, the interpreter's inside, or hides what it runs.

    Raises:
        UnparsableCodeError: as `parse`.
    """
    if _WORDS.search(code):
        return True
    tree = parse(code)
    modules = _names_of_os(tree)
    return any(_reaches(node, modules) for node in ast.walk(tree))


def _names_of_os(tree: ast.Module) -> set[str]:
    """Return the names under which the code has the module of system calls."""
    names = set(_OS)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname for alias in node.names if alias.name in _OS and alias.asname}
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id in names:
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _reaches(node: ast.AST, modules: set[str]) -> bool:
    match node:
        case ast.Import(names=aliases):
            return any(alias.name.partition(".")[0] in _CLOSED for alias in aliases)
        case ast.ImportFrom(module=str(module), names=aliases):
            by_number = module in _OS and any(alias.name in {*_DESCRIPTORS, "*"} for alias in aliases)
            return by_number or module.partition(".")[0] in _CLOSED
        case ast.Attribute(value=ast.Name(id=name), attr=attribute):
            return name in modules and attribute in {*_DESCRIPTORS, "__dict__"}
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=arguments):
            return _call_reaches(name, arguments, modules, attribute=isinstance(node.func, ast.Attribute))
        case _:
            return False


def _call_reaches(name: str, arguments: list[ast.expr], modules: set[str], *, attribute: bool) -> bool:
    first = arguments[0] if arguments else None
    if name in _RUN:
        # `re.compile(pattern)` and `model.eval()` are something else.
        return not (attribute and name in {"compile", "eval", "exec"}) and not _is_text(first)
    if name in _NAMING:
        place = 1 if name in {"getattr", "setattr"} else 0
        of_os = place == 0 or (
            isinstance(first, ast.Name) and first.id in {*modules, "sys", "builtins", "inspect", "gc"}
        )
        named = arguments[place] if len(arguments) > place else None
        return of_os and (not _is_text(named) or (isinstance(named, ast.Constant) and named.value in _DESCRIPTORS))
    if name == "vars":
        return isinstance(first, ast.Name) and first.id in modules
    # A descriptor opened by its number.
    return name == "open" and isinstance(first, ast.Constant) and isinstance(first.value, int)


def _is_text(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
