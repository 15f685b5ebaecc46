"""Whether two mathematical expressions are equal, found by computer algebra in a process that can be killed.

`math-verify` reads LaTeX into sympy and compares. Both may take for ever on a short hostile text, so each
comparison has a deadline, after which its process is killed and the answer is "not known". What math-verify calls
equal must also agree in value at fixed points: by itself it takes rounded numbers for equal, and its symbols
need not be told from positive ones. Only the reader of LaTeX is used, which evaluates no text as Python.
"""

from __future__ import annotations

import multiprocessing
import resource
import threading
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any, Self

from pipeline.errors import InfrastructureError
from pipeline.processes import die_with_parent

DEADLINE = 10.0
"""Seconds for one comparison; on the labelled set the slowest takes under one."""
_START = 120.0
"""Seconds to start the process: importing sympy takes one, on a busy machine far more."""
_MEMORY = 4 << 30
"""Bytes of address space of the process. sympy needs under 1 GiB; 9**9**9 would take all there is."""
_MAX_TEXT = 300
"""Characters of an expression, as of any answer that is graded."""


class MathWorker:
    """One process that compares expressions, started when first asked and again after it was killed.

    Use it as a context manager. Safe to call from several threads; they take turns.
    """

    def __init__(self, deadline: float = DEADLINE) -> None:
        self._deadline = deadline
        self._lock = threading.Lock()
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None

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

    def equal(self, said: str, gold: str) -> bool | None:
        """Return whether two expressions in LaTeX are equal wherever either is defined; None if that is not known.

        Raises:
            InfrastructureError: the process cannot be started (is `math-verify` installed?).
        """
        if max(len(said), len(gold)) > _MAX_TEXT:
            return None
        with self._lock:
            pipe = self._pipe or self._start()
            try:
                pipe.send((said, gold))
                if pipe.poll(self._deadline):
                    answer: bool | None = pipe.recv()
                    return answer
            except (EOFError, OSError):
                # It died of this comparison, of its limit of memory for example; that answers nothing.
                self._kill()
                return None
            self._kill()
            return None

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), name="math-worker", daemon=True)
        process.start()
        theirs.close()
        self._process, self._pipe = process, ours
        try:
            if ours.poll(_START) and ours.recv() == "ready":
                return ours
        except (EOFError, OSError) as error:
            self._kill()
            raise InfrastructureError(
                "the process that compares expressions ended at once: is math-verify installed?"
            ) from error
        self._kill()
        raise InfrastructureError(f"the process that compares expressions did not start in {_START:.0f} s")

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None


@cache
def math_worker() -> MathWorker:
    """Return the worker of this process; nothing is started before it is asked, and it ends with this process."""
    return MathWorker()


def _serve(pipe: Connection) -> None:
    """Answer pairs until the other end is closed."""
    die_with_parent()
    import logging

    import math_verify  # noqa: F401 - slow to import; before the deadline of the first pair begins

    logging.disable(logging.CRITICAL)  # the library warns of every text it cannot read, and of our having no timeout
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    pipe.send("ready")
    while True:
        try:
            said, gold = pipe.recv()
        except EOFError:
            return
        pipe.send(_equal(said, gold))


def _equal(said: str, gold: str) -> bool | None:
    """Compare two LaTeX expressions; None if one cannot be read, or nothing is proven."""
    from sympy import Expr
    from sympy.core.relational import Equality

    a, b = _read(said), _read(gold)
    match a, b:
        case None, _:
            return None
        case _, None:
            return None
        case Expr(), Expr():
            return _equal_terms(a, b)
        case Equality(), Equality():
            return _equal_equations(a, b)
        case _:
            return None


def _read(text: str) -> Any:
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse

    # Left on, these drop what looks like a unit ("2ab" is read as 2) and one side of an equation.
    as_it_is = NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=False, boxed="none", equations=False
    )
    config = LatexExtractionConfig(normalization_config=as_it_is, boxed_match_priority=-1)
    try:
        read = parse(f"${text}$", extraction_config=[config], parsing_timeout=None, fallback_mode="no_fallback")
    except Exception:  # noqa: BLE001 - the parser raises what it likes; a text it cannot read is none
        return None
    # A text that it cannot read comes back as a text.
    return next((item for item in read if not isinstance(item, str)), None)


def _equal_terms(a: Any, b: Any) -> bool | None:
    """Compare two terms: unequal if they differ at a point, equal only if algebra says so too."""
    from math_verify import verify

    try:
        agree = _agree(a, b)
        if not agree:
            return agree
        return True if verify(b, a, timeout_seconds=None) else None
    except Exception:  # noqa: BLE001 - what sympy cannot do raises anything; then nothing is known
        return None


def _equal_equations(a: Any, b: Any) -> bool | None:
    """Compare two equations side by side; another form of the same equation is not looked for, nor told apart."""
    left, right = _equal_terms(a.lhs, b.lhs), _equal_terms(a.rhs, b.rhs)
    if left and right:
        return True
    if left and right is False and a.lhs.is_Symbol and b.lhs.is_Symbol:
        return False
    return None


# Values for the symbols in turn: both signs, zero, one, and values that no identity singles out.
_POINTS = (
    *((0, 1, 2), (1, -1, 3), (-1, 2, -2), (-3, -2, -5)),
    *((-1.375, 0.8125, -2.6875), (2.3125, -0.6875, 1.4375), (0.4375, 3.1875, -0.5625)),
)
_CLOSE = 1e-12
"""Relative. Values are computed to 30 digits; a rounded number in an answer has at most half of them."""


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
        if abs(x - y) > _CLOSE * max(1, abs(x), abs(y)):
            return False
    return True if met else None


def _value(term: Any, values: dict[Any, float]) -> Any:
    """Return the value of a term to 30 digits, or None where it is not defined."""
    from sympy import nsimplify

    value = term.subs({symbol: nsimplify(number) for symbol, number in values.items()}).evalf(30)
    return value if value.is_number and value.is_finite else None
