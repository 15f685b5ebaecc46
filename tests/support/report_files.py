"""A written report, read back as the pages read it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_CALL = re.compile(r'coldforge\("([a-z]+(?:-[0-9a-f]+)?)", (.*)\);')


def calls(path: Path) -> dict[str, Any]:
    """Return the values that a data file hands over, by name; each stands in a line of its own."""
    found = [_CALL.fullmatch(line) for line in path.read_text("utf-8").splitlines()]
    return {match[1]: json.loads(match[2]) for match in found if match is not None}


def value(report: Path, name: str) -> Any:
    return calls(report / "data" / f"{name}.js")[name]


def listed(report: Path) -> list[dict[str, Any]]:
    """Return the rows of the index: ids, texts, and the words of each facet as sets."""
    about = value(report, "about")
    rows: list[dict[str, Any]] = []
    questions: dict[str, list[Any]] = {"id": [], "text": [], "gold": [], "row": []}
    for chunk in range(about["index"]):
        part = value(report, f"index-{chunk}")
        for name, column in part["questions"].items():
            questions[name] += column
        columns = part["rows"]
        for number, identity in enumerate(columns["id"]):
            place = columns["question"][number]
            rows.append(
                {
                    **{name: column[number] for name, column in columns.items() if name != "codes"},
                    **{f"question_{name}": column[place] for name, column in questions.items()},
                    "id": identity,
                    "words": {
                        facet["name"]: {
                            facet["words"][word] for word in facet["sets"][columns["codes"][facet["name"]][number]]
                        }
                        for facet in about["facets"]
                    },
                }
            )
    return rows


def transcripts(report: Path) -> dict[str, dict[str, Any]]:
    """Return the groups of all chunks, by name."""
    return {
        name: group
        for chunk in range(value(report, "about")["chunks"])
        for name, group in calls(report / "data" / f"transcripts-{chunk}.js").items()
    }
