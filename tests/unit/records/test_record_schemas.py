"""The Arrow schema of every record, against a file: what is on disk must stay readable, field order included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import flows.releases.rows
import flows.stages.decontaminate  # noqa: F401 - these declare records of their own
from pipeline.records import Record

GOLDEN = Path(__file__).with_name("record_schemas.json")


def records(base: type[Record] = Record) -> Iterator[type[Record]]:
    for kind in base.__subclasses__():
        if not kind.__module__.startswith("tests."):
            yield kind
            yield from records(kind)


def described() -> dict[str, list[str]]:
    """Name → schema version, then one line per column."""
    return {
        kind.__name__: [f"version {kind.SCHEMA}", *(f"{field.name}: {field.type}" for field in kind.ARROW)]
        for kind in sorted(set(records()), key=lambda kind: kind.__name__)
    }


def test_the_schema_of_every_record_is_the_one_on_file() -> None:
    assert described() == json.loads(GOLDEN.read_text()), "a changed record needs a higher SCHEMA and this file anew"


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(described(), indent=1) + "\n")
