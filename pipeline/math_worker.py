"""Whether two mathematical terms are equal, found by computer algebra in a process that can be killed.

Terms come as trees (`filters.answers.mathematics`) in JSON, from which sympy's objects are built one by one: no text
is parsed or evaluated here. Algebra may take for ever on a short hostile term, so the comparisons of an answer have so
much processor time, after which their process is killed and what is left is "not known"; a busy machine changes no
answer. Two terms are unequal if they differ at a point, by far more than the error of its computation; they are equal
only if algebra proves it. Nothing is rounded: of two tiny values that differ, and of a number and its rounded form,
neither is the other.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import signal
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any, Self

from pipeline.errors import InfrastructureError
from pipeline.processes import die_with_parent

Pair = tuple[str, str]
"""Two trees in JSON."""

DEADLINE = 3.0
"""Seconds of processor time for the comparisons of one answer; on the labelled set the slowest takes 0.2."""
_REMEMBERED = 4096
"""Answers whose comparisons are kept: those of some batches of rollouts, of which many say the same."""
_HUNG = 60
"""Times the deadline that one comparison may take by the clock: so long it got no processor, or it waits for ever."""
_START = 120.0
"""Seconds to start the process: importing sympy takes one, on a busy machine far more."""
_MEMORY = 4 << 30
"""Bytes of address space of the process. sympy needs under 1 GiB; 9**9**9 would take all there is."""
_MAX_TEXT = 20_000
"""Characters of a tree: one of an answer of 300 characters has at most some thousands."""


class MathWorker:
    """One process that compares terms, started when first asked and again after it was killed.

    Use it as a context manager. Safe to call from several threads; they take turns.
    """

    def __init__(self, deadline: float = DEADLINE) -> None:
        self._deadline = deadline
        self._lock = threading.Lock()
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._known: OrderedDict[bytes, list[bool | None]] = OrderedDict()
        """Answers by the hash of what was asked."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process; a later call starts a new one."""
        with self._lock:
            self._kill()

    def equal(self, pairs: Sequence[Pair]) -> list[bool | None]:
        """Return of each pair of trees in JSON whether they are equal wherever either is defined; None if not known.

        Two equations (`["=", left, right]`) are equal if each has the solutions of the other. The pairs of one answer
        share one deadline, or a list of hard terms would take as often as long; what is left when it ends is not known.
        What was asked before is remembered, too much as well: it would take as long again.

        Raises:
            InfrastructureError: the process cannot be started (is `sympy` installed?), or it stands still.
        """
        if not pairs:
            return []
        key = sha256(json.dumps(pairs).encode()).digest()
        with self._lock:
            if key not in self._known:
                self._known[key] = self._asked(pairs)
            self._known.move_to_end(key)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
            return list(self._known[key])

    def _asked(self, pairs: Sequence[Pair]) -> list[bool | None]:
        # Ended by somebody else, idle or not, it has said nothing of these pairs; ended twice, they are what ends it.
        answers = self._tried(pairs) or self._tried(pairs)
        return answers or [None] * len(pairs)

    def _tried(self, pairs: Sequence[Pair]) -> list[bool | None]:
        """Return the answers, None for those that the deadline left open; nothing if something else ended the process.

        Raises:
            InfrastructureError: as `equal`.
        """
        answers: list[bool | None] = []
        pipe = self._pipe or self._start()
        process = self._process
        try:
            pipe.send([pair if max(map(len, pair)) <= _MAX_TEXT else None for pair in pairs])
            while len(answers) < len(pairs) and pipe.poll(_HUNG * self._deadline):
                answers.append(pipe.recv())
        except (EOFError, OSError):
            self._kill()
            late = process is not None and process.exitcode == -signal.SIGPROF
            return answers + [None] * (len(pairs) - len(answers)) if late else []
        if len(answers) < len(pairs):
            self._kill()
            raise InfrastructureError(f"the process that compares terms stood still for {_HUNG * self._deadline:.0f} s")
        return answers

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._deadline), name="math-worker", daemon=True)
        with _without_main():
            process.start()
        theirs.close()
        self._process, self._pipe = process, ours
        try:
            if ours.poll(_START) and ours.recv() == "ready":
                return ours
        except (EOFError, OSError) as error:
            self._kill()
            raise InfrastructureError("the process that compares terms ended at once: is sympy installed?") from error
        self._kill()
        raise InfrastructureError(f"the process that compares terms did not start in {_START:.0f} s")

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None


@contextmanager
def _without_main() -> Iterator[None]:
    """Let a process be spawned that does not run the main program again: a trainer's would load all its libraries."""
    main = sys.modules["__main__"]
    hidden: dict[str, Any] = {
        name: main.__dict__.pop(name) for name in ("__spec__", "__file__") if name in main.__dict__
    }
    main.__spec__ = None
    try:
        yield
    finally:
        main.__dict__.update(hidden)


@cache
def math_worker() -> MathWorker:
    """Return the worker of this process; nothing is started before it is asked, and it ends with this process."""
    return MathWorker()


def _serve(pipe: Connection, deadline: float) -> None:
    """Answer lists of pairs until the other end is closed, or one takes more than so many seconds of processor time."""
    die_with_parent()
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    import sympy  # noqa: F401 - slow to import; before the deadline of the first pair begins

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    pipe.send("ready")
    while True:
        try:
            pairs = pipe.recv()
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_PROF, deadline)
        for pair in pairs:
            pipe.send(None if pair is None else _answer(*pair))
        signal.setitimer(signal.ITIMER_PROF, 0)  # what is left of it is none of the next answer's


def _answer(said: str, gold: str) -> bool | None:
    try:
        return _equal(json.loads(said), json.loads(gold))
    except Exception:  # noqa: BLE001 - what sympy cannot do raises anything; then nothing is known
        return None


def _equal(said: Any, gold: Any) -> bool | None:
    if said[0] == gold[0] == "=":
        return _equal_equations(_built(said[1]) - _built(said[2]), _built(gold[1]) - _built(gold[2]))
    return _equal_terms(_built(said), _built(gold))


def _built(tree: Any) -> Any:
    """Return the sympy object of a tree.

    Raises:
        KeyError: an operator that is not known here.
    """
    import sympy

    name, *parts = tree
    match name:
        case "num" | "mixed":
            return sympy.Rational(parts[0])
        case "sym":
            return sympy.Symbol(parts[0])
        case "const":
            return {
                "pi": sympy.pi, "e": sympy.E, "i": sympy.I, "oo": sympy.oo, "deg": sympy.pi / 180
            }[parts[0]]  # fmt: skip
        case "apply":
            return sympy.Function(parts[0])(*map(_built, parts[1:]))
        case "fn":
            return _functions()[parts[0]](*map(_built, parts[1:]))
        case _:
            return _operators()[name](*map(_built, parts))


def _operators() -> dict[str, Callable[..., Any]]:
    import sympy

    return {
        "+": sympy.Add, "*": sympy.Mul, "^": sympy.Pow, "!": sympy.factorial, "abs": sympy.Abs, "binom": sympy.binomial
    }  # fmt: skip


def _functions() -> dict[str, Callable[..., Any]]:
    import sympy

    names = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "ln": "log", "floor": "floor", "ceil": "ceiling"}
    names |= {name: name for name in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "log")}
    names |= {"min": "Min", "max": "Max", "gcd": "gcd", "lcm": "lcm"}
    return {name: getattr(sympy, theirs) for name, theirs in names.items()}


def _equal_terms(a: Any, b: Any) -> bool | None:
    """Compare two terms: unequal if they differ at a point, equal only if algebra says so too."""
    if a == b:
        return True if _defined(a) else None
    if a.is_Rational and b.is_Rational:
        return False
    if a.is_infinite and b.is_infinite:
        return False
    agree = _agree(a, b)
    if not agree:
        return agree
    return True if _is_zero(a - b) else None


def _defined(term: Any) -> bool:
    import sympy

    return not term.has(sympy.zoo, sympy.nan)


def _is_zero(difference: Any) -> bool:
    """Return whether a term is zero by algebra; numbers are compared exactly, and nothing is rounded."""
    import sympy

    steps: tuple[Callable[[Any], Any], ...] = (sympy.expand, sympy.radsimp, sympy.simplify, sympy.trigsimp)
    if any(step(difference) == 0 for step in steps):
        return True
    return not difference.free_symbols and difference.equals(0) is True


def _equal_equations(a: Any, b: Any) -> bool | None:
    """Compare two equations by the terms that they set to zero: one is a multiple of the other, or they differ.

    Those of first degree in all their letters differ if they are no multiples; of others that is not known.
    """
    import sympy

    if _is_zero(a - b) or _is_zero(a + b):
        return True
    symbols = a.free_symbols | b.free_symbols
    if not symbols:
        return None
    ratio = sympy.cancel(sympy.together(a / b))
    if not ratio.free_symbols:
        return bool(ratio.is_finite and ratio != 0) or None
    polynomials = [sympy.Poly(term, *symbols) if term.is_polynomial(*symbols) else None for term in (a, b)]
    linear = all(polynomial is not None and polynomial.total_degree() == 1 for polynomial in polynomials)
    return False if linear or a.free_symbols != b.free_symbols else _differ(a, b)


def _differ(a: Any, b: Any) -> bool | None:
    """Return False if a real point solves one of two equations and not the other; None if none was found."""
    import sympy

    symbols = sorted(a.free_symbols, key=str)
    for one, other in ((a, b), (b, a)):
        fixed = dict(zip(symbols[1:], map(sympy.Rational, ("1/3", "2/7", "3/11", "5/13")), strict=False))
        if len(symbols) > len(fixed) + 1:
            return None
        for root in sympy.solve(one.subs(fixed), symbols[0])[:4]:
            value = other.subs(fixed).subs(symbols[0], root).evalf(30)
            if root.is_real and value.is_number and value.is_finite and abs(value) > _CLOSE:
                return False
    return None


# Values for the symbols in turn: both signs, zero, one, and values that no identity singles out.
_POINTS = (
    *((0, 1, 2), (1, -1, 3), (-1, 2, -2), (-3, -2, -5)),
    *((-1.375, 0.8125, -2.6875), (2.3125, -0.6875, 1.4375), (0.4375, 3.1875, -0.5625)),
)
_DIGITS = 50
"""To which values are computed, and differences to as many of their own."""
_CLOSE = 1e-30
"""Relative: below it two values may differ by the error of their computation alone."""


def _agree(a: Any, b: Any) -> bool | None:
    """Return whether two terms have the same values at all points; None if they have none at any."""
    symbols = sorted(a.free_symbols | b.free_symbols, key=str)
    met = False
    for point in _POINTS if symbols else _POINTS[:1]:
        # More symbols than values: they repeat with another factor.
        values = {symbol: point[at % 3] * (1 + at // 3) for at, symbol in enumerate(symbols)}
        x, y = _value(a, values), _value(b, values)
        if (x is None) != (y is None):
            return False
        if x is None or y is None:
            continue
        met = True
        if abs(x - y) > _CLOSE * max(abs(x), abs(y)) and not _vanishes(a - b, values):
            return False
    return True if met else None


def _vanishes(difference: Any, values: dict[Any, float]) -> bool:
    """Return whether a difference that was computed as one has no digit that counts: it may be zero."""
    value = _value(difference, values)
    return value is not None and (value == 0 or abs(value) < 10 ** -(2 * _DIGITS))


def _value(term: Any, values: dict[Any, float]) -> Any:
    """Return the value of a term to `_DIGITS` digits, or None where it is not defined."""
    from sympy import nsimplify

    value = term.subs({symbol: nsimplify(number) for symbol, number in values.items()}).evalf(_DIGITS)
    return value if value.is_number and value.is_finite else None
