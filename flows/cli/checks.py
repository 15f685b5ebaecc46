"""The checks of `plan` and `doctor`: each says what it looked at, what it found and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Literal, NamedTuple

from flows.cli.console import print_line
from flows.cli.places import told
from pipeline.errors import ColdforgeError, InfrastructureError

if TYPE_CHECKING:
    from flows.recipe.recipe import Runtime

Finding = Literal["ok", "note", "wrong"]


class Check(NamedTuple):
    """One thing that was looked at."""

    what: str
    finding: Finding
    """`note` is worth knowing and stops nothing."""
    detail: str


class Note(NamedTuple):
    """What is worth knowing, and stops nothing."""

    detail: str


def checked(what: str, look: Callable[[], str | Note]) -> Check:
    """Return what `look` tells, or what it refuses with; a module or a place that fails is a finding, too."""
    try:
        seen = look()
        return Check(what, "note", seen.detail) if isinstance(seen, Note) else Check(what, "ok", seen)
    except (ColdforgeError, ImportError) as error:
        return Check(what, "wrong", str(error))
    except OSError as error:
        if (said := told(error)) is None:
            raise
        return Check(what, "wrong", said)


def print_checks(checks: Sequence[Check]) -> None:
    """Print one line per check; what is wrong may take more."""
    width = max((len(check.what) for check in checks), default=0) + 2
    for check in checks:
        first, *rest = check.detail.splitlines() or [""]
        print_line(f"{check.finding:<7}{check.what:<{width}}{first}")
        for line in rest:
            print_line(" " * (7 + width) + line)


def tell_sandbox(runtime: Runtime) -> str:
    """Run one cell in a session of its own and tell what the sandbox is.

    Raises:
        UsageError, InfrastructureError, IsolationError: there is no sandbox, as `flows.run.opening.open_sandbox`.
        InfrastructureError: a session started and did not answer rightly.
    """
    from flows.run.opening import open_sandbox

    with closing(open_sandbox(runtime, 1)) as pool, pool.session(images=[], seed=0) as session:
        result = session.run("6 * 7")
        if result.status != "ok" or result.value != "42":
            raise InfrastructureError(f"sandbox: `6 * 7` gave status {result.status}, value {result.value}")
        where = "" if runtime.sandbox is None else f" at {runtime.sandbox.url}"
        return f"a cell ran isolated{where}; environment {pool.identity[:12]}"


def tell_reader() -> str:
    """Tell which networks the embedded model reads with.

    Raises:
        UsageError: they are not installed.
    """
    from pipeline.demo.reader.ocr import NETWORKS, model_digest

    return f"reader: {', '.join(NETWORKS)} ({model_digest()})"
