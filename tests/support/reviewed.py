"""Small runs that people look at, and the commands by which they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from filters.gates.rules import GateSettings
from flows.cli.main import make_app
from flows.ledger.snapshot import RunFacts, build_ledger
from tests.support.curated import RECIPE, curated

LIGHT: dict[str, Any] = {**RECIPE, "export": {"sft": ["trl"], "rl": ["huggingface"]}}


def ran(place: Path, out: str, **changes: Any) -> Path:
    """A run of the small corpus, with its ledger."""
    finished = curated(place, {**LIGHT, **changes}, out)
    told = RunFacts("cellars", "0", "0", "{}", (), (), GateSettings(), None)
    build_ledger(place / out, tuple(finished.values()), told)
    return place / out


def command(*arguments: object, code: int = 0) -> str:
    """What a command prints that ends with a code."""
    done: Result = CliRunner().invoke(make_app(), [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done.output
