"""Reading `run.json`, the journal of a run: what each invocation did, with clocks and versions that no record holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import InfrastructureError
from pipeline.identity import parse_json


def read_journal(run: Path) -> Mapping[str, Any] | None:
    """Return what `run.json` holds; None where there is none.

    Raises:
        InfrastructureError: it is damaged.
    """
    path = run / "run.json"
    if not path.exists():
        return None
    try:
        content = parse_json(path.read_text("utf-8"))
        whole = isinstance(content["invocations"], list)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InfrastructureError(f"{path} is damaged ({error}); {_FIX}") from error
    if not whole:
        raise InfrastructureError(f"{path} is damaged (`invocations` is no list); {_FIX}")
    return dict(content)


_FIX = (
    "put a copy back, or remove it: the same `coldforge run` writes another, in which nothing stands of what earlier "
    "invocations have cost"
)


def require_journal(run: Path) -> Mapping[str, Any]:
    """Return what `run.json` holds, for whoever cannot do without.

    Raises:
        InfrastructureError: it is gone, or damaged.
    """
    journal = read_journal(run)
    if journal is None:
        raise InfrastructureError(f"{run / 'run.json'} is gone, which every run has; put a copy back")
    return journal
