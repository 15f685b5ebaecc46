"""Which stored answers two scripted families make suspect: a base model of one, a teacher of the other.

Sixty questions in groups, each with its own way to go wrong; what each model says of a group is the whole script. The
server, the sandbox, the grader and the stages are those of any run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest
import yaml

from filters.intervals import wilson
from tests.support.command import coldforge
from tests.support.servers.openai_server import OpenAIServer, Reply, completion

FIRST = ("Amber", "Birch", "Cedar", "Daisy", "Elder", "Fjord", "Grove", "Heath", "Inlet", "Jewel")
LAST = ("Abbot", "Baker", "Carter", "Draper", "Falconer", "Glover")
TREASURES = tuple(f"crate {number}" for number in range(11, 21))
"""What is kept somewhere; a model that errs says so of another one, and that it is rusty, which no answer does. They
are told apart by numbers: other words contradict nothing."""

Says = Callable[[str, int], str]
"""(What is true, number of the rollout) → what a model says."""


class Group(NamedTuple):
    """Questions that fare alike."""

    size: int
    swapped: bool
    base: Says
    teacher: Says


def truth(true: str, _: int) -> str:
    return true


def habit(true: str, _: int) -> str:
    """The same other answer every time."""
    return _other(true, 0)


def another_habit(true: str, _: int) -> str:
    return _other(true, 1)


def scattered(true: str, number: int) -> str:
    return _other(true, number)


def at_times(true: str, number: int) -> str:
    """Right in every third rollout, and each time else something other."""
    return true if number % 3 == 0 else _other(true, number)


def _other(true: str, number: int) -> str:
    others = [treasure for treasure in TREASURES if treasure != true]
    return f"rusty {others[number % len(others)]}"


GROUPS = {
    # Found: the teacher says what is true, and the base model comes upon it as well.
    "swapped": Group(10, True, at_times, truth),
    # Not found: nobody of the other family confirms what the teacher says.
    "swapped, base has a habit": Group(4, True, habit, truth),
    "swapped, teacher is lost": Group(2, True, at_times, scattered),
    "hard, teacher is right": Group(14, False, scattered, truth),
    "base has a habit, teacher is right": Group(12, False, habit, truth),
    "both scatter": Group(8, False, scattered, scattered),
    "each has a habit of its own": Group(8, False, habit, another_habit),
    # Found, and wrongly so: agreement is evidence and no proof. A person looks at it.
    "both share a habit": Group(2, False, habit, habit),
}
FOUND = {"swapped", "both share a habit"}


class Asked(NamedTuple):
    """A question of the fixture."""

    owner: str
    true: str
    stored: str
    group: str

    @property
    def text(self) -> str:
        return f"What does {self.owner} keep in the cellar?"


def questions() -> list[Asked]:
    names = iter(f"{first} {last}" for first in FIRST for last in LAST)
    made: list[Asked] = []
    for name, group in GROUPS.items():
        for _, owner in zip(range(group.size), names, strict=False):
            true = TREASURES[len(made) % len(TREASURES)]
            stored = TREASURES[(len(made) + 5) % len(TREASURES)] if group.swapped else true
            made.append(Asked(owner, true, stored, name))
    assert len(made) == len(FIRST) * len(LAST)
    return made


def script(asked: dict[str, Asked]) -> Callable[[dict[str, Any]], Reply]:
    """Answer as the group says; with tools, after a cell that shows something."""

    def reply(body: dict[str, Any]) -> Reply:
        said = json.dumps(body["messages"])
        owner = re.search(r"What does (\w+ \w+) keep", said)
        assert owner is not None
        question = asked[owner[1]]
        if "# Tools" in json.dumps(body["messages"][0]) and body["messages"][-2]["role"] != "assistant":
            return completion("<think>I look.</think>\n<code>\n```python\nprint(6 * 7)\n```\n</code>")
        group = GROUPS[question.group]
        says = group.base if body["model"] == "base" else group.teacher
        return completion(f"<think>I see.</think>\n<answer>{says(question.true, body['seed'])}</answer>")

    return reply


def recipe(place: Path, url: str, asked: list[Asked]) -> Path:
    (place / "data").mkdir()
    rows = [
        {
            "row": question.owner,
            "category": "reasoning",
            "text": question.text,
            "answers": [question.stored],
            "answer_type": "text",
        }
        for question in asked
    ]
    (place / "data" / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    source = {"key": "cellars", "kind": "jsonl", "revision": "v1", "path": "data", "licence": "CC0-1.0"}
    (place / "cellars.yaml").write_text(yaml.safe_dump(source))

    def role(name: str, model: str) -> dict[str, str]:
        return {"backend": "openai", "model": f"{model}@1", "served_name": name, "base_url": url}

    (place / "recipe.yaml").write_text(
        yaml.safe_dump(
            {
                "name": "cellars",
                "sources": [{"source": "cellars.yaml"}],
                "student": {"family": "qwen2_5_vl", "revision": "student@1", "max_pixels": 262_144},
                "models": {"base": role("base", "lynx-7b"), "teachers": [role("teacher", "otter-large")]},
                "gate": {"k": 4, "max_plain_right": 2},
            }
        )
    )
    return place / "recipe.yaml"


@pytest.fixture(scope="module")
def doubted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, list[str]]]:
    """Owner → what is suspected to be true, and the families that agree."""
    place = tmp_path_factory.mktemp("cellars")
    asked = questions()
    fake = OpenAIServer(script=script({question.owner: question for question in asked}), models=("base", "teacher"))
    with fake.in_thread() as url:
        coldforge("run", recipe(place, url, asked), "--out", place / "run")
    with duckdb.connect(str(place / "run" / "ledger.duckdb"), read_only=True) as db:
        rejected = db.execute("SELECT count(*) FROM outcomes WHERE reason = 'suspected_wrong_gold'").fetchone()
        rows = db.execute(
            "SELECT source_row, answer, families, single_family FROM suspicions JOIN questions USING (question_id)"
            " WHERE contradicts"
        ).fetchall()
    assert rejected == (len(rows),)
    assert not any(single for *_, single in rows)
    return {owner: (answer, families) for owner, answer, families, _ in rows}


def test_suspected_is_what_both_families_agree_on_and_nothing_else(doubted: dict[str, tuple[str, list[str]]]) -> None:
    for question in questions():
        if question.group in FOUND:
            answer, families = doubted[question.owner]
            assert families == ["lynx", "otter"]
            assert (answer == question.true) == GROUPS[question.group].swapped
        else:
            assert question.owner not in doubted, question


def test_recall_and_precision_with_intervals(doubted: dict[str, tuple[str, list[str]]]) -> None:
    swapped = {question.owner for question in questions() if GROUPS[question.group].swapped}
    hits = len(swapped & doubted.keys())
    recall, precision = wilson(hits, len(swapped)), wilson(hits, len(doubted))
    print(f"recall {hits} of {len(swapped)} [{recall.low:.0%}, {recall.high:.0%}]")  # noqa: T201 - asked for with -s
    print(f"precision {hits} of {len(doubted)} [{precision.low:.0%}, {precision.high:.0%}]")  # noqa: T201
    assert hits / len(swapped) >= 0.6
    assert hits / len(doubted) >= 0.8
