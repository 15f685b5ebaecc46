"""What tools are worth, on questions counted by hand."""

from __future__ import annotations

import pytest

from filters.gates.benefit import ANYTHING, net_benefit, question_benefit
from filters.intervals import mean_interval, newcombe
from pipeline.records import Arm, ArmCount, GateCount
from tests.support.builders import arm_count, gate_count


def count(*, right: int, without_call: int = 0, valid: int = 8) -> GateCount:
    return gate_count(tools_right=right, tools_right_without_call=without_call, tools_valid=valid)


def asked(right: int, valid: int = 8, arm: Arm = "fresh", question_id: str = "q") -> ArmCount:
    return arm_count(arm, right, valid, question_id=question_id)


def test_right_answers_with_tools_count_whether_or_not_a_tool_was_called() -> None:
    benefit = question_benefit(count(right=3, without_call=2), asked(1, valid=4))
    assert benefit == (5 / 8 - 1 / 4, newcombe(5, 8, 1, 4))


def test_the_counts_of_gate_1_do_not_enter() -> None:
    lucky = count(right=3).model_copy(update={"plain_right": 2})
    assert question_benefit(lucky, asked(3)) == question_benefit(count(right=3), asked(3))


@pytest.mark.parametrize(("counted", "fresh"), [(count(right=0, valid=0), asked(1)), (count(right=1), asked(0, 0))])
def test_an_arm_without_a_valid_rollout_tells_nothing(counted: GateCount, fresh: ArmCount) -> None:
    assert question_benefit(counted, fresh) is None


@pytest.mark.parametrize("other", [asked(1, arm="blind"), asked(1, question_id="other")])
def test_another_arm_is_refused(other: ArmCount) -> None:
    with pytest.raises(ValueError, match="not its fresh arm"):
        question_benefit(count(right=1), other)


def test_a_question_is_one_observation() -> None:
    benefit = net_benefit([0.5, 0.0, 0.25, -0.25])
    assert (benefit.mean, benefit.questions) == (0.125, 4)
    assert benefit.interval == mean_interval([0.5, 0.0, 0.25, -0.25])


def test_few_questions_leave_much_open_and_nothing_beyond_what_is_possible() -> None:
    assert net_benefit([0.5]) == (0.5, ANYTHING, 1)
    assert net_benefit([1.0, -1.0]).interval == ANYTHING


@pytest.mark.parametrize("differences", [[], [1.5], [float("nan")]])
def test_what_is_no_difference_of_shares_is_refused(differences: list[float]) -> None:
    with pytest.raises(ValueError, match="within -1 to 1"):
        net_benefit(differences)
