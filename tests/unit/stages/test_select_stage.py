"""The stage select: what it reads of other stages, and what it says when a mix cannot be met."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import pytest

from filters.selection.choose import SelectionSettings
from filters.selection.mix import Mix
from flows.stages.selection import SelectSettings, run
from pipeline.engine.units import UnitInput, UnitOutput
from pipeline.errors import UsageError
from pipeline.records import ArmCount, Cluster, GateCount, Lane, QuestionKey, Record, TrajectoryKey
from pipeline.store import Store
from tests.support.builders import arm_count, gate_count

DEPLOYED = 1_000_000
KEEP_ALL = SelectionSettings(saturated="keep")


def asked_key(name: str, images: tuple[str, ...] = ("i",)) -> QuestionKey:
    return QuestionKey(
        id=name, source="s", category="perception", text=name, images=images, answers=("1",), answer_type="number"
    )


def cluster(name: str) -> Cluster:
    return Cluster(question_id=name, cluster_id=name, representative=name)


def attempt_key(name: str, asked: str, lane: Lane = "tools", loss_tokens: int = 10) -> TrajectoryKey:
    return TrajectoryKey(
        id=name,
        question_id=asked,
        source="s",
        category="perception",
        sample=0,
        lane=lane,
        skeleton="same",
        loss_tokens=loss_tokens,
        row_tokens=2 * loss_tokens,
    )


def gate2(name: str, *, saturated: bool) -> GateCount:
    return gate_count(name, tools_right=8 if saturated else 4, tools_valid=8, saturated=saturated, route="rl")


def as_deployed(name: str, right: int) -> ArmCount:
    return arm_count("pixels", right, question_id=name, max_pixels=DEPLOYED)


def selected(unit: UnitInput, settings: SelectionSettings) -> UnitOutput:
    """Nothing is read of the store: the keys hold all that decides."""
    return run(unit, SelectSettings(select=settings, deploy_pixels=DEPLOYED), Store(Path("unread")))


def reasons(records: Sequence[Record], context: Sequence[Record], settings: SelectionSettings) -> dict[str, str]:
    output = selected(UnitInput(tuple(records), tuple(context)), settings)
    return {outcome.record_id: outcome.reason for outcome in output.outcomes}


def test_what_is_too_easy_at_the_size_of_deployment_is_an_artifact_in_both_shards() -> None:
    asked = ("q0", "q1", "q2", "q3")
    records = [asked_key("q0"), asked_key("q1"), attempt_key("t2", "q2"), attempt_key("t3", "q3")]
    context: list[Record] = [asked_key("q2"), asked_key("q3"), *map(cluster, asked)]
    context += [gate2("q0", saturated=False), gate2("q1", saturated=False)]
    context += [as_deployed(name, right) for name, right in zip(asked, (2, 3, 2, 3), strict=True)]
    none = SelectionSettings(max_resolution_artifact=0.0)
    assert reasons(records, context, none) == {
        "q0": "",
        "q1": "resolution_artifact",
        "t2": "",
        "t3": "resolution_artifact",
    }
    assert set(reasons(records, context, SelectionSettings()).values()) == {""}


def test_what_every_rollout_with_tools_solves_is_rejected_by_default() -> None:
    records = [asked_key("q0"), asked_key("q1")]
    context = [cluster("q0"), cluster("q1"), gate2("q0", saturated=True), gate2("q1", saturated=False)]
    assert reasons(records, context, SelectionSettings()) == {"q0": "saturated", "q1": ""}
    assert reasons(records, context, KEEP_ALL) == {"q0": "", "q1": ""}


def test_questions_without_images_are_not_taken_for_questions_of_one_image() -> None:
    asked = [f"q{number}" for number in range(9)]
    records = [attempt_key(f"t{name}", name) for name in asked]
    clusters = [cluster(name) for name in asked]
    apart = reasons(records, [*clusters, *(asked_key(name, ()) for name in asked)], SelectionSettings())
    assert list(apart.values()).count("over_skeleton_cap") == 0
    together = reasons(records, [*clusters, *(asked_key(name) for name in asked)], SelectionSettings())
    assert list(together.values()).count("over_skeleton_cap") == 5


def test_lanes_and_tokens_of_the_keys_decide_the_mix() -> None:
    asked = [f"q{number}" for number in range(6)]
    lanes: tuple[Lane, ...] = ("tools", "tools", "tools", "tools", "no_call", "plain_cot")
    records = [attempt_key(f"t{name}", name, lane, 30) for name, lane in zip(asked, lanes, strict=True)]
    records[4] = attempt_key("tq4", "q4", "no_call", 60)
    context: list[Record] = [*map(cluster, asked), *map(asked_key, asked)]
    halves = SelectionSettings(mix=Mix(perception=0.5, no_call=0.5), mix_unit="tokens")
    assert list(reasons(records, context, halves).values()) == ["", "", "over_mix", "over_mix", "", "over_mix"]
    in_rows = halves.model_copy(update={"mix_unit": "rows"})
    assert list(reasons(records, context, in_rows).values()) == ["", "over_mix", "over_mix", "over_mix", "", "over_mix"]


def test_a_mix_that_cannot_be_met_is_a_mistake_of_the_recipe_and_leaves_the_worker_as_one() -> None:
    unit = UnitInput((attempt_key("t0", "q0"),), (cluster("q0"), asked_key("q0")))
    half = SelectionSettings(mix=Mix(perception=0.5, long_cot=0.5))
    with pytest.raises(UsageError, match=r"long_cot is to be 0\.5 .*\(rows at hand: perception 1\)") as caught:
        selected(unit, half)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 - our own, as the pool does
