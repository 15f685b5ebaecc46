"""What stops a stage whose model writes no turns is quoted, and nothing else."""

from __future__ import annotations

import pytest

from flows.asking.formed import FIRST, Formed, MalformedError
from pipeline.records import Trajectory
from tests.support.builders import trajectory, turn


def rollout(*, malformed: bool) -> Trajectory:
    if malformed:
        said = turn("none", arguments="{}", raw_text="I would say so.", status="bad_call", labels=("no_think",))
        return trajectory(said, purpose="gate", arm="main", mode="plain", finish="bad_call", verdict="unknown")
    return trajectory(turn("answer", "1"), purpose="gate", arm="main", mode="plain", verdict="right")


def test_a_good_rollout_that_ends_while_the_stage_is_stopped_is_no_cause() -> None:
    formed = Formed(0.5)
    for _ in range(FIRST // 2):
        formed.count(rollout(malformed=True), "base")
    with pytest.raises(MalformedError, match=r"no_think.*'I would say so.'"):
        formed.count(rollout(malformed=True), "base")
    formed.count(rollout(malformed=False), "base")
