"""What is asked beside the gates' main arms, of whom, in how many samples, and what follows from it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture

from filters.gates.gold import DisputeSettings
from filters.gates.lanes import LaneSettings
from filters.gates.rules import GateSettings
from flows.asking.formed import Formed, MalformedError
from flows.asking.resources import Resources
from flows.stages.gate import Gate1Settings, Gate2Settings, run_gate1, run_gate2
from pipeline.engine.units import UnitInput, UnitOutput
from pipeline.images import encode_png, put_image
from pipeline.models.chat import ChatRequest, Image
from pipeline.models.refusals import RejectedError
from pipeline.records import Arm, ArmCount, GateCount, Outcome, Question, Trajectory
from pipeline.rollout.loop import Ask, Limits
from pipeline.sandbox import Pool
from pipeline.store import Store
from pipeline.store.blobs import BlobStore
from pipeline.students.family import ViewRule
from tests.support.asking import ask, resources, tools
from tests.support.builders import question
from tests.support.fakes import ScriptedModel

RULE = ViewRule("qwen2_5_vl", 65_536)
SHARP = ViewRule("qwen2_5_vl", 262_144)
SEARCHED = '<think>I look it up.</think>\n<tool_call>\n{"name": "search", "arguments": {"query": "x"}}\n</tool_call>'


def answer(text: str) -> str:
    return f"<think>So it is.</think>\n<answer>{text}</answer>"


def shown(request: ChatRequest) -> list[Image]:
    return [part for message in request.messages for part in message.parts if isinstance(part, Image)]


def ask_question(store: Path, number: int = 0, *, images: bool = True) -> Question:
    blobs = BlobStore(store / "blobs")
    picture = put_image(blobs, encode_png(Picture.effect_noise((900, 700), 50 + number)))
    return question(
        "Which word is on the sign?", source_row=str(number), images=(picture,) if images else (), answers=("HARBOUR",)
    )


class Base(ScriptedModel):
    """A base model that says one word without tools at the student's budget, and others elsewhere."""

    def __init__(self, plain: str, *, blind: str = "NOTHING", sharp: str = "BLUR", after: str | None = None) -> None:
        def script(request: ChatRequest, sample: int) -> str:
            self.asked.append((len(shown(request)), sample))
            if "tools" in str(request.messages[0].parts):
                return answer(plain)
            if not shown(request):
                return answer(blind)
            if shown(request)[0].view.width * shown(request)[0].view.height > RULE.max_pixels:
                return answer(sharp)
            return answer(plain if after is None or sample < 4 else after)

        super().__init__(script, revision="scripted/base")
        self.asked: list[tuple[int, int]] = []


def asked(arm: Arm, role: str = "base", **changes: Any) -> Ask:
    usual: dict[str, Any] = {"view": RULE, "limits": Limits(max_turns=3)}
    return ask(arm=arm, role=role, model=f"scripted/{role}", **{**usual, **changes})


def gate1_settings(settings: GateSettings, lanes: LaneSettings, *, sharp: bool, stronger: bool) -> Gate1Settings:
    return Gate1Settings(
        gate=settings.plain,
        lanes=lanes,
        plain=asked("main"),
        blind=asked("blind") if settings.blind else None,
        pixels=(asked("pixels", view=SHARP),) if sharp else (),
        stronger=asked("stronger", "stronger") if stronger else None,
        judge=None,
    )


def gate2_settings(settings: GateSettings) -> Gate2Settings:
    with_tools = asked("main", mode="tools", system="You see images and have tools.")
    return Gate2Settings(
        gate=settings.tools,
        tools=with_tools,
        fresh=asked("fresh"),
        judge=None,
        gold=DisputeSettings(),
        base_family="scripted",
    )


def run(
    store: Path,
    questions: Sequence[Question],
    base: ScriptedModel,
    settings: GateSettings,
    *,
    stronger: ScriptedModel | None = None,
    lanes: LaneSettings | None = None,
    sharp: bool = False,
    plain: UnitOutput | None = None,
    formed: Formed | None = None,
) -> UnitOutput:
    """Run gate 1, or gate 2 after the output of gate 1."""
    models = {"base": base, **({} if stronger is None else {"stronger": stronger})}

    async def main(acting: Resources) -> UnitOutput:
        if plain is not None:
            unit = UnitInput(tuple(questions), plain.tables["counts"])
            return await run_gate2(unit, gate2_settings(settings), acting)
        first = gate1_settings(settings, lanes or LaneSettings(), sharp=sharp, stronger=stronger is not None)
        return await run_gate1(UnitInput(tuple(questions)), first, acting)

    with Store(store) as opened, Pool(workers=1) as pool:
        acting = resources(tools(opened, pool, rule=RULE), opened, models)
        return asyncio.run(main(replace(acting, formed=formed or Formed())))


def rollouts(output: UnitOutput) -> list[Trajectory]:
    return [record for record in output.tables["trajectories"] if isinstance(record, Trajectory)]


def arms(output: UnitOutput) -> dict[str, ArmCount]:
    return {record.arm: record for record in output.tables["arms"] if isinstance(record, ArmCount)}


def only(output: UnitOutput) -> Outcome:
    (outcome,) = output.outcomes
    return outcome


def test_the_blind_arm_shows_no_image_and_stops_what_it_answers_before_anything_else(tmp_path: Path) -> None:
    base = Base("wrong", blind="HARBOUR")
    output = run(tmp_path, [ask_question(tmp_path)], base, GateSettings(k=4, max_plain_right=1, blind=True))
    assert (only(output).outcome, only(output).reason) == ("rejected", "answerable_blind")
    assert sorted(base.asked) == [(0, sample) for sample in range(4)]  # no image, and no plain rollout
    assert (arms(output)["blind"].right, arms(output)["blind"].max_pixels) == (4, 0)
    assert all(not rollout.images and "<image>" not in rollout.user for rollout in rollouts(output))


def test_a_question_without_images_has_no_blind_arm_and_no_other_budget(tmp_path: Path) -> None:
    base = Base("wrong", blind="wrong")
    asked = ask_question(tmp_path, images=False)
    output = run(tmp_path, [asked], base, GateSettings(k=4, max_plain_right=1, blind=True), sharp=True)
    assert (only(output).route, arms(output)) == ("next", {})
    assert len(rollouts(output)) == 4


def test_only_survivors_are_asked_at_another_budget_and_none_is_stopped_by_it(tmp_path: Path) -> None:
    settings = GateSettings(k=4, max_plain_right=1)
    hard = run(
        tmp_path / "hard", [ask_question(tmp_path / "hard")], Base("wrong", sharp="HARBOUR"), settings, sharp=True
    )
    assert only(hard).route == "next"
    assert (arms(hard)["pixels"].right, arms(hard)["pixels"].max_pixels) == (4, SHARP.max_pixels)
    easy = run(tmp_path / "easy", [ask_question(tmp_path / "easy")], Base("HARBOUR"), settings, sharp=True)
    assert (only(easy).reason, arms(easy)) == ("too_easy", {})


@pytest.mark.parametrize(("said", "reason"), [("HARBOUR", "easy_for_stronger"), ("wrong", "")])
def test_what_a_stronger_model_always_solves_without_tools_goes_no_further(
    tmp_path: Path, said: str, reason: str
) -> None:
    stronger = ScriptedModel(lambda _request, _sample: answer(said), revision="scripted/stronger")
    settings = GateSettings(k=4, max_plain_right=1)
    output = run(tmp_path, [ask_question(tmp_path)], Base("wrong"), settings, stronger=stronger)
    assert only(output).reason == reason
    assert arms(output)["stronger"].model == "scripted/stronger"


def test_the_fresh_arm_asks_the_next_k_samples_of_the_same_request(tmp_path: Path) -> None:
    base = Base("wrong", after="HARBOUR")
    asked = ask_question(tmp_path)
    settings = GateSettings(k=4, max_plain_right=1, rule="interval")
    plain = run(tmp_path, [asked], base, settings)
    base.asked.clear()
    output = run(tmp_path, [asked], base, settings, plain=plain)
    fresh = [rollout for rollout in rollouts(output) if rollout.arm == "fresh"]
    assert sorted(rollout.sample for rollout in fresh) == [4, 5, 6, 7]
    assert {rollout.user for rollout in fresh} == {rollout.user for rollout in rollouts(plain)}
    assert arms(output)["fresh"].right == 4
    found = count(output)
    assert (found.plain_right, found.tools_right) == (0, 0)
    # The tools of this model do nothing, and what selected the question was bad luck.
    assert (only(output).route, found.route) == ("sft", "sft")


class Writing(ScriptedModel):
    """A base model that answers wrong in some samples, right in others, and else writes what is no turn."""

    def __init__(self, *, wrong: Collection[int] = (), right: Collection[int] = ()) -> None:
        def script(_: ChatRequest, sample: int) -> str:
            self.asked.append(sample)
            if sample in wrong or sample in right:
                return answer("HARBOUR" if sample in right else "wrong")
            return "I would say HARBOUR."

        super().__init__(script, revision="scripted/base")
        self.asked: list[int] = []


def count(output: UnitOutput) -> GateCount:
    (found,) = (record for record in output.tables["counts"] if isinstance(record, GateCount))
    return found


def test_rollouts_without_an_answer_are_topped_up_and_the_first_k_that_answered_decide(tmp_path: Path) -> None:
    base = Writing(wrong=(1, 5, 6), right=(9, 10, 11))
    asked = ask_question(tmp_path)
    settings = GateSettings(k=4, max_plain_right=1, rule="interval")
    output = run(tmp_path, [asked], base, settings)
    assert sorted(base.asked) == list(range(10))  # four, three more for want of three answers, two, and the one left
    found = count(output)
    assert (found.plain_right, found.plain_valid, found.plain_malformed) == (1, 4, 6)
    assert only(output).route == "next"
    base.asked.clear()
    later = run(tmp_path, [asked], base, settings, plain=output)
    again = sorted(one.sample for one in rollouts(later) if one.arm == "fresh")
    assert again == [10, 11, 12, 13]  # none that decided gate 1


@pytest.mark.parametrize(
    ("wrong", "asked", "told"),
    [
        ((), 4, "0 of 4 tell; malformed 4"),  # no answer in the first four: others would hardly come
        ((0, 7), 12, "2 of 12 tell; malformed 10"),
        ((0, 4, 5), 12, "3 of 12 tell; malformed 9"),
    ],
)
def test_with_fewer_answers_than_k_a_question_is_undecided_and_its_parts_are_counted(
    tmp_path: Path, wrong: tuple[int, ...], asked: int, told: str
) -> None:
    base = Writing(wrong=wrong)
    output = run(tmp_path, [ask_question(tmp_path)], base, GateSettings(k=4, max_plain_right=1))
    outcome = only(output)
    assert (outcome.outcome, outcome.reason, outcome.detail) == ("rejected", "undecided", told)
    assert sorted(base.asked) == list(range(asked))


def test_what_is_right_too_often_is_not_topped_up(tmp_path: Path) -> None:
    base = Writing(right=(0, 3))
    output = run(tmp_path, [ask_question(tmp_path)], base, GateSettings(k=4, max_plain_right=1))
    assert (only(output).reason, sorted(base.asked)) == ("too_easy", [0, 1, 2, 3])


def test_candidates_of_the_lane_no_call_are_asked_all_k_times_under_early_stop(tmp_path: Path) -> None:
    settings = GateSettings(k=4, max_plain_right=1, early_stop=True, early_stop_exempt=0.0)
    ways = {}
    for right in ((0, 1, 2, 3), (0, 1, 2)):
        for share in (1.0, 0.0):
            base = Writing(right=right, wrong=(3,))
            place = tmp_path / f"{len(right)} {share}"
            output = run(place, [ask_question(place)], base, settings, lanes=LaneSettings(no_call=share))
            ways[len(right), share] = (only(output).route or only(output).reason, len(base.asked))
    assert ways == {
        (4, 1.0): ("no_call", 4),
        (3, 1.0): ("too_easy", 4),  # right at times: a call might have helped
        (4, 0.0): ("too_easy", 2),
        (3, 0.0): ("too_easy", 2),
    }


@pytest.mark.parametrize(("most", "stops"), [(0.5, True), (0.7, False)])
def test_a_model_that_mostly_writes_what_is_no_turn_stops_the_stage_and_is_quoted(
    tmp_path: Path, most: float, *, stops: bool
) -> None:
    asked = [ask_question(tmp_path, number, images=False) for number in range(60)]
    base = Writing(wrong=(1, 3))  # two of the first three malformed, and of all
    settings = GateSettings(k=4, max_plain_right=1)
    formed = Formed(most)
    if not stops:
        output = run(tmp_path, asked, base, settings, formed=formed)
        assert {outcome.reason for outcome in output.outcomes} == {"undecided"}
        return
    with pytest.raises(MalformedError, match=r"gate1, arm main: 101 of the first \d+ rollouts of models.base") as stop:
        run(tmp_path, asked, base, settings, formed=formed)
    told = str(stop.value)
    assert "'I would say HARBOUR.'" in told
    assert "raise gate.max_malformed (0.5)" in told


def test_a_share_of_what_is_too_easy_is_kept_for_other_lanes_and_the_rest_is_rejected(tmp_path: Path) -> None:
    asked = [ask_question(tmp_path, number) for number in range(40)]
    lanes = LaneSettings(no_call=0.3, plain_cot=0.3)
    output = run(tmp_path, asked, Base("HARBOUR"), GateSettings(k=2, max_plain_right=1), lanes=lanes)
    ways = [outcome.route or outcome.reason for outcome in output.outcomes]
    assert set(ways) == {"no_call", "plain_cot", "too_easy"}
    assert all(4 <= ways.count(way) <= 22 for way in ("no_call", "plain_cot"))  # 12 each, give or take three deviations
    none = run(tmp_path, asked, Base("HARBOUR"), GateSettings(k=2, max_plain_right=1))
    assert {outcome.reason for outcome in none.outcomes} == {"too_easy"}


def test_a_question_that_cannot_be_asked_leaves_nothing_but_its_payload(tmp_path: Path) -> None:
    def refuse(_request: ChatRequest, _sample: int) -> str:
        raise RejectedError("at most one picture")

    model = ScriptedModel(refuse, revision="scripted/base")
    output = run(tmp_path, [ask_question(tmp_path)], model, GateSettings(k=2, max_plain_right=1))
    assert (only(output).outcome, only(output).reason) == ("quarantined", "request_rejected")
    assert all(not rows for rows in output.tables.values())
