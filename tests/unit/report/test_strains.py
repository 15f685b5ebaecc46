"""Limits that ended rollouts, and searches in vain, are told with the setting they follow from and its value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from flows.ledger.snapshot import build_ledger
from flows.report.strains import strains
from pipeline.records import DroppedHit, Finish, Question, Trajectory
from tests.support.builders import trajectory, turn
from tests.support.command import DEMO
from tests.support.runs import facts, marked, outcome, row, stage
from tests.support.staged import begun

LIMITS = {"max_turns": 2, "max_completion_tokens": 100, "max_seconds": 7.0}


def told(place: Path, finishes: list[Finish], dropped: list[DroppedHit]) -> list[str]:
    """What is told of a run whose rollouts of gate 2 ended so, and were not shown these hits."""
    about: dict[str, Any] = {"purpose": "gate", "arm": "main", "mode": "tools", "model": "m/1"}
    made = [
        trajectory(turn("answer", "1"), asked=marked(0), sample=number, finish=finish, **about)
        for number, finish in enumerate(finishes)
    ]
    gate2 = stage(
        begun(place / "run", [row(0)]),
        "gate2",
        inputs=[(row(0).id, marked(0), outcome("gate2", marked(0), "sft"))],
        tables={"trajectories": Trajectory, "questions": Question, "dropped_hits": DroppedHit},
        made=lambda _: [*(("trajectories", one) for one in made), *(("dropped_hits", one) for one in dropped)],
    )
    recipe = yaml.safe_load(DEMO.read_text()) | {"rollout": LIMITS, "search": {"corpus": "demo", "as_of": "2020-01-02"}}
    (place / "run" / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    build_ledger(place / "run", [gate2], facts("strained"))
    return strains(place / "run")


def test_each_limit_is_told_with_its_setting_and_nothing_is_of_rollouts_that_answered(tmp_path: Path) -> None:
    finishes: list[Finish] = ["answer", "max_tokens", "max_tokens", "max_turns", "max_time", "length", "refused"]
    found = told(tmp_path, finishes, [])
    assert [sentence.partition(" rollouts")[0] for sentence in found] == ["2 of 7", "1 of 7", "1 of 7", "1 of 7"]
    for setting in ("`rollout.max_completion_tokens: 100`", "`rollout.max_turns: 2`", "`rollout.max_seconds: 7.0`"):
        assert sum(setting in sentence for sentence in found) == 1
    assert "ended by max_tokens or context_length of the model" in "".join(found)


def test_a_run_whose_rollouts_all_answered_has_nothing_to_tell(tmp_path: Path) -> None:
    assert told(tmp_path, ["answer", "answer"], []) == []


def test_withheld_hits_are_told_by_reason_and_late_ones_with_their_days(tmp_path: Path) -> None:
    def hit(rank: int, reason: str, published: str | None) -> DroppedHit:
        asked = marked(0)
        told_of = {"trajectory_id": "t", "question_id": asked.id, "turn": 0, "rank": rank, "tool": "search"}
        page = {"url": f"local://{rank % 2}", "title": "", "snippet": "", "published": published, "score": None}
        return DroppedHit.model_validate({**told_of, **page, "reason": reason})

    late = [hit(rank, "after_as_of", f"2021-0{rank + 1}-01") for rank in range(4)]
    late_told, held_told = told(tmp_path, ["answer"], [*late, hit(9, "holds_question", None)])
    assert late_told.startswith("Withheld as after_as_of: 4 hits of searches, 2 pages, met by 1 question,")
    assert "2 pages" in late_told
    assert "2021-01-01 to 2021-04-01" in late_told
    assert "`search.as_of: 2020-01-02`" in late_told
    assert held_told.startswith("Withheld as holds_question: 1 hit of searches, 1 page, met by 1 question.")
    assert "as_of" not in held_told
