"""A run against a model that often writes what is no turn: what is kept, what stays undecided, and why."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest
import yaml

from tests.support.command import coldforge
from tests.support.servers.cases import has_said
from tests.support.servers.openai_server import OpenAIServer, Reply, completion

QUESTIONS, K, MOST_ASKED, HARD = 90, 8, 24, 2
NO_TURN = "The sum should be easy to find."
_ASKED = re.compile(r"squares of the first (\d+) whole")


def uniform(*parts: object) -> float:
    return int(hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:13], 16) / 16**13


def total(number: int) -> int:
    return sum(n * n for n in range(number + 1))


class Model(NamedTuple):
    """A base model by its true rates; what it says depends on question, mode and seed alone."""

    malformed: Callable[[int], float]
    """Share of its rollouts at a question that are malformed."""

    def easy(self, number: int) -> bool:
        return number % 3 == 0

    def fails(self, number: int, mode: str, seed: int) -> bool:
        return uniform("malformed", number, mode, seed) < self.malformed(number)

    def right(self, number: int, mode: str, seed: int) -> bool:
        helped = mode == "tools" and number % 2 == 0
        rate = 0.9 if self.easy(number) else 0.5 if helped else 0.1 if mode == "plain" else 0.0
        return uniform("right", number, mode, seed) < rate

    def says(self, body: dict[str, Any]) -> Reply:
        messages = body["messages"]
        found = _ASKED.search(json.dumps(messages[1]))
        assert found is not None
        number, mode = int(found[1]), "tools" if "```python" in str(messages[0]["content"]) else "plain"
        if body["model"] == "base" and self.fails(number, mode, body["seed"]):
            return completion(NO_TURN)
        if mode == "tools" and not has_said(body):
            code = f"print(sum(n * n for n in range({number} + 1)))"
            return completion(f"<think>I add them up.</think>\n<code>\n```python\n{code}\n```\n</code>")
        right = body["model"] == "teacher" or self.right(number, mode, body["seed"])
        return completion(f"<think>So it is.</think>\n<answer>{total(number) + (0 if right else 7)}</answer>")

    def way(self, number: int) -> str:
        """Return what gate 1 is to make of a question, by the rule as it is told to people."""
        answers = [
            self.right(number, "plain", seed) for seed in range(MOST_ASKED) if not self.fails(number, "plain", seed)
        ]
        if all(self.fails(number, "plain", seed) for seed in range(K)):
            return "undecided"
        if sum(answers[:K]) > HARD:
            return "too_easy"
        return "next" if len(answers) >= K else "undecided"


def alike(number: int) -> float:
    """22 % of all rollouts, most of them at few questions."""
    drawn = uniform("share", number)
    return 1.0 if drawn < 0.12 else 0.7 if drawn < 0.2 else 0.055


MODELS: Mapping[str, Model] = {"independent": Model(lambda _: 0.22), "clustered": Model(alike)}


def recipe(place: Path, url: str) -> Path:
    (place / "sums").mkdir()
    numbers = range(10, 10 + QUESTIONS)
    rows = [
        {
            "row": str(number),
            "category": "reasoning",
            "text": f"What is the sum of the squares of the first {number} whole numbers?",
            "images": [],
            "answers": [str(total(number))],
            "answer_type": "number",
        }
        for number in numbers
    ]
    (place / "sums" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = {"key": "sums", "kind": "jsonl", "revision": "1", "path": "sums", "licence": "CC0-1.0"}
    (place / "sums.yaml").write_text(yaml.safe_dump(manifest))

    def role(name: str) -> dict[str, Any]:
        return {"backend": "openai", "model": f"{name}@1", "served_name": name, "base_url": url}

    content = {
        "name": "sums",
        "sources": [{"source": "sums.yaml"}],
        "student": {"family": "qwen2_5_vl", "revision": "r", "max_pixels": 262_144},
        "models": {"base": role("base"), "teachers": [role("teacher")]},
        "rollout": {"max_turns": 3},
        "gold": {"min_families": 1},
    }
    (place / "recipe.yaml").write_text(yaml.safe_dump(content))
    return place / "recipe.yaml"


class Ran(NamedTuple):
    model: Model
    run: Path

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.run / "ledger.duckdb"), read_only=True) as ledger:
            return ledger.execute(sql).fetchall()

    def numbers(self, sql: str) -> dict[int, tuple[Any, ...]]:
        """Rows of a query that begin with a question's id, by the number that the question asks about."""
        texts = self.query("SELECT question_id, text FROM questions")
        named = {identity: int(found[1]) for identity, text in texts if (found := _ASKED.search(text))}
        return {named[identity]: tuple(rest) for identity, *rest in self.query(sql)}


@pytest.fixture(scope="module", params=MODELS)
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    place, model = tmp_path_factory.mktemp("malformed"), MODELS[request.param]
    server = OpenAIServer(script=model.says, models=("base", "teacher"))
    with server.in_thread() as url:
        coldforge("run", recipe(place, url), "--out", place / "run", "--store", place / "store")
        yield Ran(model, place / "run")


def test_gate_1_keeps_rejects_and_leaves_undecided_what_the_rule_says(ran: Ran) -> None:
    told = ran.numbers("SELECT question_id, coalesce(route, reason) FROM outcomes WHERE stage = 'gate1'")
    assert {number: way for number, (way,) in told.items()} == {
        number: ran.model.way(number) for number in range(10, 10 + QUESTIONS)
    }
    hard = [way for number, (way,) in told.items() if not ran.model.easy(number)]
    answerable = [way for way in hard if way != "undecided"]
    assert answerable.count("next") >= 0.85 * len(answerable)
    assert ("undecided" in hard) == (ran.model is MODELS["clustered"])


def test_what_is_undecided_says_why_part_by_part(ran: Ran) -> None:
    told = ran.numbers("SELECT question_id, detail FROM outcomes WHERE reason = 'undecided'")
    for number, (detail,) in told.items():
        fails = [ran.model.fails(number, "plain", seed) for seed in range(MOST_ASKED)]
        asked = K if all(fails[:K]) else MOST_ASKED
        failed = sum(fails[:asked])
        assert detail == f"{asked - failed} of {asked} tell; malformed {failed}"


def test_gate_2_loses_nothing_and_teaches_what_is_malformed(ran: Ran) -> None:
    told = ran.numbers(
        "SELECT question_id, o.outcome, o.route, tools_right, tools_bad_format, tools_valid, plain_right "
        "FROM outcomes o JOIN gates USING (question_id) WHERE stage = 'gate2'"
    )
    for number, (outcome, route, right, malformed, valid, plain) in told.items():
        failed = sum(ran.model.fails(number, "tools", seed) for seed in range(K))
        assert (outcome, malformed, valid) == ("kept", failed, K - failed)
        assert route == ("rl" if right > plain and valid >= K / 2 else "sft")


def test_statistics_count_what_gave_no_answer_and_name_an_example(ran: Ran) -> None:
    told = {row["stage"]: row for row in json.loads(coldforge("stats", ran.run, "--json").stdout)["without_answer"]}
    assert {row["kind"] for row in told.values()} == {"malformed"}
    for stage, mode in (("gate1", "plain"), ("gate2", "tools")):
        rollouts = f"FROM attempts WHERE arm = 'main' AND mode = '{mode}' AND finish IN ('bad_call', 'max_turns')"
        assert [(told[stage]["rollouts"],)] == ran.query(f"SELECT count(*) {rollouts}")
        assert ran.query(f"SELECT 1 {rollouts} AND question_id = '{told[stage]['example']}' LIMIT 1")
    assert [(told["gate1"]["undecided"],)] == ran.query("SELECT count(*) FROM outcomes WHERE reason = 'undecided'")


def test_a_model_that_mostly_fails_stops_the_run_which_goes_on_if_it_may(tmp_path: Path) -> None:
    model = Model(lambda _: 0.65)
    server = OpenAIServer(script=model.says, models=("base", "teacher"))
    with server.in_thread() as url:
        arguments = ("run", recipe(tmp_path, url), "--out", tmp_path / "run", "--store", tmp_path / "store")
        stopped = coldforge(*arguments, code=1).stderr
        words = ("gate1, arm main", "models.base are malformed (no_think)", NO_TURN, "raise gate.max_malformed (0.5)")
        assert all(word in stopped for word in words), stopped
        assert "Traceback" not in stopped
        # Stored answers do not make it pass bit by bit, however often it is begun again.
        for _ in range(2):
            again = coldforge(*arguments, code=1).stderr
            assert all(word in again for word in words), again
        done = coldforge(*arguments, "--set", "gate.max_malformed=1").stdout
    ways = Ran(model, tmp_path / "run").numbers(
        "SELECT question_id, coalesce(route, reason) FROM outcomes WHERE stage = 'gate1'"
    )
    assert {number: way for number, (way,) in ways.items()} == {number: model.way(number) for number in ways}
    assert "rollouts are malformed, which is mostly a chat template" in done
