from __future__ import annotations

from filters.intervals import newcombe
from flows.stages.labels import Measured
from pipeline.export.rows import Labels
from pipeline.records import Arm, ArmCount, GateCount, Record, Route, TemplateFacts
from tests.support.builders import arm_count, gate_count

ASKED = "a" * 64


def count(*, route: Route | None = "rl", censored: int = 0, fresh: ArmCount | None = None) -> GateCount:
    tried = {"tools_right": 4, "tools_right_without_call": 1, "tools_valid": 7} if route else {}
    plain = {"plain_right": 1, "plain_valid": 8 - censored, "censored": censored, "chance": 0.25}
    return gate_count(ASKED, fresh=fresh, route=route, **plain, **tried)


def arm(name: Arm, right: int, max_pixels: int = 262_144) -> ArmCount:
    return arm_count(name, right, question_id=ASKED, max_pixels=max_pixels)


def labels(*records: Record, deploy_pixels: int | None = 1_000_000) -> Labels:
    return Measured.of(records, deploy_pixels).labels(ASKED)


def test_what_was_not_measured_is_said_to_be_unknown_and_not_zero() -> None:
    assert labels() == Labels()


def test_difficulty_is_the_share_of_wrong_answers_without_tools() -> None:
    found = labels(count())
    assert (found.plain_right, found.plain_valid, found.difficulty, found.chance) == (1, 8, 0.875, 0.25)
    assert (found.tools_right, found.tools_valid) == (4, 7)


def test_a_question_that_never_got_to_gate_2_has_no_counts_with_tools() -> None:
    found = labels(count(route=None))
    assert (found.plain_valid, found.tools_right, found.tools_valid, found.benefit) == (8, None, None, None)


def test_the_share_of_a_question_that_was_not_asked_to_the_end_is_no_difficulty() -> None:
    found = labels(count(route=None, censored=3))
    assert (found.plain_valid, found.difficulty) == (5, None)


def test_benefit_rests_on_fresh_rollouts_and_never_on_those_that_chose_the_question() -> None:
    assert labels(count()).benefit is None
    found = labels(count(fresh=arm("fresh", 2)))
    assert found.benefit == 5 / 7 - 2 / 8
    assert (found.benefit_low, found.benefit_high) == newcombe(5, 7, 2, 8)


def test_only_the_budget_of_deployment_makes_a_resolution_artifact() -> None:
    assert labels(arm("pixels", 8, 500_000)).resolution_artifact is None
    assert labels(arm("pixels", 8, 500_000), arm("pixels", 2, 1_000_000)).resolution_artifact is False
    assert labels(arm("pixels", 3, 1_000_000)).resolution_artifact is True
    assert labels(arm("pixels", 3, 1_000_000), deploy_pixels=None).resolution_artifact is None


def test_blind_counts_and_the_majority_of_the_template_are_labels() -> None:
    facts = TemplateFacts(
        question_id=ASKED, template="how many _", questions=4, majority="2", share=0.5, is_majority=False
    )
    found = labels(arm("blind", 1, 0), facts)
    assert (found.blind_right, found.blind_valid) == (1, 8)
    assert (found.majority_answer, found.majority_share, found.is_majority) == ("2", 0.5, False)


def test_the_one_question_of_its_wording_has_no_majority() -> None:
    alone = TemplateFacts(
        question_id=ASKED, template="which _ is red", questions=1, majority="2", share=1.0, is_majority=True
    )
    found = labels(alone)
    assert (found.majority_answer, found.majority_share, found.is_majority) == (None, None, None)


def test_records_of_other_questions_say_nothing() -> None:
    others = (record.model_copy(update={"question_id": "b" * 64}) for record in (count(), arm("blind", 1)))
    assert labels(*others) == Labels()
